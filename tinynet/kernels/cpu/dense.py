"""The affine map and its gradients: products of matrices on the loops of contraction.py, where a row is a row of a matrix.

A few rows (a single example) are products of a vector and a matrix (row.py), bound by the memory that the matrix comes from: each task
reads its columns once for every row, where they lie.
"""

from __future__ import annotations

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .activation import finish, fused_slope
from .compiler.jit import jit
from .compiler.simd import LANES, load_until, splat, store_until
from .compiler.tile import WIDTH
from .contraction import Plan, lay_out, make_plan, no_bias, run
from .flat import flat
from .functions import where_negative
from .norm import column_sums
from .plans import kept
from .row import BROAD, multiply_row
from .transposed import product, rows_of

FEW_ROWS = 4
"""Up to so many rows the matrix is read once for each, where it lies."""
COLUMNS = BROAD * LANES
"""Of a task that has one row."""


@jit
def _few_rows(task, x, w, bias, y, n, slope):
    """y[row, columns of the task] = activation(bias + Σ_k x[row, k] w[k])."""
    depth, parts = w.size // n, (n + COLUMNS - 1) // COLUMNS
    row, part = divmod(task, parts)
    column = part * COLUMNS
    columns, out = min(n - column, COLUMNS), row * n + column
    multiply_row(x, row * depth, depth, w, n, column, bias, column, y, out, columns)
    if slope != 1:
        for j in range(out, out + columns, LANES):
            sums = load_until(y, j, out + columns)
            below = splat(slope) * sums if slope != 0 else splat(slope)
            store_until(y, j, out + columns, where_negative(sums, below, sums))


@as_defined
def dense(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, activation: str = "linear"
) -> np.ndarray:
    m, (k, n) = len(x), kernel.shape
    slope = fused_slope(activation)
    if not m or not n:
        return np.zeros((m, n), np.float32)
    if m <= FEW_ROWS:
        y, b = memory.empty((m, n)), no_bias(n) if bias is None else flat(bias)
        _few_rows(m * -(-n // COLUMNS), m * kernel.size, flat(x), flat(kernel), b, y.reshape(-1), n, slope)
    else:
        y = run(_plan(m, k, n), x, kernel, bias, slope)
    return finish(y, activation)


@as_defined
def dense_input_gradient(dz: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    m, (k, n) = len(dz), kernel.shape
    if not m or not k:
        return np.zeros((m, k), np.float32)
    return run(_plan(m, n, k, True), dz, kernel)


@as_defined
def dense_kernel_gradient(x: np.ndarray, dz: np.ndarray) -> np.ndarray:
    m, k = x.shape
    return product(x, rows_of(1, m, 0, k), k, dz)


@as_defined
def bias_gradient(dz: np.ndarray) -> np.ndarray:
    return column_sums(dz)


@kept
def _plan(m: int, depth: int, columns: int, transposed: bool = False) -> Plan:
    """A product of matrices: rows lie one after the other."""
    start, row = np.zeros(1, np.int64), np.arange(m)
    rows = (start, row * depth), (start, row * columns)
    panel_parts = min(-(-columns // WIDTH), 8)
    parts = {"row_parts": -(-8 // panel_parts), "panel_parts": panel_parts}
    return make_plan(lay_out([rows], np.arange(depth)), (m, columns), **parts, transposed=transposed)
