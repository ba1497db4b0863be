"""A convolution and the max-pooling behind it: two kernels, the second with the activation and where each maximum lies."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .activation import CODES, activated, slope
from .array import DeviceArray
from .arrays import empty, take, zeros
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, kernel
from .compiler.primitives import f4
from .conv import conv2d, conv2d_input_gradient, conv2d_kernel_gradient, output_shape
from .dense import column_sums
from .pooling import (
    HEIGHT,
    KH,
    KW,
    LEFT,
    NOTHING,
    SX,
    SY,
    TOP,
    WIDTH,
    C,
    H,
    W,
    geometry_of,
    pixel_of,
    place_in,
    pooled_shape,
    position,
    window_at,
    windows_with,
)


@as_defined
def conv2d_max_pool2d(
    x: Any, kernel: Any, bias: Any, convolution: Any, activation: str, pooling: Any
) -> DeviceArray:
    return conv2d_max_pool2d_with_argmax(x, kernel, bias, convolution, activation, pooling)[0]


@as_defined
def conv2d_max_pool2d_with_argmax(
    x: Any, kernel: Any, bias: Any, convolution: Any, activation: str, pooling: Any
) -> tuple[DeviceArray, DeviceArray]:
    z = conv2d(x, kernel, bias, *convolution)
    shape = pooled_shape(z.shape, *pooling)
    y, argmax = empty(shape), DeviceArray(shape, np.uint8)
    if y.size:
        g = geometry_of(z.shape, shape, *pooling)
        _max_with_place(blocks_for(y.size), z, y, argmax, y.size, CODES[activation], g)
    return y, argmax


@as_defined
def conv2d_max_pool2d_gradient(
    dy: Any,
    y: Any,
    argmax: Any,
    x: Any,
    kernel: Any,
    convolution: Any,
    activation: str,
    pooling: Any,
    input_gradient: bool,
) -> tuple[DeviceArray | None, DeviceArray, DeviceArray]:
    dy, y, argmax, x, kernel = take(dy), take(y), take(argmax, np.uint8), take(x), take(kernel)
    shape = output_shape(x.shape, kernel.shape, *convolution)
    dz = empty(shape) if y.size else zeros(shape)
    if y.size:
        g = geometry_of(shape, y.shape, *pooling)
        given = dy, y, argmax, dz
        _hand_back(blocks_for(dz.size), *given, dz.size, CODES[activation], g)
    dx = conv2d_input_gradient(dz, kernel, x.shape, *convolution) if input_gradient else None
    return dx, conv2d_kernel_gradient(x, dz, kernel.shape, *convolution), column_sums(dz)


@kernel("f4[:], f4[:], u1[:], i4, i4, i4*11", threads=256)
def _max_with_place(z, y, argmax, size, code, g):
    e = cuda.grid(1)
    while e < size:
        picture, i, j, channel = position(e, g[HEIGHT], g[WIDTH], g[C])
        top, place = NOTHING, 0
        for u in range(g[KH]):
            for v in range(g[KW]):
                value = pixel_of(z, picture, i * g[SY] - g[TOP] + u, j * g[SX] - g[LEFT] + v, channel, g)
                if value > top or value != value:
                    top, place = value, u * g[KW] + v
        y[e] = activated(top, code)
        argmax[e] = place
        e += cuda.gridsize(1)


@kernel("f4[:], f4[:], u1[:], f4[:], i4, i4, i4*11", threads=256)
def _hand_back(dy, y, argmax, dz, size, code, g):
    e = cuda.grid(1)
    while e < size:
        picture, row, column, channel = position(e, g[H], g[W], g[C])
        first, end, left, right = windows_with(row, column, g)
        total = f4(0)
        for i in range(first, end):
            for j in range(left, right):
                at = window_at(picture, i, j, channel, g)
                if argmax[at] == place_in(i, j, row, column, g):
                    s = slope(y[at], code)
                    total += dy[at] * s if s != f4(0) else f4(0)
        dz[e] = total
        e += cuda.gridsize(1)
