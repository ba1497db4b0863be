"""The affine map and its gradients: products of matrices on the loops of contract.py, where a row is a row of a matrix.

One row alone (a single example) is the product of a vector and a matrix, bound by the memory that the matrix comes from:
each task reads a share of its lines once, where they lie, and adds them up in the first cache.
"""

from __future__ import annotations

import functools

import numpy as np

from .activation import finish, fused_slope
from .contract import Plan, make_plan, packed_panels, padded_bias, run
from .flat import flat
from .jit import jit
from .norm import column_sums
from .simd import LANES, clear, fma, load_until, splat, store_until, where_negative
from .tile import WIDTH

LINES_PER_TASK = 256
FEW_ROWS = 4
"""Up to so many rows the matrix is read once for each, where it lies: packing it costs more than it saves."""


@jit
def _row_shares(task, x, w, partial, n):
    """partial[task] = Σ x[k] w[k] over the task's lines, four lines at a time."""
    first, last = task * LINES_PER_TASK, min(x.size, (task + 1) * LINES_PER_TASK)
    base, stop = task * n, (task + 1) * n
    clear(partial, base, stop)
    fours = first + (last - first) // 4 * 4
    for k in range(first, fours, 4):
        a, b, c, d = splat(x[k]), splat(x[k + 1]), splat(x[k + 2]), splat(x[k + 3])
        for j in range(0, n, LANES):
            at, end = k * n + j, (k + 1) * n
            sums = load_until(partial, base + j, stop)
            sums = fma(a, load_until(w, at, end), sums)
            sums = fma(b, load_until(w, at + n, end + n), sums)
            sums = fma(c, load_until(w, at + 2 * n, end + 2 * n), sums)
            sums = fma(d, load_until(w, at + 3 * n, end + 3 * n), sums)
            store_until(partial, base + j, stop, sums)
    for k in range(fours, last):
        for j in range(0, n, LANES):
            sums = fma(
                splat(x[k]), load_until(w, k * n + j, (k + 1) * n), load_until(partial, base + j, stop)
            )
            store_until(partial, base + j, stop, sums)


@jit
def _add_shares(task, partial, bias, y, slope):
    """y = activation(bias + Σ partial), in order."""
    n = y.size
    for j in range(0, n, LANES):
        sums = load_until(bias, j, n)
        for at in range(j, partial.size, n):
            sums += load_until(partial, at, at - j + n)
        below = splat(slope) * sums if slope != 0 else splat(slope)
        store_until(y, j, n, where_negative(sums, below, sums))


def _dense_row(x, kernel, bias, n: int, slope) -> np.ndarray:
    y = np.empty((1, n), np.float32)
    shares = -(-x.size // LINES_PER_TASK)
    partial = np.empty(shares * n, np.float32)
    _row_shares(shares, kernel.size, x, kernel, partial, n)
    _add_shares(1, n, partial, bias, y.reshape(-1), slope)
    return y


def dense(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, activation: str = "linear"
) -> np.ndarray:
    """y = activation(x W + b); x (m, k), W (k, n), b (n,) or None. Returns (m, n); the activation is a fused one."""
    m, (k, n) = len(x), kernel.shape
    slope = fused_slope(activation)
    if not m or not n:
        return np.zeros((m, n), np.float32)
    if m <= FEW_ROWS:
        w, b = flat(kernel), padded_bias(bias, n)
        y = np.concatenate([_dense_row(flat(row), w, b, n, slope) for row in x])
    else:
        y = run(_plan(m, k, n), x, packed_panels(kernel, 1, k, n, n, 1), bias, slope)
    return finish(y, activation)


def dense_input_gradient(dz: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """dx = dz Wᵀ; dz (m, n), W (k, n). Returns (m, k)."""
    m, (k, n) = len(dz), kernel.shape
    if not m or not k:
        return np.zeros((m, k), np.float32)
    return run(_plan(m, n, k), dz, packed_panels(kernel, 1, n, k, 1, n))


def dense_kernel_gradient(x: np.ndarray, dz: np.ndarray) -> np.ndarray:
    """dW = xᵀ dz; x (m, k), dz (m, n). Returns (k, n)."""
    (m, k), n = x.shape, dz.shape[1]
    if not k or not n:
        return np.zeros((k, n), np.float32)
    return run(_kernel_gradient_plan(m, k, n), x, packed_panels(dz, 1, m, n, n, 1))


def bias_gradient(dz: np.ndarray) -> np.ndarray:
    """db = Σ dz over every axis but the last."""
    return column_sums(dz).astype(np.float32)


@functools.lru_cache(maxsize=256)
def _plan(m: int, depth: int, columns: int) -> Plan:
    """A product of matrices: rows lie one after the other."""
    rows = np.arange(m) * depth, np.arange(m) * columns
    panel_parts = min(-(-columns // WIDTH), 8)
    row_parts = -(-8 // panel_parts)
    return make_plan((m, columns), [rows], np.arange(depth), row_parts=row_parts, panel_parts=panel_parts)


@functools.lru_cache(maxsize=256)
def _kernel_gradient_plan(m: int, k: int, n: int) -> Plan:
    """A product with the first matrix transposed: rows are columns of x, and the sum runs over its rows."""
    return make_plan((k, n), [(np.arange(k), np.arange(k) * n)], np.arange(m) * k, row_parts=16)
