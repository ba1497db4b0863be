"""Repeat a chain of kernels without Python in between.

For small inputs most of the time goes into Python: shapes, plans, and handing arguments to compiled code. A `Recording` writes the
kernels that a function calls down once, with their arguments, and repeats them in one compiled loop: on what is then in the
input, with the weights as they are then, since arrays are recorded and not their contents.

That holds only where kernels do all the work on arrays: what NumPy copied or computed in between would stay as it was. So the function
is called once more, and in each array that no kernel has written and that was not there the first time, NaN is put before a kernel
reads it. Where the output is not the same to the bit, on another input too, there is no recording.

Where the chain is a step of a network that writes, `Recording.write` stays in compiled code from one character to the next: each that
is drawn from the output is the input of the next step, and the states that a step leaves are those that the next one starts from.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from llvmlite.binding.ffi import lib as llvm
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from .. import forking
from . import cache, jit, launch, memory, sampling
from .recurrent import copy

_I64 = ir.IntType(64)


@intrinsic
def _rewind(typing_context, record):
    """Make a recorded kernel begin at its first task again."""

    def generate(context, builder, signature, values):
        base = builder.inttoptr(values[0], _I64.as_pointer())
        counters = builder.load(builder.gep(base, [_I64(launch.COUNTERS_AT)]))
        launch.clear_counters(builder, builder.inttoptr(counters, _I64.as_pointer()), _I64(1))
        return context.get_dummy_value()

    return types.void(types.intp), generate


@numba.njit(**jit.OPTIONS)
def _repeat_all(records):
    for i in range(records.size):
        _rewind(records[i])
        launch.run_share(records[i], 0)


_repeat_all._cache = cache.KernelCache("recording.repeat_all")


@numba.njit(**jit.OPTIONS)
def _write(step, carry, ids, probabilities, temperature, top_k, top_p, points, heap, sums, drawn):
    for i in range(points.size):
        _repeat_all(step)
        ids[0] = drawn[i] = sampling.draw(probabilities, temperature, top_k, top_p, points[i], heap, sums)
        _repeat_all(carry)


_write._cache = cache.KernelCache("recording.write")


@jit.jit
def _carry(task, source, target):
    copy(source, 0, target, 0, source.size)


Arrays = tuple[np.ndarray, ...]


class Recording:
    """The kernels that `function` calls for such arrays, ready to be repeated on one thread.

    `is_small` tells whether one thread is enough for each of them; else a recording gains nothing.
    """

    def __init__(self, function: Callable[..., Arrays], inputs: Arrays) -> None:
        self.is_small = True
        self._inputs = [array.copy() for array in inputs]
        self._held: list[tuple] = []  # the arrays that the records point to
        self._records: list[np.ndarray] = []
        self._busy = threading.Lock()
        self._outputs, self._addresses = self._listen(function, self._inputs)
        self._carries: np.ndarray | None = None

    def _listen(self, function: Callable[..., Any], inputs: Sequence[np.ndarray]) -> tuple[Any, np.ndarray]:
        """What a function returns, and the addresses of records of the kernels that it calls."""
        first = len(self._records)
        result = _overheard(function, inputs, self._add)
        return result, np.array([record.ctypes.data for record in self._records[first:]], np.int64)

    def _add(self, kernel: jit.Kernel, tasks: int, work: int, arguments: tuple) -> None:
        self.is_small &= work <= launch.SMALL_WORK
        record = launch.new_record(1)
        kernel.write_record(record.ctypes.data, tasks, 1, arguments)
        self._held.append(arguments)
        self._records.append(record)

    def is_whole(self, function: Callable[..., Arrays]) -> bool:
        """Whether kernels alone make the outputs, of arrays that are there at every call."""
        written = [_place(array) for arguments in self._held for array in _arrays(arguments)]
        if not all(_lies_in(output, written) for output in self._outputs):
            return False
        there, seen, held, poisoned = iter(self._held), [], [], []

        def poison(kernel: jit.Kernel, tasks: int, work: int, arguments: tuple) -> None:
            held.append(arguments)  # or new arrays would lie where old ones lay
            before = _arrays(next(there, ()))
            for array, same in itertools.zip_longest(_arrays(arguments), before):
                known = array is None or (same is not None and _place(array) == _place(same))
                if not known and not _lies_in(array, seen):
                    poisoned.append((array, array.copy()))
                    array.fill(np.nan)
            seen.extend(map(_place, _arrays(arguments)))

        try:
            outputs = _overheard(function, self._inputs, poison)
            return all(
                not np.isnan(a).any() and np.array_equal(a, b)
                for a, b in zip(outputs, self._outputs, strict=True)
            )
        finally:
            # One may be kept, and new only because another thread has replaced it.
            for array, content in poisoned:
                array[...] = content

    def __call__(self, *inputs: np.ndarray) -> Arrays | None:
        """The outputs for inputs of the same shapes; None while another thread is at it."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            for own, given in zip(self._inputs, inputs, strict=True):
                own[...] = given
            _repeat_all(self._addresses)
            return tuple(output.copy() for output in self._outputs)
        finally:
            self._busy.release()

    def write(
        self, index: int, states: Arrays, settings: tuple[float, int, float], points: np.ndarray
    ) -> tuple[np.ndarray, Arrays] | None:
        """Read a class, draw the next with the kernel `sample`, read that, and so on, one for each uniform number of `points`.

        For a function of ids (1, 1) and the states of one sequence that gives probabilities and the states after the step.
        Returns the classes, int32, and the states before the last of them is read; None while another thread is at it.
        """
        if not self._busy.acquire(blocking=False):
            return None
        try:
            if self._carries is None:
                _, self._carries = self._listen(self._carry_states, ())
            ids, p = self._inputs[0].reshape(-1), self._outputs[0].reshape(-1)
            ids[0] = index
            for own, given in zip(self._inputs[1:], states, strict=True):
                own[...] = given
            drawn = memory.empty((points.size,), np.int32)
            rooms = sampling.room(p.size)
            _write(self._addresses, self._carries, ids, p, *settings, points, *rooms, drawn)
            return drawn, tuple(state.copy() for state in self._inputs[1:])
        finally:
            self._busy.release()

    def _carry_states(self) -> None:
        """The states that a step leaves are those that the next one starts from."""
        for source, target in zip(self._outputs[1:], self._inputs[1:], strict=True):
            _carry(1, source.size, source.reshape(-1), target.reshape(-1))


