"""Resampling pictures along an affine map and a smooth random field. A task is a picture; bound by four scattered reads a pixel."""

from __future__ import annotations

import functools
import math

import numpy as np
from numba.extending import register_jitable

from ..reference.warp import spline_basis
from . import memory
from .flat import flat
from .jit import jit


@jit
def _warp(task, images, matrices, grid, rows, columns, line, out, h, w, c):
    knots_y, knots_x = rows.size // h, columns.size // w
    m = 6 * task
    middle_y, middle_x = np.float32((h - 1) / 2), np.float32((w - 1) / 2)
    line_y, line_x = 2 * task * w, (2 * task + 1) * w
    for i in range(h):
        y = np.float32(i) - middle_y
        for j in range(w):
            x = np.float32(j) - middle_x
            line[line_y + j] = matrices[m] * y + matrices[m + 1] * x + matrices[m + 2]
            line[line_x + j] = matrices[m + 3] * y + matrices[m + 4] * x + matrices[m + 5]
        for b in range(knots_x):
            bend_y = bend_x = np.float32(0)
            for a in range(knots_y):
                at = (2 * task * knots_y + a) * knots_x + b
                bend_y += rows[i * knots_y + a] * grid[at]
                bend_x += rows[i * knots_y + a] * grid[at + knots_y * knots_x]
            for j in range(w):
                line[line_y + j] += bend_y * columns[b * w + j]
                line[line_x + j] += bend_x * columns[b * w + j]
        for j in range(w):
            target = ((task * h + i) * w + j) * c
            _sample(
                images,
                task * h * w * c,
                h,
                w,
                c,
                line[line_y + j] + middle_y,
                line[line_x + j] + middle_x,
                out,
                target,
            )


@register_jitable
def _sample(images, picture, h, w, c, y, x, out, target):
    """out[target + channel] = the picture between its pixels at (y, x); 0 from one pixel outside on, and where a position is NaN."""
    if not (y > -1 and y < h and x > -1 and x < w):
        for channel in range(c):
            out[target + channel] = 0
        return
    above, before = math.floor(y), math.floor(x)
    i, j = int(above), int(before)
    down, right = y - np.float32(above), x - np.float32(before)
    # Pixels outside count as 0.
    top, bottom = i >= 0, i + 1 < h
    near, far = j >= 0, j + 1 < w
    at = picture + (i * w + j) * c
    for channel in range(c):
        zero = np.float32(0)
        p = images[at + channel] if top and near else zero
        q = images[at + c + channel] if top and far else zero
        r = images[at + w * c + channel] if bottom and near else zero
        s = images[at + w * c + c + channel] if bottom and far else zero
        upper, lower = p + right * (q - p), r + right * (s - r)
        out[target + channel] = upper + down * (lower - upper)


@functools.lru_cache(maxsize=16)
def _basis(size: int, knots: int, transposed: bool) -> np.ndarray:
    basis = spline_basis(size, knots)
    return flat(basis.T if transposed else basis)


def warp(images: np.ndarray, matrices: np.ndarray, grid: np.ndarray | None = None) -> np.ndarray:
    """Resample pictures bilinearly: out[i, y, x] = images[i] at the input position of (y, x), 0 outside the picture.

    The position is matrices[i] @ (y, x, 1), in pixels from the picture's centre, plus a cubic B-spline displacement with the
    coefficients grid[i] (see the reference). images (n, h, w, c), matrices (n, 2, 3), grid (n, 2, gh, gw) or None.
    """
    n, h, w, c = images.shape
    out = memory.empty((n * h * w * c,))
    nothing = np.zeros(0, np.float32)
    fields = (nothing, nothing, nothing)
    if grid is not None:
        fields = (flat(grid), _basis(h, grid.shape[2], False), _basis(w, grid.shape[3], True))
    line = memory.empty((2 * n * w,))
    if out.size:
        _warp(n, 8 * out.size, flat(images), flat(matrices), *fields, line, out, h, w, c)
    return out.reshape(images.shape)
