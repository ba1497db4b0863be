"""Max and average over windows of (n, h, w, c), and their gradients: one element a thread, bound by memory.

The gradients gather: a thread has a pixel of the picture, and asks each window that contains it what it hands over. So each number is
written once, by one thread, and no sum depends on who came first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.conv import output_size
from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, take, zeros
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, device, kernel
from .compiler.primitives import divide, f4, least

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

H, W, C, HEIGHT, WIDTH, KH, KW, SY, SX, TOP, LEFT = range(11)
"""Where in the geometry `g` the sizes of picture, output and window are, and the strides and the padding before."""
NOTHING = np.float32(-np.inf)


@as_defined
def max_pool2d(x: Any, window: Pair, strides: Pair, pads: Pads) -> DeviceArray:
    return _pooled(_max, take(x), window, strides, pads)


@as_defined
def avg_pool2d(x: Any, window: Pair, strides: Pair, pads: Pads) -> DeviceArray:
    return _pooled(_average, take(x), window, strides, pads)


def _pooled(pool: Any, x: DeviceArray, window: Pair, strides: Pair, pads: Pads) -> DeviceArray:
    y = empty(pooled_shape(x.shape, window, strides, pads))
    if y.size:
        g = geometry_of(x.shape, y.shape, window, strides, pads)
        pool(blocks_for(y.size), x, y, y.size, g)
    return y


@as_defined
def max_pool2d_gradient(dy: Any, x: Any, y: Any, window: Pair, strides: Pair, pads: Pads) -> DeviceArray:
    dy, x, y = take(dy), take(x), take(y)
    if not y.size:
        return zeros(x.shape)
    dx, g = empty(x.shape), geometry_of(x.shape, y.shape, window, strides, pads)
    _max_gradient(blocks_for(dx.size), dy, x, y, dx, dx.size, g)
    return dx


@as_defined
def avg_pool2d_gradient(
    dy: Any, input_shape: tuple[int, ...], window: Pair, strides: Pair, pads: Pads
) -> DeviceArray:
    dy = take(dy)
    if not dy.size:
        return zeros(input_shape)
    dx, g = empty(tuple(input_shape)), geometry_of(input_shape, dy.shape, window, strides, pads)
    _average_gradient(blocks_for(dx.size), dy, dx, dx.size, g)
    return dx


def pooled_shape(shape: tuple[int, ...], window: Pair, strides: Pair, pads: Pads) -> tuple[int, ...]:
    """Of a pooling's output."""
    height, width = (output_size(shape[i + 1], window[i], strides[i], pads[i]) for i in (0, 1))
    return shape[0], height, width, shape[3]


def geometry_of(
    shape: tuple[int, ...], pooled: tuple[int, ...], window: Pair, strides: Pair, pads: Pads
) -> tuple[int, ...]:
    """The numbers of a pooling, in the order of H … LEFT."""
    return (*shape[1:], *pooled[1:3], *window, *strides, pads[0][0], pads[1][0])


@device
def position(i, height, width, channels):
    """(picture, row, column, channel) of an element of (n, height, width, channels)."""
    pixel = divide(i, channels)
    row = divide(pixel, width)
    picture = divide(row, height)
    return picture, row - picture * height, pixel - row * width, i - pixel * channels


@device
def pixel_of(x, picture, y, z, channel, g):
    """A pixel of a picture, -∞ outside."""
    if 0 <= y < g[H] and 0 <= z < g[W]:
        return x[((picture * g[H] + y) * g[W] + z) * g[C] + channel]
    return NOTHING


@device
def first_window(at, window, stride):
    """The first of the windows that contain row or column `at` of the padded picture, which is not negative."""
    return divide(at - window + stride, stride) if at >= window else 0


@device
def windows_with(row, column, g):
    """The windows that contain a pixel: the first and the end of their rows, and of their columns; none where it is cut off."""
    y, z = row + g[TOP], column + g[LEFT]
    if y < 0 or z < 0:
        return 0, 0, 0, 0
    end, right = least(divide(y, g[SY]) + 1, g[HEIGHT]), least(divide(z, g[SX]) + 1, g[WIDTH])
    return first_window(y, g[KH], g[SY]), end, first_window(z, g[KW], g[SX]), right


