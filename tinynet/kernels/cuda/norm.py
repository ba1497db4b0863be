"""Normalisation of batches and of vectors.

Of a batch: sums over the rows for each channel (`_channel_sums`, in parts that `combine` adds), then one element a thread; bound by
memory, x being read once for the mean, once for the variance, once for y. Of vectors: one vector a block.
"""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .activation import ROW_THREADS, activation, activation_gradient
from .array import DeviceArray
from .arrays import empty, nothing, take, zeros
from .compiler.driver import cuda
from .compiler.functions import sqrt
from .compiler.kernel import blocks_for, kernel
from .compiler.primitives import block_sum, divide, f4, least
from .dense import ACROSS, DOWN, MOST_PARTS, ROWS, THREADS
from .product import combine

X, SPREAD, GRADIENT, PRODUCT = range(4)
"""What `_channel_sums` adds: x; (x − μ)²; dy and dy x̂ of a batch; dy and dy x."""
ROOM = 3 * THREADS
Norm = tuple[DeviceArray, DeviceArray, DeviceArray]


@as_defined
def batch_norm_statistics(x: Any, mask: Any) -> tuple[DeviceArray, DeviceArray]:
    x = take(x)
    c = x.shape[-1]
    mean, variance = zeros((c,)), zeros((c,))
    if x.size:
        for code, y in ((X, mean), (SPREAD, variance)):
            sums = _sums(code, x, x, mean, mean, 0.0, mask)
            _ratio(blocks_for(c), sums, y, c)
    return mean, variance


@as_defined
def batch_norm(
    x: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float, rectify: bool = False
) -> DeviceArray:
    x, vectors = take(x), [take(v) for v in (mean, variance, gamma, beta)]
    y = empty(x.shape)
    if y.size:
        _batch_norm(blocks_for(y.size), x, *vectors, y, y.size, x.shape[-1], epsilon)
    return activation(y, "relu") if rectify else y


@as_defined
def fold_batch_norm(
    kernel: Any, bias: Any, mean: Any, variance: Any, gamma: Any, beta: Any, epsilon: float
) -> tuple[DeviceArray, DeviceArray]:
    kernel, bias = take(kernel), None if bias is None else take(bias)
    mean, variance, gamma, beta = map(take, (mean, variance, gamma, beta))
    c = gamma.size
    folded, shifted = empty(kernel.shape), empty((c,))
    factor = variance, gamma
    if folded.size:
        _scaled(blocks_for(folded.size), kernel, *factor, folded, folded.size, c, epsilon)
    given = (nothing() if bias is None else bias), mean, *factor, beta
    _shifted(blocks_for(c), *given, shifted, c, int(bias is not None), epsilon)
    return folded, shifted


@as_defined
def batch_norm_gradient(
    dy: Any,
    x: Any,
    mean: Any,
    variance: Any,
    gamma: Any,
    beta: Any,
    epsilon: float,
    mask: Any,
    rectify: bool = False,
) -> Norm:
    dy, x, mean, variance, gamma = map(take, (dy, x, mean, variance, gamma))
    if rectify:
        dy = activation_gradient(dy, batch_norm(x, mean, variance, gamma, beta, epsilon), "relu")
    c = x.shape[-1]
    dx = empty(x.shape)
    if not x.size:
        return dx, zeros((c,)), zeros((c,))
    sums = _sums(GRADIENT, dy, x, mean, variance, epsilon, mask)
    real, has_mask, inner = _rows_that_count(x, mask)
    vectors = mean, variance, gamma, sums, real
    _batch_dx(blocks_for(dx.size), dy, x, *vectors, dx, dx.size, c, has_mask, inner, epsilon)
    sums = sums.reshape(3, c)
    return dx, sums[1], sums[0]


