"""The affine map and its gradients: products of matrices on the loops of contract.py, where a row is a row of a matrix.

A few rows (a single example) are products of a vector and a matrix, bound by the memory that the matrix comes from: each task
reads its columns once, where they lie.
"""

from __future__ import annotations

import functools

import numpy as np

from .activation import finish, fused_slope
from .contract import Plan, make_plan, no_bias, run
from .flat import flat
from .functions import fma, where_negative
from .jit import helper, jit
from .norm import column_sums
from .simd import LANES, load_until, splat, store_until
from .tile import WIDTH
from .transposed import product, rows_of

FEW_ROWS = 4
"""Up to so many rows the matrix is read once for each, where it lies."""
BROAD = 8 * LANES
"""Columns of a task that has one row: their sums stay in eight registers, enough to keep the multipliers busy."""


@helper
def _add_line(w, at, end, factor, s0, s1, s2, s3):
    """The four sums, plus factor times four vectors of a line of the matrix from `at` on."""
    return (
        fma(factor, load_until(w, at, end), s0),
        fma(factor, load_until(w, at + LANES, end), s1),
        fma(factor, load_until(w, at + 2 * LANES, end), s2),
        fma(factor, load_until(w, at + 3 * LANES, end), s3),
    )


@helper
def _load_four(x, at, end):
    """Four vectors from `at` on, zero from `end` on."""
    return (
        load_until(x, at, end),
        load_until(x, at + LANES, end),
        load_until(x, at + 2 * LANES, end),
        load_until(x, at + 3 * LANES, end),
    )


@jit
def _few_rows(task, x, w, bias, y, n, slope):
    """y[row, columns of the task] = activation(bias + Σ_k x[row, k] w[k])."""
    depth, parts = w.size // n, (n + BROAD - 1) // BROAD
    row, part = divmod(task, parts)
    column, half = part * BROAD, 4 * LANES
    s0, s1, s2, s3 = _load_four(bias, column, n)
    s4, s5, s6, s7 = _load_four(bias, column + half, n)
    at, end = column, n
    for k in range(row * depth, (row + 1) * depth):
        factor = splat(x[k])
        s0, s1, s2, s3 = _add_line(w, at, end, factor, s0, s1, s2, s3)
        if n - column > half:
            s4, s5, s6, s7 = _add_line(w, at + half, end, factor, s4, s5, s6, s7)
        at += n
        end += n
    out, stop = row * n + column, (row + 1) * n
    for sums in (s0, s1, s2, s3, s4, s5, s6, s7):
        below = splat(slope) * sums if slope != 0 else splat(slope)
        store_until(y, out, stop, where_negative(sums, below, sums))
        out += LANES


def dense(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, activation: str = "linear"
) -> np.ndarray:
    """y = activation(x W + b); x (m, k), W (k, n), b (n,) or None. Returns (m, n); the activation is a fused one."""
    m, (k, n) = len(x), kernel.shape
    slope = fused_slope(activation)
    if not m or not n:
        return np.zeros((m, n), np.float32)
    if m <= FEW_ROWS:
        y, b = np.empty((m, n), np.float32), no_bias(n) if bias is None else flat(bias)
        _few_rows(m * -(-n // BROAD), m * kernel.size, flat(x), flat(kernel), b, y.reshape(-1), n, slope)
    else:
        y = run(_plan(m, k, n), x, kernel, bias, slope)
    return finish(y, activation)


def dense_input_gradient(dz: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """dx = dz Wᵀ; dz (m, n), W (k, n). Returns (m, k)."""
    m, (k, n) = len(dz), kernel.shape
    if not m or not k:
        return np.zeros((m, k), np.float32)
    return run(_plan(m, n, k, True), dz, kernel)


def dense_kernel_gradient(x: np.ndarray, dz: np.ndarray) -> np.ndarray:
    """dW = xᵀ dz; x (m, k), dz (m, n). Returns (k, n)."""
    m, k = x.shape
    return product(x, rows_of(1, m, 0, k), k, dz)


def bias_gradient(dz: np.ndarray) -> np.ndarray:
    """db = Σ dz over every axis but the last."""
    return column_sums(dz).astype(np.float32)


@functools.lru_cache(maxsize=256)
def _plan(m: int, depth: int, columns: int, transposed: bool = False) -> Plan:
    """A product of matrices: rows lie one after the other."""
    rows = np.arange(m) * depth, np.arange(m) * columns
    panel_parts = min(-(-columns // WIDTH), 8)
    parts = {"row_parts": -(-8 // panel_parts), "panel_parts": panel_parts}
    return make_plan((m, columns), [rows], np.arange(depth), **parts, transposed=transposed)
