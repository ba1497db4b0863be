"""Pictures read row by row, as a sequence: one recurrent layer that has seen the whole picture after its last row.

A CNN reads pictures better; this is a common test of recurrent networks (Le, Jaitly & Hinton 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.pictures.augment import Augment
from ..layers import Dense
from ..sequential import Sequential
from ..training import Adam, EarlyStopping, OneCycle
from .architectures import ARCHITECTURES
from .base import RECURRENT, Choices, LinearPlan, Plan
from .pictures import linear

BATCH_SIZE = 64
UNITS = 128
PEAK_LEARNING_RATE = {"lstm": 3e-3, "gru": 3e-3, "rnn": 1e-3}
CLIP_NORM = 1.0


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
    ema: float | None = None,
    about: str = "",
) -> Plan:
    """The plan for grey pictures (n, height, width, 1), like `pictures.plan`: height steps of width numbers."""
    arch = choices.arch
    (x, y), (xv, yv) = training, validation
    units = choices.cell(UNITS)
    identity = {"seed": choices.seed, "name": f"{name}-{arch}"}
    if choices.begun:
        model = choices.begun.network(labels, x.shape[1:3], **identity)
    else:
        layers = [RECURRENT[arch](units), Dense(len(labels), activation="softmax")]
        model = Sequential(layers, x.shape[1:3], labels=labels, **identity)
    model.metadata.update(about=f"{about} row by row", input=preparation)
    rate = choices.rate(PEAK_LEARNING_RATE[arch])
    settings = {
        "epochs": choices.epochs or epochs,
        "batch_size": choices.batch_size or BATCH_SIZE,
        "optimizer": Adam(OneCycle(rate), clip_norm=CLIP_NORM),
        "validation_data": (xv[..., 0], yv),
        "augment": None if choices.augment is False else augment,
        "early_stopping": EarlyStopping("val_accuracy", patience=None),
        "ema": ema,
        "seed": choices.seed,
    }
    reason = f"{len(x):,} pictures, read row by row: training {ARCHITECTURES[arch].title} with {units} units"
    return LinearPlan(model.name, reason, model, x[..., 0], y, settings, linear=linear, sees="the pixels")