@as_defined
def layer_norm(x: Any, gamma: Any, beta: Any, epsilon: float) -> DeviceArray:
    x, gamma, beta = take(x), take(gamma), take(beta)
    y = empty(x.shape)
    if y.size:
        c = x.shape[-1]
        _layer_norm(x.size // c, x, gamma, beta, y, c, epsilon)
    return y


@as_defined
def layer_norm_gradient(dy: Any, x: Any, gamma: Any, epsilon: float) -> Norm:
    dy, x, gamma = take(dy), take(x), take(gamma)
    c = x.shape[-1]
    dx, normalised = empty(x.shape), empty(x.shape)
    if not x.size:
        return dx, zeros((c,)), zeros((c,))
    given = dy, x, gamma, dx, normalised
    _layer_dx(x.size // c, *given, c, epsilon)
    sums = _sums(PRODUCT, dy, normalised, gamma, gamma, 0.0, None).reshape(3, c)
    return dx, sums[1], sums[0]


def _rows_that_count(x: DeviceArray, mask: Any) -> tuple[DeviceArray, int, int]:
    """The mask, whether there is one, and how many rows of x belong to a step of it."""
    if mask is None:
        return nothing(bool), 0, 1
    real = take(mask, bool)
    return real, 1, x.size // x.shape[-1] // max(real.size, 1)


def _sums(
    code: int,
    dy: DeviceArray,
    x: DeviceArray,
    mean: DeviceArray,
    variance: DeviceArray,
    epsilon: float,
    mask: Any,
) -> DeviceArray:
    """The two sums of a code for each channel, and how many rows count: (3 c,)."""
    c = x.shape[-1]
    m = x.size // c
    real, has_mask, inner = _rows_that_count(x, mask)
    parts = min(-(-m // ROWS), MOST_PARTS)
    partial = empty((parts, 3 * c))
    arrays = dy, x, mean, variance, real, partial
    numbers = m, c, -(-m // parts), has_mask, inner, code, epsilon
    _channel_sums((-(-c // ACROSS), parts), *arrays, *numbers)
    return partial.reshape(3 * c) if parts == 1 else combine(partial, (3 * c,))


@kernel(
    "f4[:], f4[:], f4[:], f4[:], u1[:], f4[:], i4, i4, i4, i4, i4, i4, f4",
    threads=THREADS,
)
def _channel_sums(dy, x, mean, variance, real, partial, m, c, per_part, has_mask, inner, code, epsilon):
    room = cuda.shared.array(ROOM, f4)
    t = cuda.threadIdx.x
    column = cuda.blockIdx.x * ACROSS + t % ACROSS
    first = cuda.blockIdx.y * per_part
    one = other = count = f4(0)
    if column < c:
        for row in range(first + t // ACROSS, least(first + per_part, m), DOWN):
            counts = not has_mask or real[divide(row, inner)] != 0
            value = x[row * c + column]
            if counts:
                count += f4(1)
            if code >= GRADIENT:
                slope = dy[row * c + column]
                one += slope
                if code == GRADIENT:
                    value = (value - mean[column]) / sqrt(variance[column] + epsilon)
                other += slope * value
            elif counts:
                if code == SPREAD:
                    value -= mean[column]
                    value *= value
                one += value
    room[t] = one
    room[THREADS + t] = other
    room[2 * THREADS + t] = count
    cuda.syncthreads()
    if t < ACROSS and column < c:
        for part in range(3):
            total = f4(0)
            for down in range(DOWN):
                total += room[part * THREADS + down * ACROSS + t]
            partial[(cuda.blockIdx.y * 3 + part) * c + column] = total


@kernel("f4[:], f4[:], i4", threads=256)
def _ratio(sums, y, c):
    """The first sum of each channel by the number of rows that count."""
    i = cuda.grid(1)
    if i < c:
        count = sums[2 * c + i]
        y[i] = sums[i] / (count if count > f4(1) else f4(1))


@kernel("f4[:], f4[:], f4[:], f4[:], f4[:], f4[:], i4, i4, f4", threads=256)
def _batch_norm(x, mean, variance, gamma, beta, y, size, c, epsilon):
    i = cuda.grid(1)
    while i < size:
        j = i - divide(i, c) * c
        y[i] = (x[i] - mean[j]) * (gamma[j] / sqrt(variance[j] + epsilon)) + beta[j]
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], f4[:], i4, i4, f4", threads=256)
def _scaled(x, variance, gamma, y, size, c, epsilon):
    i = cuda.grid(1)
    while i < size:
        j = i - divide(i, c) * c
        y[i] = x[i] * (gamma[j] / sqrt(variance[j] + epsilon))
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], f4[:], f4[:], f4[:], i4, i4, f4", threads=256)
def _shifted(bias, mean, variance, gamma, beta, y, c, has_bias, epsilon):
    i = cuda.grid(1)
    if i < c:
        b = bias[i] if has_bias else f4(0)
        y[i] = beta[i] + (b - mean[i]) * (gamma[i] / sqrt(variance[i] + epsilon))


@kernel(
    "f4[:], f4[:], f4[:], f4[:], f4[:], f4[:], u1[:], f4[:], i4, i4, i4, i4, f4",
    threads=256,
)
def _batch_dx(dy, x, mean, variance, gamma, sums, real, dx, size, c, has_mask, inner, epsilon):
    i = cuda.grid(1)
    while i < size:
        row = divide(i, c)
        j = i - row * c
        inverse = f4(1) / sqrt(variance[j] + epsilon)
        through = f4(0)
        if not has_mask or real[divide(row, inner)] != 0:
            count = sums[2 * c + j]
            normalised = (x[i] - mean[j]) * inverse
            through = (sums[j] + normalised * sums[c + j]) / (count if count > f4(1) else f4(1))
        dx[i] = gamma[j] * inverse * (dy[i] - through)
        i += cuda.gridsize(1)


@kernel("f4[:], f4[:], f4[:], f4[:], i4, f4", threads=ROW_THREADS)
def _layer_norm(x, gamma, beta, y, c, epsilon):
    room = cuda.shared.array(ROW_THREADS, f4)
    t = cuda.threadIdx.x
    first = cuda.blockIdx.x * c
    total = f4(0)
    for j in range(t, c, ROW_THREADS):
        total += x[first + j]
    mean = block_sum(total, room, t, ROW_THREADS) / f4(c)
    total = f4(0)
    for j in range(t, c, ROW_THREADS):
        total += (x[first + j] - mean) * (x[first + j] - mean)
    inverse = f4(1) / sqrt(block_sum(total, room, t, ROW_THREADS) / f4(c) + epsilon)
    for j in range(t, c, ROW_THREADS):
        y[first + j] = (x[first + j] - mean) * inverse * gamma[j] + beta[j]


@kernel("f4[:], f4[:], f4[:], f4[:], f4[:], i4, f4", threads=ROW_THREADS)
def _layer_dx(dy, x, gamma, dx, normalised, c, epsilon):
    room = cuda.shared.array(ROW_THREADS, f4)
    t = cuda.threadIdx.x
    first = cuda.blockIdx.x * c
    total = f4(0)
    for j in range(t, c, ROW_THREADS):
        total += x[first + j]
    mean = block_sum(total, room, t, ROW_THREADS) / f4(c)
    total = f4(0)
    for j in range(t, c, ROW_THREADS):
        total += (x[first + j] - mean) * (x[first + j] - mean)
    inverse = f4(1) / sqrt(block_sum(total, room, t, ROW_THREADS) / f4(c) + epsilon)
    through_mean = through_variance = f4(0)
    for j in range(t, c, ROW_THREADS):
        value, g = (x[first + j] - mean) * inverse, dy[first + j] * gamma[j]
        normalised[first + j] = value
        through_mean += g
        through_variance += g * value
    through_mean = block_sum(through_mean, room, t, ROW_THREADS) / f4(c)
    through_variance = block_sum(through_variance, room, t, ROW_THREADS) / f4(c)
    for j in range(t, c, ROW_THREADS):
        g = dy[first + j] * gamma[j]
        dx[first + j] = (g - through_mean - normalised[first + j] * through_variance) * inverse
