"""The decorator of every kernel: flags, compilation on first use, the cache on disk, and the launch on one or several threads.

A kernel is a function of a task number. `@jit` compiles it once; calling the result, `kernel(tasks, work, *arguments)`,
runs it for every task from 0 to tasks - 1, on this thread or shared out among several::

    @jit
    def double(task, x, y):
        for i in range(task * CHUNK, min(x.size, (task + 1) * CHUNK)):
            y[i] = 2 * x[i]

    double(tasks, x.size, x, y)

Each task owns what it writes, and what a task does never depends on the thread count: so results are the same bits on any
number of threads. Threads take the next task from a shared counter, so a thread that is held up does not hold up the rest.

Why not `parallel=True`: its compiler takes twice as long, and a serial twin would have to be compiled beside it. Here
the same machine code runs in both ways; only its caller tells the helpers of pool.py or does not. It does not for small work,
with one thread set, and while another thread is inside a parallel kernel.
"""

from __future__ import annotations

import inspect
import os
import threading

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import cache, pool

# Handing work to a second thread that waits costs 2 to 5 µs; this is about 10 µs of one thread's work. The unit of
# `work` is one float read and written once, or 16 multiply-adds in a tile.
SMALL_WORK = 20_000

# Without `nnan` and `ninf`: a NaN must come out of a diverged network.
OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "no_cfunc_wrapper": True,
    "fastmath": {"nsz", "arcp", "contract", "afn", "reassoc"},
}

_I64 = ir.IntType(64)
_inside_parallel = threading.Lock()
_available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_threads = _available


def set_threads(count: int | None) -> None:
    """Use at most `count` threads in every kernel from now on; None for one a core."""
    global _threads
    _threads = _available if count is None else max(1, int(count))


def get_threads() -> int:
    """How many threads a large kernel uses."""
    return _threads


def _unlock_in_child() -> None:
    global _inside_parallel
    _inside_parallel = threading.Lock()  # the thread that held it is not in the child


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_in_child)


class Kernel:
    """A compiled loop over tasks; see the module's docstring."""

    def __init__(self, function, name: str | None = None):
        self.__name__ = name or function.__name__
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self._entry = None

    def __call__(self, tasks: int, work: int, *arguments) -> None:
        """Run tasks 0 … tasks - 1; `work` (all tasks together, unit: see SMALL_WORK) decides whether threads pay."""
        entry = self._entry or self._make_entry()
        if work > SMALL_WORK and tasks > 1 and _threads > 1 and _inside_parallel.acquire(blocking=False):
            helpers = min(tasks, _threads) - 1
            try:
                entry(tasks, helpers, pool.board(helpers), *arguments)
            finally:
                _inside_parallel.release()
        else:
            entry(tasks, 0, 0, *arguments)

    def _make_entry(self):
        function = self.__wrapped__
        names = ", ".join(list(inspect.signature(function).parameters)[1:])
        # Numba unpacks named parameters faster than *arguments, and cannot make them itself.
        source = f"def {self.__name__}(tasks, helpers, board, {names}):\n    run(tasks, helpers, board, ({names},))\n"
        namespace = {"run": _run_of(function), "__name__": function.__module__}
        exec(compile(source, inspect.getfile(function), "exec"), namespace)
        entry = numba.njit(**OPTIONS)(namespace[self.__name__])
        entry._cache = cache.KernelCache(f"{function.__module__.rsplit('.', 1)[-1]}.{self.__name__}")
        self._entry = entry
        return entry


def jit(function, name: str | None = None) -> Kernel:
    """Make a kernel of a function `(task, …)`; its name, if not the function's own, must be the only one in its module.

    Costs nothing until the first call.
    """
    return Kernel(function, name)


def _run_of(function):
    """The intrinsic `run(tasks, helpers, board, arguments)`, which calls `function(task, *arguments)` for every task."""

    @intrinsic
    def run(typing_context, tasks, helpers, board, arguments):
        body_signature = types.none(types.intp, *arguments.types)

        def generate(context, builder, signature, values):
            tasks, helpers, board, values = values
            job_type = ir.LiteralStructType([_I64, _I64, _I64, values.type])
            worker = _build_worker(context, builder, function, body_signature, job_type)
            job = cgutils.alloca_once(builder, job_type)
            for i, value in enumerate((builder.ptrtoint(worker, _I64), _I64(0), tasks, values)):
                builder.store(value, cgutils.gep_inbounds(builder, job, 0, i))
            job = builder.ptrtoint(job, _I64)
            with builder.if_else(builder.icmp_signed(">", helpers, _I64(0))) as (several, alone):
                with several:
                    pool.work_with_helpers(builder, board, job, helpers)
                with alone:
                    builder.call(worker, [job])
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, types.intp, arguments), generate

    return run


def _build_worker(context, outer, function, signature, job_type):
    """Build `worker(job)`: while (task = job.next++) < job.tasks: function(task, *job.arguments)."""
    worker = ir.Function(outer.module, pool.JOB_FUNCTION, outer.function.name + ".worker")
    worker.linkage = "internal"
    builder = ir.IRBuilder(worker.append_basic_block("entry"))
    head, body, end = (worker.append_basic_block(name) for name in ("head", "body", "end"))
    job = builder.inttoptr(worker.args[0], job_type.as_pointer())
    next_task, tasks, arguments = (cgutils.gep_inbounds(builder, job, 0, i) for i in (1, 2, 3))
    tasks = builder.load(tasks)
    arguments = cgutils.unpack_tuple(builder, builder.load(arguments), len(signature.args) - 1)
    builder.branch(head)
    builder.position_at_end(head)
    task = builder.atomic_rmw("add", next_task, _I64(1), "monotonic")
    builder.cbranch(builder.icmp_signed("<", task, tasks), body, end)
    builder.position_at_end(body)
    compiled = context.compile_subroutine(outer, function, signature)
    context.call_internal_no_propagate(builder, compiled.fndesc, signature, [task, *arguments])
    builder.branch(head)
    builder.position_at_end(end)
    builder.ret_void()
    return worker
