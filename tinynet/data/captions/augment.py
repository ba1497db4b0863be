"""Captions with other words in them, so that a network that describes a picture looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np

from ...settings import sealed
from ..augmentation import Augmentation
from .words import END


@sealed
@dataclass(frozen=True)
class WordAugment(Augmentation):
    """How many of the words before are wrong, when a network learns which word comes next.

    replace: chance that a word is replaced by one that stands anywhere in the batch. What often follows a word says less then, and
        the picture more (word dropout, Bowman et al., "Generating sentences from a continuous space", 2016).

    Raises TinynetError on a chance that is not within 0…1.
    """

    replace: float = 0.0

    of = "words, x of shape (n, steps) of ids"
    axes = (2,)
    changes_ids = True
    limits: ClassVar = {"replace": {"most": 1}}

    def apply(self, batch: np.ndarray, kernels: ModuleType, rng: np.random.Generator | int) -> np.ndarray:
        rng = np.random.default_rng(rng)
        written = batch != END
        replaced = written & (rng.random(batch.shape) < self.replace)
        changed = batch.copy()
        changed[replaced] = rng.choice(batch[written], np.count_nonzero(replaced)) if replaced.any() else 0
        return changed
