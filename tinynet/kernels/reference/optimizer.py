"""Optimizer steps, of all parameters of a network at once, in place.

Each takes lists of arrays of any dtype: parameters, their gradients, and what is kept of each from step to step, in the same order and
of the same shapes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Arrays = Sequence[np.ndarray]


def sgd(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    """Gradient descent with momentum, as in Keras: `v = mu v - lr g; p += v` (Nesterov: `p += mu v - lr g`).

    Weight decay is decoupled and comes first: `p -= lr wd p`.
    """
    for parameter, gradient, velocity in zip(parameters, gradients, velocities, strict=True):
        _decay(parameter, learning_rate * weight_decay)
        velocity *= momentum
        velocity -= learning_rate * gradient
        parameter += momentum * velocity - learning_rate * gradient if nesterov else velocity


def rmsprop(
    parameters: Arrays,
    gradients: Arrays,
    squares: Arrays,
    learning_rate: float,
    rho: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    """RMSprop (Hinton 2012): `s = rho s + (1-rho) g²; p -= lr g / (sqrt(s) + eps)`, after `p -= lr wd p`."""
    for parameter, gradient, square in zip(parameters, gradients, squares, strict=True):
        _decay(parameter, learning_rate * weight_decay)
        square *= rho
        square += (1 - rho) * np.square(gradient)
        parameter -= learning_rate * gradient / (np.sqrt(square) + epsilon)


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
    """AdamW (Loshchilov and Hutter 2019; with weight_decay 0, Adam, Kingma and Ba 2015), step counted from 1.

    `m = b1 m + (1-b1) g; s = b2 s + (1-b2) g²; p -= lr m/(1-b1^step) / (sqrt(s/(1-b2^step)) + eps)`,
    after `p -= lr wd p`.
    """
    for parameter, gradient, moment, square in zip(parameters, gradients, moments, squares, strict=True):
        _decay(parameter, learning_rate * weight_decay)
        moment *= beta_1
        moment += (1 - beta_1) * gradient
        square *= beta_2
        square += (1 - beta_2) * np.square(gradient)
        root = np.sqrt(square)
        root *= 1 / (1 - beta_2**step) ** 0.5
        root += epsilon
        parameter -= (learning_rate / (1 - beta_1**step)) * moment / root


def sum_of_squares(arrays: Arrays) -> float:
    """`sum x²` of all arrays together, accumulated in float64."""
    return float(sum(np.sum(np.square(x, dtype=np.float64)) for x in arrays))


def scale(arrays: Arrays, factor: float) -> None:
    """`x *= factor`, in place, for each array."""
    for x in arrays:
        x *= factor


def blend(targets: Arrays, sources: Arrays, amount: float) -> None:
    """`target += amount (source - target)`, in place, for each pair: one step of a moving average."""
    for target, source in zip(targets, sources, strict=True):
        target += amount * (source - target)


def _decay(parameter: np.ndarray, amount: float) -> None:
    if amount:
        parameter *= 1 - amount
