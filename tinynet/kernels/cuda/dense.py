"""The affine map and its gradients: three products of matrices (product.py), and sums of columns."""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .activation import finish, slope_of
from .array import DeviceArray
from .arrays import empty, take, zeros
from .compiler.driver import cuda
from .compiler.kernel import kernel
from .compiler.primitives import f4, least
from .product import BY_LINE, BY_TERM, Product, combine

_dense = Product("dense", BY_LINE, BY_TERM)
_input_gradient = Product("dense_input_gradient", BY_LINE, BY_LINE)
_kernel_gradient = Product("dense_kernel_gradient", BY_TERM, BY_TERM)
ACROSS, DOWN = 32, 8
"""Columns and rows that a block of `_column_sums` reads at a time."""
THREADS = ACROSS * DOWN
ROWS = 128
"""Rows that a block adds at least."""
MOST_PARTS = 64


@as_defined
def dense(x: Any, kernel: Any, bias: Any, activation: str = "linear") -> DeviceArray:
    x, kernel, bias = take(x), take(kernel), None if bias is None else take(bias)
    (m, k), n = x.shape, kernel.shape[1]
    slope = slope_of(activation)
    if not m * n * k:
        return zeros((m, n))
    return finish(_dense(x, kernel, (m, n, k), bias, slope), activation)


@as_defined
def dense_input_gradient(dz: Any, kernel: Any) -> DeviceArray:
    dz, kernel = take(dz), take(kernel)
    (m, n), k = dz.shape, kernel.shape[0]
    return _input_gradient(dz, kernel, (m, k, n)) if m * n * k else zeros((m, k))


@as_defined
def dense_kernel_gradient(x: Any, dz: Any) -> DeviceArray:
    x, dz = take(x), take(dz)
    (m, k), n = x.shape, dz.shape[1]
    return _kernel_gradient(x, dz, (k, n, m)) if m * n * k else zeros((k, n))


@as_defined
def bias_gradient(dz: Any) -> DeviceArray:
    return column_sums(take(dz))


def column_sums(x: DeviceArray) -> DeviceArray:
    """Σ over every axis but the last: blocks add some rows each, in their order, then `combine` the blocks."""
    n = x.shape[-1]
    if not x.size:
        return zeros((n,))
    m = x.size // n
    parts = min(-(-m // ROWS), MOST_PARTS)
    partial = empty((parts, n))
    _column_sums((-(-n // ACROSS), parts), x, partial, m, n, -(-m // parts))
    return partial.reshape(n) if parts == 1 else combine(partial, (n,))


@kernel("f4[:], f4[:], i4, i4, i4", threads=THREADS)
def _column_sums(x, partial, m, n, per_part):
    room = cuda.shared.array(THREADS, f4)
    t = cuda.threadIdx.x
    down = t // ACROSS
    column = cuda.blockIdx.x * ACROSS + t % ACROSS
    first = cuda.blockIdx.y * per_part
    total = f4(0)
    if column < n:
        for row in range(first + down, least(first + per_part, m), DOWN):
            total += x[row * n + column]
    room[t] = total
    cuda.syncthreads()
    if down == 0 and column < n:
        for other in range(1, DOWN):
            total += room[other * ACROSS + t]
        partial[cuda.blockIdx.y * n + column] = total
