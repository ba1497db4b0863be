"""A table of vectors, read by the ids of its rows, and its gradient. Bound by memory.

Blocking: a task of the gradient owns some columns of the table and reads those of all rows of dy.
"""

from __future__ import annotations

import numpy as np

from . import memory
from .compiler.jit import jit
from .compiler.simd import LANES, load_until, store_until
from .definition import as_defined
from .flat import flat, row_tasks
from .functions import clear

COLUMNS = 8 * LANES
"""Of a task."""


@jit
def _gather(task, ids, table, y, d, rows):
    for row in range(task * rows, min(ids.size, (task + 1) * rows)):
        at, source = row * d, np.int64(ids[row]) * d
        for j in range(0, d, LANES):
            store_until(y, at + j, at + d, load_until(table, source + j, source + d))


@jit
def _add_rows(task, dy, ids, dtable, d):
    first, last = task * COLUMNS, min(d, (task + 1) * COLUMNS)
    for at in range(0, dtable.size, d):
        clear(dtable, at + first, at + last)
    for row in range(ids.size):
        at, source = np.int64(ids[row]) * d, row * d
        for j in range(first, last, LANES):
            here = load_until(dtable, at + j, at + last)
            store_until(dtable, at + j, at + last, here + load_until(dy, source + j, source + last))


def _in_a_row(ids: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(ids).reshape(-1)


@as_defined
def embedding(ids: np.ndarray, table: np.ndarray) -> np.ndarray:
    y = memory.empty((*ids.shape, table.shape[1]))
    if y.size:
        tasks, rows = row_tasks(ids.size, table.shape[1])
        _gather(tasks, y.size, _in_a_row(ids), flat(table), y.reshape(-1), table.shape[1], rows)
    return y


@as_defined
def embedding_gradient(dy: np.ndarray, ids: np.ndarray, input_dim: int) -> np.ndarray:
    d = dy.shape[-1]
    dtable = np.zeros((input_dim, d), np.float32)
    if dy.size:
        _add_rows(-(-d // COLUMNS), 2 * dy.size, flat(dy), _in_a_row(ids), dtable.reshape(-1), d)
    return dtable
