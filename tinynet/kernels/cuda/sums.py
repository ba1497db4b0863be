"""Sums of many numbers in float64, in an order that follows from their count alone: blocks add a part each, the host adds those."""

from __future__ import annotations

import math

import numpy as np

from .array import DeviceArray
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, kernel
from .compiler.primitives import block_sum, load_from
from .several import TABLE, Table, chunk_of

THREADS = 256
MOST_BLOCKS = 64
f8 = np.float64


def sum_of_products(x: DeviceArray, y: DeviceArray) -> float:
    """Σ x y, of which y may be x."""
    if not x.size:
        return 0.0
    blocks = blocks_for(x.size, THREADS, MOST_BLOCKS)
    partial = DeviceArray((blocks,), np.float64)
    _products(blocks, x, y, partial, x.size)
    return math.fsum(partial.numpy())


def sum_of_all_squares(table: Table) -> float:
    """Σ x² of all arrays of a table of one list."""
    if not table.blocks:
        return 0.0
    blocks = min(table.blocks, MOST_BLOCKS)
    partial = DeviceArray((blocks,), np.float64)
    _squares(blocks, table.numbers, table.rows, table.blocks, partial)
    return math.fsum(partial.numpy())


@kernel("f4[:], f4[:], f8[:], i4", threads=THREADS, double=True)
def _products(x, y, partial, size):
    room = cuda.shared.array(THREADS, f8)
    i = cuda.grid(1)
    total = f8(0)
    while i < size:
        total += f8(x[i]) * f8(y[i])
        i += cuda.gridsize(1)
    t = cuda.threadIdx.x
    total = block_sum(total, room, t, THREADS)
    if t == 0:
        partial[cuda.blockIdx.x] = total


@kernel(f"{TABLE}, i4, f8[:]", threads=THREADS, double=True)
def _squares(table, rows, chunks, partial):
    room = cuda.shared.array(THREADS, f8)
    t = cuda.threadIdx.x
    total = f8(0)
    for chunk in range(cuda.blockIdx.x, chunks, cuda.gridDim.x):
        addresses, i, end = chunk_of(table, rows, chunk)
        i += t
        while i < end:
            x = f8(load_from(addresses[0], i))
            total += x * x
            i += THREADS
    total = block_sum(total, room, t, THREADS)
    if t == 0:
        partial[cuda.blockIdx.x] = total
