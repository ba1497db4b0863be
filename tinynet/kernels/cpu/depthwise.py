"""Depthwise convolution and its gradients, vectors along the channels.

Nine multiply-adds per number are too few to keep the multipliers busy: bound by memory and caches. So padding is not copied into the
pictures, as `conv2d` does: taps that lie outside are left out, and where windows lie inside, those of FOUR neighbours are
summed side by side, the last of a line once more if need be.

Blocking: a task is one line of output pixels, whose three lines of input lie in L1. The gradient of the input is, where strides are
1, the depthwise convolution of dz with the kernel turned round; else each line of dx collects what it was read by. The gradient
of the kernel: a task is a vector of channels of a chunk of pictures, the chunks a fixed number.

With a depth multiplier above 1 the input is first repeated, so that each output channel has one of its own, and the gradient of the
input summed again.
"""

from __future__ import annotations

import functools

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .activation import finish, fused_slope
from .compiler.jit import helper, jit
from .compiler.simd import LANES, load_until, splat, store_until
from .contraction import add_parts, no_bias
from .conv import CHUNKS, Pads, Pair, output_shape
from .flat import CHUNK, flat
from .functions import clear, fma, rectified
from .parts import read_part, read_whole, write_part, write_whole

TABLE = 13
"""Where in the sizes the table of `_outputs_inside` begins."""
FOUR = 4
"""Neighbours whose sums are added side by side, since an addition takes four cycles and the next sum must not wait for it."""


@helper
def _named(sizes):
    """(h, w, c, height, width, kh, kw, sy, sx, top, left, dy, dx): input, output, window, strides, padding, dilation."""
    return (
        *(sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6]),
        *(sizes[7], sizes[8], sizes[9], sizes[10], sizes[11], sizes[12]),
    )


@helper
def _taps_inside(start, dilation, taps, size):
    """The taps [first, last) of a window beginning at `start` that lie on an axis of this size."""
    first = (-start + dilation - 1) // dilation if start < 0 else 0
    last = (size - start + dilation - 1) // dilation if start < size else 0
    return min(first, taps), min(last, taps)


@helper
def _outputs_inside(sizes, v):
    """The output positions [first, last) of a line whose tap v lies inside the picture."""
    return sizes[TABLE + 2 * v], sizes[TABLE + 2 * v + 1]


def _windows_of(read):
    """(one, four): the sums of a window, and of FOUR neighbours at once, for the vector of channels that `read` reads."""

    @helper
    def one(x, at, line, step, kernel, k, c, kw, above, below, before, behind, sums, part):
        for u in range(above, below):
            for v in range(before, behind):
                value = read(x, at + u * line + v * step, part)
                sums = fma(value, read(kernel, k + (u * kw + v) * c, part), sums)
        return sums

    @helper
    def four(x, at, ahead, kernel, k, c, sizes, first_tap, last_tap, offset, sums, part):
        s0, s1, s2, s3 = sums, sums, sums, sums
        k += first_tap * c
        for tap in range(offset + first_tap, offset + last_tap):
            here, factor = at + sizes[tap], read(kernel, k, part)
            s0 = fma(read(x, here, part), factor, s0)
            s1 = fma(read(x, here + ahead, part), factor, s1)
            s2 = fma(read(x, here + 2 * ahead, part), factor, s2)
            s3 = fma(read(x, here + 3 * ahead, part), factor, s3)
            k += c
        return s0, s1, s2, s3

    return one, four


_one, _four = _windows_of(read_part)
_, _four_whole = _windows_of(read_whole)


@jit
def _convolve(task, x, kernel, bias, y, sizes, slope):
    """One line of output pixels."""
    h, w, c, height, width, kh, kw, sy, sx, top, left, dy, dx = _named(sizes)
    image, i = divmod(task, height)
    row, line, step, ahead = i * sy - top, dy * w * c, dx * c, sx * c
    above, below = _taps_inside(row, dy, kh, h)
    (first, _), (_, last) = _outputs_inside(sizes, 0), _outputs_inside(sizes, kw - 1)
    below_zero, j = splat(slope), 0
    while j < width:
        inside = first <= j < last and last - first >= FOUR
        if inside:
            j = min(j, last - FOUR)
        column = j * sx - left
        at, out = ((image * h + row) * w + column) * c, (task * width + j) * c
        if inside:
            for k in range(0, c, LANES):
                part, start = c - k, load_until(bias, k, c)
                taps = sizes, above * kw, below * kw, TABLE + 2 * kw, start, part
                if part >= LANES:
                    s0, s1, s2, s3 = _four_whole(x, at + k, ahead, kernel, k, c, *taps)
                else:
                    s0, s1, s2, s3 = _four(x, at + k, ahead, kernel, k, c, *taps)
                to = out + k
                store_until(y, to, to + part, rectified(s0, below_zero))
                store_until(y, to + c, to + c + part, rectified(s1, below_zero))
                store_until(y, to + 2 * c, to + 2 * c + part, rectified(s2, below_zero))
                store_until(y, to + 3 * c, to + 3 * c + part, rectified(s3, below_zero))
            j += FOUR
        else:
            before, behind = _taps_inside(column, dx, kw, w)
            for k in range(0, c, LANES):
                start = load_until(bias, k, c)
                sums = _one(
                    x, at + k, line, step, kernel, k, c, kw, above, below, before, behind, start, c - k
                )
                store_until(y, out + k, out + c, rectified(sums, below_zero))
            j += 1


