"""Sounds as the samples of a folder, and what is odd about them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SoundError
from .mel import HOP
from .prepare import Preparation, as_bytes, as_long_as_the_longest, prepare
from .wav import is_sound, read_length, read_wav

LOOKED_AT, FEW = 40, 0.1
"""Sounds of a folder that are looked at, and the share from which steady ones are to be heard, as those of machines are."""
LONGEST = 4.0
"""Seconds of a sound that are learnt from; what comes after them is left out."""
RATES = 8_000, 16_000
"""Rates that a model may read: the higher one where most sounds have at least that."""


@dataclass
class SoundReader:
    """A `Reader` of sounds of any length and kind: x is uint8 (n, steps, 2 · step, mels, 1), 0 in steps after a sound is over.

    To evaluate a model, give the preparation that is in its file; otherwise it suits the sounds.
    """

    chosen: Preparation | None = None
    sample: str = field(default="sound", init=False)

    @property
    def preparation(self) -> dict[str, Any]:
        """As a model's file says it."""
        return (self.chosen or Preparation()).settings()

    def is_sample(self, path: Path) -> bool:
        """Whether a file should be a sound; for one that is not a .wav file the error says how to convert it."""
        return is_sound(path)

    def empty(self, files: Sequence[Path]) -> np.ndarray:
        """Room for these sounds, as many steps as the longest has."""
        lengths = []
        for file in files:
            with suppress(SoundError):  # which `read` will tell
                lengths.append(read_length(file))
        if self.chosen is None:
            self.chosen = _suited(files, [rate for rate, _ in lengths])
        longest = min(max((seconds for _, seconds in lengths), default=0.0), LONGEST)
        steps = int(longest / HOP) // self.chosen.step + 1
        return np.zeros((len(files), steps, *self.chosen.step_shape), np.uint8)

    def read(self, file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
        """A sound, prepared, in bytes; None where nothing is said in it. Raises SoundError."""
        assert self.chosen is not None
        steps = prepare(read_wav(file), self.chosen)
        if steps is None:
            return None
        found = np.zeros(shape, np.uint8)
        found[: len(steps)] = as_bytes(steps[: len(found)])
        return found

    def finish(self, x: np.ndarray, path: Path) -> tuple[np.ndarray, list[str]]:
        """The sounds, as long as the longest of them."""
        return as_long_as_the_longest(x), []


def _suited(files: Sequence[Path], rates: list[int]) -> Preparation:
    """The preparation that suits these sounds, judged by some of them."""
    rate = RATES[1] if np.median(rates or RATES[:1]) >= RATES[1] else RATES[0]
    found = Preparation(rate=rate)
    said = []
    for file in files[:: -(-len(files) // LOOKED_AT) or 1]:
        with suppress(SoundError):
            said.append(prepare(read_wav(file), found) is not None)
    return replace(found, steady=said.count(False) > FEW * len(said))
