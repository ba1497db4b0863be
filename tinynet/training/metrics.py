"""What a classifier gets right, class by class."""

from __future__ import annotations

import numpy as np


def confusion_matrix(predicted: np.ndarray, true: np.ndarray, classes: int) -> np.ndarray:
    """How often class i (row) was read as class j (column): predicted and true (n,) integers → (classes, classes)."""
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def by_class(confusion: np.ndarray) -> list[dict[str, float]]:
    """Precision (right among those given), recall (given among those right) and number of samples of each class.

    A class that was never given has precision 0, one without samples recall 0. Columns beyond the classes count answers that
    name none.
    """
    right, samples = confusion.diagonal(), confusion.sum(axis=1)
    given = confusion[:, : len(confusion)].sum(axis=0)
    return [
        {"precision": float(r / max(g, 1)), "recall": float(r / max(s, 1)), "samples": int(s)}
        for r, g, s in zip(right, given, samples, strict=True)
    ]


def misread(probabilities: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Indices of the samples whose most probable class is wrong, the least probable truth first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != true)
    return wrong[np.argsort(probabilities[wrong, true[wrong]], kind="stable")]
