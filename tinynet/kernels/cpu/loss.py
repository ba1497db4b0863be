"""Losses with their gradients. Rows of a batch are few: one task, bound by the exponentials; sums run in float64."""

from __future__ import annotations

import math

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .compiler.jit import jit
from .compiler.simd import LANES, choose, elementwise, load_until, splat, store_until, total, zero_from
from .flat import flat, row_tasks
from .functions import clear, exp, largest_of, polynomial, sigmoid

Loss = tuple[float, np.ndarray]


@jit
def _cross_entropy(task, logits, labels, weights, gradient, losses, columns, rows):
    for row in range(task * rows, min(weights.size, (task + 1) * rows)):
        first, stop = row * columns, (row + 1) * columns
        top = largest_of(logits, first, stop)
        for i in range(first, stop, LANES):
            store_until(gradient, i, stop, exp(load_until(logits, i, stop) - splat(top)))
        sums = splat(np.float32(0))
        for i in range(first, stop, LANES):
            sums += load_until(gradient, i, stop)
        norm = total(sums)
        label = first + labels[row]
        losses[row] = math.log(norm) + np.float64(top - logits[label])
        weight = weights[row]
        factor = splat(weight / norm)
        for i in range(first, stop, LANES):
            store_until(gradient, i, stop, load_until(gradient, i, stop) * factor)
        gradient[label] -= weight


