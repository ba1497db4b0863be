"""The base of recipes, the choices of a user, and the plan that a recipe makes: a network, arrays, and how to train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..layers import GRU, LSTM, RNN, Mirrored
from ..layers.containers import Chain
from ..sequential import Sequential
from ..training import Callback, History
from ..training.schedules import peak_rate
from ..version import __version__
from .scores import ACCURACY, MOST_FREQUENT, Measure, Score, fraction, likely_range, most_frequent
from .transfer import Base

SHOWN = 10
"""Most classes that a note names."""
ENOUGH_TO_JUDGE_BY = 1000
"""From this many validation samples on, an accuracy is known to within two or three percentage points."""


@dataclass(frozen=True)
class Choices:
    """What a user may decide; None leaves it to the recipe."""

    arch: str = "auto"
    task: str = "auto"
    """What the network is for, if DATA alone does not say."""
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    augment: bool | None = None
    """Whether pictures are shifted, turned and bent at random."""
    units: int | None = None
    """Size of a recurrent layer."""
    width: float | None = None
    """How many times as many channels or units the layers have as the recipe gives them (Howard et al., "MobileNets", 2017)."""
    depth: int | None = None
    """Blocks per stage of a network for pictures, blocks of a transformer, or hidden layers."""
    target: str | None = None
    """The column of a table to predict."""
    target_type: str | None = None
    """Whether the target's values are "classes" or a "number"."""
    drop: tuple[str, ...] | None = None
    """Columns of a table that are left out."""
    base: str | None = None
    """A shipped model or a file, with whose layers the network begins."""
    freeze: str | int | None = None
    """How many layers of the base, or the last one, that stay as they are; None: all are trained."""
    begun: Base | None = None
    """The base, once it is loaded."""

    def rate(self, usual: float) -> float:
        """The learning rate that the user chose, or the usual one of the recipe, smaller for layers that have learnt before."""
        return self.learning_rate or usual * (self.begun.rate if self.begun else 1)

    def size(self, usual: int) -> int:
        """The channels or units of a layer that usually has so many."""
        return max(round(usual * (self.width or 1)), 1)

    def cell(self, usual: int) -> int:
        """The units of a recurrent layer that usually has so many."""
        return self.units or self.size(usual)


USUAL = Choices()
"""Everything as the recipe has it."""


class Recipe:
    """How to build and train a system for DATA, a name or a path. First `matches` is called, then `plan`."""

    task: ClassVar[str]
    """What the trained network is for: the `task` of its file."""
    kind: ClassVar[str]
    """Kind of data: the key of the table of architectures."""
    holds: ClassVar[str]
    """What the data holds, as a phrase for messages."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Settings that it takes in addition to those of every training and of the architecture."""
    output: ClassVar[str] = "new"
    """What the output layer is of a network that begins with a base."""

    def matches(self, data: str, choices: Choices) -> bool:
        """Whether it fits DATA, judged by its name and first lines, and the user's choices."""
        raise NotImplementedError

    def plan(self, data: str, choices: Choices) -> Plan:
        """The training; `choices.arch` is one that fits. Raises DataError for data that cannot be used."""
        raise NotImplementedError

    def body(self, model: Sequential) -> Chain:
        """The chain in a trained network whose layers, but for the last, a new network can begin with."""
        first, *others = model.layers
        return Chain([*first.layers, *others]) if isinstance(first, Mirrored) else model


