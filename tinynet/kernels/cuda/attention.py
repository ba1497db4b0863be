"""Scaled dot-product attention: one query of one head a block; its scores are in a row of a workspace (n, heads, t, s + t).

Forward, the threads of a block share out the keys for the scores, then the numbers of a head for the weighted mean of the values. Backward,
a first kernel computes a query's weights again, with their gradients and that of the query; a second has a key a block, and adds what all
queries hand to it and to its value, in their order. Bound by memory and the second-level cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, nothing, take, zeros
from .compiler.driver import cuda
from .compiler.functions import exp, log, sqrt
from .compiler.kernel import blocks_for, device, kernel
from .compiler.primitives import block_max, block_sum, divide, f4

THREADS = 64
"""Of a block that has a query or a key."""
LOWEST = np.float32(-np.inf)
N, T, PAST, HEADS, D, HAS_MASK, CAUSAL, WINDOW, ALIBI = range(9)
"""Where in `g` the sizes and the settings are."""


@as_defined
def attention(
    z: Any, past: Any, real: Any, mask: Any, heads: int, causal: bool, window: int, alibi: bool
) -> tuple[DeviceArray, DeviceArray]:
    z, past, real = take(z), take(past), take(real)
    g = _settings(z, past, mask, heads, causal, window, alibi)
    n, t = z.shape[:2]
    y, sums = empty((n, t, z.shape[2] // 3)), empty((n, heads, t))
    if y.size:
        weights = empty((n, heads, t, t + past.shape[1]))
        given = z, past, real, _mask(mask)
        _attend((t, heads, n), *given, weights, y, sums, g)
    return y, sums


@as_defined
def attention_gradient(
    dy: Any,
    z: Any,
    past: Any,
    real: Any,
    mask: Any,
    sums: Any,
    heads: int,
    causal: bool,
    window: int,
    alibi: bool,
) -> DeviceArray:
    dy, z, past, real, sums = map(take, (dy, z, past, real, sums))
    g = _settings(z, past, mask, heads, causal, window, alibi)
    if not z.size:
        return zeros(z.shape)
    dz, (n, t) = empty(z.shape), z.shape[:2]
    weights, dscores = (empty((n, heads, t, t + past.shape[1])) for _ in range(2))
    given = z, past, real, _mask(mask), dy, sums
    _query_gradient((t, heads, n), *given, weights, dscores, dz, g)
    given = z, dy, weights, dscores
    _key_gradient((t, heads, n), *given, dz, g)
    return dz


@as_defined
def attention_cache(z: Any, past: Any, real: Any, mask: Any) -> tuple[DeviceArray, DeviceArray]:
    z, past, real = take(z), take(past), take(real)
    _, steps, columns = past.shape
    t = z.shape[1]
    keys_values, flags = empty(past.shape), empty(real.shape)
    if keys_values.size:
        given = z, past, keys_values, keys_values.size, steps, t, columns
        _last_keys(blocks_for(keys_values.size), *given)
    if flags.size:
        given = real, _mask(mask), flags, flags.size, steps, t, int(mask is not None)
        _last_flags(blocks_for(flags.size), *given)
    return keys_values, flags


def _mask(mask: Any) -> DeviceArray:
    return nothing(bool) if mask is None else take(mask, np.dtype(bool))


def _settings(
    z: DeviceArray, past: DeviceArray, mask: Any, heads: int, causal: bool, window: int, alibi: bool
) -> tuple[int, ...]:
    n, t, columns = z.shape
    flags = int(mask is not None), int(causal), window, int(alibi)
    return n, t, past.shape[1], heads, columns // (3 * heads), *flags


@device
def _sees(real, mask, n, i, j, g):
    """Whether step i of z sees step j of past and z together."""
    back = g[PAST] + i - j
    if g[CAUSAL] and back < 0:
        return False
    if g[WINDOW] and back >= g[WINDOW]:
        return False
    if j < g[PAST]:
        return real[n * g[PAST] + j] != f4(0)
    return not g[HAS_MASK] or mask[n * g[T] + j - g[PAST]] != 0


@device
def _key_or_value(z, past, n, j, which, head, g):
    """Where the key (which 1) or value (2) of a head at step j lies: in past, and there, or in z, and there."""
    width = g[HEADS] * g[D]
    if j < g[PAST]:
        return True, ((n * g[PAST] + j) * 2 + which - 1) * width + head * g[D]
    return False, ((n * g[T] + j - g[PAST]) * 3 + which) * width + head * g[D]


@device
def _score(z, past, n, head, i, j, g):
    """q[i] · k[j] / √d, less for those further back."""
    query = (n * g[T] + i) * 3 * g[HEADS] * g[D] + head * g[D]
    in_past, key = _key_or_value(z, past, n, j, 1, head, g)
    total = f4(0)
    for k in range(g[D]):
        total += z[query + k] * (past[key + k] if in_past else z[key + k])
    total /= sqrt(f4(g[D]))
    if g[ALIBI]:
        slope = exp(f4(-8 * 0.6931472) * f4(head + 1) / f4(g[HEADS]))
        total -= slope * f4(g[PAST] + i - j)
    return total


@kernel("f4[:], f4[:], f4[:], u1[:], f4[:], f4[:], f4[:], i4*9", threads=THREADS)
def _attend(z, past, real, mask, weights, y, sums, g):
    room = cuda.shared.array(THREADS, f4)
    t = cuda.threadIdx.x
    i, head, n = cuda.blockIdx.x, cuda.blockIdx.y, cuda.blockIdx.z
    keys = g[PAST] + g[T]
    line = (n * g[HEADS] + head) * g[T] + i
    top = LOWEST
    for j in range(t, keys, THREADS):
        score = _score(z, past, n, head, i, j, g) if _sees(real, mask, n, i, j, g) else LOWEST
        weights[line * keys + j] = score
        if not top >= score and top == top:
            top = score
    top = block_max(top, room, t, THREADS)
    if top == LOWEST:
        top = f4(0)
    total = f4(0)
    for j in range(t, keys, THREADS):
        power = exp(weights[line * keys + j] - top)
        weights[line * keys + j] = power
        total += power
    total = block_sum(total, room, t, THREADS)
    if total == f4(0):
        total = f4(1)
    if t == 0:
        sums[line] = top + log(total)
    for k in range(t, g[D], THREADS):
        mean = f4(0)
        for j in range(keys):
            in_past, value = _key_or_value(z, past, n, j, 2, head, g)
            weight = weights[line * keys + j]
            if weight != f4(0):
                mean += weight * (past[value + k] if in_past else z[value + k])
        y[((n * g[T] + i) * g[HEADS] + head) * g[D] + k] = mean / total


@kernel("f4[:], f4[:], f4[:], u1[:], f4[:], f4[:], f4[:], f4[:], f4[:], i4*9", threads=THREADS)
def _query_gradient(z, past, real, mask, dy, sums, weights, dscores, dz, g):
    room = cuda.shared.array(THREADS, f4)
    t = cuda.threadIdx.x
    i, head, n = cuda.blockIdx.x, cuda.blockIdx.y, cuda.blockIdx.z
    keys = g[PAST] + g[T]
    line = (n * g[HEADS] + head) * g[T] + i
    own = ((n * g[T] + i) * g[HEADS] + head) * g[D]
    total = f4(0)
    for j in range(t, keys, THREADS):
        weight = dweight = f4(0)
        if _sees(real, mask, n, i, j, g):
            weight = exp(_score(z, past, n, head, i, j, g) - sums[line])
            in_past, value = _key_or_value(z, past, n, j, 2, head, g)
            for k in range(g[D]):
                dweight += dy[own + k] * (past[value + k] if in_past else z[value + k])
        weights[line * keys + j] = weight
        dscores[line * keys + j] = dweight
        total += weight * dweight
    total = block_sum(total, room, t, THREADS)
    for j in range(t, keys, THREADS):
        at = line * keys + j
        dscores[at] = weights[at] * (dscores[at] - total) / sqrt(f4(g[D]))
    cuda.syncthreads()
    for k in range(t, g[D], THREADS):
        dquery = f4(0)
        for j in range(keys):
            in_past, key = _key_or_value(z, past, n, j, 1, head, g)
            dquery += dscores[line * keys + j] * (past[key + k] if in_past else z[key + k])
        dz[(n * g[T] + i) * 3 * g[HEADS] * g[D] + head * g[D] + k] = dquery


@kernel("f4[:], f4[:], f4[:], f4[:], f4[:], i4*9", threads=THREADS)
def _key_gradient(z, dy, weights, dscores, dz, g):
    j, head, n = cuda.blockIdx.x, cuda.blockIdx.y, cuda.blockIdx.z
    keys, width = g[PAST] + g[T], g[HEADS] * g[D]
    first = (n * g[HEADS] + head) * g[T] * keys + g[PAST] + j
    for k in range(cuda.threadIdx.x, g[D], THREADS):
        dkey = dvalue = f4(0)
        for i in range(g[T]):
            query = (n * g[T] + i) * 3 * width + head * g[D]
            dkey += dscores[first + i * keys] * z[query + k]
            dvalue += weights[first + i * keys] * dy[(n * g[T] + i) * width + head * g[D] + k]
        at = (n * g[T] + j) * 3 * width + head * g[D] + k
        dz[at + width] = dkey
        dz[at + 2 * width] = dvalue


@kernel("f4[:], f4[:], f4[:], i4, i4, i4, i4", threads=256)
def _last_keys(z, past, keys_values, size, steps, t, columns):
    """The last `steps` of past and z together, keys and values."""
    e = cuda.grid(1)
    while e < size:
        row = divide(e, columns)
        n = divide(row, steps)
        step, column = row - n * steps + t, e - row * columns
        if step < steps:
            keys_values[e] = past[(n * steps + step) * columns + column]
        else:
            half = divide(columns, 2)
            keys_values[e] = z[(n * t + step - steps) * 3 * half + half + column]
        e += cuda.gridsize(1)


@kernel("f4[:], u1[:], f4[:], i4, i4, i4, i4", threads=256)
def _last_flags(real, mask, flags, size, steps, t, has_mask):
    e = cuda.grid(1)
    while e < size:
        n = divide(e, steps)
        step = e - n * steps + t
        if step < steps:
            flags[e] = f4(1) if real[n * steps + step] != f4(0) else f4(0)
        else:
            flags[e] = f4(1) if not has_mask or mask[n * t + step - steps] != 0 else f4(0)
        e += cuda.gridsize(1)
