"""Random copies of clips that show the same: moved, turned and scaled as a whole, begun later, faster and slower, brighter and darker."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np

from ...settings import sealed
from ..augmentation import Augmentation
from ..pictures.augment import Augment, draw_matrices
from ..pictures.prepare import rim
from .prepare import as_long_as_the_longest, frames_of, lengths_of, pairs

DARKEST = np.float32(1 / 255)
"""Of a frame; what is 0 follows the end of a clip."""


@sealed
@dataclass(frozen=True)
class ClipAugment(Augmentation):
    """How far clips may be changed. Every amount is drawn uniformly from its range, anew for each clip, the same for all its frames.

    shift, rotate, scale, shear, flip: as in `Augment`; a mirrored clip moves the other way, so none is mirrored unless asked for
    cut: the part of a clip that is left out at its ends, at most
    speed: 0.5 is between 1/1.5 and 1.5 times as fast, by frames that are left out or shown twice
    gain: how far each pixel may be brightened or darkened, as a part of its distance from the border's colour

    Raises TinynetError on an amount that is negative or not finite, a cut of 1 or more, and as `Augment` does.
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    flip: bool = False
    cut: float = 0.0
    speed: float = 0.0
    gain: float = 0.0

    of = "clips, x of shape (n, frames, height, width, 2 · channels)"
    axes = (5,)
    limits: ClassVar = {"shear": {"below": 90}, "cut": {"below": 1}}

    def apply(self, batch: np.ndarray, kernels: ModuleType, rng: np.random.Generator | int) -> np.ndarray:
        return augment(batch, self, kernels, rng)


CLIPS = ClipAugment(shift=0.15, rotate=8.0, scale=0.15, shear=4.0, cut=0.25, speed=0.25, gain=0.2)
"""For folders of clips: no mirroring, since what goes to the left would go to the right."""
MOVING = ClipAugment(shift=0.1, rotate=10.0, scale=0.1, shear=7.0, cut=0.2, speed=0.2, gain=0.2)
"""For digits that move."""


def augment(
    clips: np.ndarray, settings: ClipAugment, kernels: ModuleType, rng: np.random.Generator | int
) -> np.ndarray:
    """Changed copies of clips (n, frames, h, w, 2c) float32, as long as the longest of them is then, by the back end's `warp`.

    What comes in from outside a frame has the colour of its border. The changes depend on rng, a generator or a seed, and nothing
    else. `ClipAugment()` leaves out the frames in which all clips are over, and changes nothing else.
    """
    clips = np.ascontiguousarray(as_long_as_the_longest(clips))
    if settings == ClipAugment():
        return clips
    rng = np.random.default_rng(rng)
    clips, real = _in_time(frames_of(clips), settings, rng)
    n, t, height, width, channels = clips.shape
    ground = np.median(rim(clips[:, 0]), axis=1).reshape(n, 1, 1, 1, channels)
    gain = 1 + settings.gain * (2 * rng.random((n, 1, 1, 1, 1), dtype=np.float32) - 1)
    standing = Augment(settings.shift, settings.rotate, settings.scale, settings.shear, flip=settings.flip)
    matrices = np.repeat(draw_matrices(standing, n, height, width, rng), t, axis=0)
    folded = ((clips - ground) * gain).reshape(n * t, height, width, channels)
    warped = np.asarray(kernels.warp(folded, matrices)).reshape(clips.shape)
    return pairs(np.clip(warped + ground, DARKEST, 1) * real[:, :, None, None, None])


def _in_time(
    clips: np.ndarray, settings: ClipAugment, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of a part of each clip at another speed, and which of them are real, (n, t) bool."""
    n, t = clips.shape[:2]
    lengths = lengths_of(clips)
    part, begin, pace = rng.random((3, n), dtype=np.float32)
    kept = np.maximum(lengths * (1 - settings.cut * part), np.minimum(lengths, 2))
    speed = np.exp(math.log1p(settings.speed) * (2 * pace - 1))
    count = np.clip(np.round(kept / speed), np.minimum(lengths, 2), t).astype(np.int64)
    first = begin * (lengths - kept)
    index = first[:, None] + np.arange(count.max(initial=1)) * speed[:, None]
    index = np.minimum(index.astype(np.int64), np.maximum(lengths, 1)[:, None] - 1)
    real = np.arange(index.shape[1]) < count[:, None]
    return clips[np.arange(n)[:, None], index], real
