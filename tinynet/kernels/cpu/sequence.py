"""What sequences (batch, time, features) need besides cells: masks of real steps, another order of time, two into one.

Blocking: a task takes so many rows, or sequences, that it writes about CHUNK elements. Bound by memory: every number is read once and
written once, into memory that is used again.
"""

from __future__ import annotations

import math

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .activation import map_two
from .compiler.jit import jit
from .compiler.simd import LANES, elementwise, load_until, splat, store_until
from .dropout import dropout
from .flat import CHUNK, chunks, flat, row_tasks
from .functions import clear, copy
from .plans import kept
from .recurrent import flags, is_real


@jit
def _step_mask(task, x, value, real, d, rows):
    for row in range(task * rows, min(real.size, (task + 1) * rows)):
        real[row] = False
        for j in range(row * d, (row + 1) * d):
            if x[j] != value:
                real[row] = True
                break


@as_defined
def step_mask(x: np.ndarray, value: float) -> np.ndarray:
    real, d = memory.empty(x.shape[:2], bool), math.prod(x.shape[2:])
    if real.size:
        tasks, rows = row_tasks(real.size, d)
        source = np.ascontiguousarray(x).reshape(-1)
        _step_mask(tasks, x.size, source, source.dtype.type(value), real.reshape(-1), d, rows)
    return real


@jit
def _intersect_masks(task, a, b, both):
    for i in range(task * CHUNK, min(both.size, (task + 1) * CHUNK)):
        both[i] = a[i] != 0 and b[i] != 0