@device
def place_in(i, j, row, column, g):
    """The place of a pixel in the window (i, j), counted row by row."""
    return (row + g[TOP] - i * g[SY]) * g[KW] + column + g[LEFT] - j * g[SX]


@device
def window_at(picture, i, j, channel, g):
    """Where a window's number lies."""
    return ((picture * g[HEIGHT] + i) * g[WIDTH] + j) * g[C] + channel


@kernel("f4[:], f4[:], i4, i4*11", threads=256)
def _max(x, y, size, g):
    e = cuda.grid(1)
    while e < size:
        picture, i, j, channel = position(e, g[HEIGHT], g[WIDTH], g[C])
        top = NOTHING
        for u in range(g[KH]):
            for v in range(g[KW]):
                value = pixel_of(x, picture, i * g[SY] - g[TOP] + u, j * g[SX] - g[LEFT] + v, channel, g)
                if not top >= value and top == top:
                    top = value
        y[e] = top
        e += cuda.gridsize(1)


@device
def _is_first(x, top, place, picture, i, j, channel, g):
    """Whether none of a window's pixels before a place is the largest too."""
    for before in range(place):
        u = divide(before, g[KW])
        line, v = i * g[SY] - g[TOP] + u, j * g[SX] - g[LEFT] + before - u * g[KW]
        if pixel_of(x, picture, line, v, channel, g) == top:
            return False
    return True


@kernel("f4[:], f4[:], f4[:], f4[:], i4, i4*11", threads=256)
def _max_gradient(dy, x, y, dx, size, g):
    e = cuda.grid(1)
    while e < size:
        picture, row, column, channel = position(e, g[H], g[W], g[C])
        first, end, left, right = windows_with(row, column, g)
        total = f4(0)
        for i in range(first, end):
            for j in range(left, right):
                at = window_at(picture, i, j, channel, g)
                place = place_in(i, j, row, column, g)
                if x[e] == y[at] and _is_first(x, y[at], place, picture, i, j, channel, g):
                    total += dy[at]
        dx[e] = total
        e += cuda.gridsize(1)


@device
def _true_pixels(i, window, stride, before, size):
    """How many rows or columns of a window lie inside the picture."""
    start = i * stride - before
    end = least(start + window, size)
    start = start if start > 0 else 0
    return end - start if end > start else 0


@kernel("f4[:], f4[:], i4, i4*11", threads=256)
def _average(x, y, size, g):
    e = cuda.grid(1)
    while e < size:
        picture, i, j, channel = position(e, g[HEIGHT], g[WIDTH], g[C])
        total = f4(0)
        for u in range(g[KH]):
            for v in range(g[KW]):
                line, z = i * g[SY] - g[TOP] + u, j * g[SX] - g[LEFT] + v
                if 0 <= line < g[H] and 0 <= z < g[W]:
                    total += x[((picture * g[H] + line) * g[W] + z) * g[C] + channel]
        rows = _true_pixels(i, g[KH], g[SY], g[TOP], g[H])
        y[e] = total / f4(rows * _true_pixels(j, g[KW], g[SX], g[LEFT], g[W]))
        e += cuda.gridsize(1)


@kernel("f4[:], f4[:], i4, i4*11", threads=256)
def _average_gradient(dy, dx, size, g):
    e = cuda.grid(1)
    while e < size:
        picture, row, column, channel = position(e, g[H], g[W], g[C])
        first, end, left, right = windows_with(row, column, g)
        total = f4(0)
        for i in range(first, end):
            rows = _true_pixels(i, g[KH], g[SY], g[TOP], g[H])
            for j in range(left, right):
                pixels = f4(rows * _true_pixels(j, g[KW], g[SX], g[LEFT], g[W]))
                total += dy[window_at(picture, i, j, channel, g)] / pixels
        dx[e] = total
        e += cuda.gridsize(1)
