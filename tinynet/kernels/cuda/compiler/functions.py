"""Functions of one float32, for kernels: CUDA's on a GPU; in the simulator, where `math` would compute in float64, NumPy's."""

from __future__ import annotations

import math

import numpy as np

from .driver import SIMULATED
from .kernel import device

f4 = np.float32

if SIMULATED:

    def _quiet(function):
        def called(x):
            with np.errstate(all="ignore"):
                return function(f4(x))

        return called

    exp, expm1, log, log1p, tanh, sqrt, floor = map(
        _quiet, (np.exp, np.expm1, np.log, np.log1p, np.tanh, np.sqrt, np.floor)
    )
    erf = _quiet(lambda x: f4(math.erf(x)))
else:
    exp, expm1, log, log1p, tanh, sqrt, floor, erf = (
        math.exp,
        math.expm1,
        math.log,
        math.log1p,
        math.tanh,
        math.sqrt,
        math.floor,
        math.erf,
    )


@device
def sigmoid(x):
    """1 / (1 + e⁻ˣ)."""
    return f4(1) / (f4(1) + exp(-x))


@device
def normal_cdf(x):
    """Φ(x), the distribution function of the normal distribution."""
    return f4(0.5) * (f4(1) + erf(x * f4(0.70710678)))


@device
def hash32(h):
    """The 32-bit finaliser of MurmurHash3 of a whole number below 2³²; see `dropout` in the reference."""
    h = ((h ^ (h >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return h ^ (h >> 16)
