"""Two-dimensional convolution and its gradients, as tables of rows for the loop in contraction.py.

Forward: a row is an output pixel, and the sum runs over its patch. Padding is the only case that copies: the picture into a larger one
with zeros around, line by line, bound by memory.

Gradient of the input: rows are the pixels of dz; for each tap of the kernel those whose target lies inside the picture add dz Wᵀ there.
This does no work for the zeros that the usual form, a convolution of the padded dz, multiplies: 100 instead of 169 pixels a tap
for a 13 × 13 picture whose last row and column are cropped.

Gradient of the kernel: rows are the kernel's (u, v, c); the sum runs over the output pixels, in a fixed number of chunks of pictures.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .activation import finish, fused_slope
from .compiler.jit import jit
from .compiler.tile import WIDTH
from .contraction import ADD, CLEAR, Layout, Plan, Sums, add_parts, lay_out, make_plan, run
from .flat import flat
from .functions import clear, copy
from .plans import kept

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
NO_PADS = ((0, 0), (0, 0))
CHUNKS = 8
"""Partial sums of a kernel gradient, and tasks at least: a fixed number, so that results do not depend on threads."""


@as_defined
def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Pair,
    pads: Pads,
    dilation: Pair,
    activation: str = "linear",
) -> np.ndarray:
    x, pads = with_zeros_around(x, pads)
    shape = output_shape(x.shape, kernel.shape, strides, pads, dilation)
    if 0 in shape:
        return np.zeros(shape, np.float32)
    plan = forward_plan(x.shape, kernel.shape, strides, pads, dilation)
    return finish(run(plan, x, kernel, bias, fused_slope(activation)), activation)


@as_defined
def conv2d_input_gradient(
    dz: np.ndarray,
    kernel: np.ndarray,
    input_shape: tuple[int, ...],
    strides: Pair,
    pads: Pads,
    dilation: Pair,
) -> np.ndarray:
    if not dz.size or 0 in input_shape:
        return np.zeros(input_shape, np.float32)
    plan = input_gradient_plan(dz.shape, kernel.shape, tuple(input_shape), strides, pads, dilation)
    return run(plan, dz, kernel)


@as_defined
def conv2d_kernel_gradient(
    x: np.ndarray, dz: np.ndarray, kernel_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> np.ndarray:
    if not dz.size or not x.size:
        return np.zeros(kernel_shape, np.float32)
    x, pads = with_zeros_around(x, pads)
    plan = _kernel_gradient_plan(x.shape, tuple(kernel_shape), dz.shape, strides, pads, dilation)
    partial = run(plan, x, dz)
    return add_parts(partial).reshape(kernel_shape)


@functools.lru_cache(maxsize=256)
def output_shape(input_shape, kernel_shape, strides, pads, dilation) -> tuple[int, ...]:
    """Of a convolution: (n, height, width, filters)."""
    sizes = [
        (size + sum(pad) - d * (window - 1) - 1) // stride + 1
        for size, pad, d, window, stride in zip(
            input_shape[1:3], pads, dilation, kernel_shape[:2], strides, strict=True
        )
    ]
    return (input_shape[0], *(max(size, 0) for size in sizes), kernel_shape[3])


def with_zeros_around(x: np.ndarray, pads: Pads) -> tuple[np.ndarray, Pads]:
    """Put positive padding into the picture; what is left of the pads is ≤ 0."""
    (top, bottom), (left, right) = pads
    if top <= 0 and bottom <= 0 and left <= 0 and right <= 0:
        return x, pads
    (top, bottom), (left, right) = [(max(a, 0), max(b, 0)) for a, b in pads]
    n, h, w, c = x.shape
    padded = memory.empty((n, top + h + bottom, left + w + right, c))
    if padded.size:
        line, wide = w * c, padded.shape[2] * c
        tasks = n * padded.shape[1]
        _surround(
            tasks, padded.size, flat(x), padded.reshape(-1), h, top, padded.shape[1], line, left * c, wide
        )
    return padded, tuple((min(a, 0), min(b, 0)) for a, b in pads)


@jit
def _surround(task, x, padded, h, top, height, line, left, wide):
    """A line of a picture with zeros on both sides, or a line of zeros above or below."""
    picture, row = divmod(task, height)
    first, stop, source = task * wide, (task + 1) * wide, (picture * h + row - top) * line
    if top <= row < top + h:
        clear(padded, first, first + left)
        copy(x, source, padded, first + left, line)
        clear(padded, first + left + line, stop)
    else:
        clear(padded, first, stop)


def _pixels(height: int, width: int, strides: Pair, pads: Pads, line: int, pixel: int) -> Sums:
    """Where in a picture the patches of all output pixels begin; pads are ≤ 0."""
    rows = np.arange(height) * strides[0] - pads[0][0]
    columns = np.arange(width) * strides[1] - pads[1][0]
    return rows * line, columns * pixel


def _patch(kernel_shape: tuple[int, ...], dilation: Pair, line: int) -> np.ndarray:
    """From the begin of a patch to each of its elements (u, v, c)."""
    kh, kw, c, _ = kernel_shape
    taps = np.arange(kh)[:, None] * dilation[0] * line + np.arange(kw) * dilation[1] * c
    return (taps[:, :, None] + np.arange(c)).reshape(-1)


def forward_plan(input_shape, kernel_shape, strides, pads, dilation, calls: int | None = None) -> Plan:
    """Plan a convolution: a row is the patch of an output pixel; of a picture alone, if it is one of so many calls."""
    n, h, w, c = input_shape

    def make(layout: Layout) -> Plan:
        shape = output_shape(input_shape, kernel_shape, strides, pads, dilation)
        return make_plan(
            layout,
            shape,
            groups=n,
            x_group=h * w * c,
            row_parts=-(-CHUNKS // n) if n < CHUNKS and calls is None else 1,
            packed=(calls or n) >= CHUNKS and shape[3] > WIDTH,
        )

    return _forward_layout((h, w, c), kernel_shape, strides, pads, dilation).plan((n, calls), make)


@kept
def _forward_layout(picture, kernel_shape, strides, pads, dilation) -> Layout:
    _, w, c = picture
    _, height, width, filters = output_shape((1, *picture), kernel_shape, strides, pads, dilation)
    pixels = _pixels(height, width, strides, pads, w * c, c)
    outputs = _pixels(height, width, (1, 1), NO_PADS, width * filters, filters)
    return lay_out([(pixels, outputs)], _patch(kernel_shape, dilation, w * c))


def input_gradient_plan(
    dz_shape, kernel_shape, input_shape, strides, pads, dilation, line: int | None = None
) -> Plan:
    """Plan the gradient of the input: a row is a pixel of dz, whose lines may be longer than its filters."""
    n, height, width, filters = dz_shape

    def make(layout: Layout) -> Plan:
        return make_plan(
            layout,
            input_shape,
            groups=n,
            x_group=height * width * (line or filters),
            panel_parts=min(-(-input_shape[3] // WIDTH), -(-CHUNKS // n)) if line is None else 1,
            begin=CLEAR,
            transposed=True,
        )

    geometry = dz_shape[1:], kernel_shape, input_shape[1:], strides, pads, dilation, line
    return _input_gradient_layout(*geometry).plan(n, make)


@kept
def _input_gradient_layout(dz_picture, kernel_shape, picture, strides, pads, dilation, line) -> Layout:
    height, width, filters = dz_picture
    h, w, c = picture
    kh, kw = kernel_shape[:2]
    line = line or filters
    rows = []
    for u in range(kh):
        for v in range(kw):
            row = np.arange(height) * strides[0] + u * dilation[0] - pads[0][0]
            column = np.arange(width) * strides[1] + v * dilation[1] - pads[1][0]
            i, j = np.nonzero((row >= 0) & (row < h))[0], np.nonzero((column >= 0) & (column < w))[0]
            rows.append(((i * width * line, j * line), (row[i] * w * c, column[j] * c)))
    return lay_out(rows, np.arange(filters))


def _kernel_gradient_plan(input_shape, kernel_shape, dz_shape, strides, pads, dilation) -> Plan:
    n, h, w, c = input_shape
    chunks = min(n, CHUNKS)

    def make(layout: Layout) -> Plan:
        return make_plan(
            layout,
            (chunks, math.prod(kernel_shape[:3]), kernel_shape[3]),
            groups=chunks,
            x_group=h * w * c,
            row_parts=-(-CHUNKS // chunks),
            pictures=n,
        )

    return _kernel_gradient_layout((h, w, c), kernel_shape, dz_shape[1:], strides, pads, dilation).plan(
        n, make
    )


def picture_kernel_gradient_plan(
    input_shape, kernel_shape, dz_shape, strides, pads, dilation, line: int
) -> Plan:
    """Plan what one picture, the lines of whose dz have a length of their own, adds to the gradient of the kernel."""

    def make(layout: Layout) -> Plan:
        return make_plan(layout, (math.prod(kernel_shape[:3]), kernel_shape[3]), begin=ADD, line=line)

    geometry = input_shape[1:], kernel_shape, dz_shape[1:], strides, pads, dilation
    return _kernel_gradient_layout(*geometry).plan(("one", line), make)


@kept
def _kernel_gradient_layout(picture, kernel_shape, dz_picture, strides, pads, dilation) -> Layout:
    _, w, c = picture
    patch = _patch(kernel_shape, dilation, w * c)
    start = np.zeros(1, np.int64)
    rows = (start, patch), (start, np.arange(patch.size) * kernel_shape[3])
    lines, pixels = _pixels(*dz_picture[:2], strides, pads, w * c, c)
    return lay_out([rows], (lines[:, None] + pixels).reshape(-1))
