"""Max and average over windows of (n, h, w, c), vectors along the channels.

Blocking: a task is one line of output pixels, for gradients one picture, whose windows may overlap. Bound by memory.
Pictures with fewer channels than lanes use a part of a vector.
"""

from __future__ import annotations

import functools

import numpy as np

from . import memory
from .flat import flat
from .jit import jit
from .simd import LANES, clear, load_until, maximum, splat, store_until, where_equal

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


@jit
def _max_pool(task, x, y, sizes):
    h, w, c, height, width = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    window_h, window_w, stride_y, stride_x, top, left = (
        sizes[5],
        sizes[6],
        sizes[7],
        sizes[8],
        sizes[9],
        sizes[10],
    )
    image, i = divmod(task, height)
    first, last = max(0, i * stride_y - top), min(h, i * stride_y - top + window_h)
    for j in range(width):
        left_edge, right_edge = max(0, j * stride_x - left), min(w, j * stride_x - left + window_w)
        for channel in range(0, c, LANES):
            best = splat(np.float32(-np.inf))
            for u in range(first, last):
                for v in range(left_edge, right_edge):
                    pixel = ((image * h + u) * w + v) * c
                    best = maximum(best, load_until(x, pixel + channel, pixel + c))
            out = (task * width + j) * c
            store_until(y, out + channel, out + c, best)


@jit
def _max_pool_gradient(task, dy, x, y, dx, sizes):
    h, w, c, height, width = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    window_h, window_w, stride_y, stride_x, top, left = (
        sizes[5],
        sizes[6],
        sizes[7],
        sizes[8],
        sizes[9],
        sizes[10],
    )
    zero = splat(np.float32(0))
    clear(dx, task * h * w * c, (task + 1) * h * w * c)
    for i in range(height):
        first, last = max(0, i * stride_y - top), min(h, i * stride_y - top + window_h)
        for j in range(width):
            left_edge, right_edge = max(0, j * stride_x - left), min(w, j * stride_x - left + window_w)
            out = ((task * height + i) * width + j) * c
            for channel in range(0, c, LANES):
                best = load_until(y, out + channel, out + c)
                todo = load_until(dy, out + channel, out + c)  # becomes 0 once the first maximum has it
                for u in range(first, last):
                    for v in range(left_edge, right_edge):
                        pixel = ((task * h + u) * w + v) * c
                        here = load_until(x, pixel + channel, pixel + c)
                        given = where_equal(here, best, todo, zero)
                        todo = todo - given
                        before = load_until(dx, pixel + channel, pixel + c)
                        store_until(dx, pixel + channel, pixel + c, before + given)


@jit
def _average_pool(task, x, y, sizes):
    h, w, c, height, width = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    window_h, window_w, stride_y, stride_x, top, left = (
        sizes[5],
        sizes[6],
        sizes[7],
        sizes[8],
        sizes[9],
        sizes[10],
    )
    image, i = divmod(task, height)
    first, last = max(0, i * stride_y - top), min(h, i * stride_y - top + window_h)
    for j in range(width):
        left_edge, right_edge = max(0, j * stride_x - left), min(w, j * stride_x - left + window_w)
        share = splat(np.float32(1) / np.float32((last - first) * (right_edge - left_edge)))
        for channel in range(0, c, LANES):
            sums = splat(np.float32(0))
            for u in range(first, last):
                for v in range(left_edge, right_edge):
                    pixel = ((image * h + u) * w + v) * c
                    sums += load_until(x, pixel + channel, pixel + c)
            out = (task * width + j) * c
            store_until(y, out + channel, out + c, sums * share)


@jit
def _average_pool_gradient(task, dy, dx, sizes):
    h, w, c, height, width = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    window_h, window_w, stride_y, stride_x, top, left = (
        sizes[5],
        sizes[6],
        sizes[7],
        sizes[8],
        sizes[9],
        sizes[10],
    )
    clear(dx, task * h * w * c, (task + 1) * h * w * c)
    for i in range(height):
        first, last = max(0, i * stride_y - top), min(h, i * stride_y - top + window_h)
        for j in range(width):
            left_edge, right_edge = max(0, j * stride_x - left), min(w, j * stride_x - left + window_w)
            share = splat(np.float32(1) / np.float32((last - first) * (right_edge - left_edge)))
            out = ((task * height + i) * width + j) * c
            for channel in range(0, c, LANES):
                given = load_until(dy, out + channel, out + c) * share
                for u in range(first, last):
                    for v in range(left_edge, right_edge):
                        pixel = ((task * h + u) * w + v) * c
                        before = load_until(dx, pixel + channel, pixel + c)
                        store_until(dx, pixel + channel, pixel + c, before + given)


@functools.lru_cache(maxsize=256)
def _sizes(shape: tuple[int, ...], window: Pair, strides: Pair, pads: Pads) -> np.ndarray:
    """What the kernels need to know about their shapes, as an array of integers."""
    _, h, w, c = shape
    out = [
        max((s + sum(p) - k) // d + 1, 0) for s, p, k, d in zip((h, w), pads, window, strides, strict=True)
    ]
    return np.array([h, w, c, *out, *window, *strides, pads[0][0], pads[1][0]], np.int64)


def max_pool2d(x: np.ndarray, window: Pair, strides: Pair, pads: Pads) -> np.ndarray:
    """The largest value of each window; padding never wins, a NaN always does.

    x (n, h, w, c), pads ((top, bottom), (left, right)), which crop where negative. Returns (n, height, width, c).
    """
    sizes = _sizes(x.shape, window, strides, pads)
    y = memory.empty((len(x), int(sizes[3]), int(sizes[4]), x.shape[3]))
    if y.size:
        _max_pool(len(x) * y.shape[1], x.size, flat(x), y.reshape(-1), sizes)
    return y


def max_pool2d_gradient(
    dy: np.ndarray, x: np.ndarray, y: np.ndarray, window: Pair, strides: Pair, pads: Pads
) -> np.ndarray:
    """Hand dy to the first maximum of each window, in row-major order; dy and y (n, height, width, c), x (n, h, w, c)."""
    dx = memory.empty(x.shape)
    if dx.size:
        sizes = _sizes(x.shape, window, strides, pads)
        _max_pool_gradient(len(x), 3 * x.size, flat(dy), flat(x), flat(y), dx.reshape(-1), sizes)
    return dx


def avg_pool2d(x: np.ndarray, window: Pair, strides: Pair, pads: Pads) -> np.ndarray:
    """The mean of the true pixels of each window; padding is not counted. Shapes as in max_pool2d."""
    sizes = _sizes(x.shape, window, strides, pads)
    y = memory.empty((len(x), int(sizes[3]), int(sizes[4]), x.shape[3]))
    if y.size:
        _average_pool(len(x) * y.shape[1], x.size, flat(x), y.reshape(-1), sizes)
    return y


def avg_pool2d_gradient(
    dy: np.ndarray, input_shape: tuple[int, ...], window: Pair, strides: Pair, pads: Pads
) -> np.ndarray:
    """Hand every true pixel of a window dy divided by their number."""
    dx = memory.empty(input_shape)
    if dx.size:
        sizes = _sizes(tuple(input_shape), window, strides, pads)
        _average_pool_gradient(len(dx), 2 * dx.size, flat(dy), dx.reshape(-1), sizes)
    return dx
