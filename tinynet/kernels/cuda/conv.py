"""Two-dimensional convolution and its gradients as products (product.py) whose operands are read from the pictures: implicit GEMM.

    forward            C[pixel, o]     = Σ over (u, v, c) of      x's patch[pixel, (u, v, c)] · W[(u, v, c), o]
    input gradient     C[pixel, c]     = Σ over (u, v, o) of      dz's output pixel that met it by (u, v), [o] · W[u, v, c, o]
    kernel gradient    C[(u, v, c), o] = Σ over output pixels of  x's patch[pixel, (u, v, c)] · dz[pixel, o]

No patch is stored: a thread finds four neighbours of a patch where they lie, one access of 16 bytes where the channels are a multiple of
four. Where a pixel of a patch lies outside the picture it takes zeros; pads below 0, which crop, need nothing of their own. The gradient of
the kernel is small and its sum long: it is split into parts.
"""

from __future__ import annotations

from typing import Any

from ..reference.conv import output_size
from ..reference.definition import as_defined
from .activation import finish, slope_of
from .array import DeviceArray
from .arrays import take, zeros
from .compiler.kernel import device
from .compiler.primitives import divide, f4, load4
from .product import BY_TERM, GEOMETRY, Operand, Product

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]

H, W, C, HEIGHT, WIDTH, FILTERS, KW, SY, SX, TOP, LEFT, DY, DX = range(13)
"""Where in `geometry` the sizes of picture, output and window are, and the strides, the padding before and the dilation."""
OUTSIDE = -(2**30)
"""A row that lies in no picture, whatever is added."""


@device
def _pixel_anchor(line, lines, terms, g):
    """Of an output pixel: where its patch begins, the row and the column of that in the picture."""
    row = divide(line, g[WIDTH])
    j = line - row * g[WIDTH]
    picture = divide(row, g[HEIGHT])
    y = (row - picture * g[HEIGHT]) * g[SY] - g[TOP]
    x = j * g[SX] - g[LEFT]
    first = ((picture * g[H] + y) * g[W] + x) * g[C]
    return first, y if line < lines else OUTSIDE, x


@device
def _patch(target, x, anchor, k, lines, terms, end, g):
    """Four neighbours of a patch of one pixel."""
    first, top, left = anchor
    if g[C] % 4 == 0:
        tap = divide(k, g[C])
        u = divide(tap, g[KW])
        y, z = u * g[DY], (tap - u * g[KW]) * g[DX]
        if k < end and 0 <= top + y < g[H] and 0 <= left + z < g[W]:
            load4(target, 0, x, first + (y * g[W] + z) * g[C] + k - tap * g[C])
        else:
            for q in range(4):
                target[q] = f4(0)
    else:
        for q in range(4):
            tap = divide(k + q, g[C])
            u = divide(tap, g[KW])
            y, z = u * g[DY], (tap - u * g[KW]) * g[DX]
            inside = k + q < end and 0 <= top + y < g[H] and 0 <= left + z < g[W]
            target[q] = x[first + (y * g[W] + z) * g[C] + k + q - tap * g[C]] if inside else f4(0)


@device
def _element_anchor(line, lines, terms, g):
    """Of an element (u, v, c) of the kernel: how far from a patch's begin it lies, its rows and its columns below that."""
    tap = divide(line, g[C])
    u = divide(tap, g[KW])
    y, z = u * g[DY], (tap - u * g[KW]) * g[DX]
    return (y * g[W] + z) * g[C] + line - tap * g[C], y if line < lines else OUTSIDE, z


@device
def _elements(target, x, anchor, k, lines, terms, end, g):
    """Four neighbouring elements of the patch of pixel k. Fewer channels than four lie in several taps: each is found anew."""
    offset, below, beside = anchor
    first, top, left = _pixel_anchor(k, terms, terms, g)
    if g[C] % 4 == 0:
        if k < end and 0 <= top + below < g[H] and 0 <= left + beside < g[W]:
            load4(target, 0, x, first + offset)
        else:
            for q in range(4):
                target[q] = f4(0)
    else:
        line = offset + g[C] * (divide(below, g[DY]) * g[KW] + divide(beside, g[DX])) if below >= 0 else lines
        line -= (below * g[W] + beside) * g[C] if below >= 0 else 0
        for q in range(4):
            offset, below, beside = _element_anchor(line + q, lines, terms, g)
            inside = k < end and 0 <= top + below < g[H] and 0 <= left + beside < g[W]
            target[q] = x[first + offset] if inside else f4(0)


@device
def _source_anchor(line, lines, terms, g):
    """Of a pixel of the picture: where its picture begins in dz, its row and its column in the padded picture."""
    row = divide(line, g[W])
    picture = divide(row, g[H])
    y = row - picture * g[H] + g[TOP]
    first = picture * g[HEIGHT] * g[WIDTH]
    return first, y if line < lines else OUTSIDE, line - row * g[W] + g[LEFT]


