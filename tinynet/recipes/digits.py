"""Handwritten digits (MNIST): `tinynet train digits`, then `tinynet classify`."""

from __future__ import annotations

from ..data.datasets import load_digits
from ..data.pictures.augment import DIGITS
from ..tasks.base import PICTURES
from . import picture_rows, pictures
from .base import Choices, Plan, Recipe

VALIDATION = 5000
"""The last so many training pictures: settings and the best epoch are chosen on them, never on the test set."""


class Digits(Recipe):
    """A CNN, the network of the shipped weights (20 epochs is how they were made), or a network that reads row by row."""

    task = PICTURES
    kind = "small grid"
    holds = "pictures"
    options = frozenset({"augment"})

    def matches(self, data: str) -> bool:
        return data == "digits"

    def plan(self, data: str, choices: Choices) -> Plan:
        found = load_digits()
        return (pictures if choices.arch == "cnn" else picture_rows).plan(
            "digits",
            choices,
            (found.x_train[:-VALIDATION], found.y_train[:-VALIDATION]),
            (found.x_train[-VALIDATION:], found.y_train[-VALIDATION:]),
            labels=found.labels,
            preparation={"kind": "digit"},
            epochs=10,
            augment=DIGITS,
            ema=0.999,
            about="reads one handwritten digit",
        )
