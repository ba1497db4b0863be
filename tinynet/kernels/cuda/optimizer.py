"""Optimizer steps, in place: one element a thread, bound by memory. What is the same for all elements is computed by the host."""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .arrays import changed, take
from .compiler.driver import cuda
from .compiler.functions import sqrt
from .compiler.kernel import blocks_for, kernel
from .sums import sum_of_products


@as_defined
def sgd(
    parameter: Any,
    gradient: Any,
    velocity: Any,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    keep = 1 - learning_rate * weight_decay
    with changed(parameter, velocity) as (p, v):
        given = (
            p,
            take(gradient),
            v,
            p.size,
            learning_rate,
            momentum,
            int(nesterov),
            keep,
        )
        _sgd(blocks_for(p.size), *given)


@as_defined
def rmsprop(
    parameter: Any,
    gradient: Any,
    square: Any,
    learning_rate: float,
    rho: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    keep = 1 - learning_rate * weight_decay
    with changed(parameter, square) as (p, s):
        given = p, take(gradient), s, p.size, learning_rate, rho, 1 - rho, epsilon, keep
        _rmsprop(blocks_for(p.size), *given)


@as_defined
def adam(
    parameter: Any,
    gradient: Any,
    moment: Any,
    square: Any,
    step: int,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    rate, root = learning_rate / (1 - beta_1**step), 1 / (1 - beta_2**step) ** 0.5
    numbers = beta_1, 1 - beta_1, beta_2, 1 - beta_2, rate, root, epsilon, 1 - learning_rate * weight_decay
    with changed(parameter, moment, square) as (p, m, s):
        _adam(blocks_for(p.size), p, take(gradient), m, s, p.size, numbers)


@as_defined
def sum_of_squares(x: Any) -> float:
    x = take(x)
    return sum_of_products(x, x)


@as_defined
def scale(x: Any, factor: float) -> None:
    with changed(x) as (array,):
        _scale(blocks_for(array.size), array, array.size, factor)


@as_defined
def blend(target: Any, source: Any, amount: float) -> None:
    with changed(target) as (array,):
        _blend(blocks_for(array.size), array, take(source), array.size, amount)


@kernel("f4[:], f4[:], f4[:], i4, f4, f4, i4, f4", threads=256)
def _sgd(p, g, velocity, size, rate, momentum, nesterov, keep):
    i = cuda.grid(1)
    while i < size:
        step = rate * g[i]
        v = velocity[i] * momentum - step
        velocity[i] = v
        p[i] = p[i] * keep + (momentum * v - step if nesterov else v)
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], i4, f4, f4, f4, f4, f4", threads=256)
def _rmsprop(p, g, square, size, rate, rho, rest, epsilon, keep):
    i = cuda.grid(1)
    while i < size:
        s = square[i] * rho + rest * (g[i] * g[i])
        square[i] = s
        p[i] = p[i] * keep - rate * g[i] / (sqrt(s) + epsilon)
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], f4[:], i4, f4*8", threads=256)
def _adam(p, g, moment, square, size, numbers):
    beta_1, rest_1, beta_2, rest_2, rate, root, epsilon, keep = numbers
    i = cuda.grid(1)
    while i < size:
        m = moment[i] * beta_1 + rest_1 * g[i]
        s = square[i] * beta_2 + rest_2 * (g[i] * g[i])
        moment[i] = m
        square[i] = s
        p[i] = p[i] * keep - rate * m / (sqrt(s) * root + epsilon)
        i += cuda.gridsize(1)


@kernel("f4[:], i4, f4", threads=256)
def _scale(x, size, factor):
    i = cuda.grid(1)
    while i < size:
        x[i] *= factor
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], i4, f4", threads=256)
def _blend(target, source, size, amount):
    i = cuda.grid(1)
    while i < size:
        target[i] += amount * (source[i] - target[i])
        i += cuda.gridsize(1)
