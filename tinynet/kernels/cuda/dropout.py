"""Dropout whose mask is a function of a seed and the position: one element a thread, bound by memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from ..reference.dropout import _mix
from .array import DeviceArray
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.functions import hash32
from .compiler.kernel import blocks_for, device, kernel
from .compiler.primitives import divide, f4


@as_defined
def dropout(x: Any, rate: float, seed: int) -> DeviceArray:
    x = take(x)
    y = empty(x.shape)
    if y.size:
        _dropout(blocks_for(y.size), x, y, y.size, 1, 1, *mask_of(rate, seed), 1 / (1 - rate))
    return y


@as_defined
def sequence_dropout(x: Any, rate: float, seed: int) -> DeviceArray:
    x = take(x)
    y = empty(x.shape)
    if y.size:
        _, steps, d = x.shape
        _dropout(blocks_for(y.size), x, y, y.size, steps, d, *mask_of(rate, seed), 1 / (1 - rate))
    return y


@as_defined
def drop_ids(ids: Any, rate: float, seed: int) -> DeviceArray:
    ids = take(ids, np.int32)
    kept = DeviceArray(ids.shape, np.int32)
    if ids.size:
        _drop_ids(blocks_for(ids.size), ids, kept, ids.size, *mask_of(rate, seed))
    return kept


def mask_of(rate: float, seed: int) -> tuple[int, int]:
    """What a kernel needs to know which elements are kept: where the stream of the seed starts, and the least word that is kept."""
    start = _mix(np.array([seed & 0xFFFFFFFF], np.uint32))
    return int(start[0]), min(int(rate * 2**32), 2**32 - 1)


@device
def is_kept(i, start, least_word):
    """Whether element i stays."""
    return hash32((i + start) & 0xFFFFFFFF) >= least_word


@kernel("f4[:], f4[:], i4, i4, i4, i8, i8, f4", threads=256)
def _dropout(x, y, size, steps, d, start, least_word, factor):
    """For sequences (n, steps, d) the mask of an (n, d) array."""
    i = cuda.grid(1)
    while i < size:
        row = divide(i, d)
        element = divide(row, steps) * d + i - row * d
        y[i] = x[i] * factor if is_kept(element, start, least_word) else f4(0)
        i += cuda.gridsize(1)


@kernel("i4[:], i4[:], i4, i8, i8", threads=256)
def _drop_ids(ids, kept, size, start, least_word):
    i = cuda.grid(1)
    while i < size:
        kept[i] = ids[i] if is_kept(i, start, least_word) else 0
        i += cuda.gridsize(1)
