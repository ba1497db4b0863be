"""A convolution and the max-pooling behind it in one kernel, for inference, where nobody asks for what lies between.

Blocking: a task is one picture. Its convolution goes into memory of the task's own, small enough for the second cache, and from there only
the maxima come out: of the digit network's first layer 21 kilobytes a picture instead of 86, which took longer to move than to compute.
"""

from __future__ import annotations

import functools

import numpy as np
from numba.extending import register_jitable

from . import memory
from .activation import finish, fused_slope
from .contract import contract, operands
from .conv import CHUNKS, conv2d, forward_plan, output_shape, with_zeros_around
from .jit import jit
from .pooling import max_pool, max_pool2d, pool_sizes
from .simd import LANES

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
LARGEST = 1 << 18
"""Elements of a convolved picture; what is larger does not stay in the second cache anyway."""

_contract, _max_pool_line = register_jitable(contract.__wrapped__), register_jitable(max_pool.__wrapped__)


@jit
def convolve_and_pool(task, x, w, bias, y, in_rows, out_rows, tiles, offsets, sizes, slope, pool):
    """One picture: `contract`, then `max_pool` line by line."""
    x_size, y_size = sizes[6], pool[3] * pool[4] * pool[2]
    room = np.empty(pool[0] * pool[1] * pool[2] + LANES, np.float32)
    convolved = room[-(room.ctypes.data // 4) % LANES :]  # from a cache line on: see memory.py
    picture, maxima = x[task * x_size : (task + 1) * x_size], y[task * y_size : (task + 1) * y_size]
    _contract(0, picture, w, bias, convolved, in_rows, out_rows, tiles, offsets, sizes, slope)
    for line in range(pool[3]):
        _max_pool_line(line, convolved, maxima, pool)


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
    """max_pool2d(conv2d(x, kernel, …, activation), window, …); shapes as there. Fused activations rise: they commute with max."""
    shape = output_shape(x.shape, kernel.shape, strides, pads, dilation)
    if len(x) < CHUNKS or 0 in shape or shape[1] * shape[2] * shape[3] > LARGEST:
        convolved = conv2d(x, kernel, bias, strides, pads, dilation, activation)
        return max_pool2d(convolved, window, pool_strides, pool_pads)
    padded, left = with_zeros_around(x, pads)
    plan = forward_plan(padded.shape, kernel.shape, strides, left, dilation)
    pool = pool_sizes(shape, window, pool_strides, pool_pads)
    y = memory.empty((shape[0], int(pool[3]), int(pool[4]), shape[3]))
    tables = plan.in_rows, plan.out_rows, plan.tiles, plan.offsets, _one_picture(plan.sizes.tobytes())
    arguments = *operands(plan, padded, kernel, bias), y.reshape(-1), *tables
    convolve_and_pool(shape[0], plan.work, *arguments, fused_slope(activation), pool)
    return finish(y, activation)


@functools.lru_cache(maxsize=256)
def _one_picture(sizes: bytes) -> np.ndarray:
    """The integers of a plan as if it were for one picture."""
    sizes = np.frombuffer(sizes, np.int64).copy()
    sizes[0] = 1
    return sizes
