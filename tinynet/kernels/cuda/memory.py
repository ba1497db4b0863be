"""The GPU's memory: a pool of flat pieces, so that a steady step of training allocates nothing.

Asking the driver for memory costs as much as many kernels, and waits for all of them. So a piece that nothing refers to any more goes
back to the pool, and serves the next array of about its size: all kernels run one after the other on one stream, so that whoever gets
it next writes to it only when its last reader is done. Launches that are recorded, to be repeated, have a pool of their own: nobody
else may be given what they write to.

That does not hold for a copy on a second stream, which is to run beside those kernels. What it writes to is a `Landing`, whose pieces
are never given to anything else.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any

import numpy as np

from ...errors import TinynetError
from .compiler.driver import compute_stream, copy_stream, cuda, event
from .compiler.primitives import address_of

Pool = dict[tuple, list[tuple[int, Any]]]
"""What is not used, by size and type: where it lies, and the flat memory, or a berth. The lowest is taken first, so that each step of a
training finds its arrays where the step before had them.
"""
_free: Pool = {}
"""The pool of all who have none of their own."""
_here = threading.local()
reclaimable: weakref.WeakSet[Any] = weakref.WeakSet()
"""What holds memory that it can do without: its `give_up` is called where there is none left."""
allocations = 0
"""How often this process has asked the driver for memory."""


class Piece:
    """A flat piece of the GPU's memory, back in the pool when nothing refers to it."""

    __slots__ = ("_key", "_pool", "address", "memory")

    def __init__(self, size: int, dtype: np.dtype) -> None:
        self._key = rounded(size), dtype.str
        self._pool = getattr(_here, "pool", _free)
        self.address, self.memory = _taken(self._pool, self._key, _allocate)

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


class Landing:
    """As a piece, for numbers that come on the copy stream while kernels run: `fill` begins that, and returns at once.

    Who writes to what, and whom it waits for, at each use of one berth:

        the host, to the page-locked memory     for the copy of the use before, which reads it: `copied`
        the copy, to the memory of the GPU      for the kernels of the use before, which read it: `left`. It is recorded when nothing
                                                refers to the landing any more; whoever launches a kernel refers to it, so all that
                                                read it were launched, on the one stream, before
        kernels, which read that                for the copy: `copied`, which each kernel that is launched from now on waits for

    What a stream is told to wait for is the record that an event has then: the next one, of another use, changes nothing. So no two are at
    the same memory, in whatever order the streams advance. Two berths in turn are enough for each batch to come while the one before is
    in use; for that this must still be referred to when the next one is fetched, or the copy would wait for its kernels.
    """

    __slots__ = ("_berth", "_key", "address")

    def __init__(self, size: int, dtype: np.dtype) -> None:
        self._key = rounded(size), dtype.str, "landing"
        self.address, self._berth = _taken(_free, self._key, _berth)

    @property
    def memory(self) -> Any:
        """The flat memory of the GPU."""
        return self._berth.memory

    def is_of(self, pool: Pool) -> bool:
        """Whether it goes back to that pool."""
        return pool is _free

    def fill(self, numbers: np.ndarray) -> None:
        """Begin to copy an array (size,) there."""
        berth, size = self._berth, len(numbers)
        berth.copied.synchronize()
        berth.host[:size] = numbers
        berth.left.wait(copy_stream())
        berth.memory[:size].copy_to_device(berth.host[:size], stream=copy_stream())
        berth.copied.record(copy_stream())
        berth.copied.wait(compute_stream())

    def __del__(self) -> None:
        if hasattr(self, "_berth"):
            self._berth.left.record(compute_stream())
            heappush(_free.setdefault(self._key, []), (self.address, self._berth))


class Berth:
    """Memory of the GPU with its twin on the host, page-locked, so that a copy needs no help of the processor."""

    __slots__ = ("copied", "host", "left", "memory")

    def __init__(self, memory: Any, dtype: np.dtype) -> None:
        self.memory, self.host = memory, cuda.pinned_array(len(memory), dtype)
        self.copied, self.left = event(), event()

    @property
    def nbytes(self) -> int:
        """Bytes on the GPU."""
        return self.memory.nbytes


def _taken(pool: Pool, key: tuple, make: Callable[[int, np.dtype], tuple[int, Any]]) -> tuple[int, Any]:
    """The lowest that is free, or a new one."""
    free = pool.get(key)
    try:
        if free:
            return heappop(free)
    except IndexError:  # another thread was quicker
        pass
    return make(key[0], np.dtype(key[1]))


def _berth(size: int, dtype: np.dtype) -> tuple[int, Berth]:
    address, memory = _allocate(size, dtype)
    return address, Berth(memory, dtype)


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
    """Give the driver back what the pool holds and nobody uses, and what others can do without."""
    cuda.synchronize()  # kernels and copies that are launched may use it yet
    for holder in list(reclaimable):
        holder.give_up()
    _free.clear()


def pooled_bytes() -> int:
    """Bytes that the pool holds and nobody uses."""
    return sum(memory.nbytes for free in _free.values() for _, memory in free)
