"""Spoken digits: 3,000 clips of six people who say 0 to 9 (Jackson, "Free spoken digit dataset", 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...archive import Archive
from ...errors import DataError
from ...files import open_file
from .prepare import Preparation, prepare_all
from .wav import Sound

RATE = 8000
LABELS = [str(digit) for digit in range(10)]
TESTS = 5
"""Of each speaker and digit the first so many clips are the official test set."""
VALIDATION = range(5, 10)
"""And those on which settings are chosen."""
ARRAYS = ("samples", "lengths", "label", "speaker", "index")


@dataclass(frozen=True)
class SpokenDigits:
    """Clips one after the other: samples int16 of all; of each clip its length, its digit, who speaks, and which of their clips
    of this digit it is.
    """

    samples: np.ndarray
    lengths: np.ndarray
    y: np.ndarray
    speaker: np.ndarray
    index: np.ndarray

    labels = LABELS

    @property
    def is_test(self) -> np.ndarray:
        """Which clips are in the official test set."""
        return self.index < TESTS

    def part(self, chosen: np.ndarray) -> SpokenDigits:
        """Some of the clips, (n,) bool."""
        samples = self.samples[np.repeat(chosen, self.lengths)]
        return SpokenDigits(samples, *(a[chosen] for a in (self.lengths, self.y, self.speaker, self.index)))

    def sounds(self) -> list[Sound]:
        """All clips."""
        pieces = np.split(self.samples.astype(np.float32) / 32768, np.cumsum(self.lengths)[:-1])
        return [Sound(piece, RATE) for piece in pieces]

    def prepared(self, preparation: Preparation) -> np.ndarray:
        """All clips as a model takes them, uint8; all 0 where nothing is said."""
        return prepare_all(self.sounds(), preparation)


def read_npz(path: Path) -> SpokenDigits:
    """The data set of a file with the arrays samples, lengths, label, speaker and index; raises DataError for any other."""
    try:
        with open_file(path) as file:
            archive = Archive(file, str(path), "data set", DataError)
            if not set(archive.names) >= set(ARRAYS):
                raise DataError(f"{path} lacks one of the arrays {', '.join(ARRAYS)}")
            samples, lengths, label, speaker, index = (archive.array(key) for key in ARRAYS)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    whole = all(array.dtype.kind in "iu" for array in (lengths, label, index)) and samples.dtype == np.int16
    alike = {array.shape for array in (lengths, label, speaker, index)} == {(len(lengths),)}
    if not (whole and alike and len(lengths) and lengths.min() >= 0 and lengths.sum() == len(samples)):
        raise DataError(
            f"{path} does not hold spoken digits: samples of 16 bits, and as many lengths as labels"
        )
    if label.min() < 0 or label.max() >= len(LABELS):
        raise DataError(f"{path} has labels outside 0…{len(LABELS) - 1}")
    return SpokenDigits(samples, lengths, label.astype(np.int64), speaker, index)
