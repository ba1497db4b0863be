"""Pieces of clothing (Fashion-MNIST): `tinynet train fashion`, then `tinynet classify` with the model that this makes.

Clothes look the same in a mirror and wherever they lie, and a part of them says enough: so they are mirrored, shifted and partly
erased (Zhong et al. 2017), and no answer is asked to be sure (label smoothing, Szegedy et al. 2016).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..data.datasets import load_fashion
from ..data.pictures.augment import FASHION
from ..tasks.base import PICTURES
from . import pictures
from .base import Choices, Plan, Recipe
from .blocks import NETWORKS
from .digits import VALIDATION

SIZES = {"vgg": (24, 2), "resnet": (16, 2), "inception": (48, 2), "mobilenet": (24, 2)}
"""Channels of the first stage and blocks per stage of networks with at most 250,000 parameters, as the plain CNN has."""
TRAINING: dict[str, Any] = {
    "epochs": 30,
    "augment": replace(FASHION, erase=0.25),
    "label_smoothing": 0.1,
    "weight_decay": 0.05,
    "ema": 0.999,
}
"""40 epochs is how the shipped weights were made."""


class Fashion(Recipe):
    """A residual network of 174,778 parameters, or another of about the size."""

    task = PICTURES
    kind = "grid"
    holds = "pictures"
    options = frozenset({"augment", "base"})

    def matches(self, data: str, choices: Choices) -> bool:
        return data == "fashion"

    def plan(self, data: str, choices: Choices) -> Plan:
        found, arch = load_fashion(), choices.arch
        layers = None
        if arch in NETWORKS:
            sizes = pictures.sizes(choices, *SIZES[arch])
            layers = NETWORKS[arch](found.x_train.shape[1:], len(found.labels), *sizes)
        return pictures.plan(
            "fashion",
            choices,
            (found.x_train[:-VALIDATION], found.y_train[:-VALIDATION]),
            (found.x_train[-VALIDATION:], found.y_train[-VALIDATION:]),
            labels=found.labels,
            preparation={"kind": "image", "background": "dark", "trim": True},
            layers=layers,
            about="names one piece of clothing",
            **TRAINING,
        )
