"""The decorator of every kernel: flags, compilation on first use, the cache on disk, and the launch on one or several threads.

A kernel is a function of a task number. `@jit` compiles it once; calling the result, `kernel(tasks, work, *arguments)`,
runs it for every task from 0 to tasks - 1, on this thread or shared out among several::

    @jit
    def double(task, x, y):
        for i in range(task * CHUNK, min(x.size, (task + 1) * CHUNK)):
            y[i] = 2 * x[i]

    double(tasks, x.size, x, y)

Each task owns what it writes, and what a task does never depends on the thread count: so results are the same bits on any
number of threads. Each thread begins with a share of its own, the same in every kernel, so that a picture stays in the cache of
one core from layer to layer; then it takes what others have left, so that a thread that is held up does not hold up the rest.

Why not `parallel=True`: its compiler takes twice as long, and a serial twin would have to be compiled beside it. Here
the same machine code runs in both ways; only its caller hands one loop to the thread pool (Numba's own) instead of running it.
The serial way is taken for small work, with one thread set, in a forked child (GNU OpenMP kills a child that uses the
threads of its parent) and while another thread is inside a parallel kernel (the `workqueue` layer aborts then).
"""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler import Flags
from numba.extending import intrinsic, register_jitable

from . import cache, environment

# About 100 µs of one thread's work, unit: one float read and written once, or 16 multiply-adds in a tile. A second thread that
# waits would share it within 5 µs; one that sleeps, or whose core is busy, comes too late: one picture is faster on one thread.
SMALL_WORK = 220_000

SPIN_COUNT = "20000"
"""Glances that GNU OpenMP's threads take at the job board before they sleep, longer than Python takes between kernels."""

# Without `nnan` and `ninf`: a NaN must come out of a diverged network.
OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "no_cfunc_wrapper": True,
    "fastmath": {"nsz", "arcp", "contract", "afn", "reassoc"},
}


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


_I64 = ir.IntType(64)
LINE = 8
"""Integers in a cache line."""
RECORD_BYTES = 8192
"""Of memory that a recorded call takes at most."""
_BYTES = ir.IntType(8).as_pointer()
WORKER = ir.FunctionType(ir.VoidType(), [_BYTES.as_pointer(), _I64.as_pointer(), _I64.as_pointer(), _BYTES])
_inside_parallel = threading.Lock()
_threads = _load_threads()

# Called before every kernel, with what it is called with: see recording.py.
recorder: Callable[[Kernel, int, int, tuple], None] | None = None


def set_threads(count: int | None) -> None:
    """Use at most `count` threads in every kernel from now on; None for as many as Numba has."""
    global _threads
    available = numba.config.NUMBA_NUM_THREADS
    _threads = available if count is None else max(1, min(int(count), available))


def get_threads() -> int:
    """How many threads a large kernel uses."""
    return _threads


def enter_parallel() -> bool:
    """Take the right to use several threads, if nobody has it; give it back with `leave_parallel`."""
    return _inside_parallel.acquire(blocking=False)


def leave_parallel() -> None:
    """Give back what `enter_parallel` took."""
    _inside_parallel.release()


def _only_serial_in_child() -> None:
    global _threads, _inside_parallel
    _inside_parallel = threading.Lock()
    _inside_parallel.acquire()  # for ever: every kernel of this process finds it taken and runs serially


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_only_serial_in_child)


