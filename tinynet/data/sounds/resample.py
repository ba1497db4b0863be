"""Samples at another rate, whole or as they come."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

ZERO_CROSSINGS, PASSBAND, KAISER = 32, 0.95, 8.0
"""Of the low-pass: zeros of the sinc on either side, part of the lower Nyquist frequency, shape of the window (−80 dB)."""
LARGEST_TERM = 1000
"""Of the ratio of two rates: exact for all that are in use, and within a millionth for any other."""
BLOCK = 1 << 20
"""Products that are made at once."""


class Resampler:
    """y[m] = Σ_k x[k] h(m · rate / target − k), h a sinc in a Kaiser window: pieces of samples in, pieces at another rate out.

    h cuts off what the lower of the two rates cannot hold. As many phases of h as the ratio of the rates has are made once
    (a polyphase filter). However the samples are cut into pieces, the output is the same. Smith, "Digital Audio Resampling", 2002.
    """

    def __init__(self, rate: int, target: int) -> None:
        self.up, self.down = simple_ratio(target, rate)
        cutoff = PASSBAND * min(1.0, target / rate)
        self.reach = math.ceil(ZERO_CROSSINGS / cutoff)
        offsets = np.arange(self.up)[:, None] / self.up - np.arange(1 - self.reach, self.reach + 1)
        self.phases = low_pass(offsets, cutoff, self.reach).astype(np.float32)
        self.kept = np.zeros(self.reach - 1, np.float32)  # samples from the first that the next output reads
        self.first = 1 - self.reach  # the place of that one
        self.made = 0

    def __call__(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """The outputs that are complete after these samples; after the last piece, all."""
        if self.up == self.down:
            return np.ascontiguousarray(samples, np.float32)
        self.kept = np.concatenate([self.kept, np.asarray(samples, np.float32)])
        end = self.first + len(self.kept)
        if last:
            self.kept = np.pad(self.kept, (0, self.reach))
        else:
            end = max(end - self.reach, 0)  # the last output may read no further
        outputs = np.arange(self.made, max(-(-end * self.up // self.down), self.made))
        found = self._outputs(outputs)
        self.made += len(outputs)
        beginning = self.made * self.down // self.up - self.reach + 1
        self.kept, self.first = self.kept[beginning - self.first :].copy(), beginning
        return found

    def _outputs(self, outputs: np.ndarray) -> np.ndarray:
        found = np.empty(len(outputs), np.float32)
        if not len(outputs):
            return found
        views = np.lib.stride_tricks.sliding_window_view(self.kept, 2 * self.reach)
        block = max(BLOCK // (2 * self.reach), 1)
        for start in range(0, len(outputs), block):
            part = outputs[start : start + block]
            taps = views[part * self.down // self.up - self.reach + 1 - self.first]
            phases = self.phases[part * self.down % self.up]
            found[start : start + block] = np.einsum("mk,mk->m", taps, phases)
        return found


def resample(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    """All samples (n,) at another rate, float32 (⌈n · target / rate⌉,)."""
    return Resampler(rate, target)(samples, last=True)


def simple_ratio(target: int, rate: int) -> tuple[int, int]:
    """Numerator and denominator of target / rate, in small numbers."""
    if target > rate:
        down, up = simple_ratio(rate, target)
        return up, down
    found = Fraction(target, rate).limit_denominator(LARGEST_TERM)
    return found.numerator, found.denominator


def low_pass(offsets: np.ndarray, cutoff: float, reach: int) -> np.ndarray:
    """h at distances from its centre, in samples of the input."""
    window = np.i0(KAISER * np.sqrt(np.maximum(1 - (offsets / reach) ** 2, 0))) / np.i0(KAISER)
    return cutoff * np.sinc(cutoff * offsets) * window
