"""A strict and quick scheduler for Numba's simulator of CUDA: deterministic, and what would be luck on a GPU is an error.

Each simulated thread runs until it waits at a barrier or ends, in the order of their numbers or, in reverse, against it: a result
that depends on the order differs between the two. Memory that nobody has written to yet, shared, local or from the pool, holds NaN, or
-1; pieces of the pool are never handed out twice and are exactly as long as asked for. Errors: threads of a block that wait at
different barriers or have ended while others wait; blocks that all wait for others; an access outside an array, also at a
negative index. All blocks are resident: one runs until it ends or a thread of it sleeps, since it waits for another.

Of the two streams each may be far ahead of the other: `streams` says which one does what it is told at once, unless it was told to wait,
and which only where somebody waits for it. What is right in both cases misses no wait.
"""

from __future__ import annotations

import contextvars
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import Any
from unittest import mock

import greenlet
import numpy as np
from numba import cuda
from numba.core import config
from numba.cuda.simulator import kernel as simulated
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
from numba.cuda.simulator.kernelapi import FakeCUDAAtomic
from numba.np.numpy_support import as_dtype

from tinynet.kernels.cuda import memory
from tinynet.kernels.cuda.compiler import driver

ROUNDED = memory.rounded
assert config.ENABLE_CUDASIM, "set NUMBA_ENABLE_CUDASIM=1 before Numba is imported"


class Memory:
    """An array as kernels see it: no index is negative, none lies beyond the end."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        if index.__class__ is not slice and index < 0:
            raise IndexError(f"index {index}")
        return self.numbers[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if index.__class__ is not slice and index < 0:
            raise IndexError(f"index {index}")
        self.numbers[index] = value


ASLEEP = "asleep"
"""What a thread is that waits for another block."""


class Place:
    """A position in a grid or block, or its size."""

    __slots__ = ("x", "y", "z")

    def __init__(self, x: int, y: int = 1, z: int = 1) -> None:
        self.x, self.y, self.z = x, y, z


class Lane(greenlet.greenlet):
    """One simulated thread; `waits` is the barrier at which it stands, or ASLEEP."""

    place: Place
    waits: tuple | str | None = None


class Now:
    """What runs: the lane, its block, the shared memory of that."""

    lane: Lane
    block: Place
    blocks: Place
    threads: Place
    shared: dict[tuple, Memory]


def poisoned(shape: Any, dtype: Any) -> np.ndarray:
    """Memory that nobody has written to: NaN, or -1 (whole numbers without a sign: their largest)."""
    kind = np.dtype(dtype if isinstance(dtype, (type, np.dtype, str)) else as_dtype(dtype))
    room = np.empty(shape, kind)
    room.reshape(-1).view(np.uint8)[...] = 0xFF
    return room


def syncthreads() -> None:
    """Wait until all threads of the block are here."""
    frame: Any = sys._getframe(1)
    at = []
    while frame is not None:
        if frame.f_code.co_filename != __file__:
            at.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    Now.lane.waits = tuple(at)
    Now.lane.parent.switch()


def nanosleep(nanoseconds: int) -> None:
    """Let the other blocks go on."""
    Now.lane.waits = ASLEEP
    Now.lane.parent.switch()


def shared_array(shape: Any, dtype: Any) -> Memory:
    """The block's memory of this place in the code."""
    frame = sys._getframe(1)
    key = frame.f_code, frame.f_lasti
    if key not in Now.shared:
        Now.shared[key] = Memory(poisoned(shape, dtype))
    return Now.shared[key]


def launch(kernel: Any, sizes: list[tuple], *arguments: Any, backwards: bool) -> None:
    """Run a kernel on every thread of every block of its grid."""
    grid, block = ((*size, 1, 1)[:3] for size in sizes)
    given = [Memory(a._ary) if isinstance(a, FakeCUDAArray) else a for a in arguments]
    places = [Place(x, y, z) for z, y, x in product(*map(range, reversed(block)))]
    blocks = [Place(x, y, z) for z, y, x in product(*map(range, reversed(grid)))]
    if backwards:
        places.reverse()
        blocks.reverse()
    Now.blocks, Now.threads = Place(*grid), Place(*block)
    context = contextvars.copy_context()
    runs = [_run_block(kernel.fn, given, places, context, each) for each in blocks]
    while runs:
        try:
            went_on = [next(run, None) for run in runs]
        except Exception as error:
            at = f"block ({Now.block.x}, {Now.block.y}, {Now.block.z}), thread {Now.lane.place.x}"
            raise type(error)(f"{kernel.fn.__name__}, {at}: {error}") from error
        if not any(each is None or each for each in went_on):
            raise RuntimeError(f"{kernel.fn.__name__}: all blocks wait for others")
        runs = [run for run, each in zip(runs, went_on, strict=True) if each is not None]


def _run_block(
    function: Any, arguments: list, places: list[Place], context: Any, block: Place
) -> Iterator[bool]:
    """Run a block; whenever a thread sleeps, tell whether anything has gone on since."""
    shared: dict[tuple, Memory] = {}
    Now.block, Now.shared = block, shared
    lanes = []
    for place in places:
        lane = Lane(function)
        lane.place, lane.gr_context = place, context
        Now.lane = lane
        lane.switch(*arguments)
        lanes.append(lane)
    goes_on = True
    while waiting := [lane for lane in lanes if not lane.dead]:
        if asleep := [lane for lane in waiting if lane.waits is ASLEEP]:
            yield goes_on
            Now.block, Now.shared = block, shared
            for lane in asleep:
                Now.lane = lane
                lane.switch()
            goes_on = any(lane.dead or lane.waits is not ASLEEP for lane in asleep)
            continue
        if len(waiting) < len(lanes):
            raise RuntimeError(f"{len(lanes) - len(waiting)} threads ended while others wait at a barrier")
        if len({lane.waits for lane in lanes}) > 1:
            raise RuntimeError("threads wait at different barriers")
        goes_on = True
        for lane in lanes:
            Now.lane = lane
            lane.switch()


