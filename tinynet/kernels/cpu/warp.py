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
from .simd import LANES, fma, load, splat, store


@jit
def _warp(task, images, matrices, grid, rows, columns, xs, line, out, h, w, c):
    """`line` holds the input positions of a line of output pixels; it, xs and the lines of `columns` are whole vectors."""
    wide = xs.size
    knots_y, knots_x = rows.size // h, columns.size // wide
    m = 6 * task
    first_y, first_x = 2 * task * wide, (2 * task + 1) * wide
    for i in range(h):
        y = np.float32(i) - np.float32((h - 1) / 2)
        for j in range(0, wide, LANES):
            start_y = splat(matrices[m] * y + matrices[m + 2] + np.float32((h - 1) / 2))
            start_x = splat(matrices[m + 3] * y + matrices[m + 5] + np.float32((w - 1) / 2))
            store(line, first_y + j, fma(splat(matrices[m + 1]), load(xs, j), start_y))
            store(line, first_x + j, fma(splat(matrices[m + 4]), load(xs, j), start_x))
        for b in range(knots_x):
            bend_y = bend_x = np.float32(0)
            for a in range(knots_y):
                at = (2 * task * knots_y + a) * knots_x + b
                bend_y += rows[i * knots_y + a] * grid[at]
                bend_x += rows[i * knots_y + a] * grid[at + knots_y * knots_x]
            for j in range(0, wide, LANES):
                column = load(columns, b * wide + j)
                store(line, first_y + j, fma(splat(bend_y), column, load(line, first_y + j)))
                store(line, first_x + j, fma(splat(bend_x), column, load(line, first_x + j)))
        for j in range(w):
            target = ((task * h + i) * w + j) * c
            _sample(images, task * h * w * c, h, w, c, line[first_y + j], line[first_x + j], out, target)


@register_jitable
def _sample(images, picture, h, w, c, y, x, out, target):
    """out[target + channel] = the picture between its pixels at (y, x); pixels outside, and a position that is NaN, count as 0."""
    zero, one = np.float32(0), np.float32(1)
    if not (y > -1 and y < h and x > -1 and x < w):
        y = x = np.float32(-1)
    i, j = int(math.floor(y)), int(math.floor(x))
    down, right = y - np.float32(i), x - np.float32(j)
    upper, lower = (one - down if i >= 0 else zero), (down if i + 1 < h else zero)
    before, behind = (one - right if j >= 0 else zero), (right if j + 1 < w else zero)
    top, bottom = max(i, 0) * w, min(i + 1, h - 1) * w
    left, far = max(j, 0), min(j + 1, w - 1)
    p, q = picture + (top + left) * c, picture + (top + far) * c
    r, s = picture + (bottom + left) * c, picture + (bottom + far) * c
    for channel in range(c):
        above = before * images[p + channel] + behind * images[q + channel]
        below = before * images[r + channel] + behind * images[s + channel]
        out[target + channel] = upper * above + lower * below


@functools.lru_cache(maxsize=16)
def _basis(size: int, knots: int, transposed: bool) -> np.ndarray:
    basis = spline_basis(size, knots)
    return flat(_whole_vectors(basis.T) if transposed else basis)


def _whole_vectors(lines: np.ndarray) -> np.ndarray:
    """Zeros behind each line up to a multiple of LANES."""
    return np.pad(lines, [(0, 0), (0, -lines.shape[-1] % LANES)])


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
    xs = flat(_whole_vectors(np.arange(w)[None] - (w - 1) / 2))
    line = memory.empty((2 * n * xs.size,))
    if out.size:
        _warp(n, 8 * out.size, flat(images), flat(matrices), *fields, xs, line, out, h, w, c)
    return out.reshape(images.shape)
