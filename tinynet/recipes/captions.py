"""Pictures with a sentence each: `tinynet train FOLDER` of pictures and `captions.tsv`, then `tinynet caption`.

A CNN makes a map of the picture, whose places are the first steps of a sequence; the words that were written before are the steps
after them. Attention lets each step look at all before it, so that a word is named by what the network sees at one place, whatever
is elsewhere (Xu et al., "Show, attend and tell", 2015; Vaswani et al. 2017); a recurrent layer then goes from word to word, and each
of its steps says how probable each word is to come next (Vinyals, Toshev, Bengio & Erhan 2015). In training the words before are
those of the caption, whatever the network would have written (teacher forcing).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.captions.augment import WordAugment
from ..data.captions.folder import Captioned, holds_captions, read_captioned
from ..data.captions.scenes import KINDS
from ..data.captions.words import END, LONGEST, Vocabulary
from ..data.datasets import load
from ..data.pictures.samples import PictureReader
from ..errors import DataError, counted
from ..layers import (
    BatchNorm,
    Conv2D,
    Cropping1D,
    Dense,
    Embedding,
    Layer,
    LayerNorm,
    MaxPool2D,
    MultiHeadAttention,
    Parallel,
    PositionEmbedding,
    Reshape,
    Residual,
)
from ..sequential import Sequential
from ..tasks.base import CAPTION
from ..tasks.caption import Captions, score
from ..tasks.classes import percent
from ..training import AdamW, CrossEntropy, EarlyStopping, History, OneCycle
from .architectures import ARCHITECTURES
from .base import RECURRENT, Choices, Plan, Recipe
from .blocks import MOMENTUM, convolution
from .scores import EXACT_MATCH, Measure, Score, fraction

VALIDATION = 0.15
"""Fraction of the pictures of a folder that are held out."""
FILTERS, MOST_FILTERS, LARGEST_MAP = 16, 96, 8
"""Filters of the first convolution, twice as many in the two of each next stage, up to so many; maps are halved until their sides are at
most that.
"""
UNITS, HEADS = 128, 4
"""Numbers of a place, of a word and of the recurrent state, and how many kinds of things each step looks for at once."""
SMOOTHING, WEIGHT_DECAY = 0.2, 0.3
"""Both keep the network from ruling out what it has never seen together: with smoothed labels no word is taken to be impossible."""
AVERAGE = 200
"""Steps of training over which weights are averaged at most: what training leaves open differs from step to step."""
FACTORS = tuple(2 ** (step / 8) for step in range(-8, 25))
"""Of the logits, that are tried: from a half to eight."""
SETTLED_BY = 500
"""Captions of the validation set that decide the factor."""
BATCH_SIZE, PEAK_LEARNING_RATE, CLIP_NORM = 64, 3e-3, 1.0
STEPS, EPOCHS = 7_500, (4, 100)
"""Training steps that are enough for tens of thousands of pictures, and fewest and most times that each is seen."""


class CaptionsRecipe(Recipe):
    """A CNN, then a recurrent network that writes, for the scenes or a folder of pictures with captions."""

    task = CAPTION
    kind = "captions"
    holds = "pictures with captions"

    def matches(self, data: str, choices: Choices) -> bool:
        return data == "scenes" or holds_captions(data)

    def plan(self, data: str, choices: Choices) -> CaptionsPlan:
        if data == "scenes":
            found = load(data)
            about = "describes two or three digits and clothes in a picture"
            parts = found.part("training"), found.part("validation")
            return plan(data, choices, *parts, about=about, named=KINDS)
        found = read_captioned(data, PictureReader())
        if len(found.x) < 2:
            raise DataError(
                f"{data} has only one picture that can be read, and one must be held out; add more"
            )
        made = plan(
            Path(data).resolve().name,
            choices,
            *found.split(VALIDATION, choices.seed),
            about="describes pictures",
        )
        made.warnings += found.warnings + found.unreadable
        return made


def encoder(input_shape: tuple[int, ...], units: int) -> list[Layer]:
    """Convolutions and pooling until the map is small, then its places, row by row, as steps of so many units.

    A place sees little more than one thing (34 of 64 pixels): where convolutions reach farther, the network learns which things stand
    together, and fails on others.
    """
    layers: list[Layer] = []
    filters, side, count = FILTERS, max(input_shape[:2]), 1
    while side > LARGEST_MAP:
        for _ in range(count):
            layers += convolution(filters, 3)
        layers.append(MaxPool2D(2, padding="same"))
        filters, side, count = min(2 * filters, MOST_FILTERS), -(-side // 2), 2
    places = Conv2D(units, 1, activation="relu")
    return [*layers, places, BatchNorm(MOMENTUM), Reshape((-1, units))]


def network(
    input_shape: tuple[int, ...],
    vocabulary: Vocabulary,
    arch: str = "cnn-gru",
    units: int | None = None,
    **identity: Any,
) -> Sequential:
    """Places and words, one after the other, through attention and a recurrent layer: (picture, words) → the next words.

    What each layer makes is added to what was there, so that a word is read off the place that attention found. The steps of the
    places but the last are cropped before the recurrent layer, whose first step writes the first word.
    """
    units = units or UNITS
    places = Sequential(encoder(input_shape, units))
    count, _ = places.compute_output_shape(input_shape)
    cell = RECURRENT[arch.partition("-")[2]](units, return_sequences=True)
    layers = [
        Parallel([places, Embedding(len(vocabulary.words), units, mask_zero=True)], "prepend"),
        PositionEmbedding(count + LONGEST),
        look(count, units),
        Residual([LayerNorm(), Dense(2 * units, "relu"), Dense(units)]),
        look(count, units),
        Cropping1D((count - 1, 0)),
        Residual([LayerNorm(), cell]),
        LayerNorm(),
        Dense(len(vocabulary.words), activation="softmax"),
    ]
    return Sequential(layers, (input_shape, (None,)), vocabulary=list(vocabulary.words), **identity)


def look(places: int, units: int) -> Layer:
    """Attention of each step to all before it, added to what it knows."""
    attention = MultiHeadAttention(HEADS, -(-units // HEADS), causal=True, window=places + LONGEST)
    return Residual([LayerNorm(), attention])


def plan(
    name: str,
    choices: Choices,
    training: Captioned,
    validation: Captioned,
    *,
    about: str,
    named: Sequence[str] = (),
) -> CaptionsPlan:
    """The plan for pictures with captions; the user's choices override the recipe's.

    named: words for things any of which may stand with any other, so that the words before say nothing about them: in training they
    are others than those in the picture.
    """
    arch, vocabulary = choices.arch, Vocabulary.learn(training.captions)
    identity = {"seed": choices.seed, "name": f"{name}-{arch}"}
    model = network(training.x.shape[1:], vocabulary, arch, choices.cell(UNITS), **identity)
    model.metadata.update(about=about, input=training.preparation)
    (x, y), held_out = (_taught(vocabulary, part) for part in (training, validation))
    batch_size = choices.batch_size or BATCH_SIZE
    epochs = min(max(STEPS // -(-len(y) // batch_size), EPOCHS[0]), EPOCHS[1])
    settings = {
        "epochs": choices.epochs or epochs,
        "batch_size": batch_size,
        "loss": CrossEntropy(SMOOTHING),
        "optimizer": AdamW(
            OneCycle(choices.learning_rate or PEAK_LEARNING_RATE),
            weight_decay=WEIGHT_DECAY,
            clip_norm=CLIP_NORM,
        ),
        "validation_data": held_out,
        "augment": (None, WordAugment(1, only=vocabulary.ids(named))) if named else None,
        "early_stopping": EarlyStopping("val_loss", patience=None),
        "ema": 1 - 1 / AVERAGE,
        "seed": choices.seed,
    }
    height, width = training.x.shape[1:3]
    reason = (
        f"{counted(len(training.x), 'picture')} of {height}×{width} with {counted(len(y), 'caption')} "
        f"of {counted(len(vocabulary.words) - 2, 'different word')}: "
        f"training {ARCHITECTURES[arch].title}, with {model.parameter_count():,} parameters"
    )
    return CaptionsPlan(model.name, reason, model, x, y, settings, training=training, validation=validation)


def _taught(vocabulary: Vocabulary, part: Captioned) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """((pictures, words before), words to write), one row per caption."""
    before, after = vocabulary.encode(part.captions)
    return (part.x[part.picture], before), after


@dataclass(kw_only=True)
class CaptionsPlan(Plan):
    """A training on captions, with the most frequent caption for comparison."""

    training: Captioned
    validation: Captioned

    def fit(self, **settings: Any) -> History:
        """Train the model; then settle how sure it is."""
        history = super().fit(**settings)
        calibrate(self.model, *self.settings["validation_data"])
        return history

    @functools.cached_property
    def written(self) -> list[str]:
        """What the trained network writes on the pictures of the validation set."""
        return Captions(self.model).describe(self.validation.x)

    def record(self, best: dict[str, Any]) -> dict[str, Any]:
        exact, words = score(self.written, self.validation.by_picture())
        return {
            "samples": len(self.y),
            "validation exact match": round(exact, 5),
            "validation words": round(words, 5),
        }

    def result_line(self, best: dict[str, Any]) -> str:
        """How many sentences of the validation set are right, word for word, and how many words."""
        exact, words = score(self.written, self.validation.by_picture())
        return f"{percent(exact)} of the sentences and {percent(words)} of the words as in the captions of the validation set"

    def notes(self) -> list[str]:
        """Whether the network has not learnt to look."""
        if len(self.written) > 1 and len(set(self.written)) == 1:
            return [
                f"it writes the same on each picture of the validation set, {self.written[0]!r}; more pictures or epochs would help"
            ]
        return []

    @property
    def measure(self) -> Measure:
        return EXACT_MATCH

    def score(self, best: dict[str, Any]) -> Score:
        """How many sentences are right, word for word."""
        exact, _ = score(self.written, self.validation.by_picture())
        return fraction(self.measure, exact, len(self.validation.x))

    @functools.cached_property
    def baselines(self) -> dict[str, float]:
        """What the same sentence on every picture reaches."""
        ((caption, _),) = Counter(self.training.captions).most_common(1)
        exact, _ = score([caption] * len(self.validation.x), self.validation.by_picture())
        return {f"always {caption!r}": exact}


def calibrate(model: Sequential, x: Any, y: np.ndarray) -> float:
    """Multiply the logits by the factor that makes the words y of samples x most probable, and return it.

    Smoothed labels teach a network to be less sure than it could be. The factor is one over the temperature of Guo, Pleiss, Sun &
    Weinberger, "On calibration of modern neural networks", 2017; it changes no order of words, and lives on in the last layer.
    """
    probabilities, y = model.answer(tuple(part[:SETTLED_BY] for part in x))[0], y[:SETTLED_BY]
    written = y != END
    written[:, 1:] |= written[:, :-1]  # and the END behind the last word
    logs = np.log(np.maximum(probabilities[written], np.finfo(np.float32).tiny))
    own = np.take_along_axis(logs, y[written][:, None], axis=1)
    losses = [float((np.log(np.exp(f * logs).sum(axis=1, keepdims=True)) - f * own).mean()) for f in FACTORS]
    factor = FACTORS[int(np.argmin(losses))]
    for array in model.layers[-1].parameters.values():
        array *= np.float32(factor)
    return factor
