"""Clips: `tinynet train moving-digits` or FOLDER, then `tinynet classify` with the model that this makes.

A frame is a grid, which a CNN reads, the same at each step. It sees the frame before as well, as further channels: what moves is then
seen where it moves, which a few clips are enough to learn from. Its last map is taken twice: the largest of each channel, since a
movement is the same everywhere, and flattened, since where things stand changes from frame to frame. Frames follow each other in a
sequence of any length: a recurrent layer carries along what it saw before (Donahue et al., "Long-term recurrent convolutional
networks", 2015).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..data.datasets import load
from ..data.folders import load_folder, stratified_split
from ..data.pictures.digit.printed import printed_digits
from ..data.video.augment import CLIPS, MOVING, ClipAugment
from ..data.video.moving_digits import LENGTHS, SIDE, MovingDigits, moving
from ..data.video.prepare import Preparation, mean_frames
from ..data.video.samples import ClipReader, holds_clips
from ..layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalMaxPool2D,
    Masking,
    MaxPool2D,
    Parallel,
    TimeDistributed,
)
from ..layers.base import Layer
from ..sequential import Sequential
from ..tasks.base import VIDEO
from ..training import AdamW, EarlyStopping, OneCycle
from .architectures import ARCHITECTURES
from .base import RECURRENT, Choices, Plan, Recipe
from .folder import class_weights
from .scores import linear_answers

VALIDATION = 0.15
"""Fraction of each class of a folder that is held out to measure on."""
BATCH_SIZE = 32
PEAK_LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 3e-3, 0.02, 1.0
FILTERS, FEATURES, UNITS = (16, 32, 64), 96, 96
SMALLEST_MAP = 5
"""Side of the map below which there is no further pooling."""
DROPOUT, MOMENTUM = 0.2, 0.9
STEPS = 1500
"""Training steps that are enough for a few hundred clips; fewer clips are seen more often."""
EPOCHS = 12, 200
"""Fewest and most times that each clip is seen."""
EACH_STYLE = 60
"""Clips of each style of a printed digit, which are learnt beside handwritten ones."""


class Video(Recipe):
    """A CNN over each frame, then a GRU, for a folder of clips or moving digits."""

    task = VIDEO
    kind = "video"
    holds = "clips"
    options = frozenset({"augment", "base"})

    def matches(self, data: str, choices: Choices) -> bool:
        if data == "moving-digits":
            return True
        return os.path.isdir(data) and (choices.task == VIDEO or holds_clips(Path(data)))

    def plan(self, data: str, choices: Choices) -> Plan:
        if data == "moving-digits":
            return _moving_digits(load(data), choices)
        reader = ClipReader(Preparation.of(choices.begun.model)) if choices.begun else ClipReader()
        found = load_folder(data, reader)
        training, validation = stratified_split(found.y, VALIDATION, choices.seed)
        made = plan(
            Path(data).resolve().name,
            choices,
            (found.x[training], found.y[training]),
            (found.x[validation], found.y[validation]),
            labels=found.labels,
            preparation=Preparation.from_settings(found.preparation),
            augment=CLIPS,
            about=f"tells apart {', '.join(found.labels)}"[:80],
        )
        blank = [f"nothing is to be seen in {len(found.blank)} clips of {data}"] if len(found.blank) else []
        made.warnings += found.notes(data) + found.unreadable + blank
        return made


def _moving_digits(data: MovingDigits, choices: Choices) -> Plan:
    preparation = Preparation(SIDE, SIDE, frames=LENGTHS[1], ink=True)
    if choices.begun:
        preparation = Preparation.of(choices.begun.model)
    drawn, digits = printed_digits(EACH_STYLE, np.random.default_rng(0))
    parts = data.training(), moving(np.round(255 * drawn).astype(np.uint8), digits, seed=3)
    validation = data.validation()
    return plan(
        "moving-digits",
        choices,
        (
            np.concatenate([part.prepared(preparation) for part in parts]),
            np.concatenate([part.y for part in parts]),
        ),
        (validation.prepared(preparation), validation.y),
        labels=data.labels,
        preparation=preparation,
        augment=MOVING,
        about="names a digit that moves, and which way",
    )


def network(
    preparation: Preparation,
    labels: list[str],
    arch: str = "cnn-gru",
    units: int | None = None,
    **identity: Any,
) -> Sequential:
    """A CNN over each frame, then a recurrent layer over the frames."""
    recurrent = RECURRENT[arch.partition("-")[2]](units or UNITS)
    reads = TimeDistributed(Sequential(frame_layers(preparation)))
    layers = [Masking(), reads, Dropout(DROPOUT), recurrent, Dropout(DROPOUT)]
    layers.append(Dense(len(labels), activation="softmax"))
    return Sequential(layers, preparation.input_shape, labels=labels, **identity)


def frame_layers(preparation: Preparation) -> list[Layer]:
    """Convolutions over a frame, pooled until the map is small; what is where in it, and what is anywhere."""
    reads: list[Layer] = []
    height, width = preparation.height, preparation.width
    for filters in FILTERS:
        pool = 1 + (height > SMALLEST_MAP), 1 + (width > SMALLEST_MAP)
        reads += [Conv2D(filters, 3, activation="relu", padding="same"), MaxPool2D(pool), BatchNorm(MOMENTUM)]
        height, width = height // pool[0], width // pool[1]
    places = Sequential([Flatten(), Dropout(DROPOUT), Dense(FEATURES, activation="relu")])
    return [*reads, Parallel([places, GlobalMaxPool2D()])]


def plan(
    name: str,
    choices: Choices,
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    labels: list[str],
    preparation: Preparation,
    augment: ClipAugment,
    about: str,
) -> Plan:
    """The plan for clips (n, frames, height, width, 2 · channels); the user's choices override the recipe's."""
    arch, (x, y) = choices.arch, training
    name = f"{name}-{arch}"
    identity = {"seed": choices.seed, "name": name}
    if choices.begun:
        model = choices.begun.network(labels, preparation.input_shape, **identity)
    else:
        model = network(preparation, labels, arch, choices.cell(UNITS), **identity)
    model.metadata.update(about=about, input=preparation.settings())
    batch_size = choices.batch_size or BATCH_SIZE
    epochs = min(max(STEPS // -(-len(x) // batch_size), EPOCHS[0]), EPOCHS[1])
    settings = {
        "epochs": choices.epochs or epochs,
        "batch_size": batch_size,
        "optimizer": AdamW(
            OneCycle(choices.rate(PEAK_LEARNING_RATE)),
            weight_decay=WEIGHT_DECAY,
            clip_norm=CLIP_NORM,
        ),
        "validation_data": validation,
        "augment": ClipAugment() if choices.augment is False else augment,
        # the last epoch, at a rate near 0, does best on new clips, whatever a few validation clips say
        "early_stopping": EarlyStopping("val_loss", patience=None, restore_best_weights=False),
        "class_weight": class_weights(y),
        "ema": 0.99,
        "seed": choices.seed,
    }
    size = f"{preparation.height}×{preparation.width}"
    network_text = f"{ARCHITECTURES[arch].title} with {model.parameter_count():,} parameters"
    reason = f"{len(x):,} clips of up to {x.shape[1]} frames, resized to {size}: training {network_text}"
    return VideoPlan(name, reason, model, x, y, settings)


@dataclass
class VideoPlan(Plan):
    """A training on clips, with a linear model for comparison."""

    @cached_property
    def baselines(self) -> dict[str, float]:
        """What a linear model and always the same answer reach on the same validation set."""
        x, y = self.settings["validation_data"]
        reached = float((linear(self.x, self.y, x) == y).mean())
        return {"a linear model of the mean frame": reached, **super().baselines}


def linear(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The classes of other clips by the baseline: softmax regression on the mean of each clip's frames."""
    return linear_answers(mean_frames(x), y, mean_frames(others))