@jit
def _collect(task, dz, kernel, dx_, sizes):
    """One line of dx: what the output pixels that read it send back."""
    h, w, c, height, width, kh, kw, sy, sx, top, left, dy, dx = _named(sizes)
    image, row = divmod(task, h)
    clear(dx_, task * w * c, (task + 1) * w * c)
    for u in range(kh):
        i = (row + top - u * dy) // sy
        if 0 <= i < height and i * sy == row + top - u * dy:
            for v in range(kw):
                first, last = _outputs_inside(sizes, v)
                k = (u * kw + v) * c
                for channel in range(0, c, LANES):
                    factor = load_until(kernel, k + channel, k + c)
                    for j in range(first, last):
                        source = ((image * height + i) * width + j) * c + channel
                        target = (task * w + j * sx + v * dx - left) * c + channel
                        part = c - channel
                        value = fma(
                            load_until(dz, source, source + part),
                            factor,
                            load_until(dx_, target, target + part),
                        )
                        store_until(dx_, target, target + part, value)


def _line_gradient_of(read, write):
    """partial[u, v] += what one line of output pixels adds, for a vector of channels: four sums at a time, so that additions overlap."""

    @helper
    def line_gradient(x, dz, partial, image, i, sizes, channel, own, part):
        h, w, c, height, width, kh, kw, sy, sx, top, left, dy, dx = _named(sizes)
        above, below = _taps_inside(i * sy - top, dy, kh, h)
        step = sx * c
        for u in range(above, below):
            row = image * h + i * sy + u * dy - top
            for v in range(kw):
                first, last = _outputs_inside(sizes, v)
                at = (row * w + first * sx + v * dx - left) * c + channel
                out = ((image * height + i) * width + first) * c + channel
                k, zero = own + (u * kw + v) * c, splat(np.float32(0))
                s0, s1, s2, s3 = read(partial, k, part), zero, zero, zero
                for _ in range((last - first) // 4):
                    s0 = fma(read(x, at, part), read(dz, out, part), s0)
                    s1 = fma(read(x, at + step, part), read(dz, out + c, part), s1)
                    s2 = fma(read(x, at + 2 * step, part), read(dz, out + 2 * c, part), s2)
                    s3 = fma(read(x, at + 3 * step, part), read(dz, out + 3 * c, part), s3)
                    at, out = at + 4 * step, out + 4 * c
                for _ in range((last - first) % 4):
                    s0 = fma(read(x, at, part), read(dz, out, part), s0)
                    at, out = at + step, out + c
                write(partial, k, part, (s0 + s1) + (s2 + s3))

    return line_gradient


_line_gradient, _line_gradient_whole = (
    _line_gradient_of(*ways) for ways in ((read_part, write_part), (read_whole, write_whole))
)


@jit
def _kernel_gradient(task, x, dz, partial, sizes, pictures, chunks):
    """What a vector of channels of a chunk of pictures adds, line after line, so that three lines of x and one of dz lie in L1."""
    c, height, taps = sizes[2], sizes[3], sizes[5] * sizes[6]
    chunk, vector = divmod(task, (c + LANES - 1) // LANES)
    channel = vector * LANES
    part, own = c - channel, chunk * taps * c + channel
    for k in range(own, own + taps * c, c):
        store_until(partial, k, k + part, splat(np.float32(0)))
    for image in range(pictures * chunk // chunks, pictures * (chunk + 1) // chunks):
        for i in range(height):
            if part >= LANES:
                _line_gradient_whole(x, dz, partial, image, i, sizes, channel, own, part)
            else:
                _line_gradient(x, dz, partial, image, i, sizes, channel, own, part)


@jit
def _repeat(task, x, y, times):
    """y[i · times + q] = x[i]."""
    for i in range(task * CHUNK, min(x.size, (task + 1) * CHUNK)):
        for q in range(times):
            y[i * times + q] = x[i]


@jit
def _sum_repeated(task, y, x, times):
    """x[i] = Σ_q y[i · times + q]."""
    for i in range(task * CHUNK, min(x.size, (task + 1) * CHUNK)):
        sums = np.float32(0)
        for q in range(times):
            sums += y[i * times + q]
        x[i] = sums


@jit
def _turn(task, kernel, turned, c):
    """The taps in the opposite order."""
    taps = kernel.size // c
    for tap in range(taps):
        at, to = tap * c, (taps - 1 - tap) * c
        for j in range(0, c, LANES):
            store_until(turned, to + j, to + c, load_until(kernel, at + j, at + c))


@functools.lru_cache(maxsize=256)
def _sizes(shape, out, window: Pair, strides: Pair, pads: Pads, dilation: Pair) -> np.ndarray:
    """What the kernels need to know about their shapes, as an array of integers.

    What `_named` names; the table of `_outputs_inside`; and from a window's begin to each of its taps.
    """
    named = [*shape, *out, *window, *strides, pads[0][0], pads[1][0], *dilation]
    shifts = (pads[1][0] - v * dilation[1] for v in range(window[1]))
    ranges = [
        (-(-max(shift, 0) // strides[1]), -(-max(shape[1] + shift, 0) // strides[1])) for shift in shifts
    ]
    table = [min(place, out[1]) for pair in ranges for place in pair]
    line, step = dilation[0] * shape[1] * shape[2], dilation[1] * shape[2]
    offsets = [u * line + v * step for u in range(window[0]) for v in range(window[1])]
    return np.array([*named, *table, *offsets], np.int64)


def _repeated(x: np.ndarray, times: int) -> np.ndarray:
    """Each channel `times` times."""
    if times == 1:
        return x
    y = memory.empty((*x.shape[:-1], x.shape[-1] * times))
    _repeat(-(-x.size // CHUNK), y.size, flat(x), y.reshape(-1), times)
    return y


def _run(x, kernel, bias, shape, strides: Pair, pads: Pads, dilation: Pair, slope: np.float32) -> np.ndarray:
    """The convolution of x (n, h, w, c) with c kernels, all sizes above 0."""
    y = memory.empty(shape)
    sizes = _sizes(x.shape[1:], shape[1:3], kernel.shape[:2], strides, pads, dilation)
    b = no_bias(shape[3]) if bias is None else flat(bias)
    arrays = flat(x), flat(kernel), b, y.reshape(-1)
    _convolve(shape[0] * shape[1], 2 * y.size, *arrays, sizes, slope)
    return y


@as_defined
def depthwise_conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Pair,
    pads: Pads,
    dilation: Pair,
    activation: str = "linear",
) -> np.ndarray:
    kh, kw, c, m = kernel.shape
    shape = output_shape(x.shape, (kh, kw, c, c * m), strides, pads, dilation)
    if 0 in shape:
        return np.zeros(shape, np.float32)
    y = _run(_repeated(x, m), kernel, bias, shape, strides, pads, dilation, fused_slope(activation))
    return finish(y, activation)


@as_defined
def depthwise_conv2d_input_gradient(
    dz: np.ndarray,
    kernel: np.ndarray,
    input_shape: tuple[int, ...],
    strides: Pair,
    pads: Pads,
    dilation: Pair,
) -> np.ndarray:
    if not dz.size or 0 in input_shape:
        return np.zeros(input_shape, np.float32)
    n, h, w, c = input_shape
    (kh, kw), m = kernel.shape[:2], kernel.shape[3]
    if strides == (1, 1):
        turned = memory.empty(kernel.shape)
        _turn(1, kernel.size, flat(kernel), turned.reshape(-1), c * m)
        around = tuple((d * (k - 1) - a, 0) for d, k, (a, _) in zip(dilation, (kh, kw), pads, strict=True))
        shape = n, h, w, c * m
        dx = _run(dz, turned, None, shape, (1, 1), around, dilation, np.float32(1))
    else:
        dx = memory.empty((n, h, w, c * m))
        sizes = _sizes((h, w, c * m), dz.shape[1:3], (kh, kw), strides, pads, dilation)
        _collect(n * h, 2 * dx.size, flat(dz), flat(kernel), dx.reshape(-1), sizes)
    if m == 1:
        return dx
    summed = memory.empty((n, h, w, c))
    _sum_repeated(-(-summed.size // CHUNK), dx.size, dx.reshape(-1), summed.reshape(-1), m)
    return summed


@as_defined
def depthwise_conv2d_kernel_gradient(
    x: np.ndarray, dz: np.ndarray, kernel_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> np.ndarray:
    if not dz.size or not x.size:
        return np.zeros(kernel_shape, np.float32)
    kh, kw, c, m = kernel_shape
    x, chunks = _repeated(x, m), min(len(x), CHUNKS)
    partial = memory.empty((chunks, kh * kw * c * m))
    sizes = _sizes((*x.shape[1:3], c * m), dz.shape[1:3], (kh, kw), strides, pads, dilation)
    tasks = chunks * -(-c * m // LANES)
    _kernel_gradient(tasks, 4 * dz.size, flat(x), flat(dz), partial.reshape(-1), sizes, len(x), chunks)
    return add_parts(partial).reshape(kernel_shape)
