"""Handwritten digits (MNIST): `tinynet train digits`, then `tinynet classify`."""

from __future__ import annotations

from ..data.augment import DIGITS
from ..data.datasets import load_digits
from . import pictures
from .base import Choices, Plan

VALIDATION = 5000
"""The last so many training pictures: settings and the best epoch are chosen on them, never on the test set."""


def plan(choices: Choices) -> Plan:
    """The network of the shipped weights; `--epochs 20` is how they were made."""
    data = load_digits()
    return pictures.plan(
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
