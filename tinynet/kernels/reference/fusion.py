"""A convolution and the max-pooling behind it in one kernel, for back ends that gain by it.

Fused activations rise, so they commute with the maximum and are applied to the maxima alone.
"""

from __future__ import annotations

import numpy as np

from .activation import activation as activate
from .activation import activation_gradient
from .conv import (
    Pads,
    Pair,
    conv2d,
    conv2d_input_gradient,
    conv2d_kernel_gradient,
    output_size,
    pad2d,
    taps,
    unpad2d,
)

Convolution = tuple[Pair, Pads, Pair]
"""The strides, pads and dilation of a convolution."""
Pooling = tuple[Pair, Pair, Pads]
"""The window, strides and pads of a pooling."""


def conv2d_max_pool2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    convolution: Convolution,
    activation: str,
    pooling: Pooling,
) -> np.ndarray:
    """max_pool2d(conv2d(x, kernel, bias, *convolution, activation), *pooling).

    Fused activations rise: they commute with the maximum.
    """
    return conv2d_max_pool2d_with_argmax(x, kernel, bias, convolution, activation, pooling)[0]


def conv2d_max_pool2d_with_argmax(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    convolution: Convolution,
    activation: str,
    pooling: Pooling,
) -> tuple[np.ndarray, np.ndarray]:
    """(conv2d_max_pool2d(…), where in its window, counted line by line, each maximum of the convolution is met first, uint8)."""
    z = conv2d(x, kernel, bias, *convolution)
    window, strides, pads = pooling
    height, width = (output_size(z.shape[i + 1], window[i], strides[i], pads[i]) for i in (0, 1))
    out = height, width
    padded = pad2d(z, pads, -np.inf)
    largest = np.full((len(z), *out, z.shape[3]), -np.inf, z.dtype)
    argmax = np.zeros(largest.shape, np.uint8)
    for u, v, at in taps(window, out, strides):
        argmax[(padded[at] > largest) | np.isnan(padded[at])] = u * window[1] + v
        np.maximum(largest, padded[at], out=largest)
    return activate(largest, activation), argmax


def conv2d_max_pool2d_gradient(
    dy: np.ndarray,
    y: np.ndarray,
    argmax: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    convolution: Convolution,
    activation: str,
    pooling: Pooling,
    input_gradient: bool,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """(dx, dW, db) of conv2d_max_pool2d_with_argmax, from dy at its output; dx is None where it is not asked for."""
    dy = activation_gradient(dy, y, activation)
    sizes = zip(x.shape[1:3], kernel.shape, *convolution, strict=False)
    shape = (len(x), *(output_size(size, k, s, pad, d) for size, k, s, pad, d in sizes), kernel.shape[3])
    window, strides, pads = pooling
    padded = pad2d(np.zeros(shape, dy.dtype), pads)
    for u, v, at in taps(window, y.shape[1:3], strides):
        padded[at] += dy * (argmax == u * window[1] + v)
    dz = unpad2d(padded, shape, pads)
    dx = conv2d_input_gradient(dz, kernel, x.shape, *convolution) if input_gradient else None
    return dx, conv2d_kernel_gradient(x, dz, kernel.shape, *convolution), dz.sum(axis=(0, 1, 2))
