"""Metrics: a block finds the score of a row, then one adds those of all rows to the total in float64; nothing comes to the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .activation import ROW_THREADS
from .arrays import changed, empty, nothing, take
from .compiler.driver import cuda
from .compiler.kernel import device, kernel
from .compiler.primitives import block_sum, f4
from .sampling import argmax

BINARY, ABSOLUTE = range(2)
THREADS = 256
f8 = np.float64


@as_defined
def count_correct(total: Any, logits: Any, targets: Any, counted: Any = None) -> None:
    logits = take(logits)
    classes = take(targets if targets.ndim == 1 else argmax(targets), np.int64)
    m, c = logits.shape
    scores = empty((m,))
    if m:
        _is_correct(m, logits, classes, scores, c)
        _add(total, scores, counted, 1)


@as_defined
def count_correct_binary(total: Any, logits: Any, targets: Any, counted: Any = None) -> None:
    _by_element(total, logits, targets, counted, BINARY)


@as_defined
def sum_absolute_errors(total: Any, predictions: Any, targets: Any, counted: Any = None) -> None:
    _by_element(total, predictions, targets, counted, ABSOLUTE)


def _by_element(total: Any, predictions: Any, targets: Any, counted: Any, code: int) -> None:
    predictions, targets = take(predictions), take(targets)
    m, c = predictions.shape
    scores = empty((m,))
    if m:
        _sum_row(m, predictions, targets, scores, c, code)
        _add(total, scores, counted, c)


def _add(total: Any, scores: Any, counted: Any, c: int) -> None:
    """total += Σ score / c over the counted rows."""
    every = counted is None
    rows = nothing(np.uint8) if every else take(counted, bool)
    with changed(total, dtype=np.float64) as (sum_,):
        _add_scores(1, sum_, scores, rows, scores.size, int(every), c)


@kernel("f4[:], i8[:], f4[:], i4", threads=ROW_THREADS)
def _is_correct(logits, classes, scores, c):
    room = cuda.shared.array(ROW_THREADS, f4)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    first = row * c
    named = classes[row]
    own = logits[first + named]
    larger = f4(0)
    for j in range(t, c, ROW_THREADS):
        z = logits[first + j]
        if z > own or (j < named and z == own) or (z != z and (j < named or own == own)):
            larger = f4(1)
    larger = block_sum(larger, room, t, ROW_THREADS)
    if t == 0:
        scores[row] = f4(1) if larger == f4(0) else f4(0)


@device
def _score(p, t, code):
    if code == BINARY:
        return f4(1) if (p > f4(0)) == (t > f4(0.5)) else f4(0)
    return abs(p - t)


@kernel("f4[:], f4[:], f4[:], i4, i4", threads=ROW_THREADS)
def _sum_row(predictions, targets, scores, c, code):
    room = cuda.shared.array(ROW_THREADS, f4)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    score = f4(0)
    for j in range(t, c, ROW_THREADS):
        score += _score(predictions[row * c + j], targets[row * c + j], code)
    score = block_sum(score, room, t, ROW_THREADS)
    if t == 0:
        scores[row] = score


@kernel("f8[:], f4[:], u1[:], i4, i4, i4", threads=THREADS, double=True)
def _add_scores(total, scores, counted, m, every, c):
    room = cuda.shared.array(THREADS, f8)
    t = cuda.threadIdx.x
    sum_ = f8(0)
    for i in range(t, m, THREADS):
        if every or counted[i]:
            sum_ += f8(scores[i])
    sum_ = block_sum(sum_, room, t, THREADS)
    if t == 0:
        total[0] += sum_ / f8(c)
