"""Choosing one of several classes: the most probable, or one that is drawn.

Blocking: a task takes some rows to find their largest, bound by memory. One draw is one task, bound by the power that each class is
raised to: classes stand in a heap, and only those that come before the one that is drawn leave it in order.

Sums are float64 and run in the order of the reference, but for that of all classes, which runs in the order of their numbers; and a
power may differ from NumPy's in its last bit. So another class than the reference's comes only where u is closer than 1e-12 to
where one class ends and the next begins.
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from ..reference.definition import as_defined
from . import memory
from .compiler.jit import OPTIONS, jit
from .flat import flat, row_tasks

exact = register_jitable(**{**OPTIONS, "fastmath": False}, no_cpython_wrapper=True)
"""A helper whose sums are never taken in another order, so that it draws the same wherever it is called."""


@jit
def _argmax(task, x, classes, columns, rows):
    for row in range(task * rows, min(classes.size, (task + 1) * rows)):
        best = row * columns
        for i in range(best + 1, (row + 1) * columns):
            if not x[i] <= x[best] and x[best] == x[best]:  # a NaN is the last that is taken
                best = i
        classes[row] = best - row * columns


@as_defined
def argmax(x: np.ndarray) -> np.ndarray:
    m, columns = x.shape
    classes = memory.empty((m,), np.int64)
    if m:
        tasks, rows = row_tasks(m, columns)
        _argmax(tasks, x.size, flat(x), classes, columns, rows)
    return classes


@exact
def _sift(p, heap, place, size):
    """Let the class at a place of the heap sink: above stands the more probable, of equals the lower number."""
    sinking = heap[place]
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and _is_before(p, heap[child + 1], heap[child]):
            child += 1
        if not _is_before(p, heap[child], sinking):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = sinking


@exact
def _is_before(p, a, b):
    return p[a] > p[b] or (not p[a] < p[b] and a < b)


@exact
def _weight(p, largest, power):
    return (np.float64(p) / largest) ** power


@exact
def _pop(p, heap, sums, popped, largest, power):
    """Bring the next class in order; place `popped` of the order lies so far from the heap's end, and sums[popped] includes it."""
    last = p.size - 1 - popped
    heap[0], heap[last] = heap[last], heap[0]
    _sift(p, heap, 0, last)
    before = sums[popped - 1] if popped else 0.0
    sums[popped] = before + _weight(p[heap[last]], largest, power)
    return popped + 1


@exact
def draw(p, temperature, top_k, top_p, u, heap, sums):
    """What `sample` returns; heap, int64, and sums, float64, have as many elements as p."""
    for i in range(p.size):
        heap[i] = i
    for place in range(p.size // 2 - 1, -1, -1):
        _sift(p, heap, place, p.size)
    if temperature == 0:
        return heap[0]
    largest, power = np.float64(p[heap[0]]), 1.0 / temperature
    kept = min(top_k, p.size) if top_k else p.size
    popped, total = 0, 0.0
    if kept < p.size:
        while popped < kept:
            popped = _pop(p, heap, sums, popped, largest, power)
        total = sums[kept - 1]
    else:
        for i in range(p.size):
            total += _weight(p[i], largest, power)
    if top_p < 1:
        enough, most, kept = top_p * total, kept, 0
        while kept < most and (kept == 0 or sums[kept - 1] < enough):
            if kept == popped:
                popped = _pop(p, heap, sums, popped, largest, power)
            kept += 1
        total = sums[kept - 1]
    for place in range(kept):
        if place == popped:
            popped = _pop(p, heap, sums, popped, largest, power)
        if sums[place] > u * total:
            return heap[p.size - 1 - place]
        if place and sums[place] == sums[place - 1]:
            return heap[p.size - place]  # what adds nothing to the sum never comes
    return heap[p.size - kept]


@jit
def _sample(task, p, temperature, top_k, top_p, u, heap, sums, drawn):
    drawn[task] = draw(p, temperature, top_k, top_p, u, heap, sums)


def workspace(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """What `draw` needs to work in."""
    return memory.empty((classes,), np.int64), memory.empty((classes,), np.float64)


@as_defined
def sample(probabilities: np.ndarray, temperature: float, top_k: int, top_p: float, u: float) -> int:
    p, drawn = flat(probabilities), memory.empty((1,), np.int64)
    _sample(1, p.size, p, float(temperature), int(top_k), float(top_p), float(u), *workspace(p.size), drawn)
    return int(drawn[0])
