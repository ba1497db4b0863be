"""A table of vectors added to the steps of sequences, by position: one element a thread; the gradient adds in the steps' order."""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.functions import floor
from .compiler.kernel import blocks_for, kernel
from .compiler.primitives import divide, f4


@as_defined
def add_positions(x: Any, table: Any, start: Any) -> tuple[DeviceArray, DeviceArray]:
    x, table, start = take(x), take(table), take(start)
    n, t, d = x.shape
    y, end = empty(x.shape), empty((n, 1))
    if y.size:
        given = x, table, start, y, y.size, t, d, len(table)
        _add(blocks_for(y.size), *given)
    if n:
        _advance(blocks_for(n), start, end, n, t, len(table))
    return y, end


@as_defined
def add_positions_gradient(dy: Any, start: Any, rows: int) -> DeviceArray:
    dy, start = take(dy), take(start)
    n, t, d = dy.shape
    dtable = empty((rows, d))
    _gather_rows(blocks_for(dtable.size), dy, start, dtable, dtable.size, n, t, d, rows)
    return dtable


@kernel("f4[:], f4[:], f4[:], f4[:], i4, i4, i4, i4", threads=256)
def _add(x, table, start, y, size, steps, d, rows):
    i = cuda.grid(1)
    while i < size:
        step = divide(i, d)
        n = divide(step, steps)
        row = (int(floor(start[n])) + step - n * steps) % rows
        y[i] = x[i] + table[row * d + i - step * d]
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], i4, i4, i4", threads=256)
def _advance(start, end, n, steps, rows):
    i = cuda.grid(1)
    while i < n:
        end[i] = f4(int(floor(start[i] + f4(steps))) % rows)
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], i4, i4, i4, i4, i4", threads=256)
def _gather_rows(dy, start, dtable, size, n, steps, d, rows):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, d)
        total = f4(0)
        for sequence in range(n):
            for step in range((row - int(floor(start[sequence]))) % rows, steps, rows):
                total += dy[(sequence * steps + step) * d + i - row * d]
        dtable[i] = total
        i += cuda.gridsize(1)
