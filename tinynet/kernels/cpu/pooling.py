"""Max and average over windows of (n, h, w, c), vectors along the channels.

Blocking: a task is one line of output pixels, for gradients one picture, whose windows may overlap. Bound by memory.
Pictures with fewer channels than lanes use a part of a vector.
"""

from __future__ import annotations

import functools

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .compiler.jit import helper, jit
from .compiler.simd import LANES, load_bytes_until, load_until, splat, store_bytes_until, store_until
from .flat import flat
from .functions import (
    clear,
    maximum,
    maximum_of_four,
    where_equal,
    where_larger,
    where_negative,
    where_positive,
)

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


@helper
def named(sizes):
    """(h, w, c, height, width, kh, kw, sy, sx, above, before) of `pool_sizes`.

    Of the input, the output, the window and the strides, and the padding above and before the picture.
    """
    return (
        *(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]),
        *(sizes[5], sizes[6], sizes[7], sizes[8], sizes[9], sizes[10]),
    )


@helper
def _reach(position, stride, padding, window, size):
    """The part [first, last) of an axis that the window at an output position covers."""
    first = position * stride - padding
    return max(0, first), min(size, first + window)


@helper
def _largest(x, at, part, lines, pixels, line, c):
    """The largest of a window of lines × pixels, for the vector of channels at `at`."""
    best = load_until(x, at, at + part)
    for u in range(lines):
        for v in range(pixels):
            here = at + u * line + v * c
            best = maximum(best, load_until(x, here, here + part))
    return best


@helper
def _largest_of_four(x, at, part, line, c):
    """The usual window, 2 × 2, without loops."""
    below = at + line
    return maximum_of_four(
        load_until(x, at, at + part),
        load_until(x, at + c, at + c + part),
        load_until(x, below, below + part),
        load_until(x, below + c, below + c + part),
    )


@helper
def _scatter_to_maximum(x, dx, best, todo, at, part, lines, pixels, line, c, overlap):
    """Add `todo` to dx where x is the first `best` of its window."""
    zero = splat(np.float32(0))
    for u in range(lines):
        for v in range(pixels):
            here = at + u * line + v * c
            given = where_equal(load_until(x, here, here + part), best, todo, zero)
            todo = todo - given
            store_until(
                dx, here, here + part, given + load_until(dx, here, here + part) if overlap else given
            )


@jit
def max_pool(task, x, y, sizes, rectify):
    """One line of maxima, through ReLU if asked for."""
    h, w, c, height, width, kh, kw, sy, sx, above, before = named(sizes)
    image, i = divmod(task, height)
    top, bottom = _reach(i, sy, above, kh, h)
    for j in range(width):
        left, right = _reach(j, sx, before, kw, w)
        at, out = ((image * h + top) * w + left) * c, (task * width + j) * c
        for channel in range(0, c, LANES):
            part = c - channel
            if bottom - top == 2 and right - left == 2:
                best = _largest_of_four(x, at + channel, part, w * c, c)
            elif bottom > top and right > left:
                best = _largest(x, at + channel, part, bottom - top, right - left, w * c, c)
            else:
                best = splat(np.float32(-np.inf))
            if rectify:
                best = where_negative(best, splat(np.float32(0)), best)
            store_until(y, out + channel, out + c, best)


@helper
def _first_largest(x, at, part, first, lines, pixels, line, c, window):
    """The largest of a window of lines × pixels and, counting from `first`, where in the window it is met first; a NaN counts as large."""
    best, place = splat(np.float32(-np.inf)), splat(np.float32(0))
    for u in range(lines):
        for v in range(pixels):
            here = at + u * line + v * c
            value = load_until(x, here, here + part)
            place = where_larger(value, best, splat(np.float32(first + u * window + v)), place)
            best = where_larger(value, best, value, best)
    return best, place


