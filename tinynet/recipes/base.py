"""What every recipe hands over: a network, arrays, and how to train."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data.datasets import SOURCES
from ..errors import TinynetError
from ..layers import GRU, LSTM, RNN
from ..model import Sequential
from ..training import Callback

SHOWN = 10
"""Classes that a note names."""
ENOUGH_TO_JUDGE_BY = 1000
"""Validation samples from which an accuracy is right to two or three points in a hundred."""


@dataclass(frozen=True)
class Choices:
    """What a user may decide; None leaves it to the recipe."""

    arch: str = "auto"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    augment: bool = True
    units: int | None = None
    """Of a recurrent layer."""


@dataclass
class Plan:
    """A training that only waits to be started: `plan.model.fit(plan.x, plan.y, **plan.settings)`."""

    name: str
    """The file's stem: DATA-ARCH."""
    reason: str
    """Why this network, in a sentence that is printed."""
    model: Sequential
    x: np.ndarray
    y: np.ndarray
    settings: dict[str, Any]
    """Settings of `fit`, the validation data among them."""
    warnings: list[str] = field(default_factory=list)
    callbacks: list[Callback] = field(default_factory=list)

    def record(self, best: dict[str, Any]) -> dict[str, Any]:
        """What the model file says about the data and the result, from the best epoch of the history."""
        return {"samples": len(self.x), "validation accuracy": round(best["val_accuracy"], 5)}

    def verdict(self, best: dict[str, Any]) -> str:
        """The result as people read it; of a small validation set with what new data may give."""
        accuracy, labels = best["val_accuracy"], self.settings["validation_data"][1]
        right = f"{100 * accuracy:.2f} % of the validation set right"
        if len(labels) >= ENOUGH_TO_JUDGE_BY:
            return right
        low, high = likely_range(accuracy, len(labels))
        return f"{right}, but that is only {len(labels)} of them: expect {100 * low:.0f} to {100 * high:.0f} % of new ones"

    def notes(self) -> list[str]:
        """What the user should know of the trained model: classes of the validation set that it never answers."""
        x, y = self.settings["validation_data"][:2]
        answers = np.unique(self.model.predict(x).argmax(axis=-1))
        never = [self.model.labels[index] for index in np.setdiff1d(y, answers)]
        if not never:
            return []
        more = f" and {len(never) - SHOWN} more" if len(never) > SHOWN else ""
        return [
            f"{', '.join(never[:SHOWN])}{more}: never answered on the validation set; more samples of such classes would help"
        ]


def likely_range(accuracy: float, samples: int) -> tuple[float, float]:
    """Where the accuracy on new data lies, with 95 % confidence, after one on so few samples (Wilson 1927)."""
    z = 1.96
    middle, total = accuracy + z * z / (2 * samples), 1 + z * z / samples
    spread = z * math.sqrt(accuracy * (1 - accuracy) / samples + (z / (2 * samples)) ** 2)
    return max((middle - spread) / total, 0.0), min((middle + spread) / total, 1.0)


def learnt_from(model: Sequential, data: str) -> bool:
    """Whether a model was trained on DATA, going by the base name in its training record."""
    record = model.metadata.get("training")
    name = record.get("data") if isinstance(record, dict) else None
    if not isinstance(name, str):
        return False
    return name == data if name in SOURCES else Path(name).name == Path(data).name


RECURRENT = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
"""Architectures that read sequences: their layers."""


def article(arch: str) -> str:
    """The name of a recurrent architecture in a sentence: an LSTM."""
    return f"{'a' if arch == 'gru' else 'an'} {arch.upper()}"


def check_arch(asked: str, offered: tuple[str, ...]) -> str:
    """The architecture to use; raises TinynetError for one that does not fit the data."""
    if asked == "auto":
        return offered[0]
    if asked not in offered:
        raise TinynetError(f"--arch {asked} does not fit this data; choose auto or {' or '.join(offered)}")
    return asked