class Kernel:
    """A compiled loop over tasks; see the module's docstring."""

    def __init__(self, function, name: str | None = None):
        self.__name__ = name or function.__name__
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self._entry = None

    def __call__(self, tasks: int, work: int, *arguments) -> None:
        """Run tasks 0 … tasks - 1; `work` (all tasks together, unit: see SMALL_WORK) decides whether threads pay."""
        listener = recorder  # which another thread may take away meanwhile
        if listener is not None:
            listener(self, tasks, work, arguments)
        entry = self._entry or self._make_entry()
        if work > SMALL_WORK and tasks > 1 and _threads > 1 and enter_parallel():
            try:
                entry(tasks, min(tasks, _threads), 0, *arguments)
            finally:
                leave_parallel()
        else:
            entry(tasks, 1, 0, *arguments)

    def write_record(self, record: int, tasks: int, arguments: tuple) -> None:
        """Write a call to the RECORD_BYTES of memory at an address, for `recording.py` to repeat it on one thread."""
        entry = self._entry or self._make_entry()
        entry(tasks, 1, record, *arguments)

    def _make_entry(self):
        environment.refuse_disabled()  # it may have been set since
        function = self.__wrapped__
        names = ", ".join(list(inspect.signature(function).parameters)[1:])
        # Numba unpacks named parameters faster than *arguments, and cannot make them itself.
        source = f"def {self.__name__}(tasks, workers, record, {names}):\n    run(tasks, workers, record, ({names},))\n"
        namespace = {"run": _run_of(function), "__name__": function.__module__}
        exec(compile(source, inspect.getfile(function), "exec"), namespace)
        entry = numba.njit(**OPTIONS)(namespace[self.__name__])
        entry._cache = cache.KernelCache(f"{function.__module__.rsplit('.', 1)[-1]}.{self.__name__}")
        self._entry = entry
        return entry


def helper(function):
    """Make a function that kernels call; LLVM inlines it where that pays."""
    return register_jitable(**OPTIONS, no_cpython_wrapper=True)(function)


def jit(function, name: str | None = None) -> Kernel:
    """Make a kernel of a function `(task, …)`; its name, if not the function's own, must be the only one in its module.

    Costs nothing until the first call.
    """
    return Kernel(function, name)


def _run_of(function):
    """The intrinsic `run(tasks, workers, record, arguments)`, which calls `function(task, *arguments)` for every task.

    With an address as `record`, all that such a call needs is written there instead.
    """

    @intrinsic
    def run(typing_context, tasks, workers, record, arguments):
        body_signature = types.none(types.intp, *arguments.types)

        def generate(context, builder, signature, values):
            tasks, workers, record, arguments = values
            state_type = ir.LiteralStructType(
                [_I64.as_pointer(), _I64, _I64, context.get_value_type(signature.args[3])]
            )
            worker = _build_worker(context, builder, function, body_signature, state_type)
            with builder.if_else(builder.icmp_signed("==", record, _I64(0)), likely=True) as (now, later):
                with now:
                    state = cgutils.alloca_once(builder, state_type)
                    counters = builder.alloca(_I64, builder.mul(workers, _I64(LINE)))
                    fill(builder, state, (counters, tasks, workers, arguments))
                    clear_counters(builder, counters, workers)
                    launch(builder, worker, builder.bitcast(state, _BYTES), workers)
                with later:
                    size = -(-context.get_abi_sizeof(state_type) // (8 * LINE)) * LINE
                    _write_record(builder, worker, record, size, state_type, (tasks, workers, arguments))
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, types.intp, arguments), generate

    return run


def fill(builder, state, values) -> None:
    """Write the fields of a structure."""
    for i, value in enumerate(values):
        builder.store(value, cgutils.gep_inbounds(builder, state, 0, i))


def _write_record(builder, worker, record, size: int, state_type, values) -> None:
    """A record is a line with the addresses of `worker` and of its counter; the state, which takes `size` integers; the counter."""
    if 8 * (size + 2 * LINE) > RECORD_BYTES:
        raise NotImplementedError(f"the arguments of a kernel take {8 * size} bytes")
    base = builder.inttoptr(record, _I64.as_pointer())
    counter = builder.gep(base, [_I64(LINE + size)])
    for i, value in enumerate((worker, counter)):
        builder.store(builder.ptrtoint(value, _I64), builder.gep(base, [_I64(i)]))
    fill(
        builder, builder.bitcast(builder.gep(base, [_I64(LINE)]), state_type.as_pointer()), (counter, *values)
    )