@jit
def max_pool_with_argmax(task, x, y, argmax, sizes, rectify):
    """One line of maxima, through ReLU if asked for, and where in its window each was found."""
    h, w, c, height, width, kh, kw, sy, sx, above, before = named(sizes)
    image, i = divmod(task, height)
    top, bottom = _reach(i, sy, above, kh, h)
    for j in range(width):
        left, right = _reach(j, sx, before, kw, w)
        first = (top - i * sy + above) * kw + left - j * sx + before
        at, out = ((image * h + top) * w + left) * c, (task * width + j) * c
        for channel in range(0, c, LANES):
            part = c - channel
            if (
                first == 0 and bottom - top == 2 and right - left == 2 and kw == 2
            ):  # the usual window: unrolled
                best, place = _first_largest(x, at + channel, part, 0, 2, 2, w * c, c, 2)
            else:
                lines, pixels = bottom - top, right - left
                best, place = _first_largest(x, at + channel, part, first, lines, pixels, w * c, c, kw)
            if rectify:
                best = where_negative(best, splat(np.float32(0)), best)
            store_until(y, out + channel, out + c, best)
            store_bytes_until(argmax, out + channel, out + c, place)


@jit
def scatter_to_argmax(task, dy, y, argmax, dx, sums, sizes, line, rectify):
    """One picture: dy to where the maxima were found, in dx, whose pixels are `line` apart; Σ dy is added to `sums`."""
    h, w, c, height, width, kh, kw, sy, sx, above, before = named(sizes)
    overlap = kh > sy or kw > sx
    if overlap:
        clear(dx, task * h * w * line, (task + 1) * h * w * line)
    for i in range(height):
        top, bottom = _reach(i, sy, above, kh, h)
        for j in range(width):
            left, right = _reach(j, sx, before, kw, w)
            first = (top - i * sy + above) * kw + left - j * sx + before
            at, out = ((task * h + top) * w + left) * line, ((task * height + i) * width + j) * c
            for channel in range(0, c, LANES):
                part = c - channel
                given = load_until(dy, out + channel, out + c)
                if rectify:
                    given = where_positive(load_until(y, out + channel, out + c), given)
                store_until(sums, channel, c, load_until(sums, channel, c) + given)
                place = load_bytes_until(argmax, out + channel, out + c)
                if first == 0 and bottom - top == 2 and right - left == 2 and kw == 2 and not overlap:
                    _place(dx, at + channel, part, place, given, 0, 2, 2, w * line, line, 2, False)
                else:
                    lines, pixels = bottom - top, right - left
                    _place(
                        dx,
                        at + channel,
                        part,
                        place,
                        given,
                        first,
                        lines,
                        pixels,
                        w * line,
                        line,
                        kw,
                        overlap,
                    )


@helper
def _place(dx, at, part, place, given, first, lines, pixels, line, c, window, overlap):
    """Put `given` where it belongs in a window of lines × pixels, zeros elsewhere; or add it, where windows overlap."""
    zero = splat(np.float32(0))
    for u in range(lines):
        for v in range(pixels):
            here = at + u * line + v * c
            value = where_equal(place, splat(np.float32(first + u * window + v)), given, zero)
            store_until(
                dx, here, here + part, value + load_until(dx, here, here + part) if overlap else value
            )


@jit
def _max_pool_gradient(task, dy, x, y, dx, sizes):
    h, w, c, height, width, kh, kw, sy, sx, above, before = named(sizes)
    overlap = kh > sy or kw > sx
    clear(dx, task * h * w * c, (task + 1) * h * w * c)
    for i in range(height):
        top, bottom = _reach(i, sy, above, kh, h)
        for j in range(width):
            left, right = _reach(j, sx, before, kw, w)
            at, out = ((task * h + top) * w + left) * c, ((task * height + i) * width + j) * c
            for channel in range(0, c, LANES):
                part = c - channel
                best = load_until(y, out + channel, out + c)
                todo = load_until(dy, out + channel, out + c)  # becomes 0 once the first maximum has it
                if bottom - top == 2 and right - left == 2 and not overlap:  # the usual window: unrolled
                    _scatter_to_maximum(x, dx, best, todo, at + channel, part, 2, 2, w * c, c, False)
                else:
                    lines, pixels = bottom - top, right - left
                    _scatter_to_maximum(
                        x, dx, best, todo, at + channel, part, lines, pixels, w * c, c, overlap
                    )


