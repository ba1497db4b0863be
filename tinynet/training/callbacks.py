"""Callbacks: early stopping, progress, and whatever a user adds."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

from ..checks import check_number
from ..errors import TinynetError
from ..settings import sealed
from ..terminal import is_terminal, note, printable, put
from .history import History
from .schedules import ReduceOnPlateau, check_mode, improved, rises

BAR_WIDTH = 20
SECONDS_BETWEEN_DRAWINGS = 0.1


class TrainingView(Protocol):
    """What a callback may read and change in a training."""

    model: Any
    history: History
    epoch: int
    """Epochs done; an epoch is counted only after all callbacks have been called at its end."""
    epochs: int
    batch: int
    """Steps done in this epoch."""
    batch_size: int
    steps_per_epoch: int
    total_steps: int
    unit: str
    """The word for samples: images, windows, samples."""
    restored: bool
    """Whether the best weights were restored at the end."""
    learning_rate: float
    """That of the last step; a callback that sets it replaces the optimizer's own from the next step on."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    @property
    def logs(self) -> dict[str, float]:
        """The epoch's running means and, at its end, the results of validation."""
        ...

    def stop(self, reason: str) -> None:
        """End training after this step."""


class Callback:
    """Subclass and override what you need; each method gets the training, whose `stop(reason)` ends it (see `TrainingView`)."""

    def on_train_begin(self, training: TrainingView) -> None:
        """Before the first step."""

    def on_epoch_begin(self, training: TrainingView) -> None:
        """Before the first step of an epoch."""

    def on_batch_end(self, training: TrainingView) -> None:
        """After each step."""

    def on_epoch_end(self, training: TrainingView) -> None:
        """After validation, before the checkpoint; the epoch is the last of training.history.epochs."""

    def on_train_end(self, training: TrainingView) -> None:
        """After the last step; the model holds its final weights."""


@sealed
@dataclass(frozen=True)
class EarlyStopping:
    """Stop when `monitor` has not improved by `min_delta` for `patience` epochs.

    An accuracy improves upwards, everything else downwards, unless `mode` is "max" or "min", which has to be given for a
    metric that is a function. Of epochs with the same accuracy the one with the lower loss is best, since small validation
    sets are soon all classified correctly. Unlike in Keras the best weights are restored unless `restore_best_weights=False`. It
    follows from the history alone, so it holds no state.
    """

    monitor: str = "val_loss"
    patience: int | None = 0
    """None: never stop, only watch."""
    min_delta: float = 0.0
    restore_best_weights: bool = True
    mode: str | None = None

    def __post_init__(self) -> None:
        check_mode("EarlyStopping", self.mode)
        if self.patience is not None:
            check_number("EarlyStopping", "patience", self.patience)
        check_number("EarlyStopping", "min_delta", self.min_delta)

    def best(self, epochs: Sequence[dict[str, Any]]) -> int | None:
        """Index of the best epoch so far: if accuracies are equal, the one with the lower loss, then the earlier."""
        best = self._last_improvement(epochs)
        if best is None or not rises(self):
            return best
        loss = "val_loss" if self.monitor.startswith("val_") else "loss"
        reached = epochs[best][self.monitor]
        tied = [index for index in range(best, len(epochs)) if epochs[index][self.monitor] == reached]
        return min(tied, key=lambda index: epochs[index][loss])

    def is_over(self, epochs: Sequence[dict[str, Any]]) -> bool:
        """Whether it is time to stop. An equal accuracy with a lower loss does not count as an improvement here."""
        last = self._last_improvement(epochs)
        if last is None or self.patience is None:
            return False
        return len(epochs) - 1 - last >= max(self.patience, 1)

    def _last_improvement(self, epochs: Sequence[dict[str, Any]]) -> int | None:
        last = None
        for index, epoch in enumerate(epochs):
            reached = None if last is None else epochs[last][self.monitor]
            if improved(self, epoch[self.monitor], reached):
                last = index
        return last