def clear_counters(builder, counters, count) -> None:
    """Set so many counters, each on a cache line of its own, to zero."""
    with cgutils.for_range(builder, count) as loop:
        builder.store(_I64(0), builder.gep(counters, [builder.mul(loop.index, _I64(LINE))]))


def _inlined() -> Flags:
    """How a task is compiled: always into the loop over tasks, so that its code is the same fresh from the compiler and from the disk.

    A function of its own is optimised twice, alone and where it is called, and which of the two is linked depends on what the process
    has loaded before.
    """
    flags = Flags()
    flags.nrt = True
    flags.forceinline = True
    return flags


def _build_worker(context, outer, function, signature, state_type):
    """Build `worker(arguments, …, state)`, which runs the tasks of its own share and then what is left of the others'.

    share k: while (task = first_k + counters[k]++) < last_k: function(task, *state.arguments).
    Which share is its own the thread pool says by the address that it hands over: `state` + k.
    """
    worker = ir.Function(outer.module, WORKER, outer.function.name + ".worker")
    worker.linkage = "internal"
    builder = ir.IRBuilder(worker.append_basic_block("entry"))
    state = builder.bitcast(worker.args[3], state_type.as_pointer())
    counters, tasks, workers, arguments = (
        builder.load(cgutils.gep_inbounds(builder, state, 0, i)) for i in range(4)
    )
    arguments = cgutils.unpack_tuple(builder, arguments, len(signature.args) - 1)
    arguments = [_lent(context, builder, *pair) for pair in zip(signature.args[1:], arguments, strict=True)]
    own = builder.sub(*(builder.ptrtoint(p, _I64) for p in (builder.load(worker.args[0]), worker.args[3])))
    with cgutils.for_range(builder, workers) as loop:
        share = builder.urem(builder.add(own, loop.index), workers)
        first, last = (
            builder.udiv(builder.mul(tasks, k), workers) for k in (share, builder.add(share, _I64(1)))
        )
        counter = builder.gep(counters, [builder.mul(share, _I64(LINE))])
        head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
        builder.branch(head)
        builder.position_at_end(head)
        task = builder.add(first, builder.atomic_rmw("add", counter, _I64(1), "monotonic"))
        builder.cbranch(builder.icmp_signed("<", task, last), body, end)
        builder.position_at_end(body)
        compiled = context.compile_subroutine(outer, function, signature, flags=_inlined())
        context.call_internal_no_propagate(builder, compiled.fndesc, signature, [task, *arguments])
        builder.branch(head)
        builder.position_at_end(end)
    builder.ret_void()
    return worker


def _lent(context, builder, kind, value):
    """An argument without its counts of references, which all threads would write to at every slice: the caller holds it."""
    if isinstance(kind, types.BaseTuple):
        items = cgutils.unpack_tuple(builder, value, len(kind))
        lent = [_lent(context, builder, *pair) for pair in zip(kind, items, strict=True)]
        return context.make_tuple(builder, kind, lent)
    if not isinstance(kind, types.Array):
        return value
    array = context.make_array(kind)(context, builder, value)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    return array._getvalue()


def launch(builder, worker, state, workers) -> None:
    """Call `worker` here, or in several threads at once through Numba's thread pool."""
    arguments = cgutils.alloca_once_value(builder, state)
    count = cgutils.alloca_once_value(builder, workers)
    step = cgutils.alloca_once_value(builder, _I64(1))
    with builder.if_else(builder.icmp_signed(">", workers, _I64(1))) as (several, one):
        with several:
            # parallel_for(function, arguments, dimensions, steps, data, inner dimensions, arrays, threads)
            pool_type = ir.FunctionType(ir.VoidType(), [_BYTES] * 5 + [_I64] * 3)
            pool = cgutils.get_or_insert_function(builder.module, pool_type, "numba_parallel_for")
            pointers = [builder.bitcast(p, _BYTES) for p in (worker, arguments, count, step)]
            builder.call(pool, [*pointers, state, _I64(0), _I64(1), workers])
        with one:
            builder.call(worker, [arguments, count, step, state])
