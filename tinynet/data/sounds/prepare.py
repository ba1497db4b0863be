"""A sound into what a model takes, as the model's own file says: blocks of normalised log-mel frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...checks import Shape, check_count, check_flag
from ...errors import SoundError
from .. import preparation
from .mel import decibels, loudness
from .resample import resample
from .speech import find_speech
from .wav import Sound, bounded

RANGE = 60.0
"""Decibels below the loudest frame so far that become 0, as silence and padding are."""
LIMITS = {"rate": (4_000, 48_000), "mels": (1, 256), "step": (1, 1000)}


@dataclass(frozen=True)
class Preparation(preparation.Preparation):
    """How sounds become the input of a model, (steps, 2 · step, mels, 1): each step of the network sees its own frames and those of
    the step before.

    rate: samples per second; mels: bands of a frame; step: frames of a step; steady: whether steady sound is
    something to hear, as that of machines, or silence, as behind words. Raises TinynetError for numbers that make no sense.
    """

    kind, samples = "sound", "sounds"

    rate: int = 8000
    mels: int = 40
    step: int = 8
    steady: bool = False

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            check_count("the preparation of sounds", name, getattr(self, name), least, most)
        check_flag("the preparation of sounds", "steady", self.steady)

    @property
    def step_shape(self) -> tuple[int, int, int]:
        """Of one step of a sample."""
        return 2 * self.step, self.mels, 1

    @property
    def input_shape(self) -> Shape:
        """Of one sample."""
        return None, *self.step_shape


def prepare(sound: Sound, preparation: Preparation) -> np.ndarray | None:
    """What a model takes of a sound, float32 (steps, 2 · step, mels, 1) in 0…1; None where nothing is said in it."""
    samples = resample(sound.samples, sound.rate, preparation.rate)
    frames = decibels(samples, preparation.rate, preparation.mels)
    spoken = find_speech(frames, preparation.steady)
    if spoken is None:
        return None
    return windows(normalise(frames[spoken])[0][None], preparation.step)[0]


def prepare_all(sounds: Iterable[Sound], preparation: Preparation) -> np.ndarray:
    """Several sounds, uint8 (n, steps, 2 · step, mels, 1), as many steps as the longest has; all 0 where nothing is said."""
    found = [prepare(sound, preparation) for sound in sounds]
    longest = max((len(steps) for steps in found if steps is not None), default=1)
    x = np.zeros((len(found), longest, *preparation.step_shape), np.uint8)
    for row, steps in zip(x, found, strict=True):
        if steps is not None:
            row[: len(steps)] = as_bytes(steps)
    return x


def as_bytes(steps: np.ndarray) -> np.ndarray:
    """What `prepare` returns as uint8, 255 for 1, in a quarter of the memory; a value above 0 stays above it. Models divide by 255."""
    return np.maximum(np.round(steps * 255), steps > 0).astype(np.uint8)


def normalise(frames: np.ndarray, level: float = -np.inf) -> tuple[np.ndarray, float]:
    """Decibels (t, mels) as 0…1, whatever their level: 1 + (frame − level) / RANGE, not below 0; and the level at their end.

    The level is that of the loudest frame so far, so that sound that still comes is normalised as a clip is.
    """
    levels = np.maximum(np.maximum.accumulate(loudness(frames)), level)
    scaled = np.maximum(1 + (frames - levels[:, None]) / RANGE, 0)
    return scaled.astype(np.float32), float(levels[-1]) if len(levels) else level


def windows(frames: np.ndarray, step: int) -> np.ndarray:
    """Frames (n, t, mels) in the steps of a network, (n, ⌈t / step⌉, 2 · step, mels, 1); before and after them there is silence.

    A step without sound of its own is all silence, which a network passes over.
    """
    n, t, mels = frames.shape
    padded = np.pad(frames, ((0, 0), (step, -t % step), (0, 0)))
    blocks = padded.reshape(n, -1, step, mels)
    before, own = blocks[:, :-1], blocks[:, 1:]
    return np.concatenate([before * own.any(axis=(2, 3), keepdims=True), own], axis=2)[..., None]


def frames_of(steps: np.ndarray) -> np.ndarray:
    """The frames (n, t, mels) of which `windows` made these steps (n, t / step, 2 · step, mels, 1)."""
    n, count, window, mels, _ = steps.shape
    return steps[:, :, window // 2 :].reshape(n, count * window // 2, mels)


def as_long_as_the_longest(x: np.ndarray) -> np.ndarray:
    """Sounds (n, steps, …) without the steps after all of them are over."""
    sounding = np.flatnonzero(x.any(axis=(0, *range(2, x.ndim))))
    return x[:, : int(sounding[-1]) + 1 if len(sounding) else 1]


def thirds(steps: np.ndarray) -> np.ndarray:
    """The mean frames of the three thirds of each sound, (n, 3 · mels) float32: the features of the linear baseline."""
    frames = frames_of(steps).astype(np.float32)
    lengths = lengths_of(frames)
    place = np.arange(frames.shape[1]) * 3
    parts = []
    for third in range(3):
        within = (place >= third * lengths[:, None]) & (place < (third + 1) * lengths[:, None])
        total = np.einsum("nt,ntm->nm", within.astype(np.float32), frames)
        parts.append(total / np.maximum(within.sum(axis=1), 1)[:, None])
    return np.concatenate(parts, axis=1)


def lengths_of(frames: np.ndarray) -> np.ndarray:
    """Of sounds (n, t, mels): frames up to the last in which there is anything."""
    sounding = np.any(frames, axis=2)
    return np.where(np.any(sounding, axis=1), frames.shape[1] - np.argmax(sounding[:, ::-1], axis=1), 0)


def check_sound(samples: Any, rate: int) -> Sound:
    """An array of samples (n,) of that rate; raises SoundError for one that is none."""
    array = np.asarray(samples)
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise SoundError(f"a sound is an array of samples (n,), not {array.dtype} of shape {array.shape}")
    if array.dtype.kind != "f":
        array = array / np.float32(np.iinfo(array.dtype).max)
    return Sound(bounded(array), rate)
