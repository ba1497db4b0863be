"""Dropout whose mask is a function of a seed and the position: one element a thread, bound by memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, nothing, take
from .compiler.driver import cuda
from .compiler.functions import hash32
from .compiler.kernel import blocks_for, device, kernel
from .compiler.primitives import divide, f4


@as_defined
def dropout(x: Any, rate: float, seed: int) -> DeviceArray:
    x = take(x)
    y = empty(x.shape)
    if y.size:
        _dropout(blocks_for(y.size), x, y, *words(seed), y.size, 1, 1, least_word(rate), 1 / (1 - rate))
    return y


@as_defined
def sequence_dropout(x: Any, rate: float, seed: int) -> DeviceArray:
    x = take(x)
    y = empty(x.shape)
    if y.size:
        _, steps, d = x.shape
        _dropout(blocks_for(y.size), x, y, *words(seed), y.size, steps, d, least_word(rate), 1 / (1 - rate))
    return y


@as_defined
def drop_ids(ids: Any, rate: float, seed: int) -> DeviceArray:
    ids = take(ids, np.int32)
    kept = DeviceArray(ids.shape, np.int32)
    if ids.size:
        _drop_ids(blocks_for(ids.size), ids, kept, *words(seed), ids.size, least_word(rate))
    return kept


@dataclass(frozen=True)
class DeviceSeed:
    """A seed that lies on the GPU, so that launches which are repeated draw anew: (factor · number + offset) mod 2³².

    Layers compute their own seeds from it, as from a whole number, by sums and products that are taken modulo 2³².
    """

    number: DeviceArray
    factor: int = 1
    offset: int = 0

    def __mul__(self, by: int) -> DeviceSeed:
        return DeviceSeed(self.number, self.factor * by % 2**32, self.offset * by % 2**32)

    def __add__(self, more: int) -> DeviceSeed:
        return DeviceSeed(self.number, self.factor, (self.offset + more) % 2**32)

    def __mod__(self, by: int) -> DeviceSeed:
        if by != 2**32:
            raise ValueError(f"seeds are taken modulo 2³², not {by}")
        return self


@as_defined
def seed_from(x: Any) -> Any:
    return DeviceSeed(take(x, np.int64))


def words(seed: int | DeviceSeed) -> tuple[DeviceArray, int, int]:
    """A seed as kernels take it: an array (1,) int64, factor and offset."""
    if isinstance(seed, DeviceSeed):
        return seed.number, seed.factor, seed.offset
    return nothing(np.int64), 0, seed & 0xFFFFFFFF


def least_word(rate: float) -> int:
    """The least word that is kept."""
    return min(int(rate * 2**32), 2**32 - 1)


@device
def start_of(number, factor, offset):
    """Where the stream of a seed starts; products stay below 2⁶³."""
    low, high = number[0] & 0xFFFF, (number[0] >> 16) & 0xFFFF
    return hash32((low * factor + ((high * factor & 0xFFFF) << 16) + offset) & 0xFFFFFFFF)


@device
def is_kept(i, start, least):
    """Whether element i stays."""
    return hash32((i + start) & 0xFFFFFFFF) >= least


@kernel("f4[:], f4[:], i8[:], i8, i8, i4, i4, i4, i8, f4", threads=256)
def _dropout(x, y, number, seed_factor, offset, size, steps, d, least, factor):
    """For sequences (n, steps, d) the mask of an (n, d) array."""
    start = start_of(number, seed_factor, offset)
    i = cuda.grid(1)
    while i < size:
        row = divide(i, d)
        element = divide(row, steps) * d + i - row * d
        y[i] = x[i] * factor if is_kept(element, start, least) else f4(0)
        i += cuda.gridsize(1)


@kernel("i4[:], i4[:], i8[:], i8, i8, i4, i8", threads=256)
def _drop_ids(ids, kept, number, seed_factor, offset, size, least):
    start = start_of(number, seed_factor, offset)
    i = cuda.grid(1)
    while i < size:
        kept[i] = ids[i] if is_kept(i, start, least) else 0
        i += cuda.gridsize(1)
