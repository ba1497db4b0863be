"""Activation functions and their gradients, from the output wherever the output is enough."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

LEAKY_SLOPE = 0.2
FUSED = ("linear", "relu", "leaky_relu", "elu", "sigmoid", "tanh")
"""Activations whose gradient follows from their output: dense and convolution kernels apply them in place."""

_erf: Any = np.frompyfunc(math.erf, 1, 1)


def _normal_cdf(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + _erf(z * math.sqrt(0.5)).astype(z.dtype))


def activation(z: np.ndarray, name: str) -> np.ndarray:
    """Apply an activation to every element (softmax: over the last axis).

    relu max(z, 0); leaky_relu z or 0.2 z where negative; elu z or eᶻ - 1 where negative
    (Clevert et al. 2015); silu z / (1 + e⁻ᶻ) (Elfwing et al. 2017); gelu z Φ(z), exact (Hendrycks & Gimpel 2016);
    sigmoid 1 / (1 + e⁻ᶻ); tanh; softmax eᶻ / Σ eᶻ; linear z.
    """
    if name == "linear":
        return z
    if name == "relu":
        return np.maximum(z, 0)
    if name == "leaky_relu":
        return np.where(z < 0, z * z.dtype.type(LEAKY_SLOPE), z)
    if name == "elu":
        return np.where(z < 0, np.expm1(np.minimum(z, 0)), z)
    if name == "silu":
        return z * activation(z, "sigmoid")
    if name == "gelu":
        return z * _normal_cdf(z)
    if name == "sigmoid":
        return 0.5 + 0.5 * np.tanh(0.5 * z)
    if name == "tanh":
        return np.tanh(z)
    if name == "softmax":
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)
    raise KeyError(name)


def activation_gradient(dy: np.ndarray, y: np.ndarray, name: str, z: Any = None) -> np.ndarray:
    """Gradient at the input of an activation, from the gradient at its output and the output y (silu, gelu: the input z)."""
    if name == "linear":
        return dy
    if name == "relu":
        return np.where(y <= 0, y.dtype.type(0), dy)
    if name == "leaky_relu":
        return np.where(y < 0, dy * y.dtype.type(LEAKY_SLOPE), dy)
    if name == "elu":
        return np.where(y < 0, dy * (y + 1), dy)
    if name == "silu":
        s = activation(z, "sigmoid")
        return dy * s * (1 + z * (1 - s))
    if name == "gelu":
        density = np.exp(-0.5 * z * z) / y.dtype.type(math.sqrt(2 * math.pi))
        return dy * (_normal_cdf(z) + z * density)
    if name == "sigmoid":
        return dy * y * (1 - y)
    if name == "tanh":
        return dy * (1 - y * y)
    if name == "softmax":
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    raise KeyError(name)
