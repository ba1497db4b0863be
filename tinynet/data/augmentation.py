"""Augmentation: random copies of the samples of a batch that mean the same. Each kind of data has its own."""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

import numpy as np


class Augmentation:
    """How far samples may be changed, a dataclass of amounts."""

    of: ClassVar[str]
    """What it changes, and in which shape."""
    axes: ClassVar[tuple[int, ...]]
    """How many axes a batch may have."""

    mix: float = 0.0
    """How strongly samples are mixed with each other, which training does: the α of `training.mixing`."""

    def apply(self, batch: np.ndarray, kernels: ModuleType, rng: np.random.Generator | int) -> np.ndarray:
        """Changed copies of a batch, float32; they depend on rng, a generator or a seed, and nothing else."""
        raise NotImplementedError