@jit
def _average_pool(task, x, y, sizes):
    h, w, c, height, width, kh, kw, sy, sx, above, before = named(sizes)
    image, i = divmod(task, height)
    top, bottom = _reach(i, sy, above, kh, h)
    for channel in range(0, c, LANES):
        part = c - channel
        for j in range(width):
            left, right = _reach(j, sx, before, kw, w)
            sums = splat(np.float32(0))
            for u in range(top, bottom):
                for v in range(left, right):
                    at = ((image * h + u) * w + v) * c + channel
                    sums += load_until(x, at, at + part)
            out = (task * width + j) * c + channel
            share = splat(np.float32(1) / np.float32((bottom - top) * (right - left)))
            store_until(y, out, out + part, sums * share)


@jit
def _average_pool_gradient(task, dy, dx, sizes):
    h, w, c, height, width, kh, kw, sy, sx, above, before = named(sizes)
    clear(dx, task * h * w * c, (task + 1) * h * w * c)
    for i in range(height):
        top, bottom = _reach(i, sy, above, kh, h)
        for channel in range(0, c, LANES):
            part = c - channel
            for j in range(width):
                left, right = _reach(j, sx, before, kw, w)
                share = splat(np.float32(1) / np.float32((bottom - top) * (right - left)))
                out = ((task * height + i) * width + j) * c + channel
                given = load_until(dy, out, out + part) * share
                for u in range(top, bottom):
                    for v in range(left, right):
                        at = ((task * h + u) * w + v) * c + channel
                        store_until(dx, at, at + part, given + load_until(dx, at, at + part))


@functools.lru_cache(maxsize=256)
def pool_sizes(shape: tuple[int, ...], window: Pair, strides: Pair, pads: Pads) -> np.ndarray:
    """What the kernels need to know about their shapes, as an array of integers, which `named` names."""
    _, h, w, c = shape
    out = [
        max((s + sum(p) - k) // d + 1, 0) for s, p, k, d in zip((h, w), pads, window, strides, strict=True)
    ]
    return np.array([h, w, c, *out, *window, *strides, pads[0][0], pads[1][0]], np.int64)


def pooled_shape(n: int, sizes: np.ndarray) -> tuple[int, ...]:
    """(n, height, width, c)."""
    return n, int(sizes[3]), int(sizes[4]), int(sizes[2])


@as_defined
def max_pool2d(x: np.ndarray, window: Pair, strides: Pair, pads: Pads) -> np.ndarray:
    sizes = pool_sizes(x.shape, window, strides, pads)
    y = memory.empty(pooled_shape(len(x), sizes))
    if y.size:
        max_pool(len(x) * y.shape[1], x.size, flat(x), y.reshape(-1), sizes, False)
    return y


@as_defined
def max_pool2d_gradient(
    dy: np.ndarray, x: np.ndarray, y: np.ndarray, window: Pair, strides: Pair, pads: Pads
) -> np.ndarray:
    dx = memory.empty(x.shape)
    if dx.size:
        sizes = pool_sizes(x.shape, window, strides, pads)
        _max_pool_gradient(len(x), 3 * x.size, flat(dy), flat(x), flat(y), dx.reshape(-1), sizes)
    return dx


@as_defined
def avg_pool2d(x: np.ndarray, window: Pair, strides: Pair, pads: Pads) -> np.ndarray:
    sizes = pool_sizes(x.shape, window, strides, pads)
    y = memory.empty(pooled_shape(len(x), sizes))
    if y.size:
        _average_pool(len(x) * y.shape[1], x.size, flat(x), y.reshape(-1), sizes)
    return y


@as_defined
def avg_pool2d_gradient(
    dy: np.ndarray, input_shape: tuple[int, ...], window: Pair, strides: Pair, pads: Pads
) -> np.ndarray:
    dx = memory.empty(input_shape)
    if dx.size:
        sizes = pool_sizes(tuple(input_shape), window, strides, pads)
        _average_pool_gradient(len(dx), 2 * dx.size, flat(dy), dx.reshape(-1), sizes)
    return dx
