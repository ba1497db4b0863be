"""What sequences (batch, time, features) need besides cells, one element a thread: masks, another order of time, two into one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, take, zeros
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, kernel
from .compiler.primitives import divide, f4

SUM, MUL, AVE = range(3)
MODES = {"sum": SUM, "mul": MUL, "ave": AVE}


@as_defined
def step_mask(x: Any, value: float) -> DeviceArray:
    ids = x.dtype.kind in "iu"
    x = take(x, np.int32 if ids else np.float32)
    mask = DeviceArray(x.shape[:2], bool)
    if mask.size:
        given = x, mask, mask.size, x.size // mask.size
        (_ids_mask if ids else _features_mask)(blocks_for(mask.size), *given, int(value) if ids else value)
    return mask


@as_defined
def intersect_masks(a: Any, b: Any) -> DeviceArray:
    a, b = take(a, bool), take(b, bool)
    both = DeviceArray(a.shape, bool)
    if both.size:
        _both(blocks_for(both.size), a, b, both, both.size)
    return both


@as_defined
def prepend_steps(mask: Any, count: int) -> DeviceArray:
    mask = take(mask, bool)
    n, t = mask.shape
    longer = DeviceArray((n, count + t), bool)
    if longer.size:
        _prepend(blocks_for(longer.size), mask, longer, longer.size, count, t)
    return longer


@as_defined
def every_step(mask: Any, first: int, stride: int, count: int) -> DeviceArray:
    return take(mask, bool)[:, first::stride][:, :count].copy()


@as_defined
def keep_steps(x: Any, mask: Any) -> DeviceArray:
    x, mask = take(x), take(mask, bool)
    y = empty(x.shape)
    if y.size:
        _keep(blocks_for(y.size), x, mask, y, y.size, x.size // mask.size)
    return y


@as_defined
def reverse_steps(x: Any, mask: Any) -> DeviceArray:
    x = take(x)
    y = empty(x.shape)
    if not y.size:
        return y
    n, t, d = x.shape
    if mask is None:
        return x[:, ::-1]
    places = DeviceArray((n, t), np.int32)
    _opposites(blocks_for(n * t), take(mask, bool), places, n * t, t)
    _rearrange(blocks_for(y.size), x, places, y, y.size, t, d)
    return y


@as_defined
def repeat_steps(x: Any, steps: int) -> DeviceArray:
    x = take(x)
    n, d = x.shape
    y = empty((n, steps, d))
    if y.size:
        _repeat(blocks_for(y.size), x, y, y.size, steps, d)
    return y


@as_defined
def sum_steps(x: Any) -> DeviceArray:
    x = take(x)
    n, t, d = x.shape
    y = empty((n, d))
    if y.size:
        _sum(blocks_for(y.size), x, y, y.size, t, d)
    return y


@as_defined
def crop_steps(x: Any, left: int, right: int) -> DeviceArray:
    x = take(x)
    return x[:, left : x.shape[1] - right]


@as_defined
def crop_steps_gradient(dy: Any, left: int, right: int) -> DeviceArray:
    dy = take(dy)
    n, given, d = dy.shape
    dx = empty((n, left + given + right, d))
    if dx.size:
        _pad_steps(blocks_for(dx.size), dy, dx, dx.size, left * d, right * d, given * d)
    return dx


@as_defined
def merge(a: Any, b: Any, mode: str) -> DeviceArray:
    if mode != "concat" and mode not in MODES:
        raise KeyError(mode)
    a, b = take(a), take(b)
    if mode != "concat":
        return _merged(a, b, MODES[mode])
    left, right = a.shape[-1], b.shape[-1]
    y = empty((*a.shape[:-1], left + right))
    if y.size:
        _concatenate(blocks_for(y.size), a, b, y, y.size, left, right)
    return y


@as_defined
def merge_gradient(dy: Any, a: Any, b: Any, mode: str) -> tuple[DeviceArray, DeviceArray]:
    if mode != "concat" and mode not in MODES:
        raise KeyError(mode)
    dy = take(dy)
    if mode == "concat":
        return dy[..., : a.shape[-1]], dy[..., a.shape[-1] :]
    if mode == "mul":
        return _merged(dy, take(b), MUL), _merged(dy, take(a), MUL)
    if mode == "ave":
        half = _merged(dy, zeros(dy.shape), AVE)
        return half, half
    return dy, dy


def _merged(a: DeviceArray, b: DeviceArray, code: int) -> DeviceArray:
    y = empty(a.shape)
    if y.size:
        _merge(blocks_for(y.size), a, b, y, y.size, code)
    return y


def _mask(x, mask, size, d, value):
    i = cuda.grid(1)
    while i < size:
        real = 0
        for j in range(d):
            if x[i * d + j] != value:
                real = 1
        mask[i] = real
        i += cuda.gridsize(1)


_ids_mask = kernel("i4[:], u1[:], i4, i4, i4", threads=256, name="ids_mask")(_mask)
_features_mask = kernel("f4[:], u1[:], i4, i4, f4", threads=256, name="features_mask")(_mask)


@kernel("u1[:], u1[:], u1[:], i4", threads=256)
def _both(a, b, both, size):
    i = cuda.grid(1)
    while i < size:
        both[i] = a[i] & b[i]
        i += cuda.gridsize(1)


@kernel("u1[:], u1[:], i4, i4, i4", threads=256)
def _prepend(mask, longer, size, count, steps):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, count + steps)
        step = i - row * (count + steps) - count
        longer[i] = mask[row * steps + step] if step >= 0 else 1
        i += cuda.gridsize(1)


@kernel("f4[:], u1[:], f4[:], i4, i4", threads=256)
def _keep(x, mask, y, size, d):
    i = cuda.grid(1)
    while i < size:
        y[i] = x[i] if mask[divide(i, d)] != 0 else f4(0)
        i += cuda.gridsize(1)


@kernel("u1[:], i4[:], i4, i4", threads=256)
def _opposites(mask, places, size, steps):
    """From which step each takes what it holds, if the real ones are reversed: the k-th from the front that from the back."""
    i = cuda.grid(1)
    while i < size:
        first = divide(i, steps) * steps
        place = i - first
        if mask[i] != 0:
            before = 0
            for s in range(first, i):
                before += mask[s] != 0
            s = steps
            while before >= 0:
                s -= 1
                before -= mask[first + s] != 0
            place = s
        places[i] = place
        i += cuda.gridsize(1)


@kernel("f4[:], i4[:], f4[:], i4, i4, i4", threads=256)
def _rearrange(x, places, y, size, steps, d):
    i = cuda.grid(1)
    while i < size:
        step = divide(i, d)
        first = divide(step, steps) * steps
        y[i] = x[(first + places[step]) * d + i - step * d]
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], i4, i4, i4", threads=256)
def _repeat(x, y, size, steps, d):
    i = cuda.grid(1)
    while i < size:
        step = divide(i, d)
        y[i] = x[divide(step, steps) * d + i - step * d]
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], i4, i4, i4", threads=256)
def _sum(x, y, size, steps, d):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, d)
        first = row * steps * d + i - row * d
        total = f4(0)
        for step in range(steps):
            total += x[first + step * d]
        y[i] = total
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], i4, i4, i4, i4", threads=256)
def _pad_steps(dy, dx, size, left, right, given):
    """All sizes in numbers, not steps."""
    i = cuda.grid(1)
    while i < size:
        row = divide(i, left + given + right)
        place = i - row * (left + given + right) - left
        dx[i] = dy[row * given + place] if 0 <= place < given else f4(0)
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], i4, i4", threads=256)
def _merge(a, b, y, size, code):
    i = cuda.grid(1)
    while i < size:
        if code == MUL:
            y[i] = a[i] * b[i]
        else:
            y[i] = (a[i] + b[i]) * (f4(0.5) if code == AVE else f4(1))
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], i4, i4, i4", threads=256)
def _concatenate(a, b, y, size, left, right):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, left + right)
        j = i - row * (left + right)
        y[i] = a[row * left + j] if j < left else b[row * right + j - left]
        i += cuda.gridsize(1)
