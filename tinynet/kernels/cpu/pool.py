"""Threads that help with a kernel, and that nobody waits for unless they do.

The usual pools (OpenMP, Numba's `workqueue`) end a parallel loop when every thread has arrived. On a computer that is busy with something else
a thread may not even have been scheduled by then: each loop then waits for the scheduler, here 8 ms instead of 0.1.
This pool is a notice board. The caller of a kernel puts up a job and works on it himself; a helper that reads the notice in time takes a
seat and takes tasks too. When no task is left the caller takes the notice down and waits only for helpers that sit.

A helper without work watches the board for PATIENCE glances (about 0.2 ms), so that the next kernel finds it awake, then sleeps until it is
called. Threads are not inherited by a forked child: there the pool starts afresh.
"""

from __future__ import annotations

import os
import platform
import sys
import threading

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import cache

PATIENCE = 5_000
# Words of the board, one to a cache line.
JOB, SEATS, INSIDE = 0, 16, 32

_I64 = ir.IntType(64)
JOB_FUNCTION = ir.FunctionType(ir.VoidType(), [_I64])
"""A job is the address of a structure whose first element is a function of this type, which takes that address."""


def word(builder, board, index: int):
    """Pointer to a word of the board; `board` is its address."""
    return builder.inttoptr(builder.add(board, _I64(8 * index)), _I64.as_pointer())


def read(builder, pointer):
    """Read a word that other threads write."""
    return builder.load_atomic(pointer, "seq_cst", 8)


def write(builder, value, pointer) -> None:
    """Write a word that other threads read."""
    builder.store_atomic(value, pointer, "seq_cst", 8)


def call_job(builder, job) -> None:
    """Call the function at the head of a job."""
    function = builder.load(builder.inttoptr(job, _I64.as_pointer()))
    builder.call(builder.inttoptr(function, JOB_FUNCTION.as_pointer()), [job])


def pause(builder) -> None:
    """Tell the processor that this is a waiting loop."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
    elif machine in ("aarch64", "arm64"):
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)])
        hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.hint")
        builder.call(hint, [ir.IntType(32)(1)])


def give_way(builder) -> None:
    """Let another thread have this core: the one that is waited for may need it."""
    if sys.platform == "win32":
        pause(builder)
    else:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])


def work_with_helpers(builder, board, job, helpers) -> None:
    """Put up a job, work on it, take it down, and wait for the helpers that took a seat."""
    write(builder, helpers, word(builder, board, SEATS))
    write(builder, job, word(builder, board, JOB))
    call_job(builder, job)
    write(builder, _I64(0), word(builder, board, JOB))
    waiting, done = builder.append_basic_block("waiting"), builder.append_basic_block("done")
    yielding = builder.append_basic_block("yielding")
    glances = cgutils.alloca_once_value(builder, _I64(0))
    builder.branch(waiting)
    builder.position_at_end(waiting)
    pause(builder)
    seated = builder.icmp_signed("!=", read(builder, word(builder, board, INSIDE)), _I64(0))
    count = builder.add(builder.load(glances), _I64(1))
    builder.store(count, glances)
    long = builder.icmp_signed("==", builder.and_(count, _I64(1023)), _I64(0))
    builder.cbranch(seated, yielding, done)
    builder.position_at_end(yielding)
    with builder.if_then(long):
        give_way(builder)
    builder.branch(waiting)
    builder.position_at_end(done)


@intrinsic
def _read(typing_context, board, index):
    def generate(context, builder, signature, values):
        address = builder.add(values[0], builder.mul(values[1], _I64(8)))
        return read(builder, builder.inttoptr(address, _I64.as_pointer()))

    return types.int64(types.int64, types.int64), generate


@intrinsic
def _add(typing_context, board, index, amount):
    """Add to a word; returns what it was."""

    def generate(context, builder, signature, values):
        address = builder.add(values[0], builder.mul(values[1], _I64(8)))
        return builder.atomic_rmw("add", builder.inttoptr(address, _I64.as_pointer()), values[2], "seq_cst")

    return types.int64(types.int64, types.int64, types.int64), generate


@intrinsic
def _call(typing_context, job):
    def generate(context, builder, signature, values):
        call_job(builder, values[0])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def _pause(typing_context):
    def generate(context, builder, signature, values):
        pause(builder)
        return context.get_dummy_value()

    return types.void(), generate


def _serve(board, patience):
    """Help with the jobs on the board until there has been none for `patience` glances."""
    idle = 0
    while idle < patience:
        idle += 1
        if _read(board, JOB) != 0 and _read(board, SEATS) > 0 and _add(board, SEATS, -1) > 0:
            _add(board, INSIDE, 1)
            job = _read(board, JOB)  # again: only from INSIDE on does the caller wait
            if job != 0:
                _call(job)
                idle = 0
            _add(board, INSIDE, -1)
        _pause()


def _compiled_serve():
    dispatcher = numba.njit(nogil=True, no_cfunc_wrapper=True)(_serve)
    dispatcher._cache = cache.KernelCache("pool.serve")
    return dispatcher


class Pool:
    """Helpers and their board."""

    def __init__(self):
        self._words = np.zeros(64, np.int64)
        self._board = self._words.ctypes.data
        self._sleeping: list[threading.Lock] = []
        self._helpers = 0
        self._serve = None

    def board(self, helpers: int) -> int:
        """The address of the board, with so many helpers called to it."""
        while self._helpers < helpers:
            self._start()
        while self._sleeping:
            self._sleeping.pop().release()
        return self._board

    def _start(self) -> None:
        if self._serve is None:
            self._serve = _compiled_serve()
            self._serve(self._board, 0)  # compile here, not in the helper
        self._helpers += 1
        threading.Thread(target=self._help, name=f"tinynet-{self._helpers}", daemon=True).start()

    def _help(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        while True:
            self._serve(self._board, PATIENCE)
            self._sleeping.append(bell)
            bell.acquire()


_pool = Pool()


def board(helpers: int) -> int:
    """The address of this process's board, with so many helpers called to it."""
    return _pool.board(helpers)


def _start_afresh() -> None:
    global _pool
    _pool = Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)
