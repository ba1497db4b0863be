"""Handwritten digits (MNIST): `tinynet train digits`, then `tinynet classify`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.cache import kept
from ..data.datasets import load_digits
from ..data.pictures import digit, pixels
from ..data.pictures.augment import DIGITS
from ..data.pictures.digit.printed import printed_digits, printed_letters
from ..data.pictures.digit.scan import as_scans
from ..layers import Conv2D, Dense, GlobalAveragePool2D, Layer, MaxPool2D, SeparableConv2D
from ..tasks.base import PICTURES
from ..training import EarlyStopping
from . import picture_rows, pictures
from .base import RECURRENT, Choices, Plan, Recipe

VALIDATION = 5000
"""Number of training pictures, the last, on which settings and the best epoch are chosen, never on the test set."""
WEIGHT_DECAY = 0.15
"""Weight decay of the CNN: without it the validation loss rises as soon as the learning rate falls."""
EACH_STYLE, DIGIT_TIMES, LETTER_TIMES = 12, 2, 2
"""Drawn pictures per style of a printed digit or letter, and how often an epoch repeats them."""
NANO, NANO_EPOCHS, NANO_LEARNING_RATE, NANO_SMOOTHING = "nano", 100, 1e-2, 0.05
"""The architecture of fewest parameters: it is too small to remember its training pictures, so none are drawn or changed for it."""
SCANS = 4_000
"""Training digits that are also shown as small scans of them look."""


class Digits(Recipe):
    """A CNN, the network of the shipped weights (made in 40 epochs), or a network that reads row by row."""

    task = PICTURES
    kind = "small grid"
    holds = "pictures"
    options = frozenset({"augment", "base"})

    def matches(self, data: str, choices: Choices) -> bool:
        return data == "digits"

    def plan(self, data: str, choices: Choices) -> Plan:
        found = load_digits()
        training = found.x_train[:-VALIDATION], found.y_train[:-VALIDATION]
        validation = found.x_train[-VALIDATION:], found.y_train[-VALIDATION:]
        usual: dict[str, Any] = {
            "labels": found.labels,
            "preparation": {"kind": "digit"},
            "epochs": 10,
            "augment": DIGITS,
            "ema": 0.999,
        }
        if choices.arch in RECURRENT:
            about = "reads one handwritten digit"
            return picture_rows.plan("digits", choices, training, validation, **usual, about=about)
        if choices.arch == NANO:
            about = "reads one handwritten digit, with fewer than 1,000 parameters"
            usual |= {"epochs": NANO_EPOCHS, "augment": None, "label_smoothing": NANO_SMOOTHING}
            usual["layers"] = nano(len(found.labels))
            settings = replace(choices, learning_rate=choices.learning_rate or NANO_LEARNING_RATE)
            made = pictures.plan("digits", settings, training, validation, **usual, about=about)
            # its accuracy on so few pictures is luck from one epoch to the next, its loss is not
            made.settings["early_stopping"] = EarlyStopping("val_loss", patience=None)
            return made
        training, about = with_prints_and_scans(*training), "reads one handwritten or printed digit"
        usual["weight_decay"] = WEIGHT_DECAY
        return pictures.plan("digits", choices, training, validation, **usual, about=about)


def nano(classes: int) -> list[Layer]:
    """997 parameters: what a network costs is mixing channels at each place of a kernel, so one layer looks and the next one mixes.

    Separable convolutions (Chollet, "Xception", 2017), one upon the other until each sees nearly the whole digit, and then the mean
    over all places: what it learns holds wherever the digit lies, so that it needs no changed copies of the pictures.
    """
    looks = [SeparableConv2D(filters, 3, activation="silu") for filters in (10, 10, 11, 12)]
    classifier = [GlobalAveragePool2D(), Dense(classes, activation="softmax")]
    return [Conv2D(7, 3, activation="silu"), MaxPool2D(2), *looks, *classifier]


def with_prints_and_scans(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten pictures and labels with printed digits and letters and small scans added; labels become rows of probabilities.

    Letters are labelled with equal probabilities, so that the network learns not to be sure of what is no digit (Hendrycks, Mazeika &
    Dietterich, "Deep anomaly detection with outlier exposure", 2019).
    """
    more = kept("digits-drawn.npz", _drawn_from(x, y), lambda: _drawn(x, y))
    return np.concatenate([x, more["x"]]), np.concatenate([np.eye(10, dtype=np.float32)[y], more["y"]])


def _drawn(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The pictures and labels that are added; they take longer to draw than all else before the first training step."""
    rng = np.random.default_rng(0)
    digits, labels = printed_digits(EACH_STYLE, rng)
    letters = printed_letters(EACH_STYLE, rng)
    chosen = rng.permutation(len(x))[:SCANS]
    scans = as_scans(x[chosen, ..., 0] / np.float32(255 if x.dtype == np.uint8 else 1), rng)[..., None]
    more = [np.repeat(digits, DIGIT_TIMES, axis=0), np.repeat(letters, LETTER_TIMES, axis=0), scans]
    drawn = np.concatenate(more)
    if x.dtype == np.uint8:
        drawn = np.round(255 * drawn)
    one_hot = np.eye(10, dtype=np.float32)
    unsure = np.full((LETTER_TIMES * len(letters), 10), 0.1, np.float32)
    rows = one_hot[np.repeat(labels, DIGIT_TIMES)], unsure, one_hot[y[chosen]]
    return {"x": drawn.astype(x.dtype), "y": np.concatenate(rows)}


def _drawn_from(x: np.ndarray, y: np.ndarray) -> Iterator[bytes]:
    """All that decides what is drawn: the data, the code, and the libraries that it draws with."""
    import PIL

    yield from (
        x.dtype.str.encode(),
        x.tobytes(),
        y.tobytes(),
        np.__version__.encode(),
        PIL.__version__.encode(),
    )
    for path in (Path(__file__), Path(pixels.__file__), *sorted(Path(digit.__file__).parent.glob("*.py"))):
        yield path.read_bytes()
