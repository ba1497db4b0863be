"""Activations and their gradients, element by element; softmax along rows.

Blocking: tasks of CHUNK elements, or of so many rows. Bound by memory; gelu, tanh, sigmoid and their like by their polynomials.
"""

from __future__ import annotations

import numpy as np

from ..reference.definition import as_defined
from . import functions, memory
from .compiler.jit import jit
from .compiler.simd import LANES, choose, elementwise, load_until, splat, store_until, total
from .flat import CHUNK, chunks, flat, row_tasks
from .functions import exp, largest_of

LEAKY_SLOPE = 0.2
FUSED = ("linear", "relu", "leaky_relu", "elu", "sigmoid", "tanh")
"""Activations whose gradient follows from their output: dense and convolution kernels apply them in place."""
FROM_INPUT = ("silu", "gelu")
"""Activations whose gradient follows from their input."""


def _map(function):
    """The kernel y = function(x), element by element."""

    def kernel(task, x, y):
        stop = min(x.size, (task + 1) * CHUNK)
        for i in range(task * CHUNK, stop, LANES):
            store_until(y, i, stop, function(load_until(x, i, stop)))

    return jit(kernel, function.__name__)


def map_two(function):
    """The kernel y = function(a, b), element by element."""

    def kernel(task, a, b, y):
        stop = min(a.size, (task + 1) * CHUNK)
        for i in range(task * CHUNK, stop, LANES):
            store_until(y, i, stop, function(load_until(a, i, stop), load_until(b, i, stop)))

    return jit(kernel, function.__name__)


@elementwise
def relu(z):
    """max(z, 0); NaN stays."""
    return choose(z < 0.0, 0.0, z)


@elementwise
def leaky_relu(z):
    """z, times LEAKY_SLOPE where negative."""
    return choose(z < 0.0, z * LEAKY_SLOPE, z)


@elementwise
def relu_gradient(dy, y):
    """dy where y is above 0, else 0."""
    return choose(y <= 0.0, 0.0, dy)


@elementwise
def leaky_relu_gradient(dy, y):
    """dy, times LEAKY_SLOPE where y is negative."""
    return choose(y < 0.0, dy * LEAKY_SLOPE, dy)


@elementwise
def elu_gradient(dy, y):
    """dy, times y + 1 where y is negative."""
    return choose(y < 0.0, dy * (y + 1.0), dy)


@elementwise
def silu_gradient(dy, z):
    """dy σ(z) (1 + z (1 - σ(z)))."""
    s = functions.sigmoid.of(z)
    return dy * s * (1.0 + z * (1.0 - s))


@elementwise
def sigmoid_gradient(dy, y):
    """dy y (1 - y)."""
    return dy * y * (1.0 - y)


@elementwise
def tanh_gradient(dy, y):
    """dy (1 - y²)."""
    return dy * (1.0 - y * y)


@elementwise
def gelu_gradient(dy, z):
    """dy (Φ(z) + z Φ'(z))."""
    return dy * functions.gelu_slope.of(z)


_FORWARD = {
    f.__name__: _map(f)
    for f in (
        *(relu, leaky_relu, functions.elu, functions.silu),
        *(functions.sigmoid, functions.tanh, functions.gelu),
    )
}
_BACKWARD = {
    f.__name__.removesuffix("_gradient"): map_two(f)
    for f in (
        *(relu_gradient, leaky_relu_gradient, elu_gradient, silu_gradient),
        *(sigmoid_gradient, tanh_gradient, gelu_gradient),
    )
}


@jit
def softmax(task, z, y, columns, rows):
    """Rows of y = exp(z - max z) / Σ exp(z - max z); in four passes over a row, which stays in L1."""
    for row in range(task * rows, min(z.size // columns, (task + 1) * rows)):
        first, stop = row * columns, (row + 1) * columns
        shift = splat(largest_of(z, first, stop))
        for i in range(first, stop, LANES):
            store_until(y, i, stop, exp(load_until(z, i, stop) - shift))
        sums = splat(np.float32(0))
        for i in range(first, stop, LANES):
            sums += load_until(y, i, stop)
        factor = splat(np.float32(1) / total(sums))
        for i in range(first, stop, LANES):
            store_until(y, i, stop, load_until(y, i, stop) * factor)


@jit
def softmax_gradient(task, dy, y, dz, columns, rows):
    """Rows of dz = y (dy - Σ dy y)."""
    for row in range(task * rows, min(y.size // columns, (task + 1) * rows)):
        first, stop = row * columns, (row + 1) * columns
        sums = splat(np.float32(0))
        for i in range(first, stop, LANES):
            sums += load_until(dy, i, stop) * load_until(y, i, stop)
        mean = splat(total(sums))
        for i in range(first, stop, LANES):
            store_until(dz, i, stop, load_until(y, i, stop) * (load_until(dy, i, stop) - mean))


@as_defined
def activation(z: np.ndarray, name: str) -> np.ndarray:
    if name == "linear":
        return z
    x = flat(z)
    y = memory.empty(x.shape)
    if name == "softmax":
        tasks, rows = row_tasks(x.size // z.shape[-1], z.shape[-1])
        softmax(tasks, 8 * x.size, x, y, z.shape[-1], rows)
    else:
        _FORWARD[name](chunks(x), 4 * x.size, x, y)
    return y.reshape(z.shape)


@as_defined
def activation_gradient(dy: np.ndarray, y: np.ndarray, name: str, z: np.ndarray | None = None) -> np.ndarray:
    if name == "linear":
        return dy
    a, b = flat(dy), flat(z if name in FROM_INPUT else y)
    dz = memory.empty(a.shape)
    if name == "softmax":
        tasks, rows = row_tasks(a.size // dy.shape[-1], dy.shape[-1])
        softmax_gradient(tasks, 3 * a.size, a, b, dz, dy.shape[-1], rows)
    else:
        _BACKWARD[name](chunks(a), a.size, a, b, dz)
    return dz.reshape(dy.shape)


_SLOPES = {name: np.float32(1) for name in FUSED} | {
    "relu": np.float32(0),
    "leaky_relu": np.float32(LEAKY_SLOPE),
}


def fused_slope(name: str) -> np.float32:
    """What the register tile multiplies negative sums with: it applies every FUSED activation that is piecewise linear."""
    return _SLOPES[name]


def finish(y: np.ndarray, name: str) -> np.ndarray:
    """Apply in place what the register tile cannot, so that a dense layer or a convolution ends with any FUSED activation."""
    return activate(y, name) if name in ("elu", "sigmoid", "tanh") else y


def activate(y: np.ndarray, name: str) -> np.ndarray:
    """Apply an activation in place, element by element."""
    if name != "linear":
        x = y.reshape(-1)
        _FORWARD[name](chunks(x), 4 * x.size, x, x)
    return y
