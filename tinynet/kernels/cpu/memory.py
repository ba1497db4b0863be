"""Memory for results that is used again: fresh memory costs more than most kernels.

The system hands out large blocks as pages that are mapped and cleared when they are first touched: here 1 ms for 4 MB, while ReLU
takes 0.2. So large results live in buffers that are kept. A buffer is free when nothing but the pool refers to it: NumPy
makes every view refer to the buffer itself, so Python's own count of references says so, and an array that a user keeps stays his.
"""

from __future__ import annotations

import math
import mmap
import sys
from collections import deque

import numpy as np

SMALL = 16_384
"""Results of fewer elements come from NumPy, which keeps small blocks by itself."""
LIMIT = 128 * 2**20
"""Bytes that the pool keeps at most; what is larger or beyond goes back to the system when it is dropped."""
PAGES = 2**18
"""Bytes from which on a table has pages of its own."""
ALIGNMENT = 64
"""Bytes of a cache line: a vector of AVX-512 that does not begin at one costs two accesses."""

_buffers: dict[int, deque[tuple[np.ndarray, int]]] = {}
_kept = 0


def empty(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """An uninitialised array, float32 unless told otherwise; a large one of float32 begins at a cache line.

    Whatever a kernel writes to comes from here, so that tests can hand out memory that is known to be wrong.
    """
    size = math.prod(shape)
    if size < SMALL or dtype is not np.float32:
        return np.empty(shape, dtype)
    buffer, first = _from_pool(_rounded(size))
    return buffer[first : first + size].reshape(shape)


def pages(size: int, dtype: type) -> np.ndarray:
    """An array for a table that is kept; a large one has pages of its own, which go back to the system when it is dropped.

    Memory that many tables of growing sizes leave behind elsewhere has no room for the next of them.
    """
    count = size * np.dtype(dtype).itemsize
    if count < PAGES:
        return empty((size,), dtype)
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    return np.frombuffer(mmap.mmap(-1, count, **private), dtype)


def _from_pool(capacity: int) -> tuple[np.ndarray, int]:
    """A free buffer, and where in it the aligned elements begin."""
    global _kept
    buffers = _buffers.setdefault(capacity, deque())
    for _ in range(len(buffers)):
        try:
            buffer, first = buffers.pop()  # out of the other threads' sight while it is looked at
        except IndexError:
            break
        if sys.getrefcount(buffer) == _FREE:
            buffers.append((buffer, first))
            return buffer, first
        buffers.appendleft((buffer, first))
    buffer, first = _new_buffer(capacity)
    if _kept + buffer.nbytes > LIMIT:
        _buffers.clear()  # sizes have changed: start again with those in use now
        _kept = 0
    if buffer.nbytes <= LIMIT // 2:
        _buffers.setdefault(capacity, deque()).append((buffer, first))
        _kept += buffer.nbytes
    return buffer, first


def _new_buffer(size: int) -> tuple[np.ndarray, int]:
    buffer = np.empty(size + ALIGNMENT // 4, np.float32)
    return buffer, -buffer.__array_interface__["data"][0] % ALIGNMENT // 4


def _rounded(size: int) -> int:
    """The next of four sizes in each octave: batches that differ a little share buffers."""
    step = 1 << max(size.bit_length() - 3, 0)
    return -(-size // step) * step


def _references_when_free() -> int:
    buffers = deque([(np.empty(1), 0)])
    buffer, _ = buffers.pop()
    return sys.getrefcount(buffer)


_FREE = _references_when_free()
