"""Resampling pictures along an affine map and a smooth random field: one pixel a thread, for all its channels."""

from __future__ import annotations

import functools
from typing import Any

from ..reference.definition import as_defined
from ..reference.warp import spline_basis
from .array import DeviceArray
from .arrays import empty, nothing, take
from .compiler.driver import cuda
from .compiler.functions import floor
from .compiler.kernel import blocks_for, device, kernel
from .compiler.primitives import divide, f4


@as_defined
def warp(images: Any, matrices: Any, grid: Any = None) -> DeviceArray:
    images, matrices = take(images), take(matrices)
    y = empty(images.shape)
    if not y.size:
        return y
    n, h, w, c = images.shape
    gh, gw = (0, 0) if grid is None else grid.shape[2:]
    if grid is None:
        grid = rows = columns = nothing()
    else:
        grid, rows, columns = take(grid), _basis(h, gh), _basis(w, gw)
    given = images, matrices, grid, rows, columns, y
    _warp(blocks_for(n * h * w), *given, n * h * w, h, w, c, gh, gw)
    return y


@functools.lru_cache(maxsize=64)
def _basis(size: int, knots: int) -> DeviceArray:
    return take(spline_basis(size, knots))


@device
def _within(position, size):
    """A position, at most a pixel outside; what is no number lies outside."""
    low, high = f4(-1), f4(size)
    position = position if position > low else low
    return position if position < high else high


@device
def _pixel(images, picture, row, column, channel, h, w, c):
    if 0 <= row < h and 0 <= column < w:
        return images[((picture * h + row) * w + column) * c + channel]
    return f4(0)


@kernel("f4[:], f4[:], f4[:], f4[:], f4[:], f4[:], i4, i4, i4, i4, i4, i4", threads=128)
def _warp(images, matrices, grid, rows, columns, out, size, h, w, c, gh, gw):
    e = cuda.grid(1)
    while e < size:
        line = divide(e, w)
        picture = divide(line, h)
        i, j = line - picture * h, e - line * w
        y, x = f4(i) - f4(h - 1) * f4(0.5), f4(j) - f4(w - 1) * f4(0.5)
        m = picture * 6
        row = matrices[m] * y + matrices[m + 1] * x + matrices[m + 2]
        column = matrices[m + 3] * y + matrices[m + 4] * x + matrices[m + 5]
        for a in range(gh):
            down = across = f4(0)
            first = (picture * 2 * gh + a) * gw
            for b in range(gw):
                down += grid[first + b] * columns[j * gw + b]
                across += grid[first + gh * gw + b] * columns[j * gw + b]
            row += rows[i * gh + a] * down
            column += rows[i * gh + a] * across
        row = _within(row + f4(h - 1) * f4(0.5), h)
        column = _within(column + f4(w - 1) * f4(0.5), w)
        top, left = int(floor(row)), int(floor(column))
        below, beside = row - f4(top), column - f4(left)
        for k in range(c):
            a = _pixel(images, picture, top, left, k, h, w, c)
            b = _pixel(images, picture, top, left + 1, k, h, w, c)
            upper = a + beside * (b - a)
            a = _pixel(images, picture, top + 1, left, k, h, w, c)
            b = _pixel(images, picture, top + 1, left + 1, k, h, w, c)
            lower = a + beside * (b - a)
            out[e * c + k] = upper + below * (lower - upper)
        e += cuda.gridsize(1)
