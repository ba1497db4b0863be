"""Clips: `tinynet train moving-digits` or FOLDER, then `tinynet classify` with the model that this makes.

A frame is a grid, which a CNN reads, the same at each step. It sees the frame before as well, as further channels: what moves is then
seen where it moves, which a few clips are enough to learn from. Its last map is taken twice: the largest of each channel, since a
movement is the same everywhere, and flattened, since where things stand changes from frame to frame. Frames follow each other in a
sequence of any length: a recurrent layer carries along what it saw before (Donahue et al., "Long-term recurrent convolutional
networks", 2015).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..data.datasets import load
from ..data.pictures.digit.printed import printed_digits
from ..data.video.augment import CLIPS, MOVING, ClipAugment
from ..data.video.moving_digits import LENGTHS, SIDE, MovingDigits, moving
from ..data.video.prepare import Preparation, mean_frames
from ..data.video.samples import ClipReader, holds_clips
from ..layers import Dense, Dropout, Flatten, GlobalMaxPool2D, Layer, Parallel
from ..sequential import Sequential
from ..tasks.base import VIDEO
from . import cnn_rnn
from .base import Choices, LinearPlan, Plan, Recipe
from .cnn_rnn import FEATURES, Course, begin, convolution, plan_folder
from .folder import class_weights
from .scores import linear_answers

FILTERS, DROPOUT = (16, 32, 64), 0.2
SMALLEST_MAP = 5
"""Side of the map below which there is no further pooling."""
COURSE = Course(batch_size=32, learning_rate=3e-3, steps=1500, epochs=(12, 200))
"""Enough for a few hundred clips."""
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
        return plan_folder(data, choices, plan, Preparation, ClipReader, "nothing is to be seen")


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
    return cnn_rnn.network(frame_layers(preparation), DROPOUT, preparation, labels, arch, units, **identity)


def frame_layers(preparation: Preparation) -> list[Layer]:
    """Convolutions over a frame, pooled until the map is small; what is where in it, and what is anywhere."""
    reads: list[Layer] = []
    height, width = preparation.height, preparation.width
    for filters in FILTERS:
        pool = 1 + (height > SMALLEST_MAP), 1 + (width > SMALLEST_MAP)
        reads += convolution(filters, pool)
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
    about: str,
    augment: ClipAugment = CLIPS,
) -> Plan:
    """The plan for clips (n, frames, height, width, 2 · channels); the user's choices override the recipe's."""
    x, y = training
    model, described = begin(network, name, choices, labels, preparation, about)
    own = COURSE.settings(choices, len(x), validation, augment)
    own["class_weight"] = class_weights(y)
    size = f"{preparation.height}×{preparation.width}"
    reason = f"{len(x):,} clips of up to {x.shape[1]} frames, resized to {size}: training {described}"
    return LinearPlan(model.name, reason, model, x, y, own, linear=linear, sees="the mean frame")


def linear(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The classes of other clips by the baseline: softmax regression on the mean of each clip's frames."""
    return linear_answers(mean_frames(x), y, mean_frames(others))