@as_defined
def cross_entropy(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Loss:
    m, columns = logits.shape
    weights, labels = flat(weights), np.ascontiguousarray(labels, np.int64)
    gradient = memory.empty((m, columns))
    losses = memory.empty((m,), np.float64)
    tasks, rows = row_tasks(m, columns)
    if gradient.size:
        arrays = flat(logits), labels, weights, gradient.reshape(-1), losses
        _cross_entropy(tasks, 8 * gradient.size, *arrays, columns, rows)
    return _weighted_sum(losses, weights), gradient


@jit
def _soft_cross_entropy(task, logits, targets, weights, keep, share, gradient, losses, columns, rows):
    """targets: probabilities, of which `keep` stays and to which `share` comes."""
    for row in range(task * rows, min(weights.size, (task + 1) * rows)):
        first, stop = row * columns, (row + 1) * columns
        top = largest_of(logits, first, stop)
        sums = splat(np.float32(0))
        for i in range(first, stop, LANES):
            e = exp(load_until(logits, i, stop) - splat(top))
            store_until(gradient, i, stop, e)
            sums += zero_from(e, stop - i)
        norm = total(sums)
        log_norm, loss = math.log(norm), 0.0
        weight = weights[row]
        for i in range(first, stop):
            p = targets[i] * keep + share
            loss += np.float64(p) * (log_norm - np.float64(logits[i] - top)) if p != 0 else 0.0
            gradient[i] = (gradient[i] / norm - p) * weight
        losses[row] = loss


@jit
def _one_hot(task, labels, targets, columns, rows):
    for row in range(task * rows, min(labels.size, (task + 1) * rows)):
        clear(targets, row * columns, (row + 1) * columns)
        targets[row * columns + labels[row]] = np.float32(1)


@as_defined
def soft_cross_entropy(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, smoothing: float
) -> Loss:
    m, columns = logits.shape
    weights, gradient = flat(weights), memory.empty((m, columns))
    losses = memory.empty((m,), np.float64)
    if gradient.size:
        tasks, rows = row_tasks(m, columns)
        if targets.ndim == 1:
            labels, targets = np.ascontiguousarray(targets, np.int64), memory.empty((m, columns))
            _one_hot(tasks, targets.size, labels, targets.reshape(-1), columns, rows)
        settings = np.float32(1 - smoothing), np.float32(smoothing / columns)
        arrays = flat(logits), flat(targets), weights, *settings, gradient.reshape(-1), losses
        _soft_cross_entropy(tasks, 8 * gradient.size, *arrays, columns, rows)
    return _weighted_sum(losses, weights), gradient


def _pointwise(loss, gradient):
    """The kernel of a loss that is a mean over the columns: losses[row] = Σ loss(p, t), d[row] = share[row] gradient(p, t)."""

    def kernel(task, predictions, targets, share, delta, d, losses, columns, rows):
        for row in range(task * rows, min(losses.size, (task + 1) * rows)):
            stop = (row + 1) * columns
            sums = splat(np.float32(0))
            for i in range(row * columns, stop, LANES):
                p, t = load_until(predictions, i, stop), load_until(targets, i, stop)
                sums += zero_from(loss(p, t, splat(delta)), stop - i)
                store_until(d, i, stop, gradient(p, t, splat(delta)) * splat(share[row]))
            losses[row] = total(sums)

    return jit(kernel, loss.__name__)


@elementwise
def squared(p, t, delta):
    """(p - t)²."""
    return (p - t) * (p - t)


@elementwise
def squared_gradient(p, t, delta):
    """2 (p - t)."""
    return 2.0 * (p - t)


@elementwise
def absolute(p, t, delta):
    """|p - t|."""
    return (p - t).call("fabs")


@elementwise
def absolute_gradient(p, t, delta):
    """The sign of p - t; NaN stays."""
    e = p - t
    return choose(e > 0.0, 1.0, choose(e < 0.0, -1.0, e))


@elementwise
def huber_loss(p, t, delta):
    """e² / 2 where |e| ≤ delta, else delta (|e| - delta / 2), with e = p - t."""
    e = p - t
    slope = huber_gradient.of(p, t, delta)
    return slope * (e - 0.5 * slope)


@elementwise
def huber_gradient(p, t, delta):
    """p - t, held between -delta and delta."""
    e = p - t
    return choose(e > delta, delta, choose(e < -delta, -delta, e))


@elementwise
def logistic(z, t, delta):
    """max(z, 0) - z t + log(1 + e^-|z|), the logarithm as 2 atanh(u / (2 + u)) with u = e^-|z|."""
    u = exp.of(-z.call("fabs"))
    s = u / (2.0 + u)
    terms = [1 / n for n in (15, 13, 11, 9, 7, 5, 3, 1)]
    return choose(z < 0.0, 0.0, z) - z * t + 2.0 * s * polynomial(s * s, terms)


@elementwise
def logistic_gradient(z, t, delta):
    """sigmoid(z) - t."""
    return sigmoid.of(z) - t


_squared = _pointwise(squared, squared_gradient)
_absolute = _pointwise(absolute, absolute_gradient)
_huber = _pointwise(huber_loss, huber_gradient)
_logistic = _pointwise(logistic, logistic_gradient)


@as_defined
def binary_cross_entropy(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Loss:
    return _mean_of_columns(_logistic, logits, targets, weights)


@as_defined
def mean_squared_error(predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Loss:
    return _mean_of_columns(_squared, predictions, targets, weights)


@as_defined
def mean_absolute_error(predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Loss:
    return _mean_of_columns(_absolute, predictions, targets, weights)


@as_defined
def huber(predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray, delta: float) -> Loss:
    return _mean_of_columns(_huber, predictions, targets, weights, delta)


def _mean_of_columns(kernel, predictions, targets, weights, delta: float = 0.0) -> Loss:
    m, columns = predictions.shape
    share = flat(weights) / np.float32(max(columns, 1))
    gradient = memory.empty((m, columns))
    losses = np.zeros(m, np.float64)
    tasks, rows = row_tasks(m, columns)
    if gradient.size:
        arrays = flat(predictions), flat(targets), share, np.float32(delta), gradient.reshape(-1), losses
        kernel(tasks, 4 * gradient.size, *arrays, columns, rows)
    return _weighted_sum(losses / max(columns, 1), weights), gradient


def _weighted_sum(losses: np.ndarray, weights: np.ndarray) -> float:
    # not a dot product: BLAS may split it by its number of threads
    return float(np.sum(losses * weights))
