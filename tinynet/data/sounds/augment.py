"""Random copies of sounds that say the same: later or earlier, faster or slower, higher or lower, through other microphones, in noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from ...settings import sealed
from ..augmentation import Augmentation
from .prepare import RANGE, as_long_as_the_longest, frames_of, lengths_of, windows

MASKS = 2
"""Runs of bands that are silenced in each sound."""
FLUCTUATION = 0.04
"""Standard deviation of noise from frame to frame and band to band, in parts of RANGE: 2.4 dB."""
SHORTEST = 4
"""Fewest frames of a sound that is made faster."""


@sealed
@dataclass(frozen=True)
class SoundAugment(Augmentation):
    """How far sounds may be changed. Every amount is drawn uniformly from its ± range, anew for each sound.

    shift: frames by which it begins earlier, or later, after silence
    speed: 0.2 is between 1/1.2 and 1.2 times as fast
    pitch: 0.1 spreads the bands by a factor between 1/1.1 and 1.1, as a shorter or longer vocal tract does (Jaitly & Hinton 2013)
    bands: bands by which all are moved
    gain: of all bands, as a part of the 60 dB that are kept
    tilt: of the highest against the lowest bands, and half as much of a wave over them: another microphone, another room
    noise: steady noise up to this part of the 60 dB; a quarter of the sounds has none
    mask: bands that are silenced at most, twice, and frames, once (SpecAugment, Park et al. 2019)

    Raises TinynetError on an amount that is negative or not finite.
    """

    shift: float = 0.0
    speed: float = 0.0
    pitch: float = 0.0
    bands: float = 0.0
    gain: float = 0.0
    tilt: float = 0.0
    noise: float = 0.0
    mask: float = 0.0

    of = "sounds, x of shape (n, steps, frames, bands, 1)"
    axes = (5,)

    def apply(self, batch: np.ndarray, kernels: ModuleType, rng: np.random.Generator | int) -> np.ndarray:
        return augment(batch, self, kernels, rng)


SPOKEN = SoundAugment(shift=4.0, speed=0.2, pitch=0.12, bands=2.0, gain=0.1, tilt=0.15, noise=0.5, mask=8.0)
"""For words that anybody may say."""


def augment(
    steps: np.ndarray, settings: SoundAugment, kernels: ModuleType, rng: np.random.Generator | int
) -> np.ndarray:
    """Changed copies of sounds (n, steps, window, mels, 1), as long as the longest of them is then.

    Time and bands are stretched by the back end's `warp`. The changes depend on rng, a generator or a seed, and nothing else.
    `SoundAugment()` leaves out the steps in which all sounds are over, and changes nothing else.
    """
    if settings == SoundAugment():
        return np.ascontiguousarray(as_long_as_the_longest(steps))
    rng = np.random.default_rng(rng)
    frames = frames_of(steps)
    frames, lengths = _stretched(frames, settings, kernels, rng)
    frames = _in_noise(_through_microphones(frames, settings, rng), settings, rng)
    frames = _masked(frames, lengths, int(settings.mask), rng)
    return windows(frames, steps.shape[2] // 2)


def _amounts(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Uniform in ±1."""
    return 2 * rng.random(shape, dtype=np.float32) - 1


def _stretched(
    frames: np.ndarray, settings: SoundAugment, kernels: ModuleType, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Frames (n, t, mels) at another speed and pitch, and how many of each sound there are then."""
    n, _, mels = frames.shape
    lengths = lengths_of(frames)
    t = math.ceil((lengths.max(initial=1) + settings.shift) * (1 + settings.speed))
    padded = np.zeros((n, t, mels, 1), np.float32)
    padded[:, : frames.shape[1], :, 0] = frames[:, :t]
    speed = np.exp(math.log1p(settings.speed) * _amounts(rng, n))
    later = settings.shift * _amounts(rng, n)
    maps = np.zeros(
        (n, 2, 3), np.float32
    )  # from the place in the output to that in the input, from the middle
    maps[:, 0, 0] = speed
    maps[:, 0, 2] = (speed - 1) * (t - 1) / 2 - later
    maps[:, 1, 1] = np.exp(math.log1p(settings.pitch) * _amounts(rng, n))
    maps[:, 1, 2] = settings.bands * _amounts(rng, n)
    lengths = np.clip(np.ceil((lengths + later) / speed), SHORTEST, t).astype(np.int64)
    longest = lengths.max(initial=1)
    stretched = np.asarray(kernels.warp(padded, maps))[:, :longest, :, 0]
    return stretched * _real(longest, lengths), lengths


def _real(t: int, lengths: np.ndarray) -> np.ndarray:
    """Which of t frames belong to each sound, (n, t, 1)."""
    return (np.arange(t) < lengths[:, None])[:, :, None]


def _through_microphones(frames: np.ndarray, settings: SoundAugment, rng: np.random.Generator) -> np.ndarray:
    """Frames with another gain in each band, the same all the time; silence stays silence."""
    n, _, mels = frames.shape
    place = np.linspace(-1, 1, mels, dtype=np.float32)
    gain, tilt, wave, phase = _amounts(rng, 4, n, 1, 1)
    curve = settings.gain * gain + settings.tilt * (
        tilt * place + wave / 2 * np.cos(np.pi * (2 * place + phase))
    )
    return np.maximum(frames + curve * (frames > 0), 0)


def _in_noise(frames: np.ndarray, settings: SoundAugment, rng: np.random.Generator) -> np.ndarray:
    """Frames with steady noise added, power to power, up to the end of each sound."""
    n, _, mels = frames.shape
    if not settings.noise:
        return frames
    place = np.linspace(-1, 1, mels, dtype=np.float32)
    level = settings.noise * (4 * rng.random((n, 1, 1), dtype=np.float32) - 1) / 3
    noise = level + settings.tilt * _amounts(rng, n, 1, 1) * place
    noise = noise + FLUCTUATION * rng.standard_normal(frames.shape, dtype=np.float32)
    nepers = RANGE * math.log(10) / 10
    louder = np.maximum(frames, noise) + np.log1p(np.exp(-nepers * np.abs(frames - noise))) / nepers
    real = _real(frames.shape[1], lengths_of(frames))
    return np.where(real, np.maximum(louder, 0), 0)


def _masked(frames: np.ndarray, lengths: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Frames with runs of bands, and one of frames, silenced."""
    n, t, mels = frames.shape
    kept = np.ones((n, t, mels), bool)
    for _ in range(MASKS):
        kept &= ~_runs(mels, rng.random(n) * mels, most, rng)[:, None]
    kept &= ~_runs(t, rng.random(n) * lengths, most, rng)[:, :, None]
    return frames * kept


def _runs(size: int, start: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """(n, size) bool: for each sound True in one run of at most `most` places."""
    first = start.astype(np.int64)[:, None]
    last = first + rng.integers(0, most + 1, len(start))[:, None]
    return (np.arange(size) >= first) & (np.arange(size) < last)
