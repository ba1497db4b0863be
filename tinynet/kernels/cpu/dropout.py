"""Dropout, whose mask is a hash of a seed and the position. Tasks of CHUNK elements; bound by the three multiplications of the hash."""

from __future__ import annotations

import numpy as np

from ..reference.definition import as_defined
from ..reference.dropout import seed_from
from . import memory
from .compiler.jit import helper, jit
from .flat import CHUNK, chunks, flat

__all__ = ["dropout", "seed_from"]

U = np.uint32


@helper
def mix(h):
    """The 32-bit finaliser of MurmurHash3 (Appleby)."""
    h = U(U(h ^ (h >> U(16))) * U(0x85EBCA6B))
    h = U(U(h ^ (h >> U(13))) * U(0xC2B2AE35))
    return U(h ^ (h >> U(16)))


@helper
def drops(i, start, threshold):
    """Whether element i is dropped."""
    return mix(U(U(i) + start)) < threshold


def words(rate: float, seed: int) -> tuple[U, U]:
    """A seed, and the word below which an element is dropped, as kernels take them."""
    return U(seed & 0xFFFFFFFF), U(min(int(rate * 2**32), 2**32 - 1))


@jit
def _dropout(task, x, y, seed, threshold, factor):
    start = mix(seed)
    for i in range(task * CHUNK, min(x.size, (task + 1) * CHUNK)):
        y[i] = np.float32(0) if drops(i, start, threshold) else x[i] * factor


@as_defined
def dropout(x: np.ndarray, rate: float, seed: int) -> np.ndarray:
    source = flat(x)
    y = memory.empty(source.shape)
    _dropout(chunks(y), y.size, source, y, *words(rate, seed), np.float32(1 / (1 - rate)))
    return y.reshape(x.shape)
