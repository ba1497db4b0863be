"""Optimizer steps. Each changes the parameter and its own state in place; arrays of one shape, any dtype."""

from __future__ import annotations

import numpy as np


def sgd(
    parameter: np.ndarray,
    gradient: np.ndarray,
    velocity: np.ndarray,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None:
    """Gradient descent with momentum, as in Keras: `v = mu v - lr g; p += v` (Nesterov: `p += mu v - lr g`).

    Weight decay is decoupled and comes first: `p -= lr wd p`.
    """
    _decay(parameter, learning_rate * weight_decay)
    velocity *= momentum
    velocity -= learning_rate * gradient
    parameter += momentum * velocity - learning_rate * gradient if nesterov else velocity


def rmsprop(
    parameter: np.ndarray,
    gradient: np.ndarray,
    square: np.ndarray,
    learning_rate: float,
    rho: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    """RMSprop (Hinton 2012): `s = rho s + (1-rho) g²; p -= lr g / (sqrt(s) + eps)`, after `p -= lr wd p`."""
    _decay(parameter, learning_rate * weight_decay)
    square *= rho
    square += (1 - rho) * np.square(gradient)
    parameter -= learning_rate * gradient / (np.sqrt(square) + epsilon)


def adam(
    parameter: np.ndarray,
    gradient: np.ndarray,
    moment: np.ndarray,
    square: np.ndarray,
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
    _decay(parameter, learning_rate * weight_decay)
    moment *= beta_1
    moment += (1 - beta_1) * gradient
    square *= beta_2
    square += (1 - beta_2) * np.square(gradient)
    root = np.sqrt(square)
    root *= 1 / (1 - beta_2**step) ** 0.5
    root += epsilon
    parameter -= (learning_rate / (1 - beta_1**step)) * moment / root


def sum_of_squares(x: np.ndarray) -> float:
    """`sum x²`, accumulated in float64."""
    return float(np.sum(np.square(x, dtype=np.float64)))


def scale(x: np.ndarray, factor: float) -> None:
    """`x *= factor`, in place."""
    x *= factor


def blend(target: np.ndarray, source: np.ndarray, amount: float) -> None:
    """`target += amount (source - target)`, in place: one step of a moving average."""
    target += amount * (source - target)


def _decay(parameter: np.ndarray, amount: float) -> None:
    if amount:
        parameter *= 1 - amount
