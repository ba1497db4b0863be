"""A table of vectors, read by the ids of its rows, and its gradient."""

from __future__ import annotations

import numpy as np


def embedding(ids: np.ndarray, table: np.ndarray) -> np.ndarray:
    """y[n, t] = table[ids[n, t]]; ids (n, t) integer in 0…rows-1, table (rows, d) → (n, t, d)."""
    return table[ids]


def embedding_gradient(dy: np.ndarray, ids: np.ndarray, input_dim: int) -> np.ndarray:
    """Gradient of the table (input_dim, d): each row is the sum of dy (n, t, d) wherever its id stands."""
    dtable = np.zeros((input_dim, dy.shape[-1]), dy.dtype)
    np.add.at(dtable, ids, dy)
    return dtable
