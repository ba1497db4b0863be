"""The training loop: batch, forward, loss, backward, optimizer, callbacks. Kernels compute, the loop only orders them."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.augment import Augment
from ..data.augment import augment as augmented
from ..errors import TinynetError
from ..layers.base import Run
from ..layers.base import State as Carried
from .callbacks import Callback, EarlyStopping
from .checkpoints import load_checkpoint, save_checkpoint
from .history import History
from .losses import Loss
from .optimizers import Arrays, MovingAverage, Optimizer, State
from .samples import Batch, Samples
from .schedules import Position

if TYPE_CHECKING:
    from ..model import Sequential

EVALUATION_BATCH = 256
MEASURED_WEIGHTS = 2048
"""Samples that tell which of two sets of weights is better."""
EVALUATION_ROWS = 8192
"""Positions of sequences that are measured at once: what layers keep of each of them fills memory."""


class DivergedError(TinynetError):
    """The loss became NaN or infinite. `history` is what was reached.

    The model holds the weights of `history.best_epoch`, or those that training began with where no epoch was better.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


@dataclass
class Sums:
    """Running sums of an epoch, from which its means follow; a checkpoint in the middle of an epoch keeps them."""

    loss: float = 0.0
    weight: float = 0.0
    score: float = 0.0
    rows: int = 0

    def add(self, loss: Loss, value: float, outputs: np.ndarray, batch: Batch) -> None:
        """Take in one batch."""
        score = loss.score(outputs, batch.targets)
        if batch.counted is not None:
            score = score[batch.counted]
        self.loss += value * batch.total
        self.weight += batch.total
        self.score += float(score.sum(dtype=np.float64))
        self.rows += len(score)

    def means(self, metric: str) -> dict[str, float]:
        """{"loss": …, metric: …}."""
        return {"loss": self.loss / (self.weight or 1), metric: self.score / (self.rows or 1)}


