"""Depthwise convolution and its gradients: each channel has kernels of its own, and no channel reads another (Howard et al. 2017).

    y[n, i, j, c·m + q] = b[c·m + q] + Σ_{u, v} x[n, i·sy + u·dy, j·sx + v·dx, c] · W[u, v, c, q],   q < m

on the padded input, m the depth multiplier. Each tap (u, v) of the kernel is one product with a strided slice of the picture.
"""

from __future__ import annotations

import numpy as np

from .activation import activation as activate
from .conv import Pads, Pair, output_size, pad2d, taps, unpad2d


def depthwise_conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Pair,
    pads: Pads,
    dilation: Pair,
    activation: str = "linear",
) -> np.ndarray:
    """y[n, i, j, c·m + q] = b[c·m + q] + Σ_{u, v} x[n, i·sy + u·dy, j·sx + v·dx, c] · W[u, v, c, q] on the padded input.

    x (n, h, w, c), kernel W (kh, kw, c, m), bias (c·m,) or None; pads and activation as in `conv2d`. Returns (n, height, width, c·m).
    """
    kh, kw, c, m = kernel.shape
    height = output_size(x.shape[1], kh, strides[0], pads[0], dilation[0])
    width = output_size(x.shape[2], kw, strides[1], pads[1], dilation[1])
    x = pad2d(x, pads)
    z = np.zeros((len(x), height, width, c, m), x.dtype)
    if z.size:
        for u, v, at in taps((kh, kw), (height, width), strides, dilation):
            z += x[at][..., None] * kernel[u, v]
    z = z.reshape(len(x), height, width, c * m)
    if bias is not None:
        z += bias
    return activate(z, activation)


def depthwise_conv2d_input_gradient(
    dz: np.ndarray,
    kernel: np.ndarray,
    input_shape: tuple[int, ...],
    strides: Pair,
    pads: Pads,
    dilation: Pair,
) -> np.ndarray:
    """dx: each output pixel adds dz · W, summed over q, to the input pixels that it read; 0 where the input was cropped.

    dz (n, height, width, c·m), kernel (kh, kw, c, m). Returns an array of input_shape (n, h, w, c).
    """
    n, h, w, c = input_shape
    dz = dz.reshape(*dz.shape[:3], c, kernel.shape[3])
    padded = np.zeros((n, h + sum(pads[0]), w + sum(pads[1]), c), dz.dtype)
    if dz.size:
        for u, v, at in taps(kernel.shape[:2], dz.shape[1:3], strides, dilation):
            padded[at] += (dz * kernel[u, v]).sum(axis=-1)
    return unpad2d(padded, input_shape, pads)


def depthwise_conv2d_kernel_gradient(
    x: np.ndarray, dz: np.ndarray, kernel_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> np.ndarray:
    """dW[u, v, c, q] = Σ x[n, i·sy + u·dy, j·sx + v·dx, c] · dz[n, i, j, c·m + q] over pictures and output pixels."""
    kh, kw, c, m = kernel_shape
    x = pad2d(x, pads)
    dz = dz.reshape(*dz.shape[:3], c, m)
    dkernel = np.zeros(kernel_shape, dz.dtype)
    if dz.size:
        for u, v, at in taps((kh, kw), dz.shape[1:3], strides, dilation):
            dkernel[u, v] = (x[at][..., None] * dz).sum(axis=(0, 1, 2))
    return dkernel
