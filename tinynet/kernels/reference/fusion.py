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


def conv2d_max_pool2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Pair,
    pads: Pads,
    dilation: Pair,
    activation: str,
    window: Pair,
    pool_strides: Pair,
    pool_pads: Pads,
) -> np.ndarray:
    """max_pool2d(conv2d(x, kernel, …, activation), window, …); shapes as there."""
    geometry = strides, pads, dilation, activation, window, pool_strides, pool_pads
    return conv2d_max_pool2d_traced(x, kernel, bias, *geometry)[0]


def conv2d_max_pool2d_traced(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Pair,
    pads: Pads,
    dilation: Pair,
    activation: str,
    window: Pair,
    pool_strides: Pair,
    pool_pads: Pads,
) -> tuple[np.ndarray, np.ndarray]:
    """(conv2d_max_pool2d(…), where in its window, counted line by line, each maximum of the convolution is met first, uint8)."""
    z = conv2d(x, kernel, bias, strides, pads, dilation)
    out = [output_size(z.shape[i + 1], window[i], pool_strides[i], pool_pads[i]) for i in (0, 1)]
    padded = pad2d(z, pool_pads, -np.inf)
    largest = np.full((len(z), *out, z.shape[3]), -np.inf, z.dtype)
    places = np.zeros(largest.shape, np.uint8)
    for u, v, at in taps(window, out, pool_strides):
        places[(padded[at] > largest) | np.isnan(padded[at])] = u * window[1] + v
        np.maximum(largest, padded[at], out=largest)
    return activate(largest, activation), places


def conv2d_max_pool2d_gradient(
    dy: np.ndarray,
    y: np.ndarray,
    places: np.ndarray,
    x: np.ndarray,
    kernel: np.ndarray,
    strides: Pair,
    pads: Pads,
    dilation: Pair,
    activation: str,
    window: Pair,
    pool_strides: Pair,
    pool_pads: Pads,
    input_gradient: bool,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """(dx, dW, db) of conv2d_max_pool2d_traced, from dy at its output; dx is None where it is not asked for."""
    dy = activation_gradient(dy, y, activation)
    sizes = zip(x.shape[1:3], kernel.shape, strides, pads, dilation, strict=False)
    shape = (len(x), *(output_size(size, k, s, pad, d) for size, k, s, pad, d in sizes), kernel.shape[3])
    padded = pad2d(np.zeros(shape, dy.dtype), pool_pads)
    for u, v, at in taps(window, y.shape[1:3], pool_strides):
        padded[at] += dy * (places == u * window[1] + v)
    dz = unpad2d(padded, shape, pool_pads)
    dx = conv2d_input_gradient(dz, kernel, x.shape, strides, pads, dilation) if input_gradient else None
    return dx, conv2d_kernel_gradient(x, dz, kernel.shape, strides, pads, dilation), dz.sum(axis=(0, 1, 2))
