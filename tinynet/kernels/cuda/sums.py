"""Sums of many numbers in float64, in an order that follows from their count alone: of parts, which one block adds, or the host."""

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


def sum_of_products(x: DeviceArray, y: DeviceArray) -> DeviceArray:
    """Σ x y, of which y may be x, () float64: it stays on the GPU."""
    blocks = blocks_for(x.size, THREADS, MOST_BLOCKS)
    total = DeviceArray((), np.float64)
    partial = total if blocks == 1 else DeviceArray((blocks,), np.float64)
    _products(blocks, x, y, partial, x.size)
    if blocks > 1:
        _parts(1, partial, total, blocks)
    return total


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


@kernel("f8[:], f8[:], i4", threads=MOST_BLOCKS, double=True)
def _parts(partial, total, count):
    room = cuda.shared.array(MOST_BLOCKS, f8)
    t = cuda.threadIdx.x
    sum_ = block_sum(partial[t] if t < count else f8(0), room, t, MOST_BLOCKS)
    if t == 0:
        total[0] = sum_


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
