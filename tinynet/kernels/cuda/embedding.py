"""A table read by ids, one element a thread; in its gradient a row has a block, which reads all ids and adds where its own stands.

So no two threads write to one number, and the sums are made in the order of the ids. It costs rows · ids comparisons, of which 64 threads
share one each, and is bound by those for large tables.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray, take_rows
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, kernel
from .compiler.primitives import divide, f4, least

THREADS = 64
"""Of a block that has a row: features, and ids that are read at a time."""
i4 = np.int32


@as_defined
def embedding(ids: Any, table: Any) -> DeviceArray:
    ids, table = take(ids, np.int32), take(table)
    y = empty((*ids.shape, table.shape[1]))
    if y.size:
        take_rows(blocks_for(y.size), table, ids, y, y.size, table.shape[1])
    return y


@as_defined
def embedding_gradient(dy: Any, ids: Any, input_dim: int) -> DeviceArray:
    return _row_sums(take(dy), take(ids, np.int32), input_dim, 1, 0, 1.0)


@as_defined
def embedding_bag(ids: Any, table: Any, factor: float) -> DeviceArray:
    ids, table = take(ids, np.int32), take(table)
    (n, t), d = ids.shape, table.shape[1]
    y = empty((n, d))
    if y.size:
        _bag(blocks_for(y.size), ids, table, y, y.size, t, d, factor)
    return y


@as_defined
def embedding_bag_gradient(dy: Any, ids: Any, input_dim: int, factor: float) -> DeviceArray:
    return _row_sums(take(dy), take(ids, np.int32), input_dim, max(ids.shape[1], 1), 1, factor)


def _row_sums(
    dy: DeviceArray, ids: DeviceArray, rows: int, ids_each: int, padded: int, factor: float
) -> DeviceArray:
    d = dy.shape[-1]
    dtable = empty((rows, d))
    blocks = rows, -(-d // THREADS)
    _add_rows(blocks, dy, ids, dtable, ids.size, d, ids_each, padded, factor)
    return dtable


@kernel("i4[:], f4[:], f4[:], i4, i4, i4, f4", threads=256)
def _bag(ids, table, y, size, steps, d, factor):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, d)
        total = f4(0)
        for step in range(steps):
            own = ids[row * steps + step]
            if own != 0:
                total += table[own * d + i - row * d]
        y[i] = total * factor
        i += cuda.gridsize(1)


@kernel("f4[:], i4[:], f4[:], i4, i4, i4, i4, f4", threads=THREADS)
def _add_rows(dy, ids, dtable, count, d, ids_each, padded, factor):
    """dtable[row] = factor Σ dy[place of an id // ids_each]; nothing for row 0 where that is padding."""
    read = cuda.shared.array(THREADS, i4)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    column = cuda.blockIdx.y * THREADS + t
    total = f4(0)
    for first in range(0, count, THREADS):
        cuda.syncthreads()
        read[t] = ids[first + t] if first + t < count else -1
        cuda.syncthreads()
        if column < d:
            for q in range(least(count - first, THREADS)):
                if read[q] == row:
                    total += dy[divide(first + q, ids_each) * d + column]
    if column < d:
        dtable[row * d + column] = f4(0) if padded and row == 0 else total * factor
