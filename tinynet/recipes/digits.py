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

WEIGHT_DECAY = 0.15
"""Of the CNN: without it the loss on the validation set rises as soon as the learning rate falls."""
EACH_STYLE, DIGIT_TIMES, LETTER_TIMES = 12, 2, 2
"""Drawn pictures of each style of a printed digit or letter, and how often an epoch takes them."""


def plan(choices: Choices) -> Plan:
    """A CNN, the network of the shipped weights (`--epochs 20` is how they were made), or one that reads row by row."""
    arch = check_arch(choices.arch, ("cnn", *RECURRENT))
    data = load_digits()
    training = data.x_train[:-VALIDATION], data.y_train[:-VALIDATION]
    validation = data.x_train[-VALIDATION:], data.y_train[-VALIDATION:]
    usual = {
        "labels": data.labels,
        "preparation": {"kind": "digit"},
        "epochs": 10,
        "augment": DIGITS,
        "ema": 0.999,
    }
    if arch != "cnn":
        return rows.plan(
            "digits", choices, training, validation, **usual, about="reads one handwritten digit"
        )
    about = "reads one handwritten or printed digit"
    training = with_printed(*training)
    return pictures.plan(
        "digits", choices, training, validation, **usual, weight_decay=WEIGHT_DECAY, about=about
    )


def with_printed(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten pictures and labels with printed digits and letters added; labels become rows of probabilities.

    Of a letter every digit is equally probable, so that the network learns not to be sure of what is none (Hendrycks, Mazeika &
    Dietterich, «Deep anomaly detection with outlier exposure», 2019).
    """
    rng = np.random.default_rng(0)
    digits, labels = printed_digits(EACH_STYLE, rng)
    letters = printed_letters(EACH_STYLE, rng)
    drawn = np.concatenate([np.repeat(digits, DIGIT_TIMES, axis=0), np.repeat(letters, LETTER_TIMES, axis=0)])
    if x.dtype == np.uint8:
        drawn = np.round(255 * drawn)
    one_hot = np.eye(10, dtype=np.float32)
    unsure = np.full((LETTER_TIMES * len(letters), 10), 0.1, np.float32)
    rows = one_hot[y], one_hot[np.repeat(labels, DIGIT_TIMES)], unsure
    return np.concatenate([x, drawn.astype(x.dtype)]), np.concatenate(rows)
