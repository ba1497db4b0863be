"""Losses and their gradients: one row a block; the rows' losses are then added in float64 (sums.py), where they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .activation import ROW_THREADS
from .array import DeviceArray
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.functions import exp, log, log1p
from .compiler.kernel import device, kernel
from .compiler.primitives import block_max, block_sum, f4
from .sums import sum_of_products

Loss = tuple[DeviceArray, DeviceArray]
SQUARED, ABSOLUTE, HUBER, BINARY = range(4)


@as_defined
def cross_entropy(logits: Any, labels: Any, weights: Any) -> Loss:
    return soft_cross_entropy(logits, labels, weights, 0.0)


@as_defined
def soft_cross_entropy(logits: Any, targets: Any, weights: Any, smoothing: float) -> Loss:
    logits, weights = take(logits), take(weights)
    m, c = logits.shape
    losses, gradient = empty((m,)), empty((m, c))
    given = logits, weights, losses, gradient, c, 1 - smoothing, smoothing / c
    if m and targets.ndim == 1:
        _of_classes(m, take(targets, np.int64), *given)
    elif m:
        _of_probabilities(m, take(targets), *given)
    return sum_of_products(losses, weights), gradient


@as_defined
def binary_cross_entropy(logits: Any, targets: Any, weights: Any) -> Loss:
    return _by_element(logits, targets, weights, BINARY)


@as_defined
def mean_squared_error(predictions: Any, targets: Any, weights: Any) -> Loss:
    return _by_element(predictions, targets, weights, SQUARED)


@as_defined
def mean_absolute_error(predictions: Any, targets: Any, weights: Any) -> Loss:
    return _by_element(predictions, targets, weights, ABSOLUTE)


@as_defined
def huber(predictions: Any, targets: Any, weights: Any, delta: float) -> Loss:
    return _by_element(predictions, targets, weights, HUBER, delta)


def _by_element(predictions: Any, targets: Any, weights: Any, code: int, delta: float = 1.0) -> Loss:
    predictions, targets, weights = take(predictions), take(targets), take(weights)
    m, c = predictions.shape
    losses, gradient = empty((m,)), empty((m, c))
    given = predictions, targets, weights, losses, gradient
    if m:
        _elements(m, *given, c, code, delta)
    return sum_of_products(losses, weights), gradient


def _cross_entropy(named):
    """The kernel for one kind of targets; named(targets, row, j, c) is the share of class j in them."""

    def rows(targets, logits, weights, losses, gradient, c, share, spread):
        room = cuda.shared.array(ROW_THREADS, f4)
        t = cuda.threadIdx.x
        row = cuda.blockIdx.x
        first = row * c
        top = logits[first]
        for j in range(t, c, ROW_THREADS):
            z = logits[first + j]
            if not top >= z and top == top:
                top = z
        top = block_max(top, room, t, ROW_THREADS)
        total = f4(0)
        for j in range(t, c, ROW_THREADS):
            e = exp(logits[first + j] - top)
            gradient[first + j] = e
            total += e
        total = block_sum(total, room, t, ROW_THREADS)
        height = log(total)
        loss = f4(0)
        for j in range(t, c, ROW_THREADS):
            p = named(targets, row, j, c) * share + spread
            if p != f4(0):  # a class that is not named may have any logit
                loss += p * (height - (logits[first + j] - top))
            gradient[first + j] = (gradient[first + j] / total - p) * weights[row]
        loss = block_sum(loss, room, t, ROW_THREADS)
        if t == 0:
            losses[row] = loss

    return rows


@device
def _is_class(labels, row, j, c):
    return f4(1) if labels[row] == j else f4(0)


@device
def _probability(targets, row, j, c):
    return targets[row * c + j]


TYPES = "f4[:], f4[:], f4[:], f4[:], i4, f4, f4"
_of_classes = kernel(f"i8[:], {TYPES}", threads=ROW_THREADS, name="of_classes")(_cross_entropy(_is_class))
_of_probabilities = kernel(f"f4[:], {TYPES}", threads=ROW_THREADS, name="of_probabilities")(
    _cross_entropy(_probability)
)


@device
def _element(p, t, code, delta):
    """The loss of one prediction, and its slope."""
    if code == BINARY:
        small = exp(-abs(p))
        loss = (p if p > f4(0) or p != p else f4(0)) - p * t + log1p(small)
        return loss, (f4(1) if p >= f4(0) else small) / (f4(1) + small) - t
    e = p - t
    if code == SQUARED:
        return e * e, f4(2) * e
    if code == ABSOLUTE:
        return abs(e), f4(1) if e > f4(0) else f4(-1) if e < f4(0) else e
    bounded = delta if e > delta else -delta if e < -delta else e
    return bounded * (e - bounded * f4(0.5)), bounded


@kernel("f4[:], f4[:], f4[:], f4[:], f4[:], i4, i4, f4", threads=ROW_THREADS)
def _elements(predictions, targets, weights, losses, gradient, c, code, delta):
    room = cuda.shared.array(ROW_THREADS, f4)
    t = cuda.threadIdx.x
    row = cuda.blockIdx.x
    total = f4(0)
    for j in range(t, c, ROW_THREADS):
        at = row * c + j
        loss, slope = _element(predictions[at], targets[at], code, delta)
        total += loss
        gradient[at] = slope * (weights[row] / f4(c))
    total = block_sum(total, room, t, ROW_THREADS)
    if t == 0:
        losses[row] = total / f4(c)
