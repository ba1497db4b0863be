"""Sounds: `tinynet train FOLDER` of class folders of .wav files, then `tinynet classify` with the model that this makes.

What a moment sounds like is a small picture, bands by time, whose neighbours belong together: a CNN reads it, the same at each
step, and pools over bands, since no two voices have the same pitch. The moments follow each other in a sequence of any length:
a GRU keeps what came before in its state, in a clip as well as in a stream (Sainath, Vinyals, Senior & Sak 2015).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..data.datasets import load
from ..data.folders import find_samples
from ..data.pictures.formats import is_picture
from ..data.sounds import spoken_digits
from ..data.sounds.augment import SPOKEN
from ..data.sounds.prepare import Preparation, thirds
from ..data.sounds.samples import SoundReader
from ..data.sounds.spoken_digits import SpokenDigits
from ..data.sounds.wav import is_sound
from ..layers import Dense, Dropout, Flatten
from ..sequential import Sequential
from ..tasks.base import SOUND
from . import cnn_rnn
from .base import Choices, LinearPlan, Plan, Recipe
from .cnn_rnn import FEATURES, Course, begin, convolution, plan_folder
from .scores import linear_answers

FILTERS, DROPOUT = (24, 48), 0.3
COURSE = Course(batch_size=64, learning_rate=4e-3, steps=2300, epochs=(15, 200))
"""Enough for a few thousand words."""


class Sounds(Recipe):
    """A CNN over frames, then a GRU, for a folder of sounds or the spoken digits."""

    task = SOUND
    kind = "sound"
    holds = "sounds"
    options = frozenset({"augment", "base"})

    def matches(self, data: str, choices: Choices) -> bool:
        return data == "spoken-digits" or (os.path.isdir(data) and holds_sounds(Path(data)))

    def plan(self, data: str, choices: Choices) -> Plan:
        if data == "spoken-digits":
            return _spoken_digits(load(data), choices)
        return plan_folder(data, choices, plan, Preparation, SoundReader, "nothing was heard")


def holds_sounds(folder: Path) -> bool:
    """Whether there are sounds, and no more pictures than those, in a folder or the folders within it."""
    sounds = pictures = 0
    try:
        for inner in (folder, *filter(Path.is_dir, folder.iterdir())):
            sounds += len(find_samples(inner, is_sound)[0])
            pictures += len(find_samples(inner, is_picture)[0])
    except (OSError, ValueError):  # which `load_folder` will tell
        pass
    return sounds > pictures


def _spoken_digits(data: SpokenDigits, choices: Choices) -> Plan:
    preparation = Preparation.of(choices.begun.model) if choices.begun else Preparation()
    usable = data.part(~data.is_test)
    x, kept = usable.prepared(preparation), np.isin(usable.index, spoken_digits.VALIDATION)
    heard = x.any(axis=(1, 2, 3, 4))
    training, validation = ((x[rows], usable.y[rows]) for rows in (heard & ~kept, heard & kept))
    about = "names one spoken digit"
    return plan(
        "spoken-digits",
        choices,
        training,
        validation,
        labels=data.labels,
        preparation=preparation,
        about=about,
    )


def network(
    preparation: Preparation,
    labels: list[str],
    arch: str = "cnn-gru",
    units: int | None = None,
    **identity: Any,
) -> Sequential:
    """Two convolutions over the frames of each step, pooled over time and bands, then a recurrent layer over the steps."""
    reads = [layer for filters in FILTERS for layer in convolution(filters)]
    reads += [Flatten(), Dropout(DROPOUT), Dense(FEATURES, activation="relu")]
    return cnn_rnn.network(reads, DROPOUT, preparation, labels, arch, units, **identity)


def plan(
    name: str,
    choices: Choices,
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    labels: list[str],
    preparation: Preparation,
    about: str,
) -> Plan:
    """The plan for sounds (n, steps, 2 · step, mels, 1); the user's choices override the recipe's."""
    x, y = training
    model, described = begin(network, name, choices, labels, preparation, about)
    own = COURSE.settings(choices, len(x), validation, SPOKEN)
    reason = f"{len(x):,} sounds: training {described}"
    sees = "the mean frames of each third"
    return LinearPlan(model.name, reason, model, x, y, own, linear=linear, sees=sees)


def linear(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The classes of other sounds by the baseline: softmax regression on the mean frames of each sound's three thirds."""
    features, unknown = thirds(x), thirds(others)
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    return linear_answers((features - mean) / spread, y, (unknown - mean) / spread)
