"""Resampling pictures along an affine map and a smooth random field: the kernel under image augmentation."""

from __future__ import annotations

import numpy as np


def spline_basis(size: int, knots: int) -> np.ndarray:
    """Weights (size, knots), float64, that spread `knots` ≥ 4 coefficients of a uniform cubic B-spline over `size` pixels.

    The spline's knots - 3 pieces span the pixel centres from the first to the last, so a coefficient is smoothed
    like a Gaussian of 0.58 · (size - 1) / (knots - 3) pixels. Every row is ≥ 0 and sums to 1.
    """
    position = np.linspace(0.0, knots - 3.0, size)
    distance = np.abs(position[:, None] + 1.0 - np.arange(knots))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.maximum(2.0 - distance, 0.0) ** 3 / 6
    return np.where(distance < 1.0, near, far)


def warp(images: np.ndarray, matrices: np.ndarray, grid: np.ndarray | None = None) -> np.ndarray:
    """Resample pictures bilinearly: out[i, y, x] = images[i] at the input position of (y, x), 0 outside the picture.

    The position is matrices[i] @ (y, x, 1), both sides in pixels from the picture's centre ((h - 1) / 2, (w - 1) / 2),
    plus (dy, dx)[k] = Σ_ab Y[y, a] · grid[i, k, a, b] · X[x, b], with Y and X = `spline_basis(h, gh)` and
    `spline_basis(w, gw)`: a displacement in pixels that is smooth whatever the coefficients.

    images (n, h, w, c), matrices (n, 2, 3), grid (n, 2, gh, gw) or None for no displacement → (n, h, w, c).
    """
    height, width = images.shape[1:3]
    row, column = _positions(height, width, matrices, grid, images.dtype)
    row, row_part = _split(row, height)
    column, column_part = _split(column, width)
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2), (0, 0)))
    picture = np.arange(len(images))[:, None, None]
    upper = _between(padded[picture, row, column], padded[picture, row, column + 1], column_part)
    lower = _between(padded[picture, row + 1, column], padded[picture, row + 1, column + 1], column_part)
    return _between(upper, lower, row_part)


def _positions(
    height: int, width: int, matrices: np.ndarray, grid: np.ndarray | None, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray]:
    """Input rows and columns, each (n, h, w), of every output pixel."""
    y = np.arange(height, dtype=dtype)[:, None] - (height - 1) / 2
    x = np.arange(width, dtype=dtype) - (width - 1) / 2
    affine = matrices.astype(dtype)[..., None, None]
    position = affine[:, :, 0] * y + affine[:, :, 1] * x + affine[:, :, 2]
    if grid is not None:
        rows = spline_basis(height, grid.shape[2]).astype(dtype)
        columns = spline_basis(width, grid.shape[3]).astype(dtype)
        position += rows @ grid.astype(dtype) @ columns.T
    return position[:, 0] + (height - 1) / 2, position[:, 1] + (width - 1) / 2


def _split(position: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the pixel before each position, in a picture with 1 pixel of padding before it, and the part beyond it."""
    # From one pixel outside on everything is 0, so 1 pixel of padding before and 2 after serve any position, NaN too.
    position = np.fmin(np.fmax(position, -1), size)
    before = np.floor(position)
    return before.astype(np.intp) + 1, (position - before)[..., None]


def _between(first: np.ndarray, second: np.ndarray, part: np.ndarray) -> np.ndarray:
    # In this form part = 0 returns `first` to the bit.
    return first + part * (second - first)
