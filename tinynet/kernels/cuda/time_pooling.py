"""The mean and the largest value over time, and their gradients: one feature of a sequence a thread, bound by memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, nothing, take, zeros
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, device, kernel
from .compiler.primitives import divide, f4

LOWEST = np.float32(-np.inf)


@as_defined
def mean_steps(x: Any, mask: Any) -> DeviceArray:
    return _pooled(_mean, take(x), mask)


@as_defined
def max_steps(x: Any, mask: Any) -> DeviceArray:
    return _pooled(_max, take(x), mask)


def _pooled(pool: Any, x: DeviceArray, mask: Any) -> DeviceArray:
    n, t, d = x.shape
    y = empty((n, d))
    if y.size:
        real, has_mask = _real(mask)
        pool(blocks_for(y.size), x, real, y, y.size, t, d, has_mask)
    return y


@as_defined
def mean_steps_gradient(dy: Any, steps: int, mask: Any) -> DeviceArray:
    dy = take(dy)
    n, d = dy.shape
    dx = empty((n, steps, d))
    if dx.size:
        real, has_mask = _real(mask)
        _mean_gradient(blocks_for(dy.size), dy, real, dx, dy.size, steps, d, has_mask)
    return dx


@as_defined
def max_steps_gradient(dy: Any, x: Any, y: Any, mask: Any) -> DeviceArray:
    dy, x, y = take(dy), take(x), take(y)
    _, t, d = x.shape
    dx = empty(x.shape) if x.size else zeros(x.shape)
    if x.size:
        real, has_mask = _real(mask)
        given = dy, x, y, real, dx
        _max_gradient(blocks_for(dy.size), *given, dy.size, t, d, has_mask)
    return dx


def _real(mask: Any) -> tuple[DeviceArray, int]:
    return (nothing(bool), 0) if mask is None else (take(mask, bool), 1)


@device
def _is_real(real, row, step, steps, has_mask):
    return not has_mask or real[row * steps + step] != 0


@kernel("f4[:], u1[:], f4[:], i4, i4, i4, i4", threads=256)
def _mean(x, real, y, size, steps, d, has_mask):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, d)
        total = count = f4(0)
        for step in range(steps):
            if _is_real(real, row, step, steps, has_mask):
                total += x[(row * steps + step) * d + i - row * d]
                count += f4(1)
        y[i] = total / (count if count > f4(1) else f4(1))
        i += cuda.gridsize(1)


@kernel("f4[:], u1[:], f4[:], i4, i4, i4, i4", threads=256)
def _max(x, real, y, size, steps, d, has_mask):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, d)
        top, found = LOWEST, 0
        for step in range(steps):
            if _is_real(real, row, step, steps, has_mask):
                value = x[(row * steps + step) * d + i - row * d]
                found = 1
                if not top >= value and top == top:
                    top = value
        y[i] = top if found else f4(0)
        i += cuda.gridsize(1)


@kernel("f4[:], u1[:], f4[:], i4, i4, i4, i4", threads=256)
def _mean_gradient(dy, real, dx, size, steps, d, has_mask):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, d)
        count = f4(0)
        for step in range(steps):
            if _is_real(real, row, step, steps, has_mask):
                count += f4(1)
        share = dy[i] / (count if count > f4(1) else f4(1))
        for step in range(steps):
            here = _is_real(real, row, step, steps, has_mask)
            dx[(row * steps + step) * d + i - row * d] = share if here else f4(0)
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], u1[:], f4[:], i4, i4, i4, i4", threads=256)
def _max_gradient(dy, x, y, real, dx, size, steps, d, has_mask):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, d)
        top, is_open = y[i], True
        for step in range(steps):
            at = (row * steps + step) * d + i - row * d
            value = x[at]
            hit = value == top or (value != value and top != top)
            hit = hit and is_open and _is_real(real, row, step, steps, has_mask)
            dx[at] = dy[i] if hit else f4(0)
            is_open = is_open and not hit
        i += cuda.gridsize(1)
