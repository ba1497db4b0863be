"""Metrics of a batch, added to a running total, so that a back end may keep it where it computes.

`total` () float64 is changed in place; rows whose `counted` (m,) is False are left out, None: no row.
"""

from __future__ import annotations

import numpy as np


def count_correct(
    total: np.ndarray, logits: np.ndarray, targets: np.ndarray, counted: np.ndarray | None = None
) -> None:
    """Add the number of rows whose most probable class is that of the targets; of equals the first, a NaN counts as large.

    logits (m, c); targets: classes (m,), or probabilities (m, c), which mean their most probable class.
    """
    classes = targets.argmax(axis=1) if targets.ndim == 2 else targets
    _add(total, logits.argmax(axis=1) == classes, counted)


def count_correct_binary(
    total: np.ndarray, logits: np.ndarray, targets: np.ndarray, counted: np.ndarray | None = None
) -> None:
    """Add for each row the share of its outputs that are right: `z > 0` where `t > 0.5`. logits z and targets t (m, c)."""
    _add(total, ((logits > 0) == (targets > 0.5)).mean(axis=1), counted)


def sum_absolute_errors(
    total: np.ndarray, predictions: np.ndarray, targets: np.ndarray, counted: np.ndarray | None = None
) -> None:
    """Add for each row the mean of `|p - t|` over c. predictions p and targets t (m, c)."""
    _add(total, np.abs(predictions - targets).mean(axis=1), counted)


def _add(total: np.ndarray, scores: np.ndarray, counted: np.ndarray | None) -> None:
    total += (scores if counted is None else scores[counted]).sum(dtype=np.float64)