def check_monitor(watcher: EarlyStopping | ReduceOnPlateau, metrics: Sequence[str], validated: bool) -> None:
    """Raise TinynetError unless the history will hold what it monitors, and it is known which way that improves.

    metrics: the loss's own, then those of functions.
    """
    owner = "early stopping" if isinstance(watcher, EarlyStopping) else type(watcher).__name__
    monitor, means = watcher.monitor, ["loss", *metrics]
    names = [*means, *(f"val_{name}" for name in means if validated)]
    if monitor in names:
        of_function = monitor.removeprefix("val_") in metrics[1:]
        if of_function and watcher.mode not in ("min", "max") and not rises(watcher):
            raise TinynetError(
                f"{owner} watches {monitor}: give mode='max' if higher is better, or mode='min'"
            )
        return
    if monitor in [f"val_{name}" for name in means]:
        raise TinynetError(
            f"{owner} watches {monitor}, which needs validation_data or validation_split; or watch monitor='loss'"
        )
    raise TinynetError(f"{owner} watches {monitor!r}, but the history has {', '.join(names)}")


class Progress(Callback):
    """A bar with loss, metric, speed and time left on a terminal, and one line per epoch."""

    def __init__(self, stream: TextIO | None = None, bar: bool | None = None) -> None:
        self.stream = stream or sys.stderr
        self.bar = is_terminal(self.stream) if bar is None else bar
        self.width = 0

    def on_epoch_begin(self, training: TrainingView) -> None:
        self.first = training.batch + 1
        self.began = self.drawn = 0.0

    def on_batch_end(self, training: TrainingView) -> None:
        now = time.perf_counter()
        if training.batch == self.first or not self.began:
            # The first step may have compiled kernels: the clock starts after it.
            self.began = now
        elif self.bar and now - self.drawn >= SECONDS_BETWEEN_DRAWINGS:
            self.drawn = now
            self._draw(self._bar(training, (now - self.began) / (training.batch - self.first)))

    def on_epoch_end(self, training: TrainingView) -> None:
        row = training.history.epochs[-1]
        self._draw("")
        values = {
            name: value for name, value in row.items() if name not in ("epoch", "learning_rate", "seconds")
        }
        note(f"epoch {row['epoch']}/{training.epochs}  {show(values)}  {row['seconds']:.1f} s", self.stream)

    def on_train_end(self, training: TrainingView) -> None:
        self._draw("")
        history = training.history
        if history.stopped:
            best = history.best_epoch if training.restored else None
            kept = f", kept the weights of epoch {best}" if best else ""
            note(f"stopped: {history.stopped}{kept}", self.stream)

    def _bar(self, training: TrainingView, seconds_per_step: float) -> str:
        """The parts of the bar that fit into the terminal; the time left is the last to be dropped."""
        done = int(BAR_WIDTH * training.batch / training.steps_per_epoch)
        minutes, seconds = divmod(round((training.total_steps - training.step) * seconds_per_step), 60)
        pieces = {
            "epoch": f"epoch {training.epoch + 1}/{training.epochs}",
            "bar": f"[{'#' * done}{'-' * (BAR_WIDTH - done)}]",
            "means": show(training.logs),
            "speed": f"{training.batch_size / seconds_per_step:,.0f} {training.unit}/s",
            "left": f"{minutes}:{seconds:02} left",
        }
        for name in ("speed", "bar", "means", "epoch"):
            if len("  ".join(pieces.values())) > self._room():
                del pieces[name]
        return "  ".join(pieces.values())[: self._room()]

    def _room(self) -> int:
        return shutil.get_terminal_size().columns - 1

    def _draw(self, text: str) -> None:
        if self.bar:
            text = printable(text)
            with suppress(OSError, ValueError):
                put(f"\r{text:<{self.width}}" if text else f"\r{'':{self.width}}\r", self.stream)
            self.width = len(text)


def show(values: dict[str, float]) -> str:
    """Names and values for a line, accuracies in percent."""
    return "  ".join(
        f"{name} {100 * value:.2f} %" if name.endswith("accuracy") else f"{name} {value:.4f}"
        for name, value in values.items()
    )
