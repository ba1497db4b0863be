"""Two kernels in one, for back ends that gain by it."""

from __future__ import annotations

import numpy as np

from .conv import Pads, Pair, conv2d
from .pooling import max_pool2d


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
    convolved = conv2d(x, kernel, bias, strides, pads, dilation, activation)
    return max_pool2d(convolved, window, pool_strides, pool_pads)
