"""Positions: a table of vectors that are added to steps. A task owns rows of the result, of the table in the gradient. Bound by memory."""

from __future__ import annotations

import math

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .compiler.jit import helper, jit
from .compiler.simd import LANES, load_until, splat, store_until
from .flat import flat, row_tasks


@helper
def _row_of(start, sequence, t, rows):
    """The row of the table at a step."""
    return (np.int64(math.floor(start[sequence])) + t) % rows


@jit
def _add_positions(task, x, table, start, y, d, steps, per_task):
    table_rows = table.size // d
    for row in range(task * per_task, min(x.size // d, (task + 1) * per_task)):
        source = _row_of(start, row // steps, row % steps, table_rows) * d
        at, stop = row * d, row * d + d
        for j in range(0, d, LANES):
            store_until(
                y, at + j, stop, load_until(x, at + j, stop) + load_until(table, source + j, source + d)
            )


@jit
def _next_start(task, start, following, steps, rows):
    for sequence in range(start.size):
        following[sequence] = _row_of(start, sequence, steps, rows)


@jit
def _add_positions_gradient(task, dy, start, dtable, d, steps, rows):
    """A task is a row of the table: which steps of a sequence it meets follows from where that starts."""
    for j in range(0, d, LANES):
        sums = splat(np.float32(0))
        for sequence in range(start.size):
            first = (task - _row_of(start, sequence, 0, rows)) % rows
            for t in range(first, steps, rows):
                at = (sequence * steps + t) * d
                sums += load_until(dy, at + j, at + d)
        store_until(dtable, task * d + j, task * d + d, sums)


@as_defined
def add_positions(x: np.ndarray, table: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    (n, steps, d), rows = x.shape, len(table)
    y, following = memory.empty(x.shape), memory.empty((n, 1))
    if n:
        _next_start(1, n, flat(start), following.reshape(-1), steps, rows)
    if y.size:
        tasks, per_task = row_tasks(n * steps, d)
        _add_positions(tasks, x.size, flat(x), flat(table), flat(start), y.reshape(-1), d, steps, per_task)
    return y, following


@as_defined
def add_positions_gradient(dy: np.ndarray, start: np.ndarray, rows: int) -> np.ndarray:
    _, steps, d = dy.shape
    dtable = memory.empty((rows, d))
    _add_positions_gradient(
        rows, dy.size + dtable.size, flat(dy), flat(start), dtable.reshape(-1), d, steps, rows
    )
    return dtable
