"""A convolution and the max-pooling behind it in one kernel: what lies between them never leaves L2.

Blocking: a task is a few pictures, which go one after the other through memory of the task's own. Of
the digit network's first layer 21 kilobytes a picture come out instead of 86, which took longer to move than to compute; and the
gradient, three quarters zeros, is spread out, multiplied with the picture and with the weights, and forgotten. Bound by the multipliers.
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

from ..reference.definition import as_defined
from . import memory
from .activation import activate, activation_gradient
from .compiler.jit import helper, jit
from .compiler.tile import WIDTH
from .contraction import ONE, add_parts, contract, no_bias, weights
from .conv import (
    CHUNKS,
    conv2d,
    forward_plan,
    input_gradient_plan,
    output_shape,
    picture_kernel_gradient_plan,
    with_zeros_around,
)
from .flat import flat
from .functions import clear, scratch
from .pooling import max_pool, max_pool2d, max_pool_with_argmax, pool_sizes, pooled_shape, scatter_to_argmax

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
Convolution = tuple[Pair, Pads, Pair]
"""The strides, pads and dilation of a convolution."""
Pooling = tuple[Pair, Pair, Pads]
"""The window, strides and pads of a pooling."""
SHARE = 4
"""Pictures of a task: in threads the system maps memory anew for each allocation, which takes as long as a picture."""
LARGEST = 1 << 18
"""Elements of a convolved picture; what is larger does not stay in L2 anyway."""

_contract, _max_pool, _max_pool_with_argmax, _scatter_to_argmax = (
    register_jitable(kernel.__wrapped__)
    for kernel in (contract, max_pool, max_pool_with_argmax, scatter_to_argmax)
)


@helper
def _convolved(pool):
    """(height, width, filters) of a convolved picture, and how many lines are left when it is pooled."""
    return pool[0], pool[1], pool[2], pool[3]


@jit
def convolve_and_pool(task, x, w, bias, y, tables, pool, rectify, pictures):
    """A share of the pictures: `contract`, then `max_pool` line by line."""
    x_size, y_size = x.size // pictures, y.size // pictures
    height, width, filters, lines = _convolved(pool)
    convolved = scratch(height * width * filters)
    for picture in range(task * SHARE, min(pictures, (task + 1) * SHARE)):
        _contract(0, x[picture * x_size : (picture + 1) * x_size], w, bias, convolved, *tables, ONE)
        maxima = y[picture * y_size : (picture + 1) * y_size]
        for line in range(lines):
            _max_pool(line, convolved, maxima, pool, rectify)


@jit
def convolve_and_pool_with_argmax(task, x, w, bias, y, argmax, tables, pool, rectify, pictures):
    """A share of the pictures: `contract`, then `max_pool_with_argmax` line by line."""
    x_size, y_size = x.size // pictures, y.size // pictures
    height, width, filters, lines = _convolved(pool)
    convolved = scratch(height * width * filters)
    for picture in range(task * SHARE, min(pictures, (task + 1) * SHARE)):
        first, last = picture * y_size, (picture + 1) * y_size
        _contract(0, x[picture * x_size : (picture + 1) * x_size], w, bias, convolved, *tables, ONE)
        maxima, found = y[first:last], argmax[first:last]
        for line in range(lines):
            _max_pool_with_argmax(line, convolved, maxima, found, pool, rectify)


@jit
def scatter_and_convolve(
    task, dy, y, argmax, x, w, dx, dkernel, dbias, kernel_tables, input_tables, pool, line, rectify, pictures
):
    """A chunk of pictures: `scatter_to_argmax` into dz; then what dz adds to the gradients of kernel and bias, and dx if asked for."""
    x_size, y_size = x.size // pictures, y.size // pictures
    height, width, filters, _ = _convolved(pool)
    chunks = dbias.size // filters
    size = dkernel.size // chunks
    dz = scratch(height * width * line)
    clear(dz, 0, height * width * line)
    own_kernel, own_bias = (
        dkernel[task * size : (task + 1) * size],
        dbias[task * filters : (task + 1) * filters],
    )
    clear(own_kernel, 0, size)
    clear(own_bias, 0, filters)
    for picture in range(pictures * task // chunks, pictures * (task + 1) // chunks):
        first, last = picture * y_size, (picture + 1) * y_size
        _scatter_to_argmax(
            0, dy[first:last], y[first:last], argmax[first:last], dz, own_bias, pool, line, rectify
        )
        source = x[picture * x_size : (picture + 1) * x_size]
        _contract(0, source, dz, own_bias, own_kernel, *kernel_tables, ONE)
        if dx.size:
            size_in = dx.size // pictures
            _contract(0, dz, w, own_bias, dx[picture * size_in : (picture + 1) * size_in], *input_tables, ONE)


@as_defined
def conv2d_max_pool2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    convolution: Convolution,
    activation: str,
    pooling: Pooling,
) -> np.ndarray:
    shape = output_shape(x.shape, kernel.shape, *convolution)
    if len(x) < CHUNKS or 0 in shape or shape[1] * shape[2] * shape[3] > LARGEST:
        return max_pool2d(conv2d(x, kernel, bias, *convolution, activation), *pooling)
    pool = pool_sizes(shape, *pooling)
    y = memory.empty(pooled_shape(shape[0], pool))
    operands, work = _one_picture(x, kernel, bias, convolution)
    *operands, tables = operands
    tasks, settings = -(-len(x) // SHARE), (tables, pool, activation == "relu", len(x))
    convolve_and_pool(tasks, work, *operands, y.reshape(-1), *settings)
    return _rest(y, activation)


@as_defined
def conv2d_max_pool2d_with_argmax(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    convolution: Convolution,
    activation: str,
    pooling: Pooling,
) -> tuple[np.ndarray, np.ndarray]:
    shape = output_shape(x.shape, kernel.shape, *convolution)
    pool = pool_sizes(shape, *pooling)
    y = memory.empty(pooled_shape(shape[0], pool))
    argmax = memory.empty(y.shape, np.uint8)
    if y.size and 0 not in shape:
        operands, work = _one_picture(x, kernel, bias, convolution)
        *operands, tables = operands
        outputs = y.reshape(-1), argmax.reshape(-1)
        tasks, settings = -(-len(x) // SHARE), (tables, pool, activation == "relu", len(x))
        convolve_and_pool_with_argmax(tasks, work, *operands, *outputs, *settings)
    return _rest(y, activation), argmax


@as_defined
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
    n, filters = len(x), kernel.shape[3]
    strides, pads, dilation = convolution
    dz_shape = output_shape(x.shape, kernel.shape, *convolution)
    if not dy.size or 0 in dz_shape or not kernel.size:
        dx = np.zeros(x.shape, np.float32) if input_gradient else None
        return dx, np.zeros(kernel.shape, np.float32), np.zeros(filters, np.float32)
    if activation not in ("linear", "relu"):
        dy = activation_gradient(dy, y, activation)
    padded, left = with_zeros_around(x, pads)
    line, chunks = -(-filters // WIDTH) * WIDTH, min(n, CHUNKS)
    one = (1, *dz_shape[1:])
    for_kernel = picture_kernel_gradient_plan(
        (1, *padded.shape[1:]), kernel.shape, one, strides, left, dilation, line
    )
    for_input = input_gradient_plan(one, kernel.shape, (1, *x.shape[1:]), strides, pads, dilation, line)
    dx = memory.empty(x.shape if input_gradient else (0,))
    dkernel, dbias = memory.empty((chunks, kernel.size)), memory.empty((chunks, filters))
    w = weights(for_input, kernel) if input_gradient else flat(kernel)
    given = flat(dy), flat(y), np.ascontiguousarray(argmax).reshape(-1), flat(padded), w
    gradients = dx.reshape(-1), dkernel.reshape(-1), dbias.reshape(-1)
    tables = for_kernel.tables, for_input.tables, pool_sizes(dz_shape, *pooling)
    work = n * (for_kernel.work + for_input.work * input_gradient)
    scatter_and_convolve(chunks, work, *given, *gradients, *tables, line, activation == "relu", n)
    return dx if input_gradient else None, add_parts(dkernel).reshape(kernel.shape), add_parts(dbias)


def _one_picture(x, kernel, bias, convolution: Convolution) -> tuple[tuple, int]:
    """What `contract` takes for each picture of x: (x, weights, bias, tables); and the work for all of them."""
    strides, pads, dilation = convolution
    x, left = with_zeros_around(x, pads)
    plan = forward_plan((1, *x.shape[1:]), kernel.shape, strides, left, dilation, len(x))
    b = no_bias(kernel.shape[3]) if bias is None else flat(bias)
    return (flat(x), weights(plan, kernel), b, plan.tables), len(x) * plan.work


def _rest(y: np.ndarray, activation: str) -> np.ndarray:
    """What the kernels do not apply themselves."""
    return y if activation == "relu" else activate(y, activation)
