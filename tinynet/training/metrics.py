"""Metrics: confusion matrix, precision and recall of a classifier, and users' own functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import TinynetError
from .losses import Loss

Metric = Callable[[np.ndarray, np.ndarray], Any]
"""f(labels, outputs) → one number, or one per row."""
KERAS_NAMES = {
    "acc": "accuracy",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "mean_absolute_error": "mae",
}
COLUMNS = ("epoch", "loss", "learning_rate", "seconds")
"""What the history always holds."""


def get_metrics(given: Any, loss: Loss) -> dict[str, Metric]:
    """The functions in a list of metrics, by name. The loss's own metric is always measured, and may be named.

    Raises TinynetError for anything else, and for a function whose name is already in the history.
    """
    if not isinstance(given, (list, tuple)):
        raise TinynetError(f"metrics must be a list, such as ['{loss.metric}', f], not {given!r}")
    found: dict[str, Metric] = {}
    for metric in given:
        if isinstance(metric, str) and KERAS_NAMES.get(metric, metric) == loss.metric:
            continue
        if not callable(metric) or isinstance(metric, type):
            raise TinynetError(
                f"there is no metric {metric!r} for {loss.name}, which has {loss.metric}; "
                "other metrics are functions of labels and outputs"
            )
        name = getattr(metric, "__name__", type(metric).__name__)
        if name in (*COLUMNS, loss.metric, *found) or name.startswith("val_"):
            raise TinynetError(f"the history already has a {name}: give the metric {name} another name")
        found[name] = metric
    return found


def measured_by(
    metrics: dict[str, Metric], outputs: np.ndarray, targets: np.ndarray, counted: np.ndarray | None
) -> dict[str, float]:
    """What each function returns for the rows of a batch that have a weight above 0."""
    rows = outputs.reshape(-1, outputs.shape[-1])
    labels = targets.reshape(len(rows), *targets.shape[outputs.ndim - 1 :])
    rows, labels = (rows, labels) if counted is None else (rows[counted], labels[counted])
    # Copies, since a function might change the arrays, which are still needed.
    return {
        name: _number(name, f(labels.copy(), rows.copy())) if len(rows) else 0.0
        for name, f in metrics.items()
    }


def _number(name: str, found: Any) -> float:
    try:
        number = float(np.mean(found))
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise TinynetError(
            f"the metric {name} must return a finite number for each batch, but returned {found!r:.60}"
        )
    return number


def confusion_matrix(predicted: np.ndarray, true: np.ndarray, classes: int) -> np.ndarray:
    """How often class i (row) was predicted as class j (column): predicted and true (n,) integers → (classes, classes)."""
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def by_class(confusion: np.ndarray) -> list[dict[str, float]]:
    """Precision (correct among those predicted), recall (predicted among those true) and number of samples of each class.

    A class that was never predicted has precision 0, one without samples recall 0. Columns beyond the classes count answers that
    name none.
    """
    right, samples = confusion.diagonal(), confusion.sum(axis=1)
    given = confusion[:, : len(confusion)].sum(axis=0)
    return [
        {"precision": float(r / max(g, 1)), "recall": float(r / max(s, 1)), "samples": int(s)}
        for r, g, s in zip(right, given, samples, strict=True)
    ]


def misread(probabilities: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Indices of the misclassified samples, those first whose true class got the lowest probability."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != true)
    return wrong[np.argsort(probabilities[wrong, true[wrong]], kind="stable")]
