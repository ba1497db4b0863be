"""Log-mel frames: what a sound holds of each band of pitch, a hundred times per second, whatever its loudness.

A frame is 25 ms. Its power spectrum is summed in triangles that are equally wide on the mel scale, in which ears hear equal
steps (Stevens, Volkmann & Newman 1937; Davis & Mermelstein 1980), and the sums are taken in decibels.
"""

from __future__ import annotations

import functools

import numpy as np

FRAME, HOP = 0.025, 0.01
"""Seconds of a frame, and from one to the next."""
LOWEST, HIGHEST = 60.0, 0.45
"""Hertz where the first band begins, and part of the rate where the last one ends: below what resampling cuts off."""
FLOOR = 1e-12
"""Power that is added to each band: −120 dB of full scale, less than 16 bits hold."""
BLOCK = 4096
"""Frames that are transformed at once."""


@functools.lru_cache(maxsize=8)
def bands(rate: int, mels: int) -> np.ndarray:
    """Weights (bins, mels) of the bins of a frame's spectrum in each band: triangles over the mel scale, 2595 log₁₀(1 + f / 700)."""
    first, last = (2595 * np.log10(1 + f / 700) for f in (LOWEST, HIGHEST * rate))
    mel = np.linspace(first, last, mels + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.arange(transform_size(rate) // 2 + 1)[:, None] * rate / transform_size(rate)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(np.minimum(rising, falling), 0)


def sizes(rate: int) -> tuple[int, int]:
    """Samples of a frame, and from one frame to the next."""
    return round(FRAME * rate), round(HOP * rate)


def transform_size(rate: int) -> int:
    """Points of the Fourier transform of a frame: twice the power of two that holds it, so that no band is without a bin."""
    return 2 << (sizes(rate)[0] - 1).bit_length()


class Framer:
    """Pieces of samples in, frames out: however the samples are cut into pieces, the frames are the same."""

    def __init__(self, rate: int, mels: int) -> None:
        self.rate, self.mels = rate, mels
        self.kept = np.empty(0, np.float32)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """The frames (t, mels), in decibels, that are complete with these samples."""
        self.kept = np.concatenate([self.kept, samples])
        found = decibels(self.kept, self.rate, self.mels)
        self.kept = self.kept[len(found) * sizes(self.rate)[1] :]
        return found


def decibels(samples: np.ndarray, rate: int, mels: int) -> np.ndarray:
    """Frames (t, mels) float32 of samples (n,): 10 log₁₀ of the power in each band; those of a sine at full scale sum
    to 0 dB.

    t = ⌊(n − frame) / hop⌋ + 1; fewer samples than a frame make none.
    """
    frame, hop = sizes(rate)
    if len(samples) < frame:
        return np.empty((0, mels), np.float32)
    views = np.lib.stride_tricks.sliding_window_view(samples, frame)[::hop]
    return np.concatenate([_decibels(views[i : i + BLOCK], rate, mels) for i in range(0, len(views), BLOCK)])


def _decibels(views: np.ndarray, rate: int, mels: int) -> np.ndarray:
    window = np.hanning(views.shape[1] + 2)[1:-1]
    spectrum = np.fft.rfft(views * window, transform_size(rate))
    power = (spectrum.real**2 + spectrum.imag**2) * 4 / (transform_size(rate) * np.square(window).sum())
    # not by BLAS, whose threads take longer to meet than so small a product does
    return (10 * np.log10(np.einsum("tb,bm->tm", power, bands(rate, mels)) + FLOOR)).astype(np.float32)


def loudness(frames: np.ndarray) -> np.ndarray:
    """Of each frame (t, mels), in decibels: the power of all bands together."""
    return 10 * np.log10((10 ** (frames / 10)).sum(axis=1))
