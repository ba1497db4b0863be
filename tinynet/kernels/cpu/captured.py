"""Replay a chain of kernels without Python in between.

For small inputs most of the time goes into Python: shapes, plans, and handing arguments to compiled code. A capture writes a record of
each kernel that a function calls (launch.py), with its arguments, and repeats them in one compiled loop: on what is then in the inputs,
with the weights as they are then, since records hold addresses and not contents. A kernel with enough work for several threads has
them in a replay too. What may be replayed is proven by replayable.py.

Where the chain is a step of a network that writes, `Capture.iterate` stays in compiled code from one character to the next: each that
is drawn from the output is the input of the next step, and the states that a step leaves are those that the next one starts from.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..reference.definition import as_defined
from . import memory, sampling
from .compiler import cache, jit, launch
from .compiler.launch import I64
from .functions import copy
from .replayable import Arrays, Call, arrays_of, calls_of, is_replayable, other_inputs

LARGEST = 2**26
"""Bytes that the kernels of a capture may write to: they stay its own for as long as it is kept."""


@intrinsic
def _rewind(typing_context, record):
    """Set the counters of a record to its first tasks; returns on how many threads it may run."""

    def generate(context, builder, signature, values):
        base = builder.inttoptr(values[0], I64.as_pointer())
        counters, workers = (
            builder.load(builder.gep(base, [I64(place)])) for place in (launch.COUNTERS_AT, launch.WORKERS_AT)
        )
        launch.clear_counters(builder, builder.inttoptr(counters, ir.PointerType(I64)), workers)
        return workers

    return types.intp(types.intp), generate


@numba.njit(**jit.OPTIONS)
def _replay(threads, records):
    for i in range(records.size):
        workers = min(_rewind(records[i]), threads)
        if workers > 1:
            launch.share_out(records[i], workers)
        else:
            launch.run_share(records[i], 0)


_replay._cache = cache.KernelCache("captured.replay")


@numba.njit(**jit.OPTIONS)
def _iterate(threads, step, carry, ids, probabilities, temperature, top_k, top_p, points, heap, sums, drawn):
    for i in range(points.size):
        _replay(threads, step)
        ids[0] = drawn[i] = sampling.draw(probabilities, temperature, top_k, top_p, points[i], heap, sums)
        _replay(1, carry)


_iterate._cache = cache.KernelCache("captured.iterate")


@jit.jit
def _carry(task, source, target):
    copy(source, 0, target, 0, source.size)


class Capture:
    """The kernels that a function called for such arrays, ready to be replayed."""

    def __init__(self, inputs: Sequence[np.ndarray], calls: Sequence[Call], outputs: Arrays) -> None:
        self._inputs, self._outputs = inputs, outputs
        self._busy = threading.Lock()
        self._kept: list[Call] = []  # the arrays that records point to
        self._records: list[np.ndarray] = []
        self._step = self._written(calls)
        self._carry: np.ndarray | None = None
        self._workers = max((call.workers for call in calls), default=1)

    def _written(self, calls: Sequence[Call]) -> np.ndarray:
        """The addresses of records of calls."""
        records = [launch.new_record(call.workers) for call in calls]
        for call, record in zip(calls, records, strict=True):
            call.kernel.write_record(record.ctypes.data, call.tasks, call.workers, call.arguments)
        self._kept += calls
        self._records += records
        return np.array([record.ctypes.data for record in records], np.int64)

    def __call__(self, *inputs: np.ndarray) -> Arrays | None:
        """The outputs for inputs of the same shapes; None while another thread is at it."""
        if not self._busy.acquire(blocking=False):
            return None
        try:
            for own, given in zip(self._inputs, inputs, strict=True):
                own[...] = given
            self._run(_replay, self._step)
            return tuple([output.copy() for output in self._outputs])
        finally:
            self._busy.release()

    def iterate(
        self, index: int, states: Sequence[np.ndarray], settings: tuple[float, int, float], points: np.ndarray
    ) -> tuple[np.ndarray, Arrays] | None:
        """See `Replay.iterate`; None too where a step does not leave states such as it takes."""
        pairs = zip(self._inputs[1:], self._outputs[1:], strict=True)
        if not all(before.shape == after.shape and after.flags.c_contiguous for before, after in pairs):
            return None
        if not self._busy.acquire(blocking=False):
            return None
        try:
            if self._carry is None:
                self._carry = self._written(calls_of(self._carry_states)[0])
            ids, p = self._inputs[0].reshape(-1), self._outputs[0].reshape(-1)
            ids[0] = index
            for own, given in zip(self._inputs[1:], states, strict=True):
                own[...] = given
            drawn = memory.empty((points.size,), np.int32)
            workspace = sampling.workspace(p.size)
            self._run(_iterate, self._step, self._carry, ids, p, *settings, points, *workspace, drawn)
            return drawn, tuple([state.copy() for state in self._inputs[1:]])
        finally:
            self._busy.release()

    def _carry_states(self) -> None:
        """The states that a step leaves are those that the next one starts from."""
        for source, target in zip(self._outputs[1:], self._inputs[1:], strict=True):
            _carry(1, source.size, source.reshape(-1), target.reshape(-1))

    def _run(self, loop: Callable[..., None], *arguments: Any) -> None:
        """Run a compiled loop, on several threads where a kernel wants them and nobody else has them."""
        if self._workers == 1 or not launch.on_threads(loop, launch.get_threads(), *arguments):
            loop(1, *arguments)


@as_defined
def capture(
    function: Callable[..., Arrays], *inputs: np.ndarray, changes: Sequence[np.ndarray] = ()
) -> Capture | None:
    if changes or not all(array.size for array in inputs):  # a training's kernels take longer than Python
        return None
    own = tuple([array.copy() for array in inputs])
    calls, outputs = calls_of(function, *own)
    made = sum(array.nbytes for array in {id(a): a for call in calls for a in arrays_of(call)}.values())
    if made > LARGEST or not is_replayable(function, own, calls, outputs):
        return None
    captured = Capture(own, calls, outputs)
    same = all(
        np.array_equal(a, b, equal_nan=True)
        for tried in (other_inputs(inputs), inputs)
        for a, b in zip(captured(*tried) or (), function(*tried), strict=True)
    )
    return captured if same else None
