"""The decorator of every kernel: its signature, the threads of its blocks, compilation on first use, the cache on disk, and the launch.

A kernel is a function that each thread of each block runs. `@kernel` names the types of its arguments and how many threads a block has;
calling the result, `scaled(blocks, *arguments)`, launches it on so many blocks, a number or a tuple of up to three::

    @kernel("f4[:], f4, i4", threads=256)
    def scaled(x, factor, size):
        i = cuda.grid(1)
        if i < size:
            x[i] *= factor

    scaled(blocks_for(size), x, factor, size)

The types: `f4[:]`, `i4[:]`, `u1[:]`, … are the flat memory of arrays (`DeviceArray`), at least as long as a number
beside it says, since memory from the pool may be longer; `f4`, `i4` are numbers, `i4*12` is a tuple of 12 of them. A launch costs a
few microseconds per array and less per number, so a kernel takes few arrays. One signature per kernel: it is compiled once, with what
it needs known before, so that every kernel can be compiled and examined where there is no GPU (assembly.py).

The rules for what is in a kernel: index arithmetic on whole numbers is 64 bits wide, `divide` is the quick way to divide; numbers with
a point are written `f4(0.5)`, for a bare `0.5` is float64 and draws the whole expression with it; a kernel that wants float64, as sums of
many numbers do, says so by `double=True`; functions come from functions.py. No atomics but those of the barrier between blocks
(`syncblocks`), no warp intrinsics: each element is written by one thread, and sums are made in an order that follows from the sizes
alone, so that results repeat to the bit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import cache
from .driver import INLINED, SIMULATED, Graph, compute_stream, cuda

KERNELS: list[Kernel] = []
"""All kernels, in the order of their modules, for those who compile them without a GPU."""
launches = 0
"""How many kernels this process has launched."""
MOST_BLOCKS = 65_535
"""Of a launch along its second and third axis; a kernel of elements takes several per thread rather than more blocks."""


class Kernel:
    """A function of the GPU, compiled when it is first launched."""

    def __init__(
        self, function: Callable, types: str, threads: int, double: bool, registers: int, name: str | None
    ) -> None:
        self.function, self.threads, self.double, self.registers = function, threads, double, registers
        self.name = f"{function.__module__.rsplit('.', 1)[-1]}.{name or function.__name__}"
        self.signature = f"void({', '.join(map(_numba_type, types.split(',')))})"
        self._compiled: Any = None
        KERNELS.append(self)

    def __call__(self, blocks: Any, *arguments: Any) -> None:
        """Launch it on so many blocks of its threads; does not wait for it. Until then arrays are held, or others get their memory."""
        global launches
        launches += 1
        given = [getattr(argument, "memory", argument) for argument in arguments]
        compiled, recording = self._compiled or self._compile(), _here.recording
        if recording is None:
            compiled[blocks, self.threads, compute_stream()](*given)
        else:
            graph, arrays = recording
            graph.launch(compiled, blocks, self.threads, given)
            arrays += [argument for argument in arguments if hasattr(argument, "memory")]

    def _compile(self) -> Any:
        """Load it from the disk or compile it, for the one signature that it has."""
        if SIMULATED:
            self._compiled = cuda.jit(self.signature)(self.function)
            return self._compiled
        made = cuda.jit(self.function, max_registers=self.registers)
        made._cache = cache.KernelCache(self.name)
        made.compile(self.signature)
        made.disable_compile()
        made._specialized = True  # as if made with the signature: launched without a look at types
        self._compiled = made
        return made


class NotRecordedError(Exception):
    """What was to be recorded does more than to launch kernels."""


class _Here(threading.local):
    """What this thread's launches are recorded to: a graph, and a list of the arrays that they are given."""

    recording: tuple[Graph, list[Any]] | None = None


_here = _Here()


@contextmanager
def recorded(graph: Graph, arrays: list[Any]) -> Iterator[None]:
    """This thread's launches are not done but recorded, to be repeated, with the arrays that they are given."""
    _here.recording = graph, arrays
    try:
        yield
    finally:
        _here.recording = None


def check_not_recorded() -> None:
    """Raise NotRecordedError where launches are recorded: numbers that come or go would be those of this once."""
    if _here.recording is not None:
        raise NotRecordedError


def kernel(
    types: str, threads: int, double: bool = False, registers: int = 128, name: str | None = None
) -> Callable[[Callable], Kernel]:
    """Make a kernel of a function: the types of its arguments, the threads of a block, and whether it may compute in float64.

    registers: the most that a thread may have; a multiprocessor has 65,536 for all its threads.
    """
    return lambda function: Kernel(function, types, threads, double, registers, name)


def device(function: Callable) -> Any:
    """Make a function that kernels call; it becomes a part of them. The simulator calls it as it is."""
    return cuda.jit(device=True, **({} if SIMULATED else INLINED))(function)


def blocks_for(elements: int, threads: int = 256, most: int = 4096) -> int:
    """Blocks for a kernel whose threads take one element after another, at least one."""
    return max(min(-(-elements // threads), most), 1)


def _numba_type(given: str) -> str:
    name, _, count = given.strip().partition("*")
    if count:
        return f"UniTuple({name}, {count})"
    return name.replace("[:]", "[::1]")
