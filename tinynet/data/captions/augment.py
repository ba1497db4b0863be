"""Captions with other words in them, so that a network that describes a picture looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from ...checks import check_count, check_number
from ...errors import TinynetError
from ...settings import sealed
from ..augmentation import Augmentation
from .words import END


@sealed
@dataclass(frozen=True)
class WordAugment(Augmentation):
    """How many of the words before are wrong, when a network learns which word comes next.

    replace: chance that a word is replaced by one that stands anywhere in the batch. What often follows a word says less then, and
        the picture more (word dropout, Bowman et al., "Generating sentences from a continuous space", 2016).
    only: the ids of words that are replaced, by each other; () is all words

    Raises TinynetError on a chance that is not within 0…1, and on anything but ids.
    """

    replace: float = 0.0
    only: tuple[int, ...] = ()

    of = "words, x of shape (n, steps) of ids"
    axes = (2,)
    changes_ids = True

    def __post_init__(self) -> None:
        check_number("WordAugment", "replace", self.replace, most=1)
        if not isinstance(self.only, tuple):
            raise TinynetError(f"WordAugment: only must be a tuple of ids, not {self.only!r}")
        for word in self.only:
            check_count("WordAugment", "only", word)

    def apply(self, batch: np.ndarray, kernels: ModuleType, rng: np.random.Generator | int) -> np.ndarray:
        rng = np.random.default_rng(rng)
        eligible = np.isin(batch, self.only) if self.only else batch != END
        replaced = eligible & (rng.random(batch.shape) < self.replace)
        changed = batch.copy()
        if replaced.any():
            changed[replaced] = rng.choice(batch[eligible], np.count_nonzero(replaced))
        return changed
