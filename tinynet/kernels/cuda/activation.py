"""Activations, one element a thread, bound by memory; softmax, one row a block, reads its row three times, out of the cache."""

from __future__ import annotations

from typing import Any

from ..reference.activation import FUSED, LEAKY_SLOPE
from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.functions import exp, expm1, normal_cdf, sigmoid, tanh
from .compiler.kernel import blocks_for, device, kernel
from .compiler.primitives import block_max, block_sum, f4

__all__ = ["FUSED", "LEAKY_SLOPE", "activation", "activation_gradient"]

CODES = {
    name: code
    for code, name in enumerate(
        ("linear", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "silu", "gelu", "softmax")
    )
}
SLOPES = {"linear": 1.0, "relu": 0.0, "leaky_relu": LEAKY_SLOPE}
"""Activations that multiply negative numbers: products apply them by themselves."""
ROW_THREADS = 32
"""Threads of a block that has a row."""


@as_defined
def activation(z: Any, name: str) -> Any:
    code = CODES[name]
    if name == "linear":
        return z
    z = take(z)
    y = empty(z.shape)
    if z.size and name == "softmax":
        c = z.shape[-1]
        _softmax(z.size // c, z, y, c)
    elif z.size:
        _activation(blocks_for(z.size), z, y, z.size, code)
    return y


@as_defined
def activation_gradient(dy: Any, y: Any, name: str, z: Any = None) -> Any:
    code = CODES[name]
    if name == "linear":
        return dy
    dy, given = take(dy), take(z if name in ("silu", "gelu") else y)
    dz = empty(dy.shape)
    if dz.size and name == "softmax":
        c = dy.shape[-1]
        _softmax_gradient(dz.size // c, dy, given, dz, c)
    elif dz.size:
        _activation_gradient(blocks_for(dz.size), dy, given, dz, dz.size, code)
    return dz


def finish(y: DeviceArray, name: str) -> DeviceArray:
    """The activation of what a product made with `slope_of` it."""
    return y if name in SLOPES else activation(y, name)


def slope_of(name: str) -> float:
    """By what a product multiplies negative numbers, for an activation that it may not know."""
    if name not in FUSED:
        raise KeyError(name)
    return SLOPES.get(name, 1.0)


@device
def activated(x, code):
    """The activation of this code, of one number."""
    if code == 1:
        return f4(0) if x <= f4(0) else x
    if code == 2:
        return x * f4(LEAKY_SLOPE) if x < f4(0) else x
    if code == 3:
        return expm1(x) if x < f4(0) else x
    if code == 4:
        return sigmoid(x)
    if code == 5:
        return tanh(x)
    if code == 6:
        return x * sigmoid(x)
    if code == 7:
        return x * normal_cdf(x)
    return x


@device
def slope(x, code):
    """The derivative of an activation, from its output; of silu and gelu (codes 6 and 7) from its input."""
    if code == 1:
        return f4(0) if x <= f4(0) else f4(1)
    if code == 2:
        return f4(LEAKY_SLOPE) if x < f4(0) else f4(1)
    if code == 3:
        return x + f4(1) if x < f4(0) else f4(1)
    if code == 4:
        return x * (f4(1) - x)
    if code == 5:
        return f4(1) - x * x
    if code == 6:
        s = sigmoid(x)
        return s * (f4(1) + x * (f4(1) - s))
    if code == 7:
        return normal_cdf(x) + x * exp(f4(-0.5) * x * x) * f4(0.3989423)
    return f4(1)


@kernel("f4[:], f4[:], i4, i4", threads=256)
def _activation(z, y, size, code):
    i = cuda.grid(1)
    while i < size:
        y[i] = activated(z[i], code)
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], i4, i4", threads=256)
def _activation_gradient(dy, given, dz, size, code):
    i = cuda.grid(1)
    while i < size:
        s = slope(given[i], code)
        dz[i] = f4(0) if s == f4(0) else dy[i] * s
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], i4", threads=ROW_THREADS)
def _softmax(z, y, c):
    room = cuda.shared.array(ROW_THREADS, f4)
    t = cuda.threadIdx.x
    first = cuda.blockIdx.x * c
    top = z[first]
    for j in range(t, c, ROW_THREADS):
        x = z[first + j]
        if not top >= x and top == top:
            top = x
    top = block_max(top, room, t, ROW_THREADS)
    total = f4(0)
    for j in range(t, c, ROW_THREADS):
        e = exp(z[first + j] - top)
        y[first + j] = e
        total += e
    total = block_sum(total, room, t, ROW_THREADS)
    for j in range(t, c, ROW_THREADS):
        y[first + j] /= total


@kernel("f4[:], f4[:], f4[:], i4", threads=ROW_THREADS)
def _softmax_gradient(dy, y, dz, c):
    room = cuda.shared.array(ROW_THREADS, f4)
    t = cuda.threadIdx.x
    first = cuda.blockIdx.x * c
    total = f4(0)
    for j in range(t, c, ROW_THREADS):
        total += dy[first + j] * y[first + j]
    total = block_sum(total, room, t, ROW_THREADS)
    for j in range(t, c, ROW_THREADS):
        dz[first + j] = y[first + j] * (dy[first + j] - total)
