"""Sounds: `tinynet train FOLDER` of class folders of .wav files, then `tinynet classify` with the model that this makes.

What a moment sounds like is a small picture, bands by time, whose neighbours belong together: a CNN reads it, the same at each
step, and pools over bands, since no two voices have the same pitch. The moments follow each other in a sequence of any length:
a GRU keeps what came before in its state, in a clip as well as in a stream (Sainath, Vinyals, Senior & Sak 2015).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..data.datasets import load
from ..data.folders import find_samples, load_folder, stratified_split
from ..data.pictures.formats import is_picture
from ..data.sounds import spoken_digits
from ..data.sounds.augment import SPOKEN, SoundAugment
from ..data.sounds.prepare import Preparation, thirds
from ..data.sounds.samples import SoundReader
from ..data.sounds.spoken_digits import SpokenDigits
from ..data.sounds.wav import is_sound
from ..layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Masking, MaxPool2D, TimeDistributed
from ..sequential import Sequential
from ..tasks.base import SOUND
from ..training import AdamW, EarlyStopping, OneCycle
from .architectures import ARCHITECTURES
from .base import RECURRENT, Choices, Plan, Recipe
from .scores import linear_answers

VALIDATION = 0.15
"""Fraction of each class of a folder that is held out to measure on."""
BATCH_SIZE = 64
PEAK_LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 4e-3, 0.02, 1.0
FILTERS, FEATURES, UNITS = (24, 48), 96, 96
DROPOUT, MOMENTUM = 0.3, 0.9
STEPS = 2300
"""Training steps that are enough for a few thousand words; fewer sounds are heard more often."""
EPOCHS = 15, 200
"""Fewest and most times that each sound is heard."""


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
        reader = SoundReader(Preparation.of(choices.begun.model)) if choices.begun else SoundReader()
        found = load_folder(data, reader)
        training, validation = stratified_split(found.y, VALIDATION, choices.seed)
        made = plan(
            Path(data).resolve().name,
            choices,
            (found.x[training], found.y[training]),
            (found.x[validation], found.y[validation]),
            labels=found.labels,
            preparation=Preparation.from_settings(found.preparation),
            about=f"tells apart {', '.join(found.labels)}"[:80],
        )
        blank = [f"nothing was heard in {len(found.blank)} sounds of {data}"] if len(found.blank) else []
        made.warnings += found.notes(data) + found.unreadable + blank
        return made


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
    reads = []
    for filters in FILTERS:
        reads += [Conv2D(filters, 3, activation="relu", padding="same"), MaxPool2D(2), BatchNorm(MOMENTUM)]
    reads += [Flatten(), Dropout(DROPOUT), Dense(FEATURES, activation="relu")]
    recurrent = RECURRENT[arch.partition("-")[2]](units or UNITS)
    layers = [Masking(), TimeDistributed(Sequential(reads)), Dropout(DROPOUT), recurrent, Dropout(DROPOUT)]
    layers.append(Dense(len(labels), activation="softmax"))
    return Sequential(layers, preparation.input_shape, labels=labels, **identity)


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
        "augment": SoundAugment() if choices.augment is False else SPOKEN,
        # the last epoch, at a rate near 0, does best on new voices, whatever a few sounds of known voices say
        "early_stopping": EarlyStopping("val_loss", patience=None, restore_best_weights=False),
        "ema": 0.99,
        "seed": choices.seed,
    }
    reason = (
        f"{len(x):,} sounds: training {ARCHITECTURES[arch].title} with {model.parameter_count():,} parameters"
    )
    return SoundPlan(name, reason, model, x, y, settings)


@dataclass
class SoundPlan(Plan):
    """A training on sounds, with a linear model for comparison."""

    @cached_property
    def baselines(self) -> dict[str, float]:
        """What a linear model and always the same answer reach on the same validation set."""
        x, y = self.settings["validation_data"]
        reached = float((linear(self.x, self.y, x) == y).mean())
        return {"a linear model of the mean frames of each third": reached, **super().baselines}


def linear(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The classes of other sounds by the baseline: softmax regression on the mean frames of each sound's three thirds."""
    features, unknown = thirds(x), thirds(others)
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    return linear_answers((features - mean) / spread, y, (unknown - mean) / spread)
