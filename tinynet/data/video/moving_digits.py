"""Moving digits: clips of a handwritten digit that moves left, right, up or down and comes back in on the other side.

After Moving MNIST (Srivastava, Mansimov & Salakhutdinov 2015), with a class to tell: which digit it is and which way it goes. It
starts anywhere along its way, so a frame, and the mean of all, show at most the axis along which it goes, never which way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..pictures.mnist import Dataset
from .prepare import Preparation, prepare_all

SIDE = 32
"""Pixels of a frame."""
ROOM = 44, 72
"""How wide a frame is in the pixels of a digit, of which it has 28: the digit takes 39 to 64 % of it."""
LENGTHS = 6, 12
SPEEDS = 0.02, 0.1
"""Of a frame's side per frame."""
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
LABELS = [f"{digit} {direction}" for digit in range(10) for direction in DIRECTIONS]
TRAINING, VALIDATION = 16_000, 2_000
"""Clips of the first training digits to train on, and clips of the last on which settings are chosen."""
TOGETHER = 256


@dataclass(frozen=True)
class Clips:
    """x: uint8 (n, frames, height, width, 1), 0 after the end of a clip; y: index into LABELS."""

    x: np.ndarray
    y: np.ndarray

    def prepared(self, preparation: Preparation) -> np.ndarray:
        """The clips as a model takes them."""
        frames = (clip[clip.any(axis=(1, 2, 3))] / np.float32(255) for clip in self.x)
        return prepare_all(frames, preparation)


@dataclass(frozen=True)
class MovingDigits:
    """Clips of the digits of MNIST: each is made once, of its own digit."""

    digits: Dataset

    labels = LABELS

    def training(self) -> Clips:
        """Clips to train on."""
        return self._training_digits(slice(TRAINING), seed=0)

    def validation(self) -> Clips:
        """Clips of other digits, to choose settings on."""
        return self._training_digits(slice(-VALIDATION, None), seed=1)

    def test(self) -> Clips:
        """Clips of all test digits."""
        return moving(self.digits.x_test, self.digits.y_test, seed=2)

    def _training_digits(self, part: slice, seed: int) -> Clips:
        return moving(self.digits.x_train[part], self.digits.y_train[part], seed)


def moving(digits: np.ndarray, y: np.ndarray, seed: int) -> Clips:
    """A clip of each digit, uint8 (n, 28, 28, 1): how large it is, where it starts, which way it goes, how fast and how long is drawn
    from seed.
    """
    rng, n = np.random.default_rng(seed), len(digits)
    way = rng.integers(0, len(DIRECTIONS), n)
    steps = np.array(list(DIRECTIONS.values()))[way] * rng.uniform(*SPEEDS, n)[:, None]
    start, room = rng.random((n, 2)), rng.uniform(*ROOM, n)
    start = np.where(steps == 0, start * (1 - digits.shape[1] / room)[:, None], start)
    lengths = rng.integers(LENGTHS[0], LENGTHS[1] + 1, n)
    time = np.arange(LENGTHS[1])[:, None]
    x = np.zeros((n, LENGTHS[1], SIDE, SIDE, 1), np.uint8)
    for begin in range(0, n, TOGETHER):
        some = slice(begin, begin + TOGETHER)
        places = start[some, None] + time * steps[some, None]
        frames = _drawn(digits[some, :, :, 0], places, room[some])
        frames[time[:, 0] >= lengths[some, None]] = 0
        x[some] = frames[..., None]
    return Clips(x, len(DIRECTIONS) * y + way)


def _drawn(digits: np.ndarray, places: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Digits (n, 28, 28) at places (n, t, 2), parts of a frame whose opposite sides meet, uint8 (n, t, SIDE, SIDE).

    A pixel is the mean of four points of the digit.
    """
    n, size = digits.shape[:2]
    canvas = np.pad(
        digits, ((0, 0), (0, 1), (0, 1))
    )  # whatever lies beside the digit is one row and one column of zeros
    points = (np.arange(2 * SIDE) + 0.5) / (2 * SIDE)
    within = (points - places[..., None]) % 1 * room[:, None, None, None]
    rows, columns = np.moveaxis(np.minimum(within.astype(np.int64), size), 2, 0)
    down = _pairs(canvas[np.arange(n)[:, None, None], rows].swapaxes(2, 3))
    across = _pairs(np.take_along_axis(down, columns[..., None], axis=2).swapaxes(2, 3))
    return (across / 4 + 0.5).astype(np.uint8)


def _pairs(values: np.ndarray) -> np.ndarray:
    """The sums of neighbours along the last axis, float32."""
    return values[..., ::2].astype(np.float32) + values[..., 1::2]