@as_defined
def intersect_masks(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    both = memory.empty(a.shape, bool)
    if both.size:
        _intersect_masks(chunks(both), both.size, flags(a), flags(b), both.reshape(-1))
    return both


@jit
def _prepend_steps(task, mask, longer, steps, count, rows):
    length = count + steps
    for row in range(task * rows, min(longer.size // length, (task + 1) * rows)):
        for t in range(count):
            longer[row * length + t] = True
        for t in range(steps):
            longer[row * length + count + t] = mask[row * steps + t] != 0


@as_defined
def prepend_steps(mask: np.ndarray, count: int) -> np.ndarray:
    n, steps = mask.shape
    longer = memory.empty((n, count + steps), bool)
    if longer.size:
        tasks, rows = row_tasks(n, count + steps)
        _prepend_steps(tasks, longer.size, flags(mask), longer.reshape(-1), steps, count, rows)
    return longer


@jit
def _every_step(task, mask, chosen, steps, first, stride, count, rows):
    for row in range(task * rows, min(chosen.size // count, (task + 1) * rows)):
        for i in range(count):
            chosen[row * count + i] = mask[row * steps + first + i * stride] != 0


@as_defined
def every_step(mask: np.ndarray, first: int, stride: int, count: int) -> np.ndarray:
    n, steps = mask.shape
    chosen = memory.empty((n, count), bool)
    if chosen.size:
        tasks, rows = row_tasks(n, count)
        _every_step(tasks, chosen.size, flags(mask), chosen.reshape(-1), steps, first, stride, count, rows)
    return chosen


@jit
def _keep_steps(task, x, mask, y, d, rows):
    for row in range(task * rows, min(mask.size, (task + 1) * rows)):
        if is_real(mask, row):
            copy(x, row * d, y, row * d, d)
        else:
            clear(y, row * d, (row + 1) * d)


@as_defined
def keep_steps(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    y, d = memory.empty(x.shape), math.prod(x.shape[2:])
    if y.size:
        tasks, rows = row_tasks(mask.size, d)
        _keep_steps(tasks, y.size, flat(x), flags(mask), y.reshape(-1), d, rows)
    return y


@jit
def _reverse_steps(task, x, mask, y, steps, d, rows):
    """From both ends of a sequence to its middle: two real steps change places."""
    for row in range(task * rows * steps, min(x.size // d, (task + 1) * rows * steps), steps):
        low, high = row, row + steps - 1
        while low <= high:
            if not is_real(mask, low):
                copy(x, low * d, y, low * d, d)
                low += 1
            elif not is_real(mask, high):
                copy(x, high * d, y, high * d, d)
                high -= 1
            else:
                copy(x, high * d, y, low * d, d)
                copy(x, low * d, y, high * d, d)
                low += 1
                high -= 1


@as_defined
def reverse_steps(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    y, (n, steps, d) = memory.empty(x.shape), x.shape
    if y.size:
        tasks, rows = row_tasks(n, steps * d)
        _reverse_steps(tasks, y.size, flat(x), flags(mask), y.reshape(-1), steps, d, rows)
    return y


@jit
def _repeat_steps(task, x, y, steps, d, rows):
    for row in range(task * rows, min(x.size // d, (task + 1) * rows)):
        for t in range(row * steps, (row + 1) * steps):
            copy(x, row * d, y, t * d, d)


@as_defined
def repeat_steps(x: np.ndarray, steps: int) -> np.ndarray:
    n, d = x.shape
    y = memory.empty((n, steps, d))
    if y.size:
        tasks, rows = row_tasks(n, steps * d)
        _repeat_steps(tasks, y.size, flat(x), y.reshape(-1), steps, d, rows)
    return y


@jit
def _sum_steps(task, x, y, steps, d, rows):
    for row in range(task * rows, min(y.size // d, (task + 1) * rows)):
        first, stop = row * d, (row + 1) * d
        clear(y, first, stop)
        for t in range(row * steps, (row + 1) * steps):
            for j in range(0, d, LANES):
                sums = load_until(y, first + j, stop) + load_until(x, t * d + j, (t + 1) * d)
                store_until(y, first + j, stop, sums)


@as_defined
def sum_steps(x: np.ndarray) -> np.ndarray:
    n, steps, d = x.shape
    y = memory.empty((n, d))
    if y.size:
        tasks, rows = row_tasks(n, steps * d)
        _sum_steps(tasks, x.size, flat(x), y.reshape(-1), steps, d, rows)
    return y


@jit
def _crop_steps(task, x, y, left, right, given, rows):
    """All sizes in numbers, not steps."""
    for row in range(task * rows, min(y.size // given, (task + 1) * rows)):
        copy(x, row * (left + given + right) + left, y, row * given, given)


@as_defined
def crop_steps(x: np.ndarray, left: int, right: int) -> np.ndarray:
    n, steps, d = x.shape
    cropped = x[:, left : steps - right]
    if cropped.flags.c_contiguous:
        return cropped
    y = memory.empty(cropped.shape)
    if y.size:
        tasks, rows = row_tasks(n, y.size // n)
        _crop_steps(tasks, y.size, flat(x), y.reshape(-1), left * d, right * d, y.size // n, rows)
    return y


@jit
def _crop_steps_gradient(task, dy, dx, left, right, given, rows):
    length = left + given + right
    for row in range(task * rows, min(dx.size // length, (task + 1) * rows)):
        first, stop = row * length, (row + 1) * length
        clear(dx, first, first + left)
        copy(dy, row * given, dx, first + left, given)
        clear(dx, stop - right, stop)


@as_defined
def crop_steps_gradient(dy: np.ndarray, left: int, right: int) -> np.ndarray:
    n, given, d = dy.shape
    dx = memory.empty((n, left + given + right, d))
    if dx.size:
        tasks, rows = row_tasks(n, dx.size // n)
        _crop_steps_gradient(tasks, dx.size, flat(dy), dx.reshape(-1), left * d, right * d, given * d, rows)
    return dx


@jit
def _multiply_rows(task, x, factors, y, steps, d, rows):
    for row in range(task * rows, min(y.size // d, (task + 1) * rows)):
        first, own = row * d, row // steps * d
        for j in range(0, d, LANES):
            kept = load_until(factors, own + j, own + d) * load_until(x, first + j, first + d)
            store_until(y, first + j, first + d, kept)


@kept
def _ones(count: int) -> np.ndarray:
    return np.ones(count, np.float32)


@as_defined
def sequence_dropout(x: np.ndarray, rate: float, seed: int) -> np.ndarray:
    y, (n, steps, d) = memory.empty(x.shape), x.shape
    if y.size:
        factors = dropout(_ones(n * d), rate, seed)
        tasks, rows = row_tasks(n * steps, d)
        _multiply_rows(tasks, y.size, flat(x), flat(factors), y.reshape(-1), steps, d, rows)
    return y


@elementwise
def _add(a, b):
    """a + b."""
    return a + b


@elementwise
def _multiply(a, b):
    """a b."""
    return a * b


@elementwise
def _mean(a, b):
    """(a + b) / 2."""
    return (a + b) * 0.5


_MERGE = {"sum": map_two(_add), "mul": map_two(_multiply), "ave": map_two(_mean)}


@jit
def _concatenate(task, a, b, y, one, other, rows):
    both = one + other
    for row in range(task * rows, min(y.size // both, (task + 1) * rows)):
        copy(a, row * one, y, row * both, one)
        copy(b, row * other, y, row * both + one, other)


@jit
def _split(task, y, a, b, one, other, rows):
    both = one + other
    for row in range(task * rows, min(y.size // both, (task + 1) * rows)):
        copy(y, row * both, a, row * one, one)
        copy(y, row * both + one, b, row * other, other)


@jit
def _multiply_gradient(task, dy, a, b, da, db):
    stop = min(dy.size, (task + 1) * CHUNK)
    for i in range(task * CHUNK, stop, LANES):
        slope = load_until(dy, i, stop)
        store_until(da, i, stop, slope * load_until(b, i, stop))
        store_until(db, i, stop, slope * load_until(a, i, stop))


@jit
def _halve(task, x, y):
    stop = min(x.size, (task + 1) * CHUNK)
    for i in range(task * CHUNK, stop, LANES):
        store_until(y, i, stop, splat(np.float32(0.5)) * load_until(x, i, stop))


@as_defined
def merge(a: np.ndarray, b: np.ndarray, mode: str) -> np.ndarray:
    if mode != "concat":
        y = memory.empty(a.shape)
        _MERGE[mode](chunks(y), y.size, flat(a), flat(b), y.reshape(-1))
        return y
    one, other = a.shape[-1], b.shape[-1]
    y = memory.empty((*a.shape[:-1], one + other))
    if y.size:
        tasks, rows = row_tasks(y.size // (one + other), one + other)
        _concatenate(tasks, y.size, flat(a), flat(b), y.reshape(-1), one, other, rows)
    return y


@as_defined
def merge_gradient(dy: np.ndarray, a: np.ndarray, b: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    if mode not in ("concat", *_MERGE):
        raise KeyError(mode)
    if mode == "sum":
        return dy, dy
    da = memory.empty(a.shape)
    if mode == "ave":
        _halve(chunks(da), da.size, flat(dy), da.reshape(-1))
        return da, da
    db = memory.empty(b.shape)
    made = da.reshape(-1), db.reshape(-1)
    if mode == "mul":
        _multiply_gradient(chunks(da), 2 * da.size, flat(dy), flat(a), flat(b), *made)
    elif dy.size:
        tasks, rows = row_tasks(dy.size // dy.shape[-1], dy.shape[-1])
        _split(tasks, dy.size, flat(dy), *made, a.shape[-1], b.shape[-1], rows)
    return da, db