class Stream:
    """What it is told, done in that order: at once where it is eager and need not wait, else where somebody waits for it."""

    def __init__(self, eager: bool) -> None:
        self.eager, self.told, self.done = eager, 0, 0
        self.todo: deque[tuple[Callable, tuple | None]] = deque()

    def put(self, do: Callable, after: tuple[Stream, int] | None = None) -> None:
        """Tell it to do something, after another stream has done so much."""
        self.todo.append((do, after))
        self.told += 1
        self.advance()

    def advance(self) -> None:
        """Go on as far as it is let."""
        while self.eager and self.todo and self._may_go_on():
            self._next()

    def finish(self, number: int) -> None:
        """Do so much of what it was told, and before that what it has to wait for."""
        while self.done < number:
            _, after = self.todo[0]
            if after is None or after[0].done >= after[1]:
                self._next()
            else:
                after[0].finish(after[1])  # which may take this one along

    def synchronize(self) -> None:
        """The host waits for all of it."""
        self.finish(self.told)

    def _may_go_on(self) -> bool:
        after = self.todo[0][1]
        return after is None or after[0].done >= after[1]

    def _next(self) -> None:
        do, _ = self.todo.popleft()
        self.done += 1
        do()
        for other in driver._streams.values():
            other.advance()


class Event:
    """A place in a stream."""

    at: tuple[Stream, int] | None = None

    def record(self, stream: Stream) -> None:
        """All that it was told until now."""
        self.at = stream, stream.told

    def wait(self, stream: Stream) -> None:
        """What the stream is told from now on comes after that."""
        if self.at:
            stream.put(lambda: None, self.at)

    def synchronize(self) -> None:
        """The host waits for it."""
        if self.at:
            self.at[0].finish(self.at[1])


def synchronize() -> None:
    """The host waits for all streams."""
    for stream in driver._streams.values():
        stream.synchronize()


COPIES = {name: getattr(FakeCUDAArray, name) for name in ("copy_to_device", "copy_to_host")}


def copied_by(copy: Callable) -> Callable:
    """A copy to or from the GPU, in a stream; what it reads is read when the stream comes to it."""

    def told(array: Any, other: np.ndarray, stream: Any) -> None:
        stream.put(lambda: copy(array, other))

    return told


class Axes:
    """threadIdx and the like: what the lane that asks is to be told."""

    def __init__(self, find: Any) -> None:
        self._find = find

    def __getattr__(self, axis: str) -> int:
        return getattr(self._find(), axis)


class Room:
    """cuda.shared and cuda.local."""

    def __init__(self, array: Any) -> None:
        self.array = array


class Unused(dict):
    """A pool that never has anything."""

    def get(self, key: Any, default: Any = None) -> Any:
        return default

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return []


ORDERS = {"copies first": (False, True), "copies last": (True, False)}
"""Which of the streams are eager, that of kernels and that of copies."""


@contextmanager
def simulator(backwards: bool = False, pool: bool = False, streams: str | None = None) -> Iterator[None]:
    """Kernels run by this scheduler, against the order of their threads if asked; with `pool` pieces are used again, as on a GPU.

    streams: one of ORDERS; None: all is done at once.
    """
    names = {
        "threadIdx": Axes(lambda: Now.lane.place),
        "blockIdx": Axes(lambda: Now.block),
        "blockDim": Axes(lambda: Now.threads),
        "gridDim": Axes(lambda: Now.blocks),
        "grid": lambda axes: Now.block.x * Now.threads.x + Now.lane.place.x,
        "gridsize": lambda axes: Now.blocks.x * Now.threads.x,
        "syncthreads": syncthreads,
        "threadfence": lambda: None,
        "nanosleep": nanosleep,
        "atomic": FakeCUDAAtomic(),
        "shared": Room(shared_array),
        "local": Room(poisoned),
        "device_array": lambda size, dtype: FakeCUDAArray(poisoned(size, dtype)),
        "pinned_array": poisoned,
        "event": Event,
        "synchronize": synchronize,
    }

    def called(kernel: Any, *arguments: Any) -> Any:
        if kernel._device:
            return kernel.fn(*arguments)
        sizes = [kernel.grid_dim, kernel.block_dim]
        driver.compute_stream().put(lambda: launch(kernel, sizes, *arguments, backwards=backwards))

    eager = ORDERS[streams] if streams else (True, True)

    with ExitStack() as stack:
        for name, value in names.items():
            stack.enter_context(mock.patch.object(cuda, name, value, create=True))
        stack.enter_context(mock.patch.object(simulated.FakeCUDAKernel, "__call__", called))
        for name, copy in COPIES.items():
            stack.enter_context(mock.patch.object(FakeCUDAArray, name, copied_by(copy)))
        made = dict(zip(("compute", "copy"), map(Stream, eager), strict=True))
        stack.enter_context(mock.patch.dict(driver._streams, made, clear=True))
        stack.enter_context(mock.patch.object(memory, "_free", {} if pool else Unused()))
        stack.enter_context(
            mock.patch.object(memory, "rounded", ROUNDED if pool else lambda size: max(size, 1))
        )
        stack.enter_context(np.errstate(all="ignore"))
        yield
