"""Schedules: learning rates that are functions of the step.

Give one to an optimizer instead of a number: `Adam(OneCycle(3e-3))`. A number is a constant schedule. `fit` fills in
the total number of steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..checks import check_number
from ..errors import TinynetError
from ..settings import sealed


class Position(NamedTuple):
    """How far training is when a step begins."""

    step: int
    """Steps done."""
    total_steps: int = 1
    """Steps of the whole training."""
    epoch: int = 0
    """Epochs done."""
    epochs: Sequence[dict[str, Any]] = ()
    """Their entries in the history."""


class Schedule:
    """A learning rate as a function of the position."""

    def rate(self, position: Position) -> float:
        """The learning rate of the step at this position."""
        raise NotImplementedError


def rate_at(learning_rate: float | Schedule, position: Position) -> float:
    """The learning rate at a position; a number is a constant one."""
    return learning_rate.rate(position) if isinstance(learning_rate, Schedule) else float(learning_rate)


def check_rate(owner: str, rate: Any) -> None:
    """Raise TinynetError unless this is a learning rate: a schedule or a number above 0."""
    if not isinstance(rate, Schedule):
        check_number(owner, "learning_rate", rate, above=0)


@sealed
@dataclass(frozen=True)
class StepDecay(Schedule):
    """learning_rate · factor^(epochs done // every): by default a tenth every 10 epochs."""

    learning_rate: float
    every: int = 10
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_number("StepDecay", "learning_rate", self.learning_rate, above=0)
        check_number("StepDecay", "every", self.every, least=1)
        check_number("StepDecay", "factor", self.factor, above=0)

    def rate(self, position: Position) -> float:
        return self.learning_rate * self.factor ** (position.epoch // self.every)


@sealed
@dataclass(frozen=True)
class CosineDecay(Schedule):
    """From learning_rate to alpha · learning_rate along half a cosine over the whole training (Loshchilov 2017).

    `lr (alpha + (1-alpha) (1 + cos(pi step/total)) / 2)`.
    """

    learning_rate: float
    alpha: float = 0.0

    def __post_init__(self) -> None:
        check_number("CosineDecay", "learning_rate", self.learning_rate, above=0)
        check_number("CosineDecay", "alpha", self.alpha, most=1)

    def rate(self, position: Position) -> float:
        done = min(position.step / max(position.total_steps, 1), 1.0)
        return _cosine(self.learning_rate, self.alpha * self.learning_rate, done)


@sealed
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up and down once (Smith and Topin 2018), both along a cosine, as PyTorch's OneCycleLR.

    From learning_rate/div_factor up to learning_rate during the first `pct_start` of the steps, then down to
    learning_rate/(div_factor · final_div_factor) at the last step. Momentum does not change. A training too short to rise
    begins with learning_rate.
    """

    learning_rate: float
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        check_number("OneCycle", "learning_rate", self.learning_rate, above=0)
        check_number("OneCycle", "pct_start", self.pct_start, most=1)
        check_number("OneCycle", "div_factor", self.div_factor, least=1)
        check_number("OneCycle", "final_div_factor", self.final_div_factor, least=1)

    def rate(self, position: Position) -> float:
        top, last = max(self.pct_start * position.total_steps - 1, 0.0), position.total_steps - 1
        first = self.learning_rate / self.div_factor
        if position.step <= top:
            return _cosine(first, self.learning_rate, position.step / top if top > 0 else 1.0)
        done = min((position.step - top) / max(last - top, 1e-9), 1.0)
        return _cosine(self.learning_rate, first / self.final_div_factor, done)


@sealed
@dataclass(frozen=True)
class WarmUp(Schedule):
    """Rise linearly from nearly 0 to the schedule's first rate in `steps` steps, then follow it over the remaining steps.

    `rate · (step+1) / (steps+1)` while step < steps. A training of at most `steps` steps rises for half of them.
    """

    schedule: float | Schedule
    steps: int

    def __post_init__(self) -> None:
        check_rate("WarmUp", self.schedule)
        check_number("WarmUp", "steps", self.steps, least=1)

    def rate(self, position: Position) -> float:
        steps = self.steps if self.steps < position.total_steps else position.total_steps // 2
        left = position._replace(step=max(position.step - steps, 0), total_steps=position.total_steps - steps)
        return rate_at(self.schedule, left) * min((position.step + 1) / (steps + 1), 1.0)


@sealed
@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by `factor` whenever `monitor` has not improved by `min_delta` for `patience` epochs.

    The defaults are those of Keras's ReduceLROnPlateau. It follows from the history alone, so it holds no state.
    Without validation give `monitor="loss"`. mode: as in `EarlyStopping`.
    """

    learning_rate: float
    factor: float = 0.1
    patience: int = 10
    monitor: str = "val_loss"
    min_delta: float = 1e-4
    min_learning_rate: float = 0.0
    mode: str | None = None

    def __post_init__(self) -> None:
        check_mode("ReduceOnPlateau", self.mode)
        check_number("ReduceOnPlateau", "learning_rate", self.learning_rate, above=0)
        check_number("ReduceOnPlateau", "factor", self.factor, above=0, most=1)
        check_number("ReduceOnPlateau", "patience", self.patience)
        check_number("ReduceOnPlateau", "min_delta", self.min_delta)
        check_number("ReduceOnPlateau", "min_learning_rate", self.min_learning_rate)

    def rate(self, position: Position) -> float:
        rate, best, waited = self.learning_rate, None, 0
        for epoch in position.epochs:
            if improved(self, epoch[self.monitor], best):
                best, waited = epoch[self.monitor], 0
                continue
            waited += 1
            if waited >= max(self.patience, 1):
                rate, waited = max(rate * self.factor, self.min_learning_rate), 0
        return rate


def check_mode(owner: str, mode: Any) -> None:
    """Raise TinynetError unless a mode is "min", "max" or None."""
    if not (mode is None or (isinstance(mode, str) and mode in ("auto", "min", "max"))):
        raise TinynetError(f"{owner}: mode must be 'min' or 'max', or None, not {mode!r}")


def rises(watcher: Any) -> bool:
    """Whether what it monitors improves upwards: as its `mode` says, otherwise only an accuracy does."""
    return watcher.mode == "max" if watcher.mode in ("min", "max") else watcher.monitor.endswith("accuracy")


def improved(watcher: Any, value: float, best: float | None) -> bool:
    """Whether the monitored value beats the best so far by more than min_delta."""
    if best is None:
        return math.isfinite(value)
    return value > best + watcher.min_delta if rises(watcher) else value < best - watcher.min_delta


def watching(schedule: Any) -> ReduceOnPlateau | None:
    """The ReduceOnPlateau in a schedule, if there is one."""
    if isinstance(schedule, WarmUp):
        return watching(schedule.schedule)
    return schedule if isinstance(schedule, ReduceOnPlateau) else None


def needs_length(schedule: Any) -> bool:
    """Whether a learning rate may depend on the length of the training; a user's own schedule is assumed to."""
    return isinstance(schedule, Schedule) and not isinstance(schedule, (StepDecay, ReduceOnPlateau))


def peak_rate(schedule: Any) -> float | None:
    """The number that a learning rate was made with; None if a user's own schedule has none."""
    while isinstance(schedule, Schedule):
        schedule = getattr(schedule, "learning_rate", getattr(schedule, "schedule", None))
    return schedule


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * done))
