"""Handwritten digits (MNIST): `tinynet train digits`, then `tinynet classify`."""

from __future__ import annotations

from ..data.datasets import load_digits
from ..data.pictures.augment import DIGITS
from . import pictures, rows
from .base import RECURRENT, Choices, Plan, check_arch

VALIDATION = 5000
"""The last so many training pictures: settings and the best epoch are chosen on them, never on the test set."""


def plan(choices: Choices) -> Plan:
    """A CNN, the network of the shipped weights (`--epochs 20` is how they were made), or one that reads row by row."""
    arch = check_arch(choices.arch, ("cnn", *RECURRENT))
    data = load_digits()
    recipe = pictures if arch == "cnn" else rows
    return recipe.plan(
        "digits",
        choices,
        (data.x_train[:-VALIDATION], data.y_train[:-VALIDATION]),
        (data.x_train[-VALIDATION:], data.y_train[-VALIDATION:]),
        labels=data.labels,
        preparation={"kind": "digit"},
        epochs=10,
        augment=DIGITS,
        ema=0.999,
        about="reads one handwritten digit",
    )
