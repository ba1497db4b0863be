"""Pictures recoloured, and parts of them erased: one pixel, or one value, a thread, bound by memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.functions import hash32
from .compiler.kernel import blocks_for, kernel
from .compiler.primitives import divide, f4
from .dropout import start_of, words


@as_defined
def recolour(images: Any, matrices: Any) -> DeviceArray:
    images, matrices = take(images), take(matrices)
    y = empty(images.shape)
    if y.size:
        _, h, w, c = images.shape
        _recolour(blocks_for(y.size), images, matrices, y, y.size, h * w * c, c)
    return y


@as_defined
def erase(images: Any, boxes: Any, seed: int) -> DeviceArray:
    images, boxes = take(images), take(boxes, np.int32)
    y = empty(images.shape)
    if y.size:
        _, h, w, c = images.shape
        _erase(blocks_for(y.size), images, boxes, y, *words(seed), y.size, h, w, c)
    return y


@kernel("f4[:], f4[:], f4[:], i4, i4, i4", threads=256)
def _recolour(images, matrices, y, size, values, c):
    i = cuda.grid(1)
    while i < size:
        pixel = divide(i, c)
        line = (divide(i, values) * c + i - pixel * c) * (c + 1)
        total = f4(0)
        for k in range(c):
            total += images[pixel * c + k] * matrices[line + k]
        total += matrices[line + c]
        y[i] = f4(0) if total < f4(0) else f4(1) if total > f4(1) else total
        i += cuda.gridsize(1)


@kernel("f4[:], i4[:], f4[:], i8[:], i8, i8, i4, i4, i4, i4", threads=256)
def _erase(images, boxes, y, number, seed_factor, offset, size, h, w, c):
    start = start_of(number, seed_factor, offset)
    i = cuda.grid(1)
    while i < size:
        pixel = divide(i, c)
        line = divide(pixel, w)
        picture = divide(line, h)
        row, column = line - picture * h, pixel - line * w
        inside = boxes[picture * 4] <= row < boxes[picture * 4 + 2]
        inside = inside and boxes[picture * 4 + 1] <= column < boxes[picture * 4 + 3]
        noise = f4(hash32((i + start) & 0xFFFFFFFF) >> 8) * f4(2**-24)
        y[i] = noise if inside else images[i]
        i += cuda.gridsize(1)
