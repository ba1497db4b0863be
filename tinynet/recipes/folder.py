"""Your own pictures, one folder a class: `tinynet train FOLDER`, then `tinynet classify --model FOLDER-cnn.npz`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..data.folders import load_folder, stratified_split
from ..data.pictures.augment import PHOTOS
from ..data.pictures.samples import PictureReader
from . import pictures
from .base import Choices, Plan

VALIDATION = 0.15
"""Fraction of each class that is kept for choosing the best epoch."""
STEPS = 2500
"""Training steps that are enough for a few thousand small pictures; fewer pictures are seen more often."""
EPOCHS = (10, 100)
"""Fewest and most times that each picture is seen."""


def plan(folder: str, choices: Choices) -> Plan:
    """A network for the pictures' own size; the validation set is drawn from each class by the seed."""
    data = load_folder(folder, PictureReader())
    training, validation = stratified_split(data.y, VALIDATION, choices.seed)
    steps_an_epoch = -(-len(training) // (choices.batch_size or pictures.BATCH_SIZE))
    made = pictures.plan(
        Path(folder).resolve().name,
        choices,
        (data.x[training], data.y[training]),
        (data.x[validation], data.y[validation]),
        labels=data.labels,
        preparation=data.preparation,
        epochs=min(max(STEPS // steps_an_epoch, EPOCHS[0]), EPOCHS[1]),
        augment=replace(PHOTOS, flip=False),  # a mirrored letter is another letter
        dropout=0.25,
        resized=True,
        about=f"tells apart {', '.join(data.labels)}"[:80],
    )
    blank = [f"nothing was found in {len(data.blank)} pictures of {folder}"] if len(data.blank) else []
    made.warnings += data.notes(folder) + data.unreadable + blank
    return made
