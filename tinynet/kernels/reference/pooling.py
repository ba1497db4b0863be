"""Max and average over windows of (n, h, w, c), and their gradients."""

from __future__ import annotations

import numpy as np

from .conv import Pads, Pair, output_size, pad2d, taps, unpad2d


def _out(shape: tuple[int, ...], window: Pair, strides: Pair, pads: Pads) -> Pair:
    return (
        output_size(shape[1], window[0], strides[0], pads[0]),
        output_size(shape[2], window[1], strides[1], pads[1]),
    )


def max_pool2d(x: np.ndarray, window: Pair, strides: Pair, pads: Pads) -> np.ndarray:
    """The largest value of each window; padding never wins, a NaN always does.

    x (n, h, w, c), pads ((top, bottom), (left, right)), which crop where negative. Returns (n, height, width, c).
    """
    out = _out(x.shape, window, strides, pads)
    padded = pad2d(x, pads, -np.inf)
    y = np.full((len(x), *out, x.shape[3]), -np.inf, x.dtype)
    for _, _, at in taps(window, out, strides):
        np.maximum(y, padded[at], out=y)
    return y


def max_pool2d_gradient(
    dy: np.ndarray, x: np.ndarray, y: np.ndarray, window: Pair, strides: Pair, pads: Pads
) -> np.ndarray:
    """Hand dy to the first maximum of each window, in row-major order; dy and y (n, height, width, c), x (n, h, w, c)."""
    padded = pad2d(x, pads, -np.inf)
    dpadded = np.zeros(padded.shape, dy.dtype)
    open_windows = np.ones(y.shape, bool)
    for _, _, at in taps(window, y.shape[1:3], strides):
        hit = open_windows & (padded[at] == y)
        dpadded[at] += dy * hit
        open_windows &= ~hit
    return unpad2d(dpadded, x.shape, pads)


def _window_sizes(shape: tuple[int, ...], window: Pair, strides: Pair, pads: Pads) -> np.ndarray:
    """Number of true pixels, padding left out, in each window: (1, oh, ow, 1)."""
    out = _out(shape, window, strides, pads)
    ones = pad2d(np.ones((1, *shape[1:3], 1)), pads)
    return sum((ones[at] for _, _, at in taps(window, out, strides)), np.zeros((1, *out, 1)))


def avg_pool2d(x: np.ndarray, window: Pair, strides: Pair, pads: Pads) -> np.ndarray:
    """The mean of the true pixels of each window; padding is not counted. Shapes as in max_pool2d."""
    padded = pad2d(x, pads)
    sizes = _window_sizes(x.shape, window, strides, pads).astype(x.dtype)
    total = np.zeros((len(x), *sizes.shape[1:3], x.shape[3]), x.dtype)
    for _, _, at in taps(window, sizes.shape[1:3], strides):
        total += padded[at]
    return total / sizes


def avg_pool2d_gradient(
    dy: np.ndarray, input_shape: tuple[int, ...], window: Pair, strides: Pair, pads: Pads
) -> np.ndarray:
    """Hand every true pixel of a window dy divided by their number."""
    n, h, w, c = input_shape
    share = dy / _window_sizes(input_shape, window, strides, pads).astype(dy.dtype)
    dpadded = np.zeros((n, h + sum(pads[0]), w + sum(pads[1]), c), dy.dtype)
    for _, _, at in taps(window, dy.shape[1:3], strides):
        dpadded[at] += share
    return unpad2d(dpadded, input_shape, pads)
