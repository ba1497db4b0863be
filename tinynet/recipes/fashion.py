"""Pieces of clothing (Fashion-MNIST): `tinynet train fashion`, then `tinynet classify` with the model that this makes."""

from __future__ import annotations

from ..data.datasets import load_fashion
from ..data.pictures.augment import FASHION
from ..tasks.base import PICTURES
from . import pictures
from .base import Choices, Plan, Recipe
from .digits import VALIDATION


class Fashion(Recipe):
    """The same network as for digits; 40 epochs is how the shipped weights were made."""

    task = PICTURES
    kind = "grid"
    holds = "pictures"
    options = frozenset({"augment", "base"})

    def matches(self, data: str, choices: Choices) -> bool:
        return data == "fashion"

    def plan(self, data: str, choices: Choices) -> Plan:
        found = load_fashion()
        return pictures.plan(
            "fashion",
            choices,
            (found.x_train[:-VALIDATION], found.y_train[:-VALIDATION]),
            (found.x_train[-VALIDATION:], found.y_train[-VALIDATION:]),
            labels=found.labels,
            preparation={"kind": "image", "background": "dark", "trim": True},
            epochs=10,
            augment=FASHION,
            about="names one piece of clothing",
        )
