"""Your own pictures, one folder per class: `tinynet train FOLDER`, then `tinynet classify` with the model that this makes.

The network is a residual one (He et al. 2015), whose depth follows from the size of the pictures, and the size from how many there
are: few show too little to learn details from. Few pictures are also seen more often. So that the network learns what they show and
not the pictures themselves, it never sees one twice alike (`PHOTOS`), is never asked to be sure (label smoothing, Szegedy et
al. 2016), and its weights are averaged. Where left and right mean the same, it looks at each picture and at its mirror image.
Cut-outs of large pictures are shown about as large as they are, not enlarged to the whole: that is how things will look to it later,
and takes less time (Touvron et al. 2019).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data.folders import FolderData, load_folder, stratified_split
from ..data.pictures.augment import CHARACTERS, PHOTOS, Augment
from ..data.pictures.samples import PictureReader
from ..errors import counted
from ..layers import GlobalAveragePool2D, Layer
from ..tasks.base import PICTURES
from . import pictures
from .base import USUAL, Choices, Plan, Recipe
from .blocks import NETWORKS

VALIDATION = 0.15
"""Fraction of each class that is held out to choose the best epoch."""
VIEWS, EPOCHS, CUT_OUTS = 400_000, (10, 150), 4 / 3
"""How many pictures are seen in a training, unless that is to see each fewer or more times than this; how much more often cut-outs are
that are not enlarged."""
FEW, SMALL_BATCH = 640, 12
"""With fewer pictures the batches are smaller, since a training needs steps."""
WIDTHS, DROPOUT = {"vgg": 16, "resnet": 32, "inception": 32, "mobilenet": 16}, 0.2
LARGE = 64
"""Side of pictures from which on the first convolution halves them; of larger ones cut-outs are not enlarged."""
RESOLUTION = 13 / 16
"""Of cut-outs: the mean of what `PHOTOS` leaves of a side."""
SMALLEST_MAP = 6
"""Side of the map below which no further stage is added."""
WEIGHT_DECAY, LABEL_SMOOTHING, EMA = 0.05, 0.1, 0.998
UNEVEN = 2
"""From this ratio on between the largest and the smallest class, the smaller ones count more per picture."""
SIDES = re.compile(
    r"left|right|links|rechts|linker?|rechter?|gauche|droite|izquierd[ao]|derech[ao]|sinistr[ao]|destr[ao]|esquerd[ao]|direit[ao]|"
    r"lew[oy]|praw[oy]|(counter|anti)?clockwise"
)
"""Words that become wrong in a mirror."""
CHARACTER = re.compile(
    r"((letter|character|char|digit|number|buchstabe|zeichen|ziffer|zahl) )?(\w|\d+|zero|one|two|three|four|five|six|seven|eight|nine|"
    r"null|eins|zwei|drei|vier|fünf|sechs|sieben|acht|neun)"
)
"""Names of letters and digits."""


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
        made = plan(Path(data).resolve().name, choices, found)
        blank = (
            [f"nothing was found in {counted(len(found.blank), 'picture')} of {data}"]
            if len(found.blank)
            else []
        )
        made.warnings += found.notes(data) + found.unreadable + blank
        return made


def plan(name: str, choices: Choices, found: FolderData) -> Plan:
    """The plan for the pictures of a folder."""
    training, validation = stratified_split(found.y, VALIDATION, choices.seed)
    shape, y = found.x.shape[1:], found.y[training]
    arch = "resnet" if choices.arch == "auto" else choices.arch
    layers = network(shape, len(found.labels), replace(choices, arch=arch)) if arch in NETWORKS else None
    augment = augmentation(found.labels)
    often, large = 1.0, choices.augment is not False and min(shape[:2]) > LARGE
    if augment.crop and large and takes_any_size(choices, layers):
        augment, often = replace(augment, resolution=RESOLUTION), CUT_OUTS
    return pictures.plan(
        name,
        replace(choices, arch=arch, batch_size=choices.batch_size or batch_size(len(y))),
        (found.x[training], y),
        (found.x[validation], found.y[validation]),
        labels=found.labels,
        preparation=found.preparation,
        layers=layers,
        dropout=DROPOUT,
        epochs=int(min(max(often * VIEWS // len(y), EPOCHS[0]), often * EPOCHS[1])),
        augment=augment,
        mirrored=augment.flip and choices.augment is not False,
        label_smoothing=LABEL_SMOOTHING,
        class_weight=class_weights(y),
        weight_decay=WEIGHT_DECAY,
        ema=EMA,
        resized=True,
        about=f"tells apart {', '.join(found.labels)}"[:80],
    )


def takes_any_size(choices: Choices, layers: Sequence[Layer] | None) -> bool:
    """Whether the network ends in the mean of its last map; one that is built on a base may not."""
    return not choices.begun and any(isinstance(layer, GlobalAveragePool2D) for layer in layers or ())


def network(input_shape: tuple[int, int, int], classes: int, choices: Choices = USUAL) -> list[Layer]:
    """The layers of a network of one block per stage, or as the user chose; the maps are halved until they are small.

    The first stage of a residual network for pictures larger than LARGE is a pooling: blocks there would take as long as those of any
    other stage, for nothing that shows.
    """
    side = min(input_shape[:2])
    strides, pooled = 2 if side >= LARGE else 1, side > LARGE
    side, stages = side // strides, 1
    while side // 2 >= SMALLEST_MAP:
        side, stages = side // 2, stages + 1
    arch = "resnet" if choices.arch == "auto" else choices.arch
    sizes = pictures.sizes(choices, WIDTHS[arch], 1)
    first = {"pooled": pooled} if arch == "resnet" else {}
    return NETWORKS[arch](input_shape, classes, *sizes, stages, DROPOUT, strides, **first)


def batch_size(samples: int) -> int:
    """The usual size or up to half more, so that the last batch of an epoch is as full as it can be.

    Batch normalisation needs several pictures.
    """
    size = pictures.BATCH_SIZE if samples >= FEW else SMALL_BATCH
    return max(range(size, size + size // 2), key=lambda each: (samples % each or each) / each)


def augmentation(labels: Sequence[str]) -> Augment:
    """How pictures of these classes may be changed: letters and digits are neither mirrored nor cut, sides not mirrored."""
    words = [re.findall(r"[^\W\d_]+|\d+", label.lower()) for label in labels]
    if all(CHARACTER.fullmatch(" ".join(of_class)) for of_class in words):
        return CHARACTERS
    return replace(PHOTOS, flip=not any(SIDES.fullmatch(word) for of_class in words for word in of_class))


def class_weights(y: np.ndarray) -> dict[int, float] | None:
    """What a picture of each class counts, the root of how much rarer its class is than the largest; None: all the same.

    Between counting every picture the same, which forgets rare classes, and counting every class the same, which overrates
    their few pictures.
    """
    classes, counts = np.unique(y, return_counts=True)
    if counts.max() < UNEVEN * counts.min():
        return None
    return dict(zip(classes.tolist(), np.sqrt(counts.max() / counts).tolist(), strict=True))
