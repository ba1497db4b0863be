"""Pictures of one thing each: a small convolutional network, plain or of blocks.

A picture is a grid whose neighbours belong together, and what it shows does not depend on where it stands: that is what a
convolution assumes. Training takes one cycle of the learning rate (Smith & Topin 2018) and averages the weights at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.pictures.augment import Augment
from ..layers import Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, Mirrored
from ..sequential import Sequential
from ..training import AdamW, CrossEntropy, EarlyStopping, OneCycle
from .architectures import ARCHITECTURES
from .base import USUAL, Choices, LinearPlan, Plan
from .blocks import NETWORKS
from .scores import linear_answers

BATCH_SIZE = 64
PEAK_LEARNING_RATE = 3e-3
FEW_PICTURES = 100
"""With fewer validation pictures the best epoch is mere luck, and the last, at a rate near 0, does better on new pictures."""
SIZES = {"vgg": (24, 2), "resnet": (16, 2), "inception": (32, 2), "mobilenet": (16, 2)}
"""Channels of the first stage and blocks per stage of networks of blocks, where the recipe does not say."""
LINEAR_SIDE = 32
SMALLEST_MAP = 8
"""Side of the map below which no further convolution and pooling is added."""


def network(
    input_shape: tuple[int, int, int],
    labels: Sequence[str],
    dropout: float,
    choices: Choices = USUAL,
    **identity: Any,
) -> Sequential:
    """Convolution and pooling until the map is small, then two dense layers; 225,034 parameters for 28×28 digits.

    The user's choices: `width` of all layers, `depth` convolutions before each pooling.
    """

    def stage(filters: int, padding: str) -> list[Layer]:
        paddings = [padding, *["same"] * ((choices.depth or 1) - 1)]
        convolutions = (
            Conv2D(choices.size(filters), 3, activation="relu", padding=each) for each in paddings
        )
        return [*convolutions, MaxPool2D(2)]

    layers = stage(32, _padding(input_shape))
    filters, side = 64, min(input_shape[:2]) // 2
    while side >= SMALLEST_MAP:
        layers += stage(filters, "valid")
        filters, side = min(2 * filters, 128), (side - 2) // 2
    dense = Dense(choices.size(128), activation="relu")
    layers += [Flatten(), *_dropout(dropout), dense, *_dropout(dropout)]
    layers.append(Dense(len(labels), activation="softmax"))
    return Sequential(layers, input_shape, labels=labels, **identity)


def _padding(input_shape: tuple[int, int, int]) -> str:
    return "valid" if min(input_shape[:2]) >= SMALLEST_MAP else "same"


def _dropout(rate: float) -> list[Dropout]:
    return [Dropout(rate)] if rate else []


def sizes(choices: Choices, width: int, blocks_per_stage: int) -> tuple[int, int]:
    """Channels of the first stage and blocks per stage, which the user's choices change."""
    return choices.size(width), choices.depth or blocks_per_stage


def _watch(validation_pictures: int) -> EarlyStopping:
    """The EarlyStopping that tells the epoch to keep; if training is broken off, that is always the best one."""
    if validation_pictures < FEW_PICTURES:
        return EarlyStopping("val_loss", patience=None, restore_best_weights=False)
    return EarlyStopping("val_accuracy", patience=None)


def plan(
    name: str,
    choices: Choices,
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    labels: Sequence[str],
    preparation: dict[str, Any],
    epochs: int,
    augment: Augment | None,
    layers: Sequence[Layer] | None = None,
    dropout: float = 0.0,
    label_smoothing: float = 0.0,
    class_weight: dict[int, float] | None = None,
    weight_decay: float = 0.0,
    ema: float | None = None,
    about: str = "",
    resized: bool = False,
    mirrored: bool = False,
) -> Plan:
    """The plan for arrays of pictures, which the recipe may have `resized`; the user's choices override the recipe's.

    layers: those of a new network; None: the usual ones of the architecture, with this dropout. mirrored: whether the trained network
    looks at each picture and at its mirror image.
    """
    x, y = training
    arch = choices.arch if choices.arch != "auto" else "cnn"
    shape, identity = x.shape[1:], {"seed": choices.seed, "name": f"{name}-{arch}"}
    if choices.begun:
        model = choices.begun.network(labels, shape, **identity)
    elif layers or arch in NETWORKS:
        layers = layers or NETWORKS[arch](shape, len(labels), *sizes(choices, *SIZES[arch]), dropout=dropout)
        model = Sequential(layers, shape, labels=labels, **identity)
    else:
        model = network(shape, labels, dropout, choices, **identity)
    if mirrored:
        *body, last = model.layers
        model = Sequential([Mirrored(body), last], shape, labels=labels, **identity)
    model.metadata.update(about=about, input=preparation)
    rate = choices.rate(PEAK_LEARNING_RATE)
    settings = {
        "epochs": choices.epochs or epochs,
        "batch_size": choices.batch_size or BATCH_SIZE,
        "optimizer": AdamW(OneCycle(rate), weight_decay=weight_decay),
        "loss": CrossEntropy(label_smoothing),
        "class_weight": class_weight,
        "validation_data": validation,
        "augment": None if choices.augment is False else augment,
        "early_stopping": _watch(len(validation[1])),
        "ema": ema,
        "seed": choices.seed,
    }
    size = f"{', resized to' if resized else ' of'} {x.shape[1]}×{x.shape[2]}"
    reason = f"{len(x):,} pictures{size}: training {ARCHITECTURES[arch].title} with {model.parameter_count():,} parameters"
    return LinearPlan(model.name, reason, model, x, y, settings, linear=linear, sees="the pixels")


def linear(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The classes of other pictures by the baseline: softmax regression on the pixels."""
    return linear_answers(_thinned(x), y, _thinned(others))


def _thinned(x: np.ndarray) -> np.ndarray:
    """Pictures as numbers 0…1, fewer than twice LINEAR_SIDE rows and columns: a linear model needs no details."""
    step = max(1, x.shape[1] // LINEAR_SIDE)
    return x[:, ::step, ::step] * np.float32(1 / 255 if x.dtype == np.uint8 else 1)
