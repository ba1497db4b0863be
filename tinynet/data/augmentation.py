"""Augmentation: random copies of the samples of a batch that mean the same. Each kind of data has its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from ..checks import check_flag, check_number


class Augmentation:
    """How far samples may be changed, a dataclass of amounts and flags, which are checked when it is made."""

    of: ClassVar[str]
    """What it changes, and in which shape."""
    axes: ClassVar[tuple[int, ...]]
    """How many axes a batch may have."""
    changes_ids: ClassVar[bool] = False
    """Whether they are whole numbers."""
    limits: ClassVar[Mapping[str, Mapping[str, float]]] = {}
    """Bounds of `check_number` for amounts that may not be as large as one likes."""

    mix: float = 0.0
    """How strongly samples are mixed with each other, which training does: the α of `training.mixing`."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            kind, value = type(self).__name__, getattr(self, field.name)
            if isinstance(field.default, bool):
                check_flag(kind, field.name, value)
            else:
                check_number(kind, field.name, value, **self.limits.get(field.name, {}))

    def shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a changed sample."""
        return input_shape

    def apply(self, batch: np.ndarray, kernels: ModuleType, rng: np.random.Generator | int) -> np.ndarray:
        """Changed copies of a batch, float32 or ids; they depend on rng, a generator or a seed, and nothing else."""
        raise NotImplementedError


@dataclass(frozen=True)
class PerInput:
    """One augmentation for each input of a network, None for an input that stays as it is."""

    parts: tuple[Augmentation | None, ...]

    mix: ClassVar[float] = 0.0

    def apply(self, batch: tuple[Any, ...], kernels: ModuleType, seed: int) -> tuple[Any, ...]:
        """The arrays of a batch, each changed in its way."""
        changed = (
            x if part is None else part.apply(x, kernels, np.random.default_rng([seed, place]))
            for place, (part, x) in enumerate(zip(self.parts, batch, strict=True))
        )
        return tuple(changed)
