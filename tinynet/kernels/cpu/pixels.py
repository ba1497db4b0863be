"""Pictures recoloured, and parts of them erased. A task is a picture; bound by memory, which is read and written once."""

from __future__ import annotations

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .compiler.jit import helper, jit
from .dropout import mix, words
from .flat import flat

U = np.uint32


@jit
def _recolour(task, images, matrices, out, pixels, c):
    if c == 3:
        _recolour_three(images, matrices, out, 3 * task * pixels, 3 * (task + 1) * pixels, 12 * task)
        return
    m = task * c * (c + 1)
    for at in range(task * pixels * c, (task + 1) * pixels * c, c):
        for k in range(c):
            row = m + k * (c + 1)
            value = matrices[row + c]
            for channel in range(c):
                value += matrices[row + channel] * images[at + channel]
            out[at + k] = _within(value)


@helper
def _recolour_three(images, matrices, out, first, last, m):
    """The usual three channels, the matrix in registers."""
    rr, rg, rb, r0 = matrices[m], matrices[m + 1], matrices[m + 2], matrices[m + 3]
    gr, gg, gb, g0 = matrices[m + 4], matrices[m + 5], matrices[m + 6], matrices[m + 7]
    br, bg, bb, b0 = matrices[m + 8], matrices[m + 9], matrices[m + 10], matrices[m + 11]
    for at in range(first, last, 3):
        r, g, b = images[at], images[at + 1], images[at + 2]
        out[at] = _within(rr * r + rg * g + rb * b + r0)
        out[at + 1] = _within(gr * r + gg * g + gb * b + g0)
        out[at + 2] = _within(br * r + bg * g + bb * b + b0)


@helper
def _within(value):
    return min(max(value, np.float32(0)), np.float32(1))


@as_defined
def recolour(images: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    n, h, w, c = images.shape
    out = memory.empty(images.shape)
    _recolour(n, 2 * out.size, flat(images), flat(matrices), out.reshape(-1), h * w, c)
    return out


@jit
def _erase(task, images, boxes, seed, out, h, w, c):
    start, size = mix(seed), h * w * c
    for i in range(task * size, (task + 1) * size):
        out[i] = images[i]
    for row in range(boxes[4 * task], boxes[4 * task + 2]):
        line = task * size + row * w * c
        for i in range(line + boxes[4 * task + 1] * c, line + boxes[4 * task + 3] * c):
            out[i] = np.float32(mix(U(U(i) + start)) >> U(8)) * np.float32(2**-24)


@as_defined
def erase(images: np.ndarray, boxes: np.ndarray, seed: int) -> np.ndarray:
    n, h, w, c = images.shape
    out = memory.empty(images.shape)
    word, _ = words(0.0, seed)
    boxes = np.ascontiguousarray(boxes, np.int64).reshape(-1)
    _erase(n, out.size, flat(images), boxes, word, out.reshape(-1), h, w, c)
    return out