@device
def _met_by(first, y, x, tap, g):
    """The output pixel that met a pixel of the picture by a tap of the kernel; -1 where none did."""
    u = divide(tap, g[KW])
    y -= u * g[DY]
    x -= (tap - u * g[KW]) * g[DX]
    if y < 0 or x < 0:
        return -1
    i, j = divide(y, g[SY]), divide(x, g[SX])
    if i * g[SY] != y or j * g[SX] != x or i >= g[HEIGHT] or j >= g[WIDTH]:
        return -1
    return first + i * g[WIDTH] + j


@device
def _sources(target, dz, anchor, k, lines, terms, end, g):
    """Four neighbours (u, v, o) of what a pixel of the picture was met by."""
    first, y, x = anchor
    if g[FILTERS] % 4 == 0:
        tap = divide(k, g[FILTERS])
        pixel = _met_by(first, y, x, tap, g)
        if k < end and pixel >= 0:
            load4(target, 0, dz, pixel * g[FILTERS] + k - tap * g[FILTERS])
        else:
            for q in range(4):
                target[q] = f4(0)
    else:
        for q in range(4):
            tap = divide(k + q, g[FILTERS])
            pixel = _met_by(first, y, x, tap, g)
            target[q] = (
                dz[pixel * g[FILTERS] + k + q - tap * g[FILTERS]] if k + q < end and pixel >= 0 else f4(0)
            )


@device
def _channel_anchor(line, lines, terms, g):
    return line if line < lines else -1, 0, 0


@device
def _channel(target, kernel, anchor, k, lines, terms, end, g):
    """Four neighbours (u, v, o) of a kernel's channel c."""
    c = anchor[0]
    if g[FILTERS] % 4 == 0 and c >= 0 and k < end:
        tap = divide(k, g[FILTERS])
        load4(target, 0, kernel, (tap * g[C] + c) * g[FILTERS] + k - tap * g[FILTERS])
    else:
        for q in range(4):
            tap = divide(k + q, g[FILTERS])
            there = c >= 0 and k + q < end
            target[q] = kernel[(tap * g[C] + c) * g[FILTERS] + k + q - tap * g[FILTERS]] if there else f4(0)


_convolution = Product("conv2d", Operand(_pixel_anchor, _patch, True), BY_TERM)
_input_gradient = Product(
    "conv2d_input_gradient", Operand(_source_anchor, _sources, True), Operand(_channel_anchor, _channel, True)
)
_kernel_gradient = Product("conv2d_kernel_gradient", Operand(_element_anchor, _elements, False), BY_TERM)


@as_defined
def conv2d(
    x: Any, kernel: Any, bias: Any, strides: Pair, pads: Pads, dilation: Pair, activation: str = "linear"
) -> DeviceArray:
    x, kernel, bias = take(x), take(kernel), None if bias is None else take(bias)
    (kh, kw, c, filters), slope = kernel.shape, slope_of(activation)
    shape = output_shape(x.shape, kernel.shape, strides, pads, dilation)
    if 0 in shape or not kernel.size:
        return zeros(shape)
    geometry = geometry_of(x.shape, kernel.shape, shape, strides, pads, dilation)
    sizes = shape[0] * shape[1] * shape[2], filters, kh * kw * c
    return finish(_convolution(x, kernel, sizes, bias, slope, geometry).reshape(shape), activation)


@as_defined
def conv2d_input_gradient(
    dz: Any, kernel: Any, input_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> DeviceArray:
    dz, kernel = take(dz), take(kernel)
    if not dz.size or 0 in input_shape:
        return zeros(input_shape)
    (n, h, w, c), (kh, kw, _, filters) = input_shape, kernel.shape
    geometry = geometry_of(input_shape, kernel.shape, dz.shape, strides, pads, dilation)
    sizes = n * h * w, c, kh * kw * filters
    return _input_gradient(dz, kernel, sizes, geometry=geometry).reshape(tuple(input_shape))


@as_defined
def conv2d_kernel_gradient(
    x: Any, dz: Any, kernel_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> DeviceArray:
    x, dz = take(x), take(dz)
    if not dz.size or not x.size:
        return zeros(kernel_shape)
    kh, kw, c, filters = kernel_shape
    geometry = geometry_of(x.shape, kernel_shape, dz.shape, strides, pads, dilation)
    sizes = kh * kw * c, filters, dz.size // filters
    return _kernel_gradient(x, dz, sizes, geometry=geometry).reshape(tuple(kernel_shape))


def output_shape(
    input_shape: tuple[int, ...], kernel_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> tuple[int, ...]:
    """Of a convolution: (n, height, width, filters)."""
    height, width = (
        output_size(input_shape[i + 1], kernel_shape[i], strides[i], pads[i], dilation[i]) for i in (0, 1)
    )
    return input_shape[0], height, width, kernel_shape[3]


def geometry_of(
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    shape: tuple[int, ...],
    strides: Pair,
    pads: Pads,
    dilation: Pair,
) -> tuple[int, ...]:
    """The numbers of a convolution, in the order of H … DX, and as many more as kernels of products take."""
    _, h, w, c = input_shape
    _, height, width, filters = shape
    before = pads[0][0], pads[1][0]
    numbers = (h, w, c, height, width, filters, kernel_shape[1], *strides, *before, *dilation)
    return numbers + (0,) * (GEOMETRY - len(numbers))
