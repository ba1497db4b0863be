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

Kernels are not compiled with `parallel=True`: that takes twice as long, and a serial twin would have to be compiled beside each. Here
the same machine code runs in both ways; several threads get it through the one launcher in launch.py.
The serial way is taken for small work, with one thread set, in a forked child (GNU OpenMP kills a child that uses the
threads of its parent) and while another thread is inside a parallel kernel (the `workqueue` layer aborts then).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler import Flags
from numba.extending import intrinsic, register_jitable

from . import cache, environment, launch
from .launch import BYTES, I64, LINE

# Without `nnan` and `ninf`: a NaN must come out of a diverged network.
OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "no_cfunc_wrapper": True,
    "fastmath": {"nsz", "arcp", "contract", "afn", "reassoc"},
}

# Given what each kernel is called with; where it returns true the kernel is not run: see replayable.py.
interceptor: Callable[[Kernel, int, int, tuple], bool | None] | None = None


class Kernel:
    """A compiled loop over tasks; see the module's docstring."""

    def __init__(self, function, name: str | None = None):
        self.__name__ = name or function.__name__
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self._entry = None

    def __call__(self, tasks: int, work: int, *arguments) -> None:
        """Run tasks 0 … tasks - 1; `work` (all tasks together, unit: see launch.SMALL_WORK) decides whether threads pay."""
        intercept = interceptor  # which another thread may take away meanwhile
        if intercept is not None and intercept(self, tasks, work, arguments):
            return
        entry = self._entry or self._make_entry()
        workers = launch.workers_for(tasks, work)
        if workers == 1 or not launch.on_threads(_share_out, entry, tasks, workers, arguments):
            entry(tasks, 1, 0, *arguments)

    def write_record(self, record: int, tasks: int, workers: int, arguments: tuple) -> None:
        """Write a call on so many threads to the memory at an address (`launch.new_record`)."""
        entry = self._entry or self._make_entry()
        entry(tasks, workers, record, *arguments)

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


def _share_out(entry: Callable[..., None], tasks: int, workers: int, arguments: tuple) -> None:
    entry(tasks, workers, launch.RECORD, *arguments)
    launch.share_out(launch.RECORD, workers)


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
                [I64.as_pointer(), I64, I64, context.get_value_type(signature.args[3])]
            )
            worker = _build_worker(context, builder, function, body_signature, state_type)
            call = tasks, workers, arguments
            with builder.if_else(builder.icmp_signed("==", record, I64(0)), likely=True) as (now, later):
                with now:
                    state, counters = (
                        cgutils.alloca_once(builder, state_type),
                        builder.alloca(I64, builder.mul(workers, I64(LINE))),
                    )
                    launch.fill(builder, state, (counters, *call))
                    launch.clear_counters(builder, counters, workers)
                    builder.call(worker, [builder.bitcast(state, BYTES), I64(0)])
                with later:
                    size = -(-context.get_abi_sizeof(state_type) // (8 * LINE)) * LINE
                    launch.write_record(builder, worker, record, size, state_type, call)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, types.intp, arguments), generate

    return run


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
    """Build `worker(state, own)`, which runs the tasks of its own share and then what is left of the others'.

    share k: while (task = first_k + counters[k]++) < last_k: function(task, *state.arguments).
    """
    worker = ir.Function(outer.module, launch.WORKER, outer.function.name + ".worker")
    worker.linkage = "internal"
    builder = ir.IRBuilder(worker.append_basic_block("entry"))
    state, own = builder.bitcast(worker.args[0], state_type.as_pointer()), worker.args[1]
    counters, tasks, workers, arguments = (
        builder.load(cgutils.gep_inbounds(builder, state, 0, i)) for i in range(4)
    )
    arguments = cgutils.unpack_tuple(builder, arguments, len(signature.args) - 1)
    arguments = [
        _borrowed(context, builder, *pair) for pair in zip(signature.args[1:], arguments, strict=True)
    ]
    with cgutils.for_range(builder, workers) as loop:
        share = builder.urem(builder.add(own, loop.index), workers)
        first, last = (
            builder.udiv(builder.mul(tasks, k), workers) for k in (share, builder.add(share, I64(1)))
        )
        counter = builder.gep(counters, [builder.mul(share, I64(LINE))])
        head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
        builder.branch(head)
        builder.position_at_end(head)
        task = builder.add(first, builder.atomic_rmw("add", counter, I64(1), "monotonic"))
        builder.cbranch(builder.icmp_signed("<", task, last), body, end)
        builder.position_at_end(body)
        compiled = context.compile_subroutine(outer, function, signature, flags=_inlined())
        context.call_internal_no_propagate(builder, compiled.fndesc, signature, [task, *arguments])
        builder.branch(head)
        builder.position_at_end(end)
    builder.ret_void()
    return worker


def _borrowed(context, builder, kind, value):
    """An argument without its counts of references, which all threads would write to at every slice: the caller holds it."""
    if isinstance(kind, types.BaseTuple):
        items = cgutils.unpack_tuple(builder, value, len(kind))
        borrowed = [_borrowed(context, builder, *pair) for pair in zip(kind, items, strict=True)]
        return context.make_tuple(builder, kind, borrowed)
    if not isinstance(kind, types.Array):
        return value
    array = context.make_array(kind)(context, builder, value)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    array.parent = cgutils.get_null_value(array.parent.type)
    return array._getvalue()