_listening = forking.held(threading.RLock())
# Whoever captures calls may compile, and whoever compiles calls LLVM, which has a lock of its own.
forking.held(global_compiler_lock)
forking.held(llvm._lock)


def _overheard(function: Callable[..., Any], inputs: Sequence[np.ndarray], listener: Callable) -> Any:
    """What a function returns, a listener being called before each kernel that it calls."""
    owner = threading.get_ident()
    with _listening:
        jit.recorder = lambda *call: listener(*call) if threading.get_ident() == owner else None
        try:
            return function(*inputs)
        finally:
            jit.recorder = None


def _arrays(arguments: tuple) -> list[np.ndarray]:
    """The arrays of numbers among the arguments of a kernel; tables of whole numbers follow from shapes alone."""
    found = []
    for argument in arguments:
        if isinstance(argument, tuple):
            found += _arrays(argument)
        elif isinstance(argument, np.ndarray) and argument.size and argument.dtype.kind == "f":
            found.append(argument)
    return found


def _place(array: np.ndarray) -> tuple[int, int]:
    """The addresses where an array begins and ends."""
    first = array.__array_interface__["data"][0]
    last = sum((size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True))
    return first, first + last + array.itemsize


def _lies_in(array: np.ndarray, places: list[tuple[int, int]]) -> bool:
    first, end = _place(array)
    return any(begin <= first and end <= stop for begin, stop in places)


def record(function: Callable[..., Arrays], *inputs: np.ndarray) -> Recording | None:
    """A recording of a function of arrays, which calls kernels; None where that is slower or not the same."""
    if not all(array.size for array in inputs):
        return None
    recording = Recording(function, inputs)
    if not recording.is_small or not recording.is_whole(function):
        return None
    others = [np.roll(x, 1) + np.float32(0.5) if x.dtype == np.float32 else x.max() - x for x in inputs]
    same = all(
        np.array_equal(a, b, equal_nan=True)
        for tried in (others, inputs)
        for a, b in zip(recording(*tried), function(*tried), strict=True)
    )
    return recording if same else None
