"""The launch of a kernel's tasks on several threads: the one function that is compiled with `parallel=True`, for all kernels.

A kernel's compiled entry (jit.py) writes a record of the call instead of running it. `share_out` then runs the record's worker once
for each thread, through Numba's `prange`. So each kernel is compiled once, without Numba's slow parallel compiler, and the same
machine code runs on one thread or several.

A record is a line of integers, the state that the worker reads, and a counter for each share of the tasks, each on a cache
line of its own.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import cache

I64 = ir.IntType(64)
BYTES = ir.IntType(8).as_pointer()
WORKER = ir.FunctionType(ir.VoidType(), [BYTES, I64])
"""worker(state, share): run the tasks of a share, then those that the others have left."""
LINE = 8
"""Integers in a cache line."""
WORKER_AT, COUNTERS_AT, WORKERS_AT = range(3)
"""Where in the first line of a record the addresses of its worker and of its counters lie, and the number of workers."""
STATE_BYTES = 8192
"""Of the state in a record, at most."""

# About 100 µs of one thread's work, unit: one float read and written once, or 16 multiply-adds in a tile. A second thread that
# waits would share it within 5 µs; one that sleeps, or whose core is busy, comes too late: one picture is faster on one thread.
SMALL_WORK = 220_000

SPIN_COUNT = "20000"
"""Glances that GNU OpenMP's threads take at the job board before they sleep, longer than Python takes between kernels."""


def _load_threads() -> int:
    """Load Numba's thread pool, which kernels from the cache link to; returns the number of its threads.

    GNU OpenMP's threads watch for work before they sleep, by default for 4 ms. On a computer that is busy with something else too,
    they then keep from its core the very thread that they wait for, twice in every kernel.
    """
    given = os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    threads = numba.get_num_threads()
    if given is SPIN_COUNT:
        del os.environ["GOMP_SPINCOUNT"]
    return threads


_inside_parallel = threading.Lock()
_threads = _load_threads()


def set_threads(count: int | None) -> None:
    """Use at most `count` threads in every kernel from now on; None for as many as Numba has."""
    global _threads
    available = numba.config.NUMBA_NUM_THREADS
    _threads = available if count is None else max(1, min(int(count), available))


def get_threads() -> int:
    """How many threads a large kernel uses."""
    return _threads


def workers_for(tasks: int, work: int) -> int:
    """On how many threads a call should run; `work`, of all tasks together, decides whether threads pay (unit: see SMALL_WORK)."""
    return min(tasks, _threads) if work > SMALL_WORK and tasks > 1 else 1


def on_threads(function: Callable[..., None], *arguments: Any) -> bool:
    """Call a function that uses `share_out` on the set number of threads; False, and not called, while another thread does so.

    How many threads the user's own Numba code may use stays as it was.
    """
    if not _inside_parallel.acquire(blocking=False):
        return False
    try:
        before = numba.get_num_threads()
        if before == _threads:
            function(*arguments)
            return True
        numba.set_num_threads(_threads)
        try:
            function(*arguments)
        finally:
            numba.set_num_threads(before)
        return True
    finally:
        _inside_parallel.release()


def _only_serial_in_child() -> None:
    global _inside_parallel
    _inside_parallel = threading.Lock()
    _inside_parallel.acquire()  # forever: every kernel of this process finds it taken and runs serially


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_only_serial_in_child)


def new_record(workers: int) -> np.ndarray:
    """Memory for the record of a call on so many threads."""
    return np.zeros(LINE + STATE_BYTES // 8 + LINE * workers, np.int64)


_record = new_record(numba.config.NUMBA_NUM_THREADS)
RECORD = _record.ctypes.data
"""The address of the record of the one call that runs on several threads."""


@intrinsic
def run_share(typing_context, record, share):
    """Run a record's worker on this thread, from its own share on."""

    def generate(context, builder, signature, values):
        record, share = values
        base = builder.inttoptr(record, I64.as_pointer())
        worker = builder.inttoptr(builder.load(builder.gep(base, [I64(WORKER_AT)])), WORKER.as_pointer())
        builder.call(worker, [builder.bitcast(builder.gep(base, [I64(LINE)]), BYTES), share])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@numba.njit(parallel=True, nogil=True)
def share_out(record, workers):
    """Run a record on so many threads, each of which begins with a share of its own."""
    for share in numba.prange(workers):
        run_share(record, np.intp(share))


share_out._cache = cache.KernelCache("launch.share_out")


def fill(builder, state, values) -> None:
    """Write the fields of a structure."""
    for i, value in enumerate(values):
        builder.store(value, cgutils.gep_inbounds(builder, state, 0, i))


def clear_counters(builder, counters, count) -> None:
    """Set so many counters, each on a cache line of its own, to zero."""
    with cgutils.for_range(builder, count) as loop:
        builder.store(I64(0), builder.gep(counters, [builder.mul(loop.index, I64(LINE))]))


def write_record(builder, worker, record, size: int, state_type, values) -> None:
    """Write a call to an address: the first line; the state (counters, tasks, workers, arguments), `size` integers; the counters."""
    if 8 * size > STATE_BYTES:
        raise NotImplementedError(f"the arguments of a kernel take {8 * size} bytes")
    base = builder.inttoptr(record, I64.as_pointer())
    counters = builder.gep(base, [I64(LINE + size)])
    _, workers, _ = values
    words = {
        WORKER_AT: builder.ptrtoint(worker, I64),
        COUNTERS_AT: builder.ptrtoint(counters, I64),
        WORKERS_AT: workers,
    }
    for place, word in words.items():
        builder.store(word, builder.gep(base, [I64(place)]))
    state = builder.bitcast(builder.gep(base, [I64(LINE)]), state_type.as_pointer())
    fill(builder, state, (counters, *values))
    clear_counters(builder, counters, workers)
