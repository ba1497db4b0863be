"""Choosing one of several classes: the most probable, one row a thread; or one that is drawn, which is the host's."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import reference
from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import asnumpy, take
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, kernel


@as_defined
def argmax(x: Any) -> DeviceArray:
    x = take(x)
    m, c = x.shape
    places = DeviceArray((m,), np.int64)
    if m:
        _argmax(blocks_for(m), x, places, m, c)
    return places


@as_defined
def sample(probabilities: Any, temperature: float, top_k: int, top_p: float, u: float) -> int:
    return reference.sample(asnumpy(probabilities), temperature, top_k, top_p, u)


@kernel("f4[:], i8[:], i4, i4", threads=256)
def _argmax(x, places, m, c):
    i = cuda.grid(1)
    while i < m:
        top, place = x[i * c], 0
        for j in range(1, c):
            value = x[i * c + j]
            if not top >= value and top == top:
                top, place = value, j
        places[i] = place
        i += cuda.gridsize(1)
