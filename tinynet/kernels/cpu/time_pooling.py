"""The mean and the largest value over time of sequences (batch, time, features), and their gradients, vectors along the features.

Blocking: a task takes so many sequences that they hold about CHUNK numbers. Bound by memory: every number is read once, its sum or
maximum stays in L1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .compiler.jit import helper, jit
from .compiler.simd import LANES, load_until, splat, store_until
from .flat import flat, row_tasks
from .functions import clear, maximum, where_equal
from .recurrent import flags, is_real


@helper
def _count(mask, first, stop):
    """The number of real steps, at least 1."""
    count = 0
    for place in range(first, stop):
        if is_real(mask, place):
            count += 1
    return np.float32(max(count, 1))


def _over_time(kernel: Callable[..., None], x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Vectors (n, d) of sequences x (n, steps, d), as the kernel makes them."""
    n, steps, d = x.shape
    y = memory.empty((n, d))
    if y.size:
        tasks, rows = row_tasks(n, steps * d)
        kernel(tasks, x.size, flat(x), flags(mask), y.reshape(-1), steps, d, rows)
    return y


@jit
def _mean_steps(task, x, mask, y, steps, d, rows):
    for row in range(task * rows, min(y.size // d, (task + 1) * rows)):
        at, stop = row * d, (row + 1) * d
        clear(y, at, stop)
        for place in range(row * steps, (row + 1) * steps):
            if is_real(mask, place):
                for j in range(0, d, LANES):
                    sums = load_until(y, at + j, stop) + load_until(x, place * d + j, (place + 1) * d)
                    store_until(y, at + j, stop, sums)
        count = splat(_count(mask, row * steps, (row + 1) * steps))
        for j in range(at, stop, LANES):
            store_until(y, j, stop, load_until(y, j, stop) / count)


@as_defined
def mean_steps(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return _over_time(_mean_steps, x, mask)


@jit
def _mean_steps_gradient(task, dy, mask, dx, steps, d, rows):
    for row in range(task * rows, min(dy.size // d, (task + 1) * rows)):
        count = splat(_count(mask, row * steps, (row + 1) * steps))
        for place in range(row * steps, (row + 1) * steps):
            at, stop = place * d, (place + 1) * d
            if is_real(mask, place):
                for j in range(0, d, LANES):
                    share = load_until(dy, row * d + j, (row + 1) * d) / count
                    store_until(dx, at + j, stop, share)
            else:
                clear(dx, at, stop)


@as_defined
def mean_steps_gradient(dy: np.ndarray, steps: int, mask: np.ndarray | None) -> np.ndarray:
    n, d = dy.shape
    dx = memory.empty((n, steps, d))
    if dx.size:
        tasks, rows = row_tasks(n, steps * d)
        _mean_steps_gradient(tasks, dx.size, flat(dy), flags(mask), dx.reshape(-1), steps, d, rows)
    return dx


@jit
def _max_steps(task, x, mask, y, steps, d, rows):
    for row in range(task * rows, min(y.size // d, (task + 1) * rows)):
        at, stop = row * d, (row + 1) * d
        clear(y, at, stop)
        begun = False
        for place in range(row * steps, (row + 1) * steps):
            if is_real(mask, place):
                for j in range(0, d, LANES):
                    here = load_until(x, place * d + j, (place + 1) * d)
                    best = maximum(load_until(y, at + j, stop), here) if begun else here
                    store_until(y, at + j, stop, best)
                begun = True


@as_defined
def max_steps(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    return _over_time(_max_steps, x, mask)


@jit
def _max_steps_gradient(task, dy, x, y, mask, dx, steps, d, rows):
    """For a vector of features through all steps: what is `left` of dy goes to the first step that holds the maximum."""
    for row in range(task * rows, min(dy.size // d, (task + 1) * rows)):
        stop = (row + 1) * d
        for j in range(0, d, LANES):
            left, top = load_until(dy, row * d + j, stop), load_until(y, row * d + j, stop)
            for place in range(row * steps, (row + 1) * steps):
                at, end = place * d + j, (place + 1) * d
                if is_real(mask, place):
                    here = load_until(x, at, end)
                    store_until(dx, at, end, where_equal(here, top, left, splat(np.float32(0.0))))
                    left = where_equal(here, top, splat(np.float32(0.0)), left)
                else:
                    store_until(dx, at, end, splat(np.float32(0.0)))


@as_defined
def max_steps_gradient(dy: np.ndarray, x: np.ndarray, y: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    n, steps, d = x.shape
    dx = memory.empty(x.shape)
    if dx.size:
        tasks, rows = row_tasks(n, steps * d)
        given = flat(dy), flat(x), flat(y), flags(mask)
        _max_steps_gradient(tasks, x.size, *given, dx.reshape(-1), steps, d, rows)
    return dx