@dataclass
class Plan:
    """A training that is ready to start: `plan.fit()`."""

    name: str
    """The file's stem: DATA-ARCH."""
    reason: str
    """Why this network, in a sentence that is printed."""
    model: Sequential
    x: Any
    """Samples: an array, or a tuple of arrays if the model has several inputs."""
    y: np.ndarray
    settings: dict[str, Any]
    """Settings of `fit`, the validation data among them."""
    warnings: list[str] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    """Which layers are those of a base, line by line."""
    callbacks: list[Callback] = field(default_factory=list)

    @property
    def measure(self) -> Measure:
        """In which this training is compared with others and with simpler methods."""
        return ACCURACY

    def fit(self, **settings: Any) -> History:
        """Train the model; `settings` are those of `fit` that are not part of the plan, such as a time limit."""
        return self.model.fit(self.x, self.y, **self.settings, **settings)

    def record(self, best: dict[str, Any]) -> dict[str, Any]:
        """What the model file says about the data and the result, from the best epoch of the history."""
        return {"samples": len(self.y), "validation accuracy": round(best["val_accuracy"], 5)}

    def training_record(self, data: str, history: History, best: dict[str, Any]) -> dict[str, Any]:
        """The training record in the model's file."""
        augment, optimizer = self.settings.get("augment"), self.settings["optimizer"]
        parts = augment if isinstance(augment, tuple) else (augment,)
        used = [(f.name, getattr(part, f.name), f.default) for part in parts if part for f in fields(part)]
        amounts = {name: amount for name, amount, default in used if amount != default}
        return {
            "data": data,
            **self.model.metadata.pop("base", {}),
            "epochs": len(history.epochs),
            "best epoch": best["epoch"],
            **self.record(best),
            "baselines": {name: round(value, 5) for name, value in self.baselines.items()},
            "optimizer": type(optimizer).__name__,
            "learning rate": peak_rate(optimizer.learning_rate),
            "batch size": self.settings["batch_size"],
            "augmentation": ", ".join(f"{k} {v}" for k, v in amounts.items()) or "none",
            "seed": self.settings["seed"],
            "tinynet": __version__,
            "date": datetime.now(timezone.utc).date().isoformat(),
            **({"stopped": history.stopped} if history.stopped else {}),
        }

    def result_line(self, best: dict[str, Any]) -> str:
        """The result in one sentence; after a small validation set with the range to expect on new data."""
        accuracy, labels = best["val_accuracy"], self.settings["validation_data"][1]
        right = f"{100 * accuracy:.2f} % of the validation set right"
        if len(labels) >= ENOUGH_TO_JUDGE_BY:
            return right
        low, high = likely_range(accuracy, len(labels))
        return f"{right}, but that is only {len(labels)} of them: expect {100 * low:.0f} to {100 * high:.0f} % of new ones"

    def score(self, best: dict[str, Any]) -> Score:
        """The result by the measure in which it is compared with others, from the best epoch of the history."""
        return fraction(self.measure, best["val_accuracy"], len(self.settings["validation_data"][1]))

    @cached_property
    def baselines(self) -> dict[str, float]:
        """What simpler methods reach on the same validation data, by the same measure."""
        y = self.y.argmax(axis=-1) if self.y.ndim > 1 else self.y
        return {MOST_FREQUENT: most_frequent(y, self.settings["validation_data"][1])}

    def comparison(self) -> str:
        """What simpler methods reach, in a line."""
        found = "; ".join(f"{name} {self.measure.show(value)}" for name, value in self.baselines.items())
        return f"for comparison, {self.measure.name}: {found}"

    def notes(self) -> list[str]:
        """Notes on the trained model: classes of the validation set that it never predicts."""
        x, y = self.settings["validation_data"][:2]
        answers = np.unique(self.model.answer(x)[0].argmax(axis=-1))
        labels = self.model.labels or []
        never = [labels[index] for index in np.setdiff1d(y, answers)]
        if not never:
            return []
        more = f" and {len(never) - SHOWN} more" if len(never) > SHOWN else ""
        return [
            f"{', '.join(never[:SHOWN])}{more}: never predicted on the validation set; more samples of such classes would help"
        ]


@dataclass(kw_only=True)
class LinearPlan(Plan):
    """A training with a linear model for comparison. linear: what that answers, from samples and their classes, to other samples; sees:
    what it sees of a sample, for people.
    """

    linear: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    sees: str

    @cached_property
    def baselines(self) -> dict[str, float]:
        """What a linear model and always the same answer reach on the same validation set."""
        x, y = self.settings["validation_data"]
        known = self.y.argmax(axis=-1) if self.y.ndim > 1 else self.y
        reached = float((self.linear(self.x, known, x) == y).mean())
        return {f"a linear model of {self.sees}": reached, **super().baselines}


RECURRENT = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
"""The layers of the architectures that read sequences."""
