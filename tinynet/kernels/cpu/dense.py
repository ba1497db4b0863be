"""The affine map and its gradients: products of matrices on the loops of contract.py, where a row is a row of a matrix.

One row alone (a single example) is a product of a vector and a matrix, bound by the memory that the matrix comes from: it is read
once where it lies, COLUMNS at a time.
"""

from __future__ import annotations

import functools

import numpy as np

from . import contract, memory
from .activation import finish, fused_slope
from .contract import Plan, whole_tiles
from .conv import FEW_ROWS, correlated
from .flat import flat
from .norm import column_sums
from .tile import ROWS, WIDTH


def dense(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, activation: str = "linear"
) -> np.ndarray:
    """y = activation(x W + b); x (m, k), W (k, n), b (n,) or None. Returns (m, n); the activation is a fused one."""
    m, (k, n) = len(x), kernel.shape
    y = memory.empty((m, n))
    if y.size:
        packed = n % WIDTH != 0 or m > FEW_ROWS
        w = flat(kernel)
        if packed:
            w = contract.packed_panels(w, 1, k, n, n, 1)
        plan = _plan(m, k, n)
        contract.run(
            plan, flat(x), w, contract.padded_bias(bias, n), y.reshape(-1), n, packed, fused_slope(activation)
        )
    return finish(y, activation)


def dense_input_gradient(dz: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """dx = dz Wᵀ; dz (m, n), W (k, n). Returns (m, k)."""
    m, (k, n) = len(dz), kernel.shape
    dx = memory.empty((m, k))
    if dx.size:
        w = contract.packed_panels(flat(kernel), 1, n, k, 1, n)
        contract.run(_plan(m, n, k), flat(dz), w, contract.padded_bias(None, k), dx.reshape(-1), k, True)
    return dx


def dense_kernel_gradient(x: np.ndarray, dz: np.ndarray) -> np.ndarray:
    """dW = xᵀ dz; x (m, k), dz (m, n). Returns (k, n)."""
    (m, k), n = x.shape, dz.shape[1]
    if not x.size or not dz.size:
        return np.zeros((k, n), np.float32)
    positions, in_rows = _gradient_tables(m, k)
    return correlated(x[None], dz[None], positions, in_rows, (k, n), 1)


def bias_gradient(dz: np.ndarray) -> np.ndarray:
    """db = Σ dz over every axis but the last."""
    return column_sums(dz).astype(np.float32)


@functools.lru_cache(maxsize=256)
def _plan(m: int, depth: int, columns: int) -> Plan:
    """A product of matrices as one picture, whose pixels are the m rows."""
    in_rows = whole_tiles(np.arange(m) * depth)
    count = in_rows.size // ROWS
    panel_parts = min(-(-columns // WIDTH), 8)
    row_parts = min(count, -(-8 // panel_parts))
    tiles = np.array([0, count], np.int64)
    segments = np.zeros(1, np.int64)
    out_rows = whole_tiles(np.arange(m) * columns)
    return Plan(in_rows, out_rows, tiles, segments, depth, 1, 0, 0, row_parts, panel_parts)


@functools.lru_cache(maxsize=256)
def _gradient_tables(m: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(m, dtype=np.int64) * k, whole_tiles(np.arange(k))
