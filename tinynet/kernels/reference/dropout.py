"""Dropout (Srivastava et al. 2014) whose mask is a function of a seed and the position, so that nothing is stored."""

from __future__ import annotations

import math

import numpy as np


def _mix(h: np.ndarray) -> np.ndarray:
    """The 32-bit finaliser of MurmurHash3 (Appleby): every input bit changes every output bit half of the time."""
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return h ^ (h >> np.uint32(16))


def hash32(seed: int, count: int) -> np.ndarray:
    """The first `count` 32-bit words of the stream of a seed: mix(i + mix(seed)), seed modulo 2³²."""
    start = _mix(np.array([seed & 0xFFFFFFFF], np.uint32))
    return _mix(np.arange(count, dtype=np.uint32) + start)


def seed_from(x: np.ndarray) -> int:
    """The seed that an array (1,) int64 holds, for `dropout` and its like; it may stay where the array is. Below 2³²."""
    return int(x[0])


def kept(shape: tuple[int, ...], rate: float, seed: int) -> np.ndarray:
    """Which elements of an array are kept: bool."""
    words = hash32(seed, math.prod(shape)).reshape(shape)
    return words >= np.uint32(min(int(rate * 2**32), 2**32 - 1))


def dropout(x: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """Set each element to zero with probability `rate`, scale the others by 1 / (1 - rate) (Srivastava et al. 2014).

    Element i is kept where hash32(seed, i) ≥ rate · 2³²; the gradient is the same call on dy.
    """
    return np.where(kept(x.shape, rate, seed), x * x.dtype.type(1 / (1 - rate)), x.dtype.type(0))
