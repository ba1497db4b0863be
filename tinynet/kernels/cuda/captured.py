"""Replay a chain of kernels as one CUDA graph, where the package that launches them offers that (compiler/driver.py).

Small kernels take less time than Python needs to launch them. A capture records the launches that a function makes, with the places of
their arrays, and repeats them by one call: on what is then in the inputs, with the weights as they are then. It has a pool of its own,
so that what it writes to is nobody else's. What brings numbers to the GPU or from it is not captured, nor what would not give the same,
nor a step of a training that is so large that nobody waits for its launches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray, assign
from .arrays import take
from .compiler import driver
from .compiler.kernel import recorded
from .memory import Pool, reclaimable, taken_from

Arrays = tuple[DeviceArray, ...]
LARGEST = 2**30
"""Bytes that a capture's kernels may write to: they stay its own, and launches are a small part of the time that more takes."""


class Capture:
    """The launches that a function made for such arrays, ready to be repeated.

    lends: whether it returns the arrays that its next call writes to, not copies. kept: what the kernels write to and read from beside
    their inputs, so that it stays theirs.
    """

    def __init__(
        self, graph: driver.Graph | None, inputs: Arrays, outputs: Arrays, lends: bool, *kept: Any
    ) -> None:
        self._graph, self._inputs, self._outputs = graph, inputs, outputs
        self._lends, self._kept = lends, kept
        self._busy = threading.Lock()
        reclaimable.add(self)

    def give_up(self) -> None:
        """Let go of all memory, unless it is in use; from then on kernels are launched as before."""
        if self._busy.acquire(blocking=False):
            self._graph, self._inputs, self._outputs, self._kept = None, (), (), ()
            self._busy.release()

    def __call__(self, *inputs: DeviceArray) -> Arrays | None:
        """The outputs for inputs of the same shapes; None while another thread is at it, or where memory was short."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            if self._graph is None:
                return None
            for own, given in zip(self._inputs, inputs, strict=True):
                assign(own, take(given, None))
            self._graph.run()
            return self._outputs if self._lends else tuple([output.copy() for output in self._outputs])
        finally:
            self._busy.release()

    def iterate(self, *arguments: Any) -> None:
        """See `Replay.iterate`: what is drawn is wanted on the host, so that steps are replayed one by one."""


@as_defined
def capture(
    function: Callable[..., Arrays], *inputs: DeviceArray, changes: Sequence[DeviceArray] = ()
) -> Capture | None:
    before = [array.copy() for array in changes]
    try:
        return _proven(function, inputs, changes, before)
    except Exception:  # each package has its own way to offer no graphs; kernels are launched as before
        return None
    finally:
        _restore(changes, before)


def _proven(
    function: Callable[..., Arrays],
    inputs: Sequence[DeviceArray],
    changes: Sequence[DeviceArray],
    before: Sequence[DeviceArray],
) -> Capture | None:
    """A capture that gives the same; the arrays in `changes` are those before, or changed by one call more."""
    pool: Pool = {}
    arrays: list[Any] = []
    with taken_from(pool):
        own = tuple([take(array, None).copy() for array in inputs])
        # the first compiles and asks for memory; at the second each array lies where the recording will have it
        for _ in range(2):
            _restore(changes, before)
            expected = _numbers((*function(*own), *changes))
        if sum(memory.nbytes for free in pool.values() for _, memory in free) > LARGEST:
            return None
        graph = driver.Graph()
        with recorded(graph, arrays):
            outputs = function(*own)
        graph.complete()
    kept = [array for array in arrays if not array.is_of(pool)]
    captured = Capture(graph, own, outputs, bool(changes), pool, kept)
    for output in outputs:  # they still hold what is expected
        output[...] = np.nan
    _restore(changes, before)
    found = _numbers((*(captured(*inputs) or ()), *changes))
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, expected, strict=True))
    return captured if same else None


def _restore(arrays: Sequence[DeviceArray], numbers: Sequence[DeviceArray]) -> None:
    for array, those in zip(arrays, numbers, strict=True):
        assign(array, those)


def _numbers(arrays: Sequence[DeviceArray]) -> list[np.ndarray]:
    return [array.numpy() for array in arrays]
