"""A table of vectors, read by the ids of its rows, one after the other or summed, and its gradients. Bound by memory.

Blocking: a task of a gradient owns some columns of the table and reads those of all rows of dy.
"""

from __future__ import annotations

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .compiler.jit import jit
from .compiler.simd import LANES, load_until, splat, store_until
from .dropout import drops, mix, words
from .flat import CHUNK, chunks, flat, row_tasks
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


@jit
def _add_up(task, ids, table, y, factor, steps, d, rows):
    for row in range(task * rows, min(y.size // d, (task + 1) * rows)):
        at, stop = row * d, (row + 1) * d
        clear(y, at, stop)
        for place in range(row * steps, (row + 1) * steps):
            source = np.int64(ids[place]) * d
            if source:
                for j in range(0, d, LANES):
                    sums = load_until(y, at + j, stop) + load_until(table, source + j, source + d)
                    store_until(y, at + j, stop, sums)
        for j in range(at, stop, LANES):
            store_until(y, j, stop, splat(factor) * load_until(y, j, stop))


@as_defined
def embedding_bag(ids: np.ndarray, table: np.ndarray, factor: float) -> np.ndarray:
    (n, steps), d = ids.shape, table.shape[1]
    y = memory.empty((n, d))
    if y.size:
        tasks, rows = row_tasks(n, steps * d)
        given = _in_a_row(ids), flat(table), y.reshape(-1), np.float32(factor)
        _add_up(tasks, ids.size * d, *given, steps, d, rows)
    return y


@jit
def _hand_down(task, dy, ids, dtable, factor, steps, d):
    first, last = task * COLUMNS, min(d, (task + 1) * COLUMNS)
    for at in range(0, dtable.size, d):
        clear(dtable, at + first, at + last)
    for place in range(ids.size):
        at, source = np.int64(ids[place]) * d, place // steps * d
        if at:
            for j in range(first, last, LANES):
                share = splat(factor) * load_until(dy, source + j, source + last)
                store_until(dtable, at + j, at + last, load_until(dtable, at + j, at + last) + share)


@as_defined
def embedding_bag_gradient(dy: np.ndarray, ids: np.ndarray, input_dim: int, factor: float) -> np.ndarray:
    (_, steps), d = ids.shape, dy.shape[1]
    dtable = np.zeros((input_dim, d), np.float32)
    if ids.size and d:
        given = flat(dy), _in_a_row(ids), dtable.reshape(-1), np.float32(factor)
        _hand_down(-(-d // COLUMNS), 2 * ids.size * d, *given, steps, d)
    return dtable


@jit
def _drop_ids(task, ids, y, seed, threshold):
    start = mix(seed)
    for i in range(task * CHUNK, min(ids.size, (task + 1) * CHUNK)):
        y[i] = 0 if drops(i, start, threshold) else ids[i]


@as_defined
def drop_ids(ids: np.ndarray, rate: float, seed: int) -> np.ndarray:
    y = memory.empty(ids.shape, ids.dtype)
    if y.size:
        given = _in_a_row(ids), y.reshape(-1)
        _drop_ids(chunks(y), y.size, *given, *words(rate, seed))
    return y
