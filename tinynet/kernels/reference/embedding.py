"""A table of vectors, read by the ids of its rows, and its gradient."""

from __future__ import annotations

import numpy as np

from .dropout import kept


def embedding(ids: np.ndarray, table: np.ndarray) -> np.ndarray:
    """y[n, t] = table[ids[n, t]]; ids (n, t) integer in 0…rows-1, table (rows, d) → (n, t, d)."""
    return table[ids]


def embedding_gradient(dy: np.ndarray, ids: np.ndarray, input_dim: int) -> np.ndarray:
    """Gradient of the table (input_dim, d): each row is the sum of dy (n, t, d) wherever its id stands."""
    dtable = np.zeros((input_dim, dy.shape[-1]), dy.dtype)
    np.add.at(dtable, ids, dy)
    return dtable


def embedding_bag(ids: np.ndarray, table: np.ndarray, factor: float) -> np.ndarray:
    """y[n] = factor · Σ over t of table[ids[n, t]], where an id 0 is padding and adds nothing; ids (n, t), table (rows, d) → (n, d)."""
    return (np.where((ids != 0)[..., None], table[ids], 0).sum(axis=1) * factor).astype(table.dtype)


def embedding_bag_gradient(dy: np.ndarray, ids: np.ndarray, input_dim: int, factor: float) -> np.ndarray:
    """Gradient of the table (input_dim, d): each row but the first is factor · the sum of dy (n, d) wherever its id stands."""
    dtable = embedding_gradient(np.repeat(dy[:, None], ids.shape[1], axis=1), ids, input_dim)
    dtable[0] = 0
    return dtable * dy.dtype.type(factor)


def drop_ids(ids: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """ids (n, t) with 0, which is padding, in the place of each with probability `rate`: where `dropout` drops an element."""
    return np.where(kept(ids.shape, rate, seed), ids, ids.dtype.type(0))
