"""Optimizers: they update the parameters from the gradients.

An optimizer holds settings only; what it keeps from step to step is a `State`, made by `start`, so one optimizer
serves many trainings and each starts afresh. Names and defaults are those of Keras, except that clipping by global
norm is `clip_norm` (Keras: global_clipnorm). Weight decay is decoupled (Loshchilov and Hutter 2019) and, as in Keras
and PyTorch, applies to all parameters, biases too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import ModuleType
from typing import ClassVar

import numpy as np

from ..checks import check_number
from ..errors import TinynetError
from ..settings import sealed
from .schedules import Position, Schedule, check_rate, rate_at

Arrays = dict[str, np.ndarray]


@dataclass
class State:
    """What an optimizer keeps from step to step: steps done, and per slot (such as "moment") one array per parameter."""

    slots: dict[str, Arrays]
    step: int = 0


class Optimizer:
    """Settings and equation of an optimizer. Subclasses are frozen dataclasses that have these fields."""

    kernel: ClassVar[str]
    """Its name in the back ends."""
    slots: ClassVar[tuple[str, ...]]
    """The arrays that it keeps for each parameter, in the kernel's order."""
    learning_rate: float | Schedule
    weight_decay: float
    clip_norm: float | None

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_rate(name, self.learning_rate)
        check_number(name, "weight_decay", self.weight_decay)
        if self.clip_norm is not None:
            check_number(name, "clip_norm", self.clip_norm, above=0)
        for setting in ("momentum", "rho", "beta_1", "beta_2"):
            if hasattr(self, setting):
                check_number(name, setting, getattr(self, setting), below=1)
        if hasattr(self, "epsilon"):
            check_number(name, "epsilon", getattr(self, "epsilon"), above=0)  # noqa: B009

    def start(self, parameters: Arrays) -> State:
        """A fresh state for these parameters."""
        return State(
            {slot: {name: np.zeros_like(p) for name, p in parameters.items()} for slot in self.slots}
        )

    def update(
        self, kernels: ModuleType, parameters: Arrays, gradients: Arrays, state: State, position: Position
    ) -> float:
        """One step: clip, then change parameters and state in place. Gradients may be overwritten.

        Returns the learning rate that was used.
        """
        if self.clip_norm is not None:
            clip_by_global_norm(kernels, gradients, self.clip_norm)
        rate = rate_at(self.learning_rate, position)
        state.step += 1
        kernel, numbers = getattr(kernels, self.kernel), self.numbers(state.step, rate)
        groups = parameters, gradients, *(state.slots[slot] for slot in self.slots)
        kernel(*([group[name] for name in parameters] for group in groups), *numbers)
        return rate

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        """The numbers that the kernel takes after its lists of arrays; step counts from 1."""
        raise NotImplementedError


@sealed
@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: `v = mu v - lr g; p += v`, with nesterov `p += mu v - lr g` (Sutskever et al. 2013)."""

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    clip_norm: float | None = None
    kernel = "sgd"
    slots = ("velocity",)

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        return rate, float(self.momentum), bool(self.nesterov), float(self.weight_decay)


@sealed
@dataclass(frozen=True)
class RMSprop(Optimizer):
    """`s = rho s + (1-rho) g²; p -= lr g / (sqrt(s) + epsilon)` (Hinton 2012)."""

    learning_rate: float | Schedule = 1e-3
    rho: float = 0.9
    epsilon: float = 1e-7
    weight_decay: float = 0.0
    clip_norm: float | None = None
    kernel = "rmsprop"
    slots = ("square",)

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        return rate, float(self.rho), float(self.epsilon), float(self.weight_decay)


@sealed
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), with decoupled weight decay unless that is 0.

    `m = b1 m + (1-b1) g; s = b2 s + (1-b2) g²; p -= lr m/(1-b1^t) / (sqrt(s/(1-b2^t)) + epsilon)` at step t = 1, 2, …
    """

    learning_rate: float | Schedule = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    weight_decay: float = 0.0
    clip_norm: float | None = None
    kernel = "adam"
    slots = ("moment", "square")

    def numbers(self, step: int, rate: float) -> tuple[float, ...]:
        return (
            step,
            rate,
            float(self.beta_1),
            float(self.beta_2),
            float(self.epsilon),
            float(self.weight_decay),
        )


@sealed
@dataclass(frozen=True)
class AdamW(Adam):
    """Adam after `p -= lr weight_decay p` (Loshchilov and Hutter 2019); weight_decay 0.004, Keras' default."""

    weight_decay: float = 0.004


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "rmsprop": RMSprop, "adam": Adam, "adamw": AdamW}


def get_optimizer(optimizer: str | Optimizer | None) -> Optimizer:
    """The optimizer itself, or the one of that name with its defaults; None is Adam(1e-3)."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    name = "adam" if optimizer is None else optimizer
    if not isinstance(name, str) or name.lower() not in OPTIMIZERS:
        raise TinynetError(f"there is no optimizer {optimizer!r}; choose one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name.lower()]()


def global_norm(kernels: ModuleType, gradients: Arrays) -> float:
    """Square root of the sum of the squares of all gradients."""
    return math.sqrt(kernels.sum_of_squares(list(gradients.values())))


def clip_by_global_norm(kernels: ModuleType, gradients: Arrays, limit: float) -> float:
    """If the norm of all gradients together is above `limit`, scale them in place so that it equals the limit.

    Returns the norm before (Pascanu et al. 2013).
    """
    norm = global_norm(kernels, gradients)
    if norm > limit:
        kernels.scale(list(gradients.values()), limit / norm)
    return norm


@dataclass
class MovingAverage:
    """Exponential moving average of a network's arrays (Polyak averaging): `a += (1-d) (p - a)` after each step.

    d = min(decay, (1+t)/(10+t)) at step t, so that the initial weights soon stop counting (TensorFlow's rule).
    """

    decay: float
    arrays: Arrays = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_number("ema", "decay", self.decay, above=0, below=1)

    def start(self, arrays: Arrays) -> None:
        """Start from these values."""
        self.arrays = {name: array.copy() for name, array in arrays.items()}

    def update(self, kernels: ModuleType, arrays: Arrays, step: int) -> None:
        """Update with the values after a step, counted from 1."""
        amount = 1 - min(self.decay, (1 + step) / (10 + step))
        kernels.blend(list(self.arrays.values()), [arrays[name] for name in self.arrays], amount)
