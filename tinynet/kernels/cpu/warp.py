"""Resampling pictures along an affine map and a smooth random field.

A task is a picture. Positions are vectors along a line of output pixels, the spline spread along the columns first, once a picture;
then four reads a pixel, which bound it. The picture is copied with zeros around, so that no read needs a test.
"""

from __future__ import annotations

import numpy as np

from ..reference.definition import as_defined
from ..reference.warp import spline_basis
from . import memory
from .compiler.jit import helper, jit
from .compiler.simd import LANES, choose, elementwise, load, splat, store
from .flat import flat
from .functions import clear, fma
from .plans import kept

U = np.uint64
"""Indices in the innermost loop: Numba looks whether a signed one is negative."""


@elementwise
def _floor(x):
    return x.call("floor")


@elementwise
def _between(x, low, high):
    """x, or the bound that it is beyond; `low` where it is NaN."""
    return choose(x > low, choose(x < high, x, high), low)


@jit
def _warp(task, images, matrices, grid, rows, columns, xs, padded, scratch, out, h, w, c):
    wide = xs.size
    knots_y, knots_x = rows.size // h, columns.size // wide
    line = (w + 3) * c
    picture = task * (h + 3) * line
    _pad(images, task * h * w * c, padded, picture, h, w * c, line, c)
    field = task * (2 * knots_y + 4) * wide
    _spread(grid, 2 * task * knots_y * knots_x, columns, scratch, field, 2 * knots_y, knots_x, wide)
    positions_at = field + 2 * knots_y * wide
    for i in range(h):
        _positions(matrices, 6 * task, rows, i, xs, scratch, field, positions_at, h, w, knots_y)
        for channel in range(c):
            corner = picture + line + c + channel
            _sample(
                padded,
                corner,
                line,
                c,
                scratch,
                positions_at,
                wide,
                out,
                ((task * h + i) * w) * c + channel,
                w,
            )


@helper
def _pad(images, source, padded, picture, h, run, line, c):
    """Copy a picture to where one pixel of zeros is before it and two behind: positions are clamped to [-1, size]."""
    clear(padded, picture, picture + (h + 3) * line)
    for i in range(h):
        for k in range(run):
            padded[U(picture + (i + 1) * line + c + k)] = images[U(source + i * run + k)]


@helper
def _spread(grid, first, columns, scratch, field, count, knots_x, wide):
    """Each line of coefficients, spread over the columns of the picture."""
    for a in range(count):
        for j in range(0, wide, LANES):
            sums = splat(np.float32(0))
            for b in range(knots_x):
                sums = fma(splat(grid[first + a * knots_x + b]), load(columns, b * wide + j), sums)
            store(scratch, field + a * wide + j, sums)


@helper
def _positions(matrices, m, rows, i, xs, scratch, field, positions_at, h, w, knots_y):
    """The whole and the broken part of the input positions (y, x) of a line: four lines of `scratch` at `positions_at`."""
    wide = xs.size
    low, high_y, high_x = splat(np.float32(-1)), splat(np.float32(h)), splat(np.float32(w))
    y = np.float32(i) - np.float32((h - 1) / 2)
    start_y = splat(matrices[m] * y + matrices[m + 2] + np.float32((h - 1) / 2))
    start_x = splat(matrices[m + 3] * y + matrices[m + 5] + np.float32((w - 1) / 2))
    for j in range(0, wide, LANES):
        row = fma(splat(matrices[m + 1]), load(xs, j), start_y)
        column = fma(splat(matrices[m + 4]), load(xs, j), start_x)
        for a in range(knots_y):
            share = splat(rows[i * knots_y + a])
            row = fma(share, load(scratch, field + a * wide + j), row)
            column = fma(share, load(scratch, field + (knots_y + a) * wide + j), column)
        row, column = _between(row, low, high_y), _between(column, low, high_x)
        store(scratch, positions_at + j, _floor(row))
        store(scratch, positions_at + wide + j, row - _floor(row))
        store(scratch, positions_at + 2 * wide + j, _floor(column))
        store(scratch, positions_at + 3 * wide + j, column - _floor(column))


@helper
def _sample(padded, corner, line, c, scratch, positions_at, wide, out, target, w):
    """One channel of a line of output pixels, between the four input pixels of each."""
    for j in range(w):
        row, column = int(scratch[U(positions_at + j)]), int(scratch[U(positions_at + 2 * wide + j)])
        down, right = scratch[U(positions_at + wide + j)], scratch[U(positions_at + 3 * wide + j)]
        at = U(corner + row * line + column * c)
        p, q = padded[at], padded[at + U(c)]
        r, s = padded[at + U(line)], padded[at + U(line + c)]
        # In this form the identity returns the picture to the bit.
        upper, lower = p + right * (q - p), r + right * (s - r)
        out[U(target + j * c)] = upper + down * (lower - upper)


@kept
def _basis(size: int, knots: int) -> np.ndarray:
    return flat(spline_basis(size, knots) if knots else np.zeros(0))


@kept
def _basis_of_columns(size: int, knots: int) -> np.ndarray:
    """Transposed, zeros behind each line up to whole vectors."""
    if not knots:
        return flat(np.zeros(0))
    return flat(np.pad(spline_basis(size, knots).T, [(0, 0), (0, -size % LANES)]))


@kept
def _from_centre(size: int) -> np.ndarray:
    return flat(np.arange(size + -size % LANES) - (size - 1) / 2)


_NO_GRID = np.zeros((1, 2, 0, 0), np.float32)


@as_defined
def warp(images: np.ndarray, matrices: np.ndarray, grid: np.ndarray | None = None) -> np.ndarray:
    n, h, w, c = images.shape
    out = memory.empty(images.shape)
    if not out.size:
        return out
    grid = _NO_GRID if grid is None else grid
    knots_y, knots_x = grid.shape[2:]
    xs = _from_centre(w)
    padded = memory.empty((n * (h + 3) * (w + 3) * c,))
    scratch = memory.empty((n * (2 * knots_y + 4) * xs.size,))
    bases = _basis(h, knots_y), _basis_of_columns(w, knots_x)
    arrays = flat(images), flat(matrices), flat(grid), *bases, xs, padded, scratch, out.reshape(-1)
    _warp(n, 8 * out.size, *arrays, h, w, c)
    return out
