"""Two-dimensional convolution (cross-correlation, as every framework has it) and its gradients.

    y[n, i, j, o] = b[o] + Σ_{u, v, c} x[n, i·sy + u·dy, j·sx + v·dx, c] · W[u, v, c, o]

on the padded input. Each tap (u, v) of the kernel is one matrix product with a strided slice of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .activation import activation as activate

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def pad2d(x: np.ndarray, pads: Pads, value: float = 0.0) -> np.ndarray:
    """Pad (n, h, w, c) with a value; a negative amount crops instead."""
    grow = [(0, 0), *[(max(a, 0), max(b, 0)) for a, b in pads], (0, 0)]
    (top, bottom), (left, right) = [(max(-a, 0), max(-b, 0)) for a, b in pads]
    x = x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
    return np.pad(x, grow, constant_values=value) if any(a or b for a, b in grow) else x


def unpad2d(padded: np.ndarray, shape: tuple[int, ...], pads: Pads) -> np.ndarray:
    """The adjoint of pad2d: drop what was padded, and zeros where it was cropped."""
    (top, bottom), (left, right) = pads
    return pad2d(padded, ((-top, -bottom), (-left, -right))).reshape(shape)


def output_size(size: int, window: int, stride: int, pads: Pair, dilation: int = 1) -> int:
    """Number of positions of a window along one axis: ⌊(size + pads − dilation (window − 1) − 1) / stride⌋ + 1."""
    return max((size + sum(pads) - dilation * (window - 1) - 1) // stride + 1, 0)


def taps(window: Pair, out: Pair, strides: Pair, dilation: Pair = (1, 1)) -> Iterator[tuple[int, int, tuple]]:
    """For each element (u, v) of a window, the slice of the padded picture that it meets at every output position."""
    for u in range(window[0]):
        for v in range(window[1]):
            y, x = u * dilation[0], v * dilation[1]
            rows = slice(y, y + strides[0] * (out[0] - 1) + 1, strides[0])
            columns = slice(x, x + strides[1] * (out[1] - 1) + 1, strides[1])
            yield u, v, (slice(None), rows, columns)


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Pair,
    pads: Pads,
    dilation: Pair,
    activation: str = "linear",
) -> np.ndarray:
    """y[n, i, j, o] = b[o] + Σ_{u, v, c} x[n, i·sy + u·dy, j·sx + v·dx, c] · W[u, v, c, o] on the padded input.

    x (n, h, w, c), kernel W (kh, kw, c, o), bias (o,) or None, pads ((top, bottom), (left, right)), which crop where negative;
    `activation` is one of those that are fused. Returns (n, height, width, o).
    """
    kh, kw, _, filters = kernel.shape
    height = output_size(x.shape[1], kh, strides[0], pads[0], dilation[0])
    width = output_size(x.shape[2], kw, strides[1], pads[1], dilation[1])
    x = pad2d(x, pads)
    z = np.zeros((len(x), height, width, filters), x.dtype)
    if z.size:
        for u, v, at in taps((kh, kw), (height, width), strides, dilation):
            z += x[at] @ kernel[u, v]
    if bias is not None:
        z += bias
    return activate(z, activation)


def conv2d_input_gradient(
    dz: np.ndarray,
    kernel: np.ndarray,
    input_shape: tuple[int, ...],
    strides: Pair,
    pads: Pads,
    dilation: Pair,
) -> np.ndarray:
    """dx: each output pixel adds dz Wᵀ to the input pixels that it read; 0 where the input was cropped.

    dz (n, height, width, o), kernel (kh, kw, c, o). Returns an array of input_shape (n, h, w, c).
    """
    n, h, w, c = input_shape
    padded = np.zeros((n, h + sum(pads[0]), w + sum(pads[1]), c), dz.dtype)
    if dz.size:
        for u, v, at in taps(kernel.shape[:2], dz.shape[1:3], strides, dilation):
            padded[at] += dz @ kernel[u, v].T
    return unpad2d(padded, input_shape, pads)


def conv2d_kernel_gradient(
    x: np.ndarray, dz: np.ndarray, kernel_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> np.ndarray:
    """dW[u, v, c, o] = Σ x[n, i·sy + u·dy, j·sx + v·dx, c] · dz[n, i, j, o] over pictures and output pixels."""
    x = pad2d(x, pads)
    dkernel = np.zeros(kernel_shape, dz.dtype)
    if dz.size:
        window = kernel_shape[0], kernel_shape[1]
        for u, v, at in taps(window, dz.shape[1:3], strides, dilation):
            dkernel[u, v] = np.tensordot(x[at], dz, axes=([0, 1, 2], [0, 1, 2]))
    return dkernel
