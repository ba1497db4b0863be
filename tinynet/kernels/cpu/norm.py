"""Normalisation, vectors along the channels: of batches, and of each vector by itself.

Blocking: tasks of whole rows, about CHUNK elements; each sums its rows for itself, and one task adds the partial sums in order in
float64. Bound by memory. Under a mask the statistics are those of a copy that NumPy makes of the rows that count.
"""

from __future__ import annotations

import math

import numpy as np

from . import memory
from .compiler.jit import helper, jit
from .compiler.simd import LANES, load_until, splat, store_until, total, zero_from
from .contraction import no_bias
from .definition import as_defined
from .flat import flat, row_tasks
from .functions import clear, fma, square_root
from .recurrent import flags, is_real


@jit
def _sums(task, x, partial, c, rows):
    """partial[task] = Σ x over its rows; four sums at a time, so that additions overlap."""
    first, last = task * rows, min(x.size // c, (task + 1) * rows)
    for channel in range(0, c, LANES):
        zero = splat(np.float32(0))
        s0, s1, s2, s3 = zero, zero, zero, zero
        whole = first + (last - first) // 4 * 4
        for row in range(first, whole, 4):
            at = row * c
            s0 += load_until(x, at + channel, at + c)
            s1 += load_until(x, at + c + channel, at + 2 * c)
            s2 += load_until(x, at + 2 * c + channel, at + 3 * c)
            s3 += load_until(x, at + 3 * c + channel, at + 4 * c)
        for row in range(whole, last):
            s0 += load_until(x, row * c + channel, row * c + c)
        store_until(partial, task * c + channel, task * c + c, (s0 + s1) + (s2 + s3))


@jit
def _products(task, a, x, mean, squares, partial, c, rows):
    """partial[task] = Σ a (x - mean) over its rows, or Σ (x - mean)²."""
    first, last = task * rows, min(x.size // c, (task + 1) * rows)
    for channel in range(0, c, LANES):
        middle = load_until(mean, channel, c)
        sums = splat(np.float32(0))
        for row in range(first, last):
            difference = load_until(x, row * c + channel, row * c + c) - middle
            other = difference if squares else load_until(a, row * c + channel, row * c + c)
            sums += other * difference
        store_until(partial, task * c + channel, task * c + c, sums)


@jit
def _normalise(task, x, mean, variance, gamma, beta, epsilon, y, c, rows):
    """y = γ / √(σ² + ε) (x - mean) + β."""
    for channel in range(0, c, LANES):
        spread = square_root(load_until(variance, channel, c) + splat(epsilon))
        factor, shift = load_until(gamma, channel, c) / spread, load_until(beta, channel, c)
        for row in range(task * rows, min(x.size // c, (task + 1) * rows)):
            difference = load_until(x, row * c + channel, row * c + c) - load_until(mean, channel, c)
            store_until(y, row * c + channel, row * c + c, difference * factor + shift)


@jit
def _fold(task, kernel, bias, mean, variance, gamma, beta, epsilon, folded, shift, c, rows):
    """folded = f kernel and, in the first task, shift = β + (bias - mean) f, with f = γ / √(σ² + ε)."""
    for channel in range(0, c, LANES):
        spread = square_root(load_until(variance, channel, c) + splat(epsilon))
        factor = load_until(gamma, channel, c) / spread
        if task == 0:
            difference = load_until(bias, channel, c) - load_until(mean, channel, c)
            store_until(shift, channel, c, difference * factor + load_until(beta, channel, c))
        for row in range(task * rows, min(kernel.size // c, (task + 1) * rows)):
            at, stop = row * c + channel, row * c + c
            store_until(folded, at, stop, load_until(kernel, at, stop) * factor)


@jit
def _gradient(task, dy, x, mean, factor, slope, shift, dx, c, rows):
    """dx = factor dy + slope (x - mean) + shift."""
    for row in range(task * rows, min(x.size // c, (task + 1) * rows)):
        for channel in range(0, c, LANES):
            at, stop = row * c + channel, row * c + c
            difference = load_until(x, at, stop) - load_until(mean, channel, c)
            value = load_until(factor, channel, c) * load_until(dy, at, stop)
            store_until(
                dx,
                at,
                stop,
                value + load_until(slope, channel, c) * difference + load_until(shift, channel, c),
            )


@jit
def _gradient_left_out(task, dy, mask, factor, dx, c, rows, step):
    """dx = factor dy in the rows that a mask leaves out: the statistics do not depend on them; `step` rows share an element of it."""
    for row in range(task * rows, min(dy.size // c, (task + 1) * rows)):
        if not is_real(mask, row // step):
            for channel in range(0, c, LANES):
                at, stop = row * c + channel, row * c + c
                store_until(dx, at, stop, load_until(factor, channel, c) * load_until(dy, at, stop))


@jit
def _means(task, partial, y, count):
    """y = Σ partial / count, over its rows in order and in float64."""
    for channel in range(y.size):
        sums = 0.0
        for at in range(channel, partial.size, y.size):
            sums += np.float64(partial[at])
        y[channel] = np.float32(sums / count)


@jit
def _factors(task, sums, products, variance, gamma, epsilon, count, factor, slope, shift, dgamma, dbeta):
    """What `_gradient` takes, and the gradients of γ and β, from partial sums of dy and dy (x - mean); in float64."""
    c = gamma.size
    for channel in range(c):
        inverse = 1.0 / math.sqrt(np.float64(variance[channel]) + epsilon)
        total, product = 0.0, 0.0
        for at in range(channel, sums.size, c):
            total += np.float64(sums[at])
            product += np.float64(products[at])
        scale = np.float64(gamma[channel]) * inverse
        product *= inverse
        factor[channel] = np.float32(scale)
        slope[channel] = np.float32(-scale * inverse * product / count)
        shift[channel] = np.float32(-scale * total / count)
        dgamma[channel], dbeta[channel] = np.float32(product), np.float32(total)


def _partial_sums(x: np.ndarray) -> np.ndarray:
    """Σ x over the rows of each task, for every channel."""
    c = x.shape[-1]
    tasks, rows = row_tasks(x.size // max(c, 1), c)
    partial = memory.empty((tasks * c,))
    if partial.size:
        _sums(tasks, x.size, flat(x), partial, c, rows)
    return partial


def _partial_products(a: np.ndarray | None, x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Σ a (x - mean) over the rows of each task, for every channel; (x - mean)² where a is None."""
    c, x = x.shape[-1], flat(x)
    tasks, rows = row_tasks(x.size // max(c, 1), c)
    partial = memory.empty((tasks * c,))
    if partial.size:
        other = x if a is None else flat(a)
        _products(tasks, x.size, other, x, flat(mean), a is None, partial, c, rows)
    return partial


def _mean(partial: np.ndarray, c: int, count: int) -> np.ndarray:
    y = memory.empty((c,))
    _means(1, partial.size, partial, y, count)
    return y


def column_sums(x: np.ndarray) -> np.ndarray:
    """Σ x over every axis but the last."""
    return _mean(_partial_sums(x), x.shape[-1], 1)


@as_defined
def batch_norm_statistics(x: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    rows, count = x if mask is None else x[mask], _count(x, mask)
    mean = _mean(_partial_sums(rows), x.shape[-1], count)
    return mean, _mean(_partial_products(None, rows, mean), x.shape[-1], count)


def _count(x: np.ndarray, mask: np.ndarray | None) -> int:
    """How many rows of x count, at least 1."""
    if mask is None:
        return max(x.size // max(x.shape[-1], 1), 1)
    return max(np.count_nonzero(mask) * math.prod(x.shape[mask.ndim : -1]), 1)


@as_defined
def batch_norm(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    c = x.shape[-1]
    source = flat(x)
    y = memory.empty(source.shape)
    tasks, rows = row_tasks(source.size // max(c, 1), c)
    if source.size:
        vectors = flat(mean), flat(variance), flat(gamma), flat(beta)
        _normalise(tasks, source.size, source, *vectors, np.float32(epsilon), y, c, rows)
    return y.reshape(x.shape)


@as_defined
def fold_batch_norm(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
) -> tuple[np.ndarray, np.ndarray]:
    c = gamma.size
    folded, shift = memory.empty(kernel.shape), memory.empty((c,))
    tasks, rows = row_tasks(kernel.size // max(c, 1), c)
    own = no_bias(c) if bias is None else flat(bias)
    vectors = own, flat(mean), flat(variance), flat(gamma), flat(beta), np.float32(epsilon)
    _fold(max(tasks, 1), kernel.size, flat(kernel), *vectors, folded.reshape(-1), shift, c, rows)
    return folded, shift


@as_defined
def batch_norm_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    epsilon: float,
    mask: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    c = x.shape[-1]
    sums, products = _partial_sums(dy), _partial_products(dy, x, mean)
    factor, slope, shift, dgamma, dbeta = (memory.empty((c,)) for _ in range(5))
    made = factor, slope, shift, dgamma, dbeta
    _factors(
        1, sums.size, sums, products, flat(variance), flat(gamma), float(epsilon), _count(x, mask), *made
    )
    dx = memory.empty(x.shape)
    tasks, rows = row_tasks(x.size // max(c, 1), c)
    if x.size:
        arrays = flat(dy), flat(x), flat(mean), factor, slope, shift, dx.reshape(-1)
        _gradient(tasks, 2 * x.size, *arrays, c, rows)
    if x.size and mask is not None:
        step = math.prod(x.shape[mask.ndim : -1])
        _gradient_left_out(tasks, x.size, flat(dy), flags(mask), factor, dx.reshape(-1), c, rows, step)
    return dx, dgamma, dbeta


@helper
def _statistics(x, at, stop, epsilon):
    """The mean of a vector and 1 / √(σ² + ε)."""
    sums, count = splat(np.float32(0)), np.float32(stop - at)
    for j in range(at, stop, LANES):
        sums += load_until(x, j, stop)
    mean = total(sums) / count
    squares = splat(np.float32(0))
    for j in range(at, stop, LANES):
        difference = zero_from(load_until(x, j, stop) - splat(mean), stop - j)
        squares = fma(difference, difference, squares)
    return mean, np.float32(1) / np.float32(math.sqrt(total(squares) / count + epsilon))


@jit
def _layer_norm(task, x, gamma, beta, epsilon, y, c, rows):
    for row in range(task * rows, min(x.size // c, (task + 1) * rows)):
        at, stop = row * c, row * c + c
        mean, inverse = _statistics(x, at, stop, epsilon)
        for j in range(0, c, LANES):
            normalised = (load_until(x, at + j, stop) - splat(mean)) * splat(inverse)
            store_until(y, at + j, stop, fma(normalised, load_until(gamma, j, c), load_until(beta, j, c)))


@jit
def _layer_norm_gradient(task, dy, x, gamma, epsilon, dx, dgammas, dbetas, c, rows):
    """dx, and what the rows of the task add to dγ and dβ."""
    own = task * c
    clear(dgammas, own, own + c)
    clear(dbetas, own, own + c)
    for row in range(task * rows, min(x.size // c, (task + 1) * rows)):
        at, stop = row * c, row * c + c
        mean, inverse = _statistics(x, at, stop, epsilon)
        sums, products = splat(np.float32(0)), splat(np.float32(0))
        for j in range(0, c, LANES):
            given = load_until(dy, at + j, stop)
            normalised = (load_until(x, at + j, stop) - splat(mean)) * splat(inverse)
            g = given * load_until(gamma, j, c)
            sums += g
            products = fma(g, normalised, products)
            dgamma = fma(given, normalised, load_until(dgammas, own + j, own + c))
            store_until(dgammas, own + j, own + c, dgamma)
            store_until(dbetas, own + j, own + c, load_until(dbetas, own + j, own + c) + given)
        shift, slope = splat(total(sums) / np.float32(c)), splat(total(products) / np.float32(c))
        for j in range(0, c, LANES):
            normalised = (load_until(x, at + j, stop) - splat(mean)) * splat(inverse)
            g = load_until(dy, at + j, stop) * load_until(gamma, j, c)
            store_until(dx, at + j, stop, (g - shift - normalised * slope) * splat(inverse))


@as_defined
def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> np.ndarray:
    c, y = x.shape[-1], memory.empty(x.shape)
    tasks, rows = row_tasks(x.size // max(c, 1), c)
    if x.size:
        _layer_norm(
            tasks, 2 * x.size, flat(x), flat(gamma), flat(beta), np.float32(epsilon), y.reshape(-1), c, rows
        )
    return y


@as_defined
def layer_norm_gradient(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    c, dx = x.shape[-1], memory.empty(x.shape)
    tasks, rows = row_tasks(x.size // max(c, 1), c)
    dgammas, dbetas = memory.empty((tasks * c,)), memory.empty((tasks * c,))
    if x.size:
        given = flat(dy), flat(x), flat(gamma), np.float32(epsilon)
        _layer_norm_gradient(tasks, 4 * x.size, *given, dx.reshape(-1), dgammas, dbetas, c, rows)
    return dx, _mean(dgammas, c, 1), _mean(dbetas, c, 1)
