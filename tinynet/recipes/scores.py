"""How well a network does, and simpler methods beside it: one measure per kind of data, taken on the same validation samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ..layers import Dense, Flatten
from ..sequential import Sequential
from ..tasks.classes import percent
from ..terminal import significant
from ..training import Adam

LINEAR_STEPS, LINEAR_EPOCHS = 2_000, (3, 100)
"""Training steps of a linear model, unless that is to see each sample fewer or more times than this."""
LINEAR_BATCH, LINEAR_LEARNING_RATE = 64, 3e-3


class Measure(NamedTuple):
    """What is counted. show: a value of it as text; rises: whether more is better."""

    name: str
    show: Callable[[float], str]
    rises: bool


ACCURACY = Measure("accuracy", percent, True)
EXACT_MATCH = Measure("sentences that match word for word", percent, True)
CHARACTER_LOSS = Measure("nats per character", "{:.4f}".format, False)
MEAN_ERROR = Measure("mean absolute error", partial(significant, digits=4), False)
MASE = Measure("MASE", "{:.3f}".format, False)
WINDOWS_MASE = MASE._replace(name="MASE on held-out windows")
MEASURES = {
    measure.name: measure
    for measure in (ACCURACY, EXACT_MATCH, CHARACTER_LOSS, MEAN_ERROR, MASE, WINDOWS_MASE)
}
MOST_FREQUENT = "always the most frequent class"


class Score(NamedTuple):
    """A value of a measure, and the 95 % confidence interval of what to expect on new data, where it is known."""

    measure: Measure
    value: float
    interval: tuple[float, float] | None = None


def fraction(measure: Measure, value: float, samples: int) -> Score:
    """The score of a fraction of samples that are right."""
    return Score(measure, value, likely_range(value, samples))


def likely_range(fraction: float, samples: int) -> tuple[float, float]:
    """The 95 % confidence interval of a fraction on new data, from that on a few samples (Wilson 1927)."""
    z = 1.96
    middle, total = fraction + z * z / (2 * samples), 1 + z * z / samples
    spread = z * math.sqrt(fraction * (1 - fraction) / samples + (z / (2 * samples)) ** 2)
    # rounding must not leave the fraction itself outside
    return max(min((middle - spread) / total, fraction), 0.0), min(
        max((middle + spread) / total, fraction), 1.0
    )


def most_frequent(y: np.ndarray, of: np.ndarray) -> float:
    """The fraction of labels `of` that is right if the most frequent class of y is always the answer."""
    return float((of == np.bincount(y).argmax()).mean())


def linear_answers(x: np.ndarray, y: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The classes that softmax regression on (x, y) gives to others."""
    model = Sequential([Flatten(), Dense(int(y.max()) + 1, activation="softmax")], x.shape[1:])
    epochs = min(max(LINEAR_STEPS * LINEAR_BATCH // len(x), LINEAR_EPOCHS[0]), LINEAR_EPOCHS[1])
    optimizer = Adam(LINEAR_LEARNING_RATE)
    model.fit(x, y, epochs=epochs, batch_size=LINEAR_BATCH, optimizer=optimizer, verbose=False)
    return model.answer(others)[0].argmax(axis=1)


def pair_loss(
    x: np.ndarray, y: np.ndarray, xv: np.ndarray, yv: np.ndarray, weights: np.ndarray, ids: int
) -> float:
    """Nats per id (xv, yv) if what follows an id is guessed from how often it followed in (x, y), one more of each being counted."""
    pairs, counts = np.unique(x.ravel() * ids + y.ravel(), return_counts=True)
    before = np.bincount(x.ravel(), minlength=ids)
    wanted = xv.ravel() * ids + yv.ravel()
    places = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    seen = np.where(pairs[places] == wanted, counts[places], 0)
    losses = -np.log((seen + 1) / (before[xv.ravel()] + ids))
    return float((losses * weights.ravel()).sum() / weights.sum())