@dataclass
class Training:
    """One training under way: its settings, and where it stands. Callbacks are given it."""

    model: Sequential
    kernels: ModuleType
    samples: Samples
    validation: Samples | None
    loss: Loss
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
    augment: Augment | None
    checkpoint: Path | None
    time_limit: float | None
    state: State
    """What the optimizer remembers."""
    epoch: int = 0
    """Epochs done."""
    batch: int = 0
    """Steps done in this epoch."""
    sums: Sums = field(default_factory=Sums)
    history: History = field(default_factory=History)
    best: Arrays = field(default_factory=dict)
    """Copy of the best weights, at first of those that training began with."""
    restored: bool = False
    """Whether the model was given back its best weights at the end."""
    learning_rate: float = math.nan
    """Of the last step."""
    carried: Carried = field(default_factory=dict)
    """Where recurrent layers stood at the end of the last batch; empty unless `stateful`."""

    def __post_init__(self) -> None:
        self.fused = is_fused(self.loss, self.model)
        self.steps_per_epoch = math.ceil(len(self.samples) / self.batch_size)
        self.total_steps = self.steps_per_epoch * self.epochs
        images = len(self.model.input_shape) == 3
        self.unit = "images" if images else "windows" if self.stateful else "samples"
        self._forget()
        self.parameters = self.model.parameters()
        self.arrays = self.model.state()
        self.trained_before = self.model.epochs_trained
        self.start, self.best = _copy(self.arrays), _copy(self.arrays)
        if self.average:
            self.average.start(self.arrays)

    @property
    def step(self) -> int:
        """Steps done."""
        return self.state.step

    @property
    def logs(self) -> dict[str, float]:
        """Means of the epoch so far: loss and metric."""
        return self.sums.means(self.loss.metric)

    def stop(self, reason: str) -> None:
        """End training after this step."""
        self.history.stopped = self.history.stopped or reason

    # ---- the way of a training ----

    def run(self) -> History:
        """Train to the end; returns the history. Raises DivergedError where the loss is no number any more."""
        self.began = time.monotonic()
        # Numbers too large for float32 end in the loss, which is watched: one error, and no warnings of NumPy before it.
        with _interruptible(self), np.errstate(over="ignore", invalid="ignore"):
            self._tell("on_train_begin")
            try:
                self._stop_early()
                while self.epoch < self.epochs and not self.history.stopped:
                    self._run_epoch()
                self._settle()
            finally:
                self.model.epochs_trained = self.trained_before + self.epoch + (self.batch > 0)
                self._tell("on_train_end")
        return self.history

    def _run_epoch(self) -> None:
        began = time.perf_counter()
        rng = np.random.default_rng([self.seed, self.trained_before + self.epoch])
        order = rng.permutation(len(self.samples)) if self.shuffle else np.arange(len(self.samples))
        seeds = rng.integers(2**32, size=(self.steps_per_epoch, 2)).tolist()
        self._tell("on_epoch_begin")
        while self.batch < self.steps_per_epoch and not self.history.stopped:
            start = self.batch * self.batch_size
            self._step(self.samples.take(order[start : start + self.batch_size]), *seeds[self.batch])
            self.batch += 1
            if self.time_limit is not None and time.monotonic() - self.began > self.time_limit:
                self.stop("time limit" if self.step < self.total_steps else "")
            self._tell("on_batch_end")
        self._end_epoch(began)

    def _step(self, batch: Batch, seed: int, augment_seed: int) -> None:
        x = batch.x
        if self.augment is not None:
            x = augmented(x, self.augment, self.kernels, augment_seed)
        state = _reset(self.carried, self.reset_rate, seed)
        run = Run(self.kernels, training=True, seed=seed, logits=self.fused, state=state)
        outputs, saved = self.model.forward(x, run)
        if self.stateful:
            self.carried = self.model.check_state(self.model.final_state(saved), len(x))
        batch = batch.within(self.model.output_mask(saved))
        value, gradient = self.loss(self.kernels, outputs, batch.targets, batch.shares)
        if not math.isfinite(value):
            self._diverged()
        self.sums.add(self.loss, value, outputs, batch)
        gradients = self.model.backward(gradient, saved)
        position = Position(self.step, self.total_steps, self.epoch, self.history.epochs)
        self.learning_rate = self.optimizer.update(
            self.kernels, self.parameters, gradients, self.state, position
        )
        if self.average:
            self.average.update(self.kernels, self.arrays, self.step)

    def _end_epoch(self, began: float) -> None:
        """Validate and write down an epoch, whole or broken off; a whole one before the checkpoint, to be in it."""
        whole = self.batch == self.steps_per_epoch
        if not whole:
            self._save_checkpoint()
        if self.batch:
            self._record(began)
        if whole:
            self.epoch, self.batch, self.sums = self.epoch + 1, 0, Sums()
            self._forget()
            self._stop_early()
            self._save_checkpoint()
        self._tell("on_epoch_end")

    def _forget(self) -> None:
        """An epoch begins with zeros as the state that batches hand on."""
        if self.stateful:
            self.carried = {
                layer.name: tuple(np.zeros((self.batch_size, size), np.float32) for size in layer.state_sizes)
                for layer in self.model.layers
                if layer.state_sizes
            }

    def _stop_early(self) -> None:
        if self.epoch < self.epochs and self.early_stopping.is_over(self.history.epochs):
            self.stop("early stopping")

    def _record(self, began: float) -> None:
        row = {"epoch": self.epoch + 1, **self.logs, **self._validate()}
        finite = all(math.isfinite(self.kernels.sum_of_squares(p)) for p in self.parameters.values())
        if not finite or not math.isfinite(row.get("val_loss", 0.0)):
            self._diverged()
        row["learning_rate"] = self.learning_rate
        row["seconds"] = time.perf_counter() - began
        epochs = self.history.epochs
        epochs.append(row)
        self.history.broken_off = self.batch < self.steps_per_epoch
        best = self.early_stopping.best(epochs)
        if best == len(epochs) - 1:
            self.best, self.history.best_epoch = _copy(self._weights()), row["epoch"]

    def _validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        with self._weights_in_use():
            found = measure(self.model, self.validation, self.loss, self.kernels)
        return {f"val_{name}": value for name, value in found.items()}

    def _weights(self) -> Arrays:
        """The weights that training is for: the moving average where there is one."""
        return self.average.arrays if self.average else self.arrays

    @contextmanager
    def _weights_in_use(self) -> Iterator[None]:
        if not self.average:
            yield
            return
        trained = _copy(self.arrays)
        self.model.set_state(self.average.arrays)
        try:
            yield
        finally:
            self.model.set_state(trained)

    def _settle(self) -> None:
        """Leave the model with its final weights: the best ones where training ended early or was asked for them."""
        early = self.history.stopped in ("interrupted", "time limit")
        self.restored = early or self.early_stopping.restore_best_weights
        self.model.set_state(self.best if self.restored else self._weights())
        last = self.history.epochs[-1]["epoch"] if self.history.epochs else None
        self.history.kept_epoch = self.history.best_epoch if self.restored else last

    def _diverged(self) -> None:
        self.stop("diverged")
        self.restored = True
        if not self._is_better_than_start():
            self.best, self.history.best_epoch = self.start, None
        self.model.set_state(self.best)
        best = self.history.kept_epoch = self.history.best_epoch
        kept = (
            f"of epoch {best}, the best before" if best else "that it began with, since no epoch was better"
        )
        raise DivergedError(
            f"the loss is not a number any more in epoch {self.epoch + 1}, step {self.batch + 1}: try a lower learning "
            f"rate, or clip_norm=1.0; the model holds the weights {kept}",
            self.history,
        )

    def _is_better_than_start(self) -> bool:
        """Whether there is a best epoch, whose weights beat those that training began with.

        Each is measured anew, since the loss of an epoch is a mean over steps that came before its last weights; without
        validation as training measures, since statistics of normalisation may not have settled.
        """
        if self.history.best_epoch is None:
            return False
        samples = self.validation or self.samples
        samples = samples.part(slice(None, None, -(-len(samples) // MEASURED_WEIGHTS)))
        rows = []
        for weights in (self.start, self.best):
            self.model.set_state(weights)
            found = measure(self.model, samples, self.loss, self.kernels, training=self.validation is None)
            rows.append(found | {f"val_{name}": value for name, value in found.items()})
        return math.isfinite(rows[1]["loss"]) and EarlyStopping(self.early_stopping.monitor).best(rows) == 1

    def _tell(self, event: str) -> None:
        try:
            for callback in self.callbacks:
                getattr(callback, event)(self)
        except KeyboardInterrupt:
            self.stop("interrupted")

    # ---- checkpoints ----

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a checkpoint to be continued."""
        return {
            "samples": len(self.samples),
            "batch_size": self.batch_size,
            "seed": self.seed,
            "loss": self.loss.name,
            "optimizer": type(self.optimizer).__name__,
            "ema": self.average.decay if self.average else None,
            "stateful": self.stateful or None,
            "reset_rate": self.reset_rate or None,
        }

    def _groups(self) -> dict[str, Arrays]:
        carried = {f"{name}.{i}": a for name, own in self.carried.items() for i, a in enumerate(own)}
        groups = {"model": self.arrays, "best": self.best, "carried": carried, **self.state.slots}
        return groups | ({"average": self.average.arrays} if self.average else {})

    def _save_checkpoint(self) -> None:
        if self.checkpoint is None:
            return
        config = {
            "identity": self._identity(),
            "epoch": self.epoch,
            "trained_before": self.trained_before,
            "batch": self.batch,
            "step": self.step,
            "sums": vars(self.sums),
            "epochs": self.history.epochs,
            "best_epoch": self.history.best_epoch,
            "learning_rate": self.learning_rate,
        }
        save_checkpoint(self.checkpoint, config, self._groups())

    def resume(self, path: str | os.PathLike) -> None:
        """Go on where a checkpoint was written; raises TinynetError where it belongs to another training."""
        config, groups = load_checkpoint(path)
        for name, value in self._identity().items():
            if config["identity"].get(name) != value:
                raise TinynetError(
                    f"{path} belongs to a training with {name} {config['identity'].get(name)!r}, not {value!r}: "
                    "give the same settings, or start without resuming"
                )
        for name, arrays in self._groups().items():
            _restore(path, arrays, groups.get(name, {}))
        self.epoch, self.batch, self.state.step = config["epoch"], config["batch"], config["step"]
        self.trained_before = config["trained_before"]
        self.sums = Sums(**config["sums"])
        self.history = History(config["epochs"], best_epoch=config["best_epoch"])
        self.learning_rate = config["learning_rate"]


def measure(
    model: Sequential,
    samples: Samples,
    loss: Loss,
    kernels: ModuleType,
    batch_size: int | None = None,
    training: bool = False,
) -> dict[str, float]:
    """Mean loss and metric on samples that are prepared already; by default in batches that fit into memory."""
    if batch_size is None:
        batch_size = min(EVALUATION_BATCH, max(EVALUATION_ROWS // samples.rows_each, 1))
    run = Run(kernels, training=training, logits=is_fused(loss, model))
    sums = Sums()
    for start in range(0, len(samples), batch_size):
        batch = samples.take(slice(start, start + batch_size))
        outputs, saved = model.forward(batch.x, run)
        batch = batch.within(model.output_mask(saved))
        value, _ = loss(kernels, outputs, batch.targets, batch.shares)
        sums.add(loss, value, outputs, batch)
    return sums.means(loss.metric)


def is_fused(loss: Loss, model: Sequential) -> bool:
    """Whether the loss takes over the network's last activation."""
    return loss.activation is not None and loss.activation == model.logits_activation


def _reset(state: Carried, rate: float, seed: int) -> Carried:
    """A state where each sequence has this chance to begin with zeros."""
    if not state or not rate:
        return state
    count = len(next(iter(state.values()))[0])
    kept = (np.random.default_rng(seed).random((count, 1)) >= rate).astype(np.float32)
    return {name: tuple(array * kept for array in own) for name, own in state.items()}


def _copy(arrays: Arrays) -> Arrays:
    return {name: array.copy() for name, array in arrays.items()}


def _restore(path: str | os.PathLike, arrays: Arrays, found: Arrays) -> None:
    """Copy a checkpoint's arrays into those of the same names."""
    for name in arrays.keys() | found.keys():
        if name not in arrays or name not in found or arrays[name].shape != found[name].shape:
            raise TinynetError(f"{path} is the checkpoint of another network: its array {name} does not fit")
    for name, array in arrays.items():
        np.copyto(array, found[name])


@contextmanager
def _interruptible(training: Training) -> Iterator[None]:
    """The first Ctrl-C ends training after the step, so that all arrays belong together; a second one at once."""
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, previous)
        training.stop("interrupted")

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
