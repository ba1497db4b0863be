"""Your own pictures, one folder per class: `tinynet train FOLDER`, then `tinynet classify` with the model that this makes."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ..data.folders import load_folder, stratified_split
from ..data.pictures.augment import PHOTOS
from ..data.pictures.samples import PictureReader
from ..tasks.base import PICTURES
from . import pictures
from .base import Choices, Plan, Recipe

VALIDATION = 0.15
"""Fraction of each class that is held out to choose the best epoch."""
STEPS = 2500
"""Training steps that are enough for a few thousand small pictures; fewer pictures are seen more often."""
EPOCHS = (10, 100)
"""Fewest and most times that each picture is seen."""


class Folder(Recipe):
    """A network for the pictures' own size; the validation set is drawn from each class by the seed."""

    task = PICTURES
    kind = "grid"
    holds = "pictures"
    options = frozenset({"augment", "base"})

    def matches(self, data: str, choices: Choices) -> bool:
        return os.path.isdir(data)

    def plan(self, data: str, choices: Choices) -> Plan:
        base = choices.begun
        reader = (
            PictureReader(base.model.input_shape, base.model.metadata["input"]) if base else PictureReader()
        )
        found = load_folder(data, reader)
        training, validation = stratified_split(found.y, VALIDATION, choices.seed)
        steps_an_epoch = -(-len(training) // (choices.batch_size or pictures.BATCH_SIZE))
        made = pictures.plan(
            Path(data).resolve().name,
            choices,
            (found.x[training], found.y[training]),
            (found.x[validation], found.y[validation]),
            labels=found.labels,
            preparation=found.preparation,
            epochs=min(max(STEPS // steps_an_epoch, EPOCHS[0]), EPOCHS[1]),
            augment=replace(PHOTOS, flip=False),  # a mirrored letter is another letter
            dropout=0.25,
            resized=True,
            about=f"tells apart {', '.join(found.labels)}"[:80],
        )
        blank = [f"nothing was found in {len(found.blank)} pictures of {data}"] if len(found.blank) else []
        made.warnings += found.notes(data) + found.unreadable + blank
        return made
