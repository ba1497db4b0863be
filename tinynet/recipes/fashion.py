"""Pieces of clothing (Fashion-MNIST): `tinynet train fashion`, then `tinynet classify --model fashion`."""

from __future__ import annotations

from ..data.datasets import load_fashion
from ..data.pictures.augment import FASHION
from . import pictures
from .base import Choices, Plan
from .digits import VALIDATION


def plan(choices: Choices) -> Plan:
    """The same network as for digits; `--epochs 40` is how the shipped weights were made."""
    data = load_fashion()
    return pictures.plan(
        "fashion",
        choices,
        (data.x_train[:-VALIDATION], data.y_train[:-VALIDATION]),
        (data.x_train[-VALIDATION:], data.y_train[-VALIDATION:]),
        labels=data.labels,
        preparation={"kind": "image", "background": "dark", "trim": True},
        epochs=10,
        augment=FASHION,
        about="names one piece of clothing",
    )
