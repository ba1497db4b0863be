"""Handwritten digits (MNIST): `tinynet train digits`, then `tinynet classify`."""

from __future__ import annotations

import numpy as np

from ..data.augment import DIGITS
from ..data.datasets import load_digits
from ..data.printed import printed_digits, printed_letters
from . import pictures, rows
from .base import RECURRENT, Choices, Plan, check_arch

VALIDATION = 5000
"""The last so many training pictures: settings and the best epoch are chosen on them, never on the test set."""

EACH_DIGIT, TIMES, EACH_LETTER = 12, 6, 4
"""Drawn pictures of each style of a printed digit, how often an epoch takes them, and of each style of a letter."""


def plan(choices: Choices) -> Plan:
    """A CNN, the network of the shipped weights (`--epochs 20` is how they were made), or one that reads row by row."""
    arch = check_arch(choices.arch, ("cnn", *RECURRENT))
    data = load_digits()
    recipe = pictures if arch == "cnn" else rows
    handwritten = data.x_train[:-VALIDATION], data.y_train[:-VALIDATION]
    return recipe.plan(
        "digits",
        choices,
        with_printed(*handwritten) if arch == "cnn" else handwritten,
        (data.x_train[-VALIDATION:], data.y_train[-VALIDATION:]),
        labels=data.labels,
        preparation={"kind": "digit"},
        epochs=10,
        augment=DIGITS,
        ema=0.999,
        about="reads one handwritten or printed digit" if arch == "cnn" else "reads one handwritten digit",
    )


def with_printed(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten pictures and labels with printed digits added, and with letters, each once as every digit.

    So the loss of a letter is least where all digits are equally probable, and the network learns not to be sure of what
    is none (Hendrycks, Mazeika & Dietterich, «Deep anomaly detection with outlier exposure», 2019).
    """
    rng = np.random.default_rng(0)
    digits, labels = printed_digits(EACH_DIGIT, rng)
    letters = printed_letters(EACH_LETTER, rng)
    drawn = np.concatenate([np.repeat(digits, TIMES, axis=0), np.repeat(letters, 10, axis=0)])
    every = np.tile(np.arange(10), len(letters))
    if x.dtype == np.uint8:
        drawn = np.round(255 * drawn)
    return (
        np.concatenate([x, drawn.astype(x.dtype)]),
        np.concatenate([y, np.repeat(labels, TIMES), every.astype(y.dtype)]),
    )
