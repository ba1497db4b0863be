"""Sums of many numbers in float64, in an order that follows from their count alone: blocks add a part each, the host adds those."""

from __future__ import annotations

import math

import numpy as np

from .array import DeviceArray
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, kernel
from .compiler.primitives import block_sum

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
