"""Depthwise convolution and its gradients: few operations a number, so bound by memory. One element a thread.

The gradient of the input gathers, as that of pooling does. That of the kernel sums over all output pixels: for each tap blocks add some
pixels each, which `combine` adds.
"""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .activation import finish, slope_of
from .array import DeviceArray
from .arrays import empty, nothing, take, zeros
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, kernel
from .compiler.primitives import divide, f4, least
from .conv import output_shape
from .dense import ACROSS, DOWN, MOST_PARTS, ROWS, THREADS
from .pooling import position
from .product import combine

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

H, W, C, HEIGHT, WIDTH, M, KH, KW, SY, SX, TOP, LEFT, DY, DX = range(14)
"""Where in the geometry `g` the sizes of picture and output, the multiplier, the window, strides, padding before and dilation are."""


@as_defined
def depthwise_conv2d(
    x: Any, kernel: Any, bias: Any, strides: Pair, pads: Pads, dilation: Pair, activation: str = "linear"
) -> DeviceArray:
    x, kernel, bias = take(x), take(kernel), None if bias is None else take(bias)
    slope = slope_of(activation)
    shape = _output_shape(x.shape, kernel.shape, strides, pads, dilation)
    if 0 in shape:
        return zeros(shape)
    y, g = empty(shape), _geometry_of(x.shape, kernel.shape, shape, strides, pads, dilation)
    given = x, kernel, (nothing() if bias is None else bias), y
    _depthwise(blocks_for(y.size), *given, y.size, int(bias is not None), slope, g)
    return finish(y, activation)


@as_defined
def depthwise_conv2d_input_gradient(
    dz: Any, kernel: Any, input_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> DeviceArray:
    dz, kernel = take(dz), take(kernel)
    if not dz.size or 0 in input_shape:
        return zeros(input_shape)
    dx = empty(tuple(input_shape))
    g = _geometry_of(dx.shape, kernel.shape, dz.shape, strides, pads, dilation)
    _input_gradient(blocks_for(dx.size), dz, kernel, dx, dx.size, g)
    return dx


@as_defined
def depthwise_conv2d_kernel_gradient(
    x: Any, dz: Any, kernel_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> DeviceArray:
    x, dz = take(x), take(dz)
    if not dz.size or not x.size:
        return zeros(kernel_shape)
    kh, kw, c, m = kernel_shape
    pixels, taps, channels = dz.size // (c * m), kh * kw, c * m
    parts = min(-(-pixels // ROWS), MOST_PARTS)
    partial = empty((parts, taps * channels))
    g = _geometry_of(x.shape, kernel_shape, dz.shape, strides, pads, dilation)
    blocks = -(-channels // ACROSS), taps, parts
    _kernel_gradient(blocks, x, dz, partial, pixels, -(-pixels // parts), g)
    found = partial if parts == 1 else combine(partial, (taps * channels,))
    return found.reshape(tuple(kernel_shape))


def _output_shape(
    input_shape: tuple[int, ...], kernel_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> tuple[int, ...]:
    n, height, width, m = output_shape(input_shape, kernel_shape, strides, pads, dilation)
    return n, height, width, input_shape[3] * m


def _geometry_of(
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    shape: tuple[int, ...],
    strides: Pair,
    pads: Pads,
    dilation: Pair,
) -> tuple[int, ...]:
    """The numbers of a convolution, in the order of H … DX."""
    kh, kw, _, m = kernel_shape
    return (*input_shape[1:], *shape[1:3], m, kh, kw, *strides, pads[0][0], pads[1][0], *dilation)


@kernel("f4[:], f4[:], f4[:], f4[:], i4, i4, f4, i4*14", threads=256)
def _depthwise(x, kernel, bias, y, size, has_bias, slope, g):
    channels = g[C] * g[M]
    e = cuda.grid(1)
    while e < size:
        picture, i, j, channel = position(e, g[HEIGHT], g[WIDTH], channels)
        c = divide(channel, g[M])
        z = f4(0)
        for u in range(g[KH]):
            row = i * g[SY] - g[TOP] + u * g[DY]
            if 0 <= row < g[H]:
                for v in range(g[KW]):
                    column = j * g[SX] - g[LEFT] + v * g[DX]
                    if 0 <= column < g[W]:
                        at = ((picture * g[H] + row) * g[W] + column) * g[C] + c
                        z += x[at] * kernel[(u * g[KW] + v) * channels + channel]
        if has_bias:
            z += bias[channel]
        if z < f4(0):
            z = z * slope if slope != f4(0) else f4(0)
        y[e] = z
        e += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], i4, i4*14", threads=256)
def _input_gradient(dz, kernel, dx, size, g):
    channels = g[C] * g[M]
    e = cuda.grid(1)
    while e < size:
        picture, row, column, c = position(e, g[H], g[W], g[C])
        total = f4(0)
        for u in range(g[KH]):
            below = row + g[TOP] - u * g[DY]
            i = divide(below, g[SY]) if below >= 0 else g[HEIGHT]
            if i < g[HEIGHT] and i * g[SY] == below:
                for v in range(g[KW]):
                    beside = column + g[LEFT] - v * g[DX]
                    j = divide(beside, g[SX]) if beside >= 0 else g[WIDTH]
                    if j < g[WIDTH] and j * g[SX] == beside:
                        at = ((picture * g[HEIGHT] + i) * g[WIDTH] + j) * channels + c * g[M]
                        tap = (u * g[KW] + v) * channels + c * g[M]
                        for q in range(g[M]):
                            total += dz[at + q] * kernel[tap + q]
        dx[e] = total
        e += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], i4, i4, i4*14", threads=THREADS)
def _kernel_gradient(x, dz, partial, pixels, per_part, g):
    room = cuda.shared.array(THREADS, f4)
    t = cuda.threadIdx.x
    channels = g[C] * g[M]
    channel = cuda.blockIdx.x * ACROSS + t % ACROSS
    u = divide(cuda.blockIdx.y, g[KW])
    v = cuda.blockIdx.y - u * g[KW]
    first = cuda.blockIdx.z * per_part
    total = f4(0)
    if channel < channels:
        c = divide(channel, g[M])
        for pixel in range(first + t // ACROSS, least(first + per_part, pixels), DOWN):
            line = divide(pixel, g[WIDTH])
            picture = divide(line, g[HEIGHT])
            row = (line - picture * g[HEIGHT]) * g[SY] - g[TOP] + u * g[DY]
            column = (pixel - line * g[WIDTH]) * g[SX] - g[LEFT] + v * g[DX]
            if 0 <= row < g[H] and 0 <= column < g[W]:
                at = ((picture * g[H] + row) * g[W] + column) * g[C] + c
                total += x[at] * dz[pixel * channels + channel]
    room[t] = total
    cuda.syncthreads()
    if t < ACROSS and channel < channels:
        for other in range(1, DOWN):
            total += room[other * ACROSS + t]
        partial[(cuda.blockIdx.z * g[KH] * g[KW] + cuda.blockIdx.y) * channels + channel] = total
