"""A table of vectors that are added to the steps of sequences, by position; after its last row it begins again."""

from __future__ import annotations

import numpy as np


def add_positions(x: np.ndarray, table: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(y[n, t] = x[n, t] + table[(start[n] + t) mod rows], the start of the next piece, (n, 1), below rows).

    x (n, t, d), table (rows, d), start (n, 1): the position of the first step, rounded down.
    """
    at = _positions(start, x.shape[1], len(table))
    return x + table[at], _positions(start + x.shape[1], 1, len(table)).astype(x.dtype)


def add_positions_gradient(dy: np.ndarray, start: np.ndarray, rows: int) -> np.ndarray:
    """Gradient of the table (rows, d): each row is the sum of dy (n, t, d) wherever it was added."""
    dtable = np.zeros((rows, dy.shape[-1]), dy.dtype)
    np.add.at(dtable, _positions(start, dy.shape[1], rows), dy)
    return dtable


def _positions(start: np.ndarray, steps: int, rows: int) -> np.ndarray:
    """The rows of the table at each step, (n, t)."""
    return (np.floor(start).astype(np.int64) + np.arange(steps)) % rows
