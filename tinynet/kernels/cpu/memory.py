"""Memory for results that is used again: fresh memory costs more than most kernels.

The system hands out large blocks as pages that are mapped and cleared when they are first touched: here 1 ms for 4 MB, while ReLU
takes 0.2. So large results live in buffers that are kept. A buffer is free when nothing but the pool refers to it: NumPy
makes every view refer to the buffer itself, so Python's own count of references says so, and an array that a user keeps stays his.
"""

from __future__ import annotations

import math
import sys
from collections import deque

import numpy as np

SMALL = 16_384
"""Results of fewer elements come from NumPy, which keeps small blocks by itself."""
LIMIT = 128 * 2**20
"""Bytes that the pool keeps at most; what is larger or beyond goes back to the system when it is dropped."""

_buffers: dict[int, deque[np.ndarray]] = {}
_kept = 0


def empty(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialised float32 array."""
    size = math.prod(shape)
    if size < SMALL:
        return np.empty(shape, np.float32)
    capacity = _rounded(size)
    buffers = _buffers.setdefault(capacity, deque())
    for _ in range(len(buffers)):
        try:
            buffer = buffers.pop()  # out of the other threads' sight while it is looked at
        except IndexError:
            break
        if sys.getrefcount(buffer) == _FREE:
            result = buffer[:size].reshape(shape)
            buffers.append(buffer)
            return result
        buffers.appendleft(buffer)
    return _new_buffer(capacity)[:size].reshape(shape)


def _rounded(size: int) -> int:
    """The next of four sizes in each octave: batches that differ a little share buffers."""
    step = 1 << max(size.bit_length() - 3, 0)
    return -(-size // step) * step


def _new_buffer(capacity: int) -> np.ndarray:
    global _kept
    buffer = np.empty(capacity, np.float32)
    if _kept + buffer.nbytes > LIMIT:
        _buffers.clear()  # sizes have changed: start again with those in use now
        _kept = 0
    if buffer.nbytes <= LIMIT // 2:
        _buffers.setdefault(capacity, deque()).append(buffer)
        _kept += buffer.nbytes
    return buffer


def _references_when_free() -> int:
    buffers = deque([np.empty(1)])
    buffer = buffers.pop()
    return sys.getrefcount(buffer)


_FREE = _references_when_free()
