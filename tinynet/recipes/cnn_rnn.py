"""What the recipes of sounds and of clips share: a CNN reads each step of a sequence, a recurrent layer carries along what came before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.augmentation import Augmentation
from ..data.folders import Reader, load_folder, stratified_split
from ..data.preparation import Preparation
from ..errors import counted
from ..layers import BatchNorm, Conv2D, Dense, Dropout, Layer, Masking, MaxPool2D, TimeDistributed
from ..sequential import Sequential
from ..training import AdamW, EarlyStopping, OneCycle
from .architectures import ARCHITECTURES
from .base import RECURRENT, Choices, Plan

VALIDATION = 0.15
"""Fraction of each class of a folder that is held out to measure on."""
FEATURES, UNITS = 96, 96
MOMENTUM = 0.9
WEIGHT_DECAY, CLIP_NORM, EMA = 0.02, 1.0, 0.99


def convolution(filters: int, pool: int | tuple[int, int] = 2) -> list[Layer]:
    """Convolution, pooling, batch normalisation."""
    return [Conv2D(filters, 3, activation="relu", padding="same"), MaxPool2D(pool), BatchNorm(MOMENTUM)]


def network(
    reads: list[Layer],
    dropout: float,
    preparation: Preparation,
    labels: list[str],
    arch: str = "cnn-gru",
    units: int | None = None,
    **identity: Any,
) -> Sequential:
    """Layers that read each step, then a recurrent layer over the steps."""
    recurrent = RECURRENT[arch.partition("-")[2]](units or UNITS)
    layers = [Masking(), TimeDistributed(Sequential(reads)), Dropout(dropout), recurrent, Dropout(dropout)]
    layers.append(Dense(len(labels), activation="softmax"))
    return Sequential(layers, preparation.input_shape, labels=labels, **identity)


def begin(
    network: Callable[..., Sequential],
    name: str,
    choices: Choices,
    labels: list[str],
    preparation: Preparation,
    about: str,
) -> tuple[Sequential, str]:
    """The network of a training, with the layers of the base if there is one, and what it is, for people."""
    identity = {"seed": choices.seed, "name": f"{name}-{choices.arch}"}
    if choices.begun:
        model = choices.begun.network(labels, preparation.input_shape, **identity)
    else:
        model = network(preparation, labels, choices.arch, choices.cell(UNITS), **identity)
    model.metadata.update(about=about, input=preparation.settings())
    return model, f"{ARCHITECTURES[choices.arch].title} with {model.parameter_count():,} parameters"


class Course(NamedTuple):
    """How a network is trained. steps: those that are enough for so many samples; fewer are met more often, from the fewest to the most
    `epochs`.
    """

    batch_size: int
    learning_rate: float
    steps: int
    epochs: tuple[int, int]

    def settings(
        self,
        choices: Choices,
        samples: int,
        validation: tuple[np.ndarray, np.ndarray],
        augment: Augmentation,
    ) -> dict[str, Any]:
        """Settings of `fit`; the user's choices override the recipe's."""
        batch_size = choices.batch_size or self.batch_size
        usual = min(max(self.steps // -(-samples // batch_size), self.epochs[0]), self.epochs[1])
        rate = OneCycle(choices.rate(self.learning_rate))
        return {
            "epochs": choices.epochs or usual,
            "batch_size": batch_size,
            "optimizer": AdamW(rate, weight_decay=WEIGHT_DECAY, clip_norm=CLIP_NORM),
            "validation_data": validation,
            "augment": type(augment)() if choices.augment is False else augment,
            # the last epoch, at a rate near 0, does best on new samples, whatever a few validation samples say
            "early_stopping": EarlyStopping("val_loss", patience=None, restore_best_weights=False),
            "ema": EMA,
            "seed": choices.seed,
        }


def plan_folder(
    data: str,
    choices: Choices,
    plan: Callable[..., Plan],
    preparation: type[Preparation],
    reader: Callable[[Any], Reader],
    nothing: str,
) -> Plan:
    """The plan for a folder of class folders; nothing: what is said of samples in which nothing is found."""
    found = load_folder(data, reader(preparation.of(choices.begun.model) if choices.begun else None))
    training, validation = (
        (found.x[part], found.y[part]) for part in stratified_split(found.y, VALIDATION, choices.seed)
    )
    made = plan(
        Path(data).resolve().name,
        choices,
        training,
        validation,
        labels=found.labels,
        preparation=preparation.from_settings(found.preparation),
        about=f"tells apart {', '.join(found.labels)}"[:80],
    )
    blank = [f"{nothing} in {counted(len(found.blank), found.sample)} of {data}"] if len(found.blank) else []
    made.warnings += found.notes(data) + found.unreadable + blank
    return made
