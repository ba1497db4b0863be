"""The mean and the largest value over time of sequences (batch, time, features), and their gradients."""

from __future__ import annotations

import numpy as np


def mean_steps(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The mean over the real steps of each sequence x (n, t, d): (n, d); zeros where none is real."""
    real = _real(x.shape, mask)
    return np.where(real, x, 0).sum(axis=1) / np.maximum(real.sum(axis=1), 1).astype(x.dtype)


def mean_steps_gradient(dy: np.ndarray, steps: int, mask: np.ndarray | None) -> np.ndarray:
    """Hand every real step its share of dy (n, d), dy divided by their number: (n, steps, d)."""
    real = _real((len(dy), steps), mask)
    share = dy / np.maximum(real.sum(axis=1), 1).astype(dy.dtype)
    return np.where(real, share[:, None], dy.dtype.type(0))


def max_steps(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The largest value over the real steps of each sequence x (n, t, d): (n, d); a NaN wins, zeros where none is real."""
    real = _real(x.shape, mask)
    largest = np.where(real, x, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(real.any(axis=1), largest, 0).astype(x.dtype)


def max_steps_gradient(dy: np.ndarray, x: np.ndarray, y: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Hand dy (n, d) to the first real step of x (n, t, d) that holds the maximum y (n, d): (n, t, d)."""
    top = y[:, None]
    hit = _real(x.shape, mask) & ((x == top) | (np.isnan(x) & np.isnan(top)))
    return np.where(hit & (hit.cumsum(axis=1) == 1), dy[:, None], dy.dtype.type(0))


def _real(shape: tuple[int, ...], mask: np.ndarray | None) -> np.ndarray:
    """Which of the steps of sequences of this shape are real: (n, t, 1)."""
    return np.ones((*shape[:2], 1), bool) if mask is None else mask[..., None].astype(bool)
