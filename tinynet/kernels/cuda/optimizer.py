"""Optimizer steps, in place, of all parameters in one launch (several.py): one number a thread at a time, bound by memory.

What is the same for all numbers is computed by the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..reference.definition import as_defined
from .arrays import take
from .compiler.functions import sqrt
from .compiler.primitives import f4, load_from, store_to
from .several import change_all, for_each_number, table_of
from .sums import sum_of_all_squares

Arrays = Sequence[Any]


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
    numbers = learning_rate, momentum, float(nesterov), 1 - learning_rate * weight_decay
    change_all(_sgd, numbers, parameters, velocities, read=gradients)


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
    numbers = learning_rate, rho, 1 - rho, epsilon, 1 - learning_rate * weight_decay
    change_all(_rmsprop, numbers, parameters, squares, read=gradients)


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
    rate, root = learning_rate / (1 - beta_1**step), 1 / (1 - beta_2**step) ** 0.5
    numbers = beta_1, 1 - beta_1, beta_2, 1 - beta_2, rate, root, epsilon, 1 - learning_rate * weight_decay
    change_all(_adam, numbers, parameters, moments, squares, read=gradients)


@as_defined
def sum_of_squares(arrays: Arrays) -> float:
    there = [take(array) for array in arrays]
    return sum_of_all_squares(table_of(there))


@as_defined
def scale(arrays: Arrays, factor: float) -> None:
    change_all(_scale, (factor,), arrays)


@as_defined
def blend(targets: Arrays, sources: Arrays, amount: float) -> None:
    change_all(_blend, (amount,), targets, read=sources)


@for_each_number(4)
def _sgd(addresses, i, numbers):
    p, velocity, gradient, _ = addresses
    rate, momentum, nesterov, keep = numbers
    step = rate * load_from(gradient, i)
    v = load_from(velocity, i) * momentum - step
    store_to(velocity, i, v)
    move = momentum * v - step if nesterov != f4(0) else v
    store_to(p, i, load_from(p, i) * keep + move)


@for_each_number(5)
def _rmsprop(addresses, i, numbers):
    p, square, gradient, _ = addresses
    rate, rho, rest, epsilon, keep = numbers
    g = load_from(gradient, i)
    s = load_from(square, i) * rho + rest * (g * g)
    store_to(square, i, s)
    store_to(p, i, load_from(p, i) * keep - rate * g / (sqrt(s) + epsilon))


@for_each_number(8)
def _adam(addresses, i, numbers):
    p, moment, square, gradient = addresses
    beta_1, rest_1, beta_2, rest_2, rate, root, epsilon, keep = numbers
    g = load_from(gradient, i)
    m = load_from(moment, i) * beta_1 + rest_1 * g
    s = load_from(square, i) * beta_2 + rest_2 * (g * g)
    store_to(moment, i, m)
    store_to(square, i, s)
    store_to(p, i, load_from(p, i) * keep - rate * m / (sqrt(s) * root + epsilon))


@for_each_number(1)
def _scale(addresses, i, numbers):
    store_to(addresses[0], i, load_from(addresses[0], i) * numbers[0])


@for_each_number(1)
def _blend(addresses, i, numbers):
    target = load_from(addresses[0], i)
    store_to(addresses[0], i, target + numbers[0] * (load_from(addresses[1], i) - target))
