"""Normalisation, vectors along the channels: of batches, and of each vector by itself.

Blocking: tasks of whole rows, about CHUNK elements, which stay in L2 while a task reads them twice; each sums its rows for itself, and
one task adds the partial sums in order in float64. So x is read from memory once for its statistics, once to be normalised, and
twice for its gradient. Bound by memory. A ReLU behind is applied on the way; backward it is computed again, which is less
than to read it. Loops are written once and made twice, for whole vectors and for what is left of a row.
Under a mask the statistics are those of a copy that NumPy makes of the rows that count.
"""

from __future__ import annotations

import math

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .compiler.jit import helper, jit
from .compiler.simd import LANES, load_until, splat, store_until, total, zero_from
from .contraction import no_bias
from .flat import flat, row_tasks
from .functions import clear, fma, rectified, square_root, where_above
from .parts import read_part, read_whole, whole, write_part, write_whole
from .recurrent import flags, is_real


@jit
def _sums(task, x, partial, c, rows):
    """partial[task] = Σ x over its rows; four sums at a time, so that additions overlap."""
    first, last, to = task * rows, min(x.size // c, (task + 1) * rows), task * c
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
        store_until(partial, to + channel, to + c, (s0 + s1) + (s2 + s3))


def _made_of(read, write):
    """The loops over rows for one vector of channels, which `read` reads and `write` writes, `part` numbers of it."""

    @helper
    def moments(x, first, last, c, channel, part, means, squares, to):
        s0, s1 = splat(np.float32(0)), splat(np.float32(0))
        for row in range(first, last - 1, 2):
            at = row * c + channel
            s0, s1 = s0 + read(x, at, part), s1 + read(x, at + c, part)
        if (last - first) % 2:
            s0 = s0 + read(x, (last - 1) * c + channel, part)
        middle = (s0 + s1) * splat(np.float32(1) / np.float32(last - first))
        write(means, to, part, middle)
        s0, s1 = splat(np.float32(0)), splat(np.float32(0))
        for row in range(first, last - 1, 2):
            at = row * c + channel
            one, other = read(x, at, part) - middle, read(x, at + c, part) - middle
            s0, s1 = fma(one, one, s0), fma(other, other, s1)
        if (last - first) % 2:
            one = read(x, (last - 1) * c + channel, part) - middle
            s0 = fma(one, one, s0)
        write(squares, to, part, s0 + s1)

    @helper
    def products(dy, x, first, last, c, channel, part, mean, scale, beta, floor, sums, products, to):
        middle, factor, shift = (
            read(mean, channel, part),
            read(scale, channel, part),
            read(beta, channel, part),
        )
        total, product, least = splat(np.float32(0)), splat(np.float32(0)), splat(floor)
        for at in range(first * c + channel, last * c + channel, c):
            difference = read(x, at, part) - middle
            dz = where_above(fma(difference, factor, shift), least, read(dy, at, part))
            total, product = total + dz, fma(dz, difference, product)
        write(sums, to, part, total)
        write(products, to, part, product)

    @helper
    def normalise(x, at, channel, part, mean, scale, beta, slope, y):
        difference = read(x, at, part) - read(mean, channel, part)
        value = fma(difference, read(scale, channel, part), read(beta, channel, part))
        write(y, at, part, rectified(value, splat(slope)))

    @helper
    def gradient(dy, x, at, channel, part, mean, scale, beta, floor, slope, shift, dx):
        difference, factor = read(x, at, part) - read(mean, channel, part), read(scale, channel, part)
        output = fma(difference, factor, read(beta, channel, part))
        dz = where_above(output, splat(floor), read(dy, at, part))
        through = fma(read(slope, channel, part), difference, read(shift, channel, part))
        write(dx, at, part, fma(factor, dz, through))

    return moments, products, normalise, gradient


_moments_whole, _products_whole, _normalise_whole, _gradient_whole = _made_of(read_whole, write_whole)
_moments_part, _products_part, _normalise_part, _gradient_part = _made_of(read_part, write_part)


@jit
def _moments(task, x, means, squares, c, rows):
    """The mean m of its rows, and Σ (x - m)²."""
    first, last, to = task * rows, min(x.size // c, (task + 1) * rows), task * c
    for channel in range(0, whole(c), LANES):
        _moments_whole(x, first, last, c, channel, LANES, means, squares, to + channel)
    if whole(c) < c:
        _moments_part(x, first, last, c, whole(c), c - whole(c), means, squares, to + whole(c))


@jit
def _merge_moments(task, means, squares, rows, count, mean, variance):
    """Mean and variance of all rows from those of each task's (Chan, Golub & LeVeque 1979), in order and in float64."""
    c = mean.size
    for channel in range(c):
        total, spread = 0.0, 0.0
        for part in range(means.size // c):
            total += np.float64(means[part * c + channel]) * min(rows, count - part * rows)
        middle = total / count
        for part in range(means.size // c):
            difference = np.float64(means[part * c + channel]) - middle
            spread += np.float64(squares[part * c + channel])
            spread += difference * difference * min(rows, count - part * rows)
        mean[channel], variance[channel] = np.float32(middle), np.float32(spread / count)


@jit
def _scale(task, variance, gamma, epsilon, scale):
    """γ / √(σ² + ε)."""
    c = gamma.size
    for channel in range(0, c, LANES):
        spread = square_root(load_until(variance, channel, c) + splat(epsilon))
        store_until(scale, channel, c, load_until(gamma, channel, c) / spread)


@jit
def _normalise(task, x, mean, scale, beta, slope, y, c, rows):
    """y = scale (x - mean) + β, times slope where negative."""
    for row in range(task * rows, min(x.size // c, (task + 1) * rows)):
        at = row * c
        for channel in range(0, whole(c), LANES):
            _normalise_whole(x, at + channel, channel, LANES, mean, scale, beta, slope, y)
        if whole(c) < c:
            _normalise_part(x, at + whole(c), whole(c), c - whole(c), mean, scale, beta, slope, y)


@jit
def _products(task, dy, x, mean, scale, beta, floor, sums, products, c, rows):
    """Σ dz and Σ dz (x - mean) over its rows, where dz is dy, or 0 where the output is not above the floor."""
    first, last, to = task * rows, min(x.size // c, (task + 1) * rows), task * c
    for channel in range(0, whole(c), LANES):
        own = channel, LANES, mean, scale, beta, floor, sums, products, to + channel
        _products_whole(dy, x, first, last, c, *own)
    if whole(c) < c:
        left = whole(c), c - whole(c), mean, scale, beta, floor, sums, products, to + whole(c)
        _products_part(dy, x, first, last, c, *left)


@jit
def _gradient(task, dy, x, mean, scale, beta, floor, slope, shift, dx, c, rows):
    """dx = scale dz + slope (x - mean) + shift, with the dz of `_products`."""
    for row in range(task * rows, min(x.size // c, (task + 1) * rows)):
        at = row * c
        for channel in range(0, whole(c), LANES):
            own = mean, scale, beta, floor, slope, shift, dx
            _gradient_whole(dy, x, at + channel, channel, LANES, *own)
        if whole(c) < c:
            left = c - whole(c), mean, scale, beta, floor, slope, shift, dx
            _gradient_part(dy, x, at + whole(c), whole(c), *left)


@jit
def _gradient_left_out(task, dy, x, mean, scale, beta, floor, mask, nothing, dx, c, rows, step):
    """dx = scale dz in the rows that a mask leaves out: the statistics do not depend on them; `step` rows share an element of it."""
    for row in range(task * rows, min(dy.size // c, (task + 1) * rows)):
        if not is_real(mask, row // step):
            for channel in range(0, c, LANES):
                left = min(LANES, c - channel), mean, scale, beta, floor, nothing, nothing, dx
                _gradient_part(dy, x, row * c + channel, channel, *left)


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
def _means(task, partial, y, count):
    """y = Σ partial / count, over its rows in order and in float64."""
    for channel in range(y.size):
        sums = 0.0
        for at in range(channel, partial.size, y.size):
            sums += np.float64(partial[at])
        y[channel] = np.float32(sums / count)


@jit
def _through_statistics(task, sums, products, variance, gamma, epsilon, count, slope, shift, dgamma, dbeta):
    """What `_gradient` takes, and the gradients of γ and β, from partial sums of dz and dz (x - mean); in float64."""
    c = gamma.size
    for channel in range(c):
        inverse = 1.0 / math.sqrt(np.float64(variance[channel]) + epsilon)
        total, product = 0.0, 0.0
        for at in range(channel, sums.size, c):
            total += np.float64(sums[at])
            product += np.float64(products[at])
        scale = np.float64(gamma[channel]) * inverse
        product *= inverse
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


def _mean(partial: np.ndarray, c: int, count: int) -> np.ndarray:
    y = memory.empty((c,))
    _means(1, partial.size, partial, y, count)
    return y


def column_sums(x: np.ndarray) -> np.ndarray:
    """Σ x over every axis but the last."""
    return _mean(_partial_sums(x), x.shape[-1], 1)


@as_defined
def batch_norm_statistics(x: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    counted, count, c = x if mask is None else x[mask], _count(x, mask), x.shape[-1]
    tasks, rows = row_tasks(counted.size // max(c, 1), c)
    mean, variance = memory.empty((c,)), memory.empty((c,))
    means, squares = memory.empty((tasks * c,)), memory.empty((tasks * c,))
    if means.size:
        _moments(tasks, 2 * counted.size, flat(counted), means, squares, c, rows)
    _merge_moments(1, means.size, means, squares, rows, count, mean, variance)
    return mean, variance


def _count(x: np.ndarray, mask: np.ndarray | None) -> int:
    """How many rows of x count, at least 1."""
    if mask is None:
        return max(x.size // max(x.shape[-1], 1), 1)
    return max(np.count_nonzero(mask) * math.prod(x.shape[mask.ndim : -1]), 1)


def _scales(variance: np.ndarray, gamma: np.ndarray, epsilon: float) -> np.ndarray:
    scale = memory.empty(gamma.shape)
    _scale(1, scale.size, flat(variance), flat(gamma), np.float32(epsilon), scale)
    return scale


@as_defined
def batch_norm(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
    rectify: bool = False,
) -> np.ndarray:
    c, y = x.shape[-1], memory.empty(x.shape)
    tasks, rows = row_tasks(x.size // max(c, 1), c)
    if x.size:
        vectors = flat(mean), _scales(variance, gamma, epsilon), flat(beta)
        slope = np.float32(0 if rectify else 1)
        _normalise(tasks, x.size, flat(x), *vectors, slope, y.reshape(-1), c, rows)
    return y


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
    beta: np.ndarray,
    epsilon: float,
    mask: np.ndarray | None,
    rectify: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    c = x.shape[-1]
    tasks, rows = row_tasks(x.size // max(c, 1), c)
    sums, products = memory.empty((tasks * c,)), memory.empty((tasks * c,))
    scale, floor = _scales(variance, gamma, epsilon), np.float32(0 if rectify else -np.inf)
    given = flat(dy), flat(x), flat(mean), scale, flat(beta), floor
    if x.size:
        _products(tasks, 2 * x.size, *given, sums, products, c, rows)
    slope, shift, dgamma, dbeta = (memory.empty((c,)) for _ in range(4))
    spread = flat(variance), flat(gamma), float(epsilon), _count(x, mask)
    _through_statistics(1, sums.size, sums, products, *spread, slope, shift, dgamma, dbeta)
    dx = memory.empty(x.shape)
    if x.size:
        _gradient(tasks, 2 * x.size, *given, slope, shift, dx.reshape(-1), c, rows)
    if x.size and mask is not None:
        step = math.prod(x.shape[mask.ndim : -1])
        _gradient_left_out(tasks, x.size, *given, flags(mask), no_bias(c), dx.reshape(-1), c, rows, step)
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
