"""The GPU's memory: a pool of flat pieces, so that a steady step of training allocates nothing.

Asking the driver for memory costs as much as many kernels, and waits for all of them. So a piece that nothing refers to any more goes
back to the pool, and serves the next array of about its size: all kernels run one after the other on one stream, so that whoever gets
it next writes to it only when its last reader is done. Launches that are recorded, to be repeated, have a pool of their own: nobody
else may be given what they write to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ...errors import TinynetError
from .compiler.driver import cuda
from .compiler.primitives import address_of

Pool = dict[tuple[int, str], list[tuple[int, Any]]]
"""What is not used, by size and type: where it lies, and the flat memory. The lowest is taken first, so that each step of a training
finds its arrays where the step before had them.
"""
_free: Pool = {}
"""The pool of all who have none of their own."""
_here = threading.local()
allocations = 0
"""How often this process has asked the driver for memory."""


class Piece:
    """A flat piece of the GPU's memory, back in the pool when nothing refers to it."""

    __slots__ = ("_key", "_pool", "address", "memory")

    def __init__(self, size: int, dtype: np.dtype) -> None:
        self._key = rounded(size), dtype.str
        self._pool = getattr(_here, "pool", _free)
        free = self._pool.get(self._key)
        try:
            self.address, self.memory = heappop(free) if free else _allocate(self._key[0], dtype)
        except IndexError:  # another thread was quicker
            self.address, self.memory = _allocate(self._key[0], dtype)

    def is_of(self, pool: Pool) -> bool:
        """Whether it goes back to that pool."""
        return self._pool is pool

    def __del__(self) -> None:
        if hasattr(self, "memory"):
            heappush(self._pool.setdefault(self._key, []), (self.address, self.memory))


@contextmanager
def taken_from(pool: Pool) -> Iterator[None]:
    """What this thread makes meanwhile comes from this pool, and goes back to it."""
    _here.pool = pool
    try:
        yield
    finally:
        del _here.pool


def _allocate(size: int, dtype: np.dtype) -> tuple[int, Any]:
    global allocations
    allocations += 1
    try:
        return _lying(cuda.device_array(size, dtype))
    except Exception:  # each package has its own error for full memory
        release()
    try:
        return _lying(cuda.device_array(size, dtype))
    except Exception as error:
        raise TinynetError(
            f"the GPU has no memory left for {size * dtype.itemsize:,} bytes more: choose a smaller batch, or the device cpu"
        ) from error


def _lying(memory: Any) -> tuple[int, Any]:
    return address_of(memory), memory


def rounded(size: int) -> int:
    """The next of four sizes in each octave, from 32 on: batches that differ a little share pieces."""
    size = max(size, 32)
    step = 1 << max(size.bit_length() - 3, 0)
    return -(-size // step) * step


def release() -> None:
    """Give the driver back what the pool holds and nobody uses."""
    _free.clear()


def pooled_bytes() -> int:
    """Bytes that the pool holds and nobody uses."""
    return sum(memory.nbytes for free in _free.values() for _, memory in free)
