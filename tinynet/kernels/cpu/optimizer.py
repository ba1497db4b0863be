"""Optimizer steps, in place, array by array. Blocking: tasks of CHUNK elements; bound by memory (Adam moves 28 bytes per element).

Where a gradient is zero from some step on, as behind a unit that never fires, what is remembered of it fades for ever; below the
normal numbers it is flushed, or a fifth of a network's weights make each step four times as slow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..reference.definition import as_defined
from .compiler.jit import jit
from .compiler.simd import LANES, load_until, splat, store_until
from .flat import CHUNK, chunks, flat
from .functions import flushed, square_root

F = np.float32
Arrays = Sequence[np.ndarray]


@jit
def _sgd(task, p, g, v, rate, momentum, ahead, keep):
    stop = min(p.size, (task + 1) * CHUNK)
    for i in range(task * CHUNK, stop, LANES):
        step = splat(rate) * load_until(g, i, stop)
        velocity = flushed(splat(momentum) * load_until(v, i, stop) - step)
        store_until(v, i, stop, velocity)
        # Nesterov: p += momentum · v - step, with the new v; else p += v
        move = splat(momentum) * velocity - step if ahead != 0 else velocity
        store_until(p, i, stop, splat(keep) * load_until(p, i, stop) + move)


@jit
def _rmsprop(task, p, g, s, rate, rho, rest, epsilon, keep):
    stop = min(p.size, (task + 1) * CHUNK)
    for i in range(task * CHUNK, stop, LANES):
        gradient = load_until(g, i, stop)
        square = flushed(splat(rho) * load_until(s, i, stop) + splat(rest) * (gradient * gradient))
        store_until(s, i, stop, square)
        move = splat(rate) * gradient / (square_root(square) + splat(epsilon))
        store_until(p, i, stop, splat(keep) * load_until(p, i, stop) - move)


@jit
def _adam(task, p, g, m, s, beta_1, rest_1, beta_2, rest_2, rate, root_scale, epsilon, keep):
    stop = min(p.size, (task + 1) * CHUNK)
    for i in range(task * CHUNK, stop, LANES):
        gradient = load_until(g, i, stop)
        moment = flushed(splat(beta_1) * load_until(m, i, stop) + splat(rest_1) * gradient)
        square = flushed(splat(beta_2) * load_until(s, i, stop) + splat(rest_2) * (gradient * gradient))
        store_until(m, i, stop, moment)
        store_until(s, i, stop, square)
        move = splat(rate) * moment / (square_root(square) * splat(root_scale) + splat(epsilon))
        store_until(p, i, stop, splat(keep) * load_until(p, i, stop) - move)


@jit
def _scale(task, x, factor):
    stop = min(x.size, (task + 1) * CHUNK)
    for i in range(task * CHUNK, stop, LANES):
        store_until(x, i, stop, load_until(x, i, stop) * splat(factor))


@jit
def _blend(task, target, source, amount):
    stop = min(target.size, (task + 1) * CHUNK)
    for i in range(task * CHUNK, stop, LANES):
        t = load_until(target, i, stop)
        store_until(target, i, stop, t + splat(amount) * (load_until(source, i, stop) - t))


@jit
def _sum_of_squares(task, x, partial):
    """partial[task] = Σ x² over its chunk, in four float64 sums so that they can overlap."""
    a = b = c = d = 0.0
    first, stop = task * CHUNK, min(x.size, (task + 1) * CHUNK)
    whole = first + (stop - first) // 4 * 4
    for i in range(first, whole, 4):
        a += np.float64(x[i]) * np.float64(x[i])
        b += np.float64(x[i + 1]) * np.float64(x[i + 1])
        c += np.float64(x[i + 2]) * np.float64(x[i + 2])
        d += np.float64(x[i + 3]) * np.float64(x[i + 3])
    for i in range(whole, stop):
        a += np.float64(x[i]) * np.float64(x[i])
    partial[task] = (a + b) + (c + d)


def _writable(x: np.ndarray) -> np.ndarray:
    """A view of an array that is changed in place: float32 and contiguous, or the change would be lost."""
    if x.dtype != np.float32 or not x.flags.c_contiguous:
        raise TypeError(
            f"an array changed in place must be contiguous float32, not {x.dtype} with strides {x.strides}"
        )
    return x.reshape(-1)


@as_defined
def sgd(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    settings = F(learning_rate), F(momentum), int(nesterov), F(1 - learning_rate * weight_decay)
    for parameter, gradient, velocity in zip(parameters, gradients, velocities, strict=True):
        p = _writable(parameter)
        _sgd(chunks(p), p.size, p, flat(gradient), _writable(velocity), *settings)


@as_defined
def rmsprop(
    parameters: Arrays,
    gradients: Arrays,
    squares: Arrays,
    learning_rate: float,
    rho: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    settings = F(learning_rate), F(rho), F(1 - rho), F(epsilon), F(1 - learning_rate * weight_decay)
    for parameter, gradient, square in zip(parameters, gradients, squares, strict=True):
        p = _writable(parameter)
        _rmsprop(chunks(p), p.size, p, flat(gradient), _writable(square), *settings)


@as_defined
def adam(
    parameters: Arrays,
    gradients: Arrays,
    moments: Arrays,
    squares: Arrays,
    step: int,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    rate, root_scale = F(learning_rate / (1 - beta_1**step)), F((1 - beta_2**step) ** -0.5)
    keep = F(1 - learning_rate * weight_decay)
    settings = F(beta_1), F(1 - beta_1), F(beta_2), F(1 - beta_2), rate, root_scale, F(epsilon), keep
    for parameter, gradient, moment, square in zip(parameters, gradients, moments, squares, strict=True):
        p = _writable(parameter)
        _adam(chunks(p), 2 * p.size, p, flat(gradient), _writable(moment), _writable(square), *settings)


@as_defined
def sum_of_squares(arrays: Arrays) -> float:
    total = 0.0
    for x in map(flat, arrays):
        partial = np.zeros(chunks(x), np.float64)
        _sum_of_squares(partial.size, x.size, x, partial)
        total += float(partial.sum())
    return total


@as_defined
def scale(arrays: Arrays, factor: float) -> None:
    for x in map(_writable, arrays):
        _scale(chunks(x), x.size, x, F(factor))


@as_defined
def blend(targets: Arrays, sources: Arrays, amount: float) -> None:
    for target, source in zip(map(_writable, targets), sources, strict=True):
        _blend(chunks(target), target.size, target, flat(source), F(amount))
