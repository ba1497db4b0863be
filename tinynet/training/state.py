"""A training in progress: its settings and its state. Callbacks, checkpoints and the loop share it."""

from __future__ import annotations

import math
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np

from ..checks import check_number
from ..data.augmentation import Augmentation, PerInput
from ..layers.base import Layer
from ..layers.base import State as Carried
from ..network import Network
from .callbacks import Callback, EarlyStopping
from .history import History
from .losses import Loss
from .metrics import Metric
from .optimizers import Arrays, MovingAverage, Optimizer, State
from .samples import Batch, Samples


@dataclass
class Sums:
    """Running sums of an epoch, for its means; a checkpoint in the middle of an epoch stores them."""

    score: Any
    """Of the loss's own metric: an array () float64 of the back end, which is read where somebody asks for it, not in each step."""
    loss: float = 0.0
    weight: float = 0.0
    rows: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    """Sums of the functions among the metrics, by name."""

    def add(self, value: float, batch: Batch, found: dict[str, float]) -> None:
        """Add one batch, whose score is added already: its loss, and what the functions returned for it."""
        counted = batch.counted
        rows = batch.rows if counted is None else int(counted.sum())
        self.loss += value * batch.total
        self.weight += batch.total
        self.rows += rows
        for name, number in found.items():
            self.metrics[name] = self.metrics.get(name, 0.0) + number * rows

    def clear(self) -> None:
        """Begin another epoch, with the same array."""
        self.score[...] = 0
        self.loss, self.weight, self.rows, self.metrics = 0.0, 0.0, 0, {}

    def numbers(self) -> dict[str, Any]:
        """All of it as a checkpoint stores it."""
        return {**vars(self), "score": float(self.score)}

    def update(self, numbers: dict[str, Any]) -> None:
        """What `numbers` gave."""
        self.score[...] = numbers["score"]
        vars(self).update({name: number for name, number in numbers.items() if name != "score"})

    def means(self, metric: str) -> dict[str, float]:
        """{"loss": …, metric: …, and each function: …}."""
        own = {name: total / (self.rows or 1) for name, total in self.metrics.items()}
        return {"loss": self.loss / (self.weight or 1), metric: float(self.score) / (self.rows or 1), **own}


@dataclass
class Training:
    """A training in progress: its settings and its state. Callbacks are given it."""

    model: Network
    kernels: ModuleType
    samples: Samples
    validation: Samples | None
    loss: Loss
    metrics: dict[str, Metric]
    """Functions that are measured in addition to the loss and its own metric."""
    optimizer: Optimizer
    early_stopping: EarlyStopping
    average: MovingAverage | None
    callbacks: Sequence[Callback]
    epochs: int
    batch_size: int
    seed: int
    shuffle: bool
    stateful: bool
    reset_rate: float
    augment: Augmentation | PerInput | None
    checkpoint: Path | None
    time_limit: float | None
    state: State
    """The optimizer's state."""
    identity: dict[str, Any] = field(default_factory=dict)
    """What a checkpoint and this training must have in common for it to be resumed."""
    epoch: int = 0
    """Epochs done; an epoch is counted only after all callbacks have been called at its end."""
    batch: int = 0
    """Steps done in this epoch."""
    sums: Sums = field(init=False)
    history: History = field(default_factory=History)
    best: Arrays = field(default_factory=dict)
    """Copy of the best weights, at first those that training began with."""
    restored: bool = False
    """Whether the best weights were restored at the end."""
    used_rate: float = math.nan
    """Learning rate of the last step."""
    chosen_rate: float | None = None
    """Learning rate that a callback has set for the following steps."""
    carried: Carried | None = field(default_factory=dict)
    """State of recurrent layers at the end of the last batch; empty unless `stateful`."""

    def __post_init__(self) -> None:
        self.chain = passes(self.loss, self.model)
        self.steps_per_epoch = math.ceil(len(self.samples) / self.batch_size)
        self.total_steps = self.steps_per_epoch * self.epochs
        images = len(self.model.inputs[0]) == 3
        self.unit = "images" if images else "windows" if self.stateful else "samples"
        self.forget()
        self.sums = no_sums(self.kernels)
        self.validated: dict[str, float] = {}
        self.checkpoint_failed = False
        self.model.place(self.kernels)
        for arrays in self.state.slots.values():
            arrays.update({name: self.kernels.asarray(array) for name, array in arrays.items()})
        self.parameters = self.model.trained()
        self.arrays = self.model.state()
        self.trained_before = self.model.epochs_trained
        self.start, self.best = copied(self.arrays), copied(self.arrays)
        if self.average:
            self.average.start(self.arrays)

    def forget(self) -> None:
        """Reset to zeros the state that passes from batch to batch, at the beginning of an epoch."""
        if self.stateful:
            self.carried = self.model.zero_state(self.batch_size)

    @property
    def device(self) -> str:
        """The device that it runs on."""
        return self.kernels.__name__.rpartition(".")[2]

    @property
    def step(self) -> int:
        """Steps done."""
        return self.state.step

    @property
    def logs(self) -> dict[str, float]:
        """Means of the epoch so far: loss and metric; at its end also those of validation."""
        return self.sums.means(self.loss.metric) | self.validated

    @property
    def learning_rate(self) -> float:
        """That of the last step; once set, all later steps use the new one."""
        return self.used_rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        """Raises TinynetError for anything but a number above 0."""
        check_number("training", "learning_rate", rate, above=0)
        self.used_rate = self.chosen_rate = float(rate)
        self.optimizer = replace(cast(Any, self.optimizer), learning_rate=self.chosen_rate)

    def stop(self, reason: str) -> None:
        """End training after this step."""
        self.history.stopped = self.history.stopped or reason

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """End training after this step, as a signal asks; after the last step there is nothing to break off."""
        self.stop("interrupted" if self.step < self.total_steps else "")
        self.history.signal = int(number)


def passes(loss: Loss, model: Network) -> Layer:
    """The layer whose outputs the loss takes: the network, without its last activation if the loss contains that."""
    fused = loss.activation is not None and loss.activation == model.logits_activation
    return model.logits if fused else model


def no_sums(kernels: ModuleType) -> Sums:
    """The sums of no batch."""
    return Sums(kernels.zeros((), np.float64))


def copied(arrays: Arrays) -> Arrays:
    """Copies of all arrays."""
    return {name: array.copy() for name, array in arrays.items()}
