"""Scaled dot-product attention, streamed: scores exist only a tile at a time (FlashAttention, Dao et al. 2022).

A block has a tile of rows of one head, queries or keys, and walks those that they meet, a tile of columns at a time, without those that
`causal` and `window` rule out. What it does with a tile of scores is in attention_tile.py; the sums that are its result stay in
registers. Forward, rows are queries, whose largest score and sum of weights run along: when a larger score comes, what is summed so far
is scaled (online softmax, Milakov & Gimelshein 2018). Backward, weights are made again from `sums`. The gradient of queries walks the
keys twice, at first for Σ w dw of each query, which it leaves for the gradient of keys and values, whose rows are keys. Each number is
summed by one thread, in the order of the steps.

A thread has up to 8 rows of the result, and up to 8 numbers of each: TILES. A head that is wider than a tile is divided among blocks,
which each make the scores anew. Bound by arithmetic; for few queries, by memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, nothing, take, zeros
from .attention_tile import (
    ACROSS,
    APART,
    COLUMNS,
    DOWN,
    GRADIENT,
    HEADS,
    KEY,
    LOWEST,
    PAD,
    PAST,
    QUERY,
    THREADS,
    VALUE,
    D,
    T,
    add,
    corner,
    dots,
    line_of,
    load,
    met_by_keys,
    met_by_queries,
    row_sum,
    scales,
    shared,
    slope,
    softmax,
    store,
    sum_up,
    weigh,
    write,
)
from .compiler.driver import cuda
from .compiler.kernel import Kernel, blocks_for, device, kernel
from .compiler.primitives import aligned, divide, f4, here


class Tile(NamedTuple):
    """What a thread has of the result of a block: rows, and numbers of each."""

    rows: int
    numbers: int

    @property
    def height(self) -> int:
        """Rows of a block."""
        return DOWN * self.rows

    @property
    def width(self) -> int:
        """Numbers of a head that a block has."""
        return ACROSS * self.numbers


FEW = Tile(1, 8)
"""For a few queries, as when text is written."""
TILES = Tile(8, 2), Tile(8, 4), Tile(4, 8)
"""For heads of up to 32 numbers, of up to 64, and of more."""
KEY_TILES = Tile(8, 2), Tile(4, 4), Tile(4, 8)
"""For keys and values, of whose two gradients a thread has as many numbers each."""


@as_defined
def attention(
    z: Any, past: Any, real: Any, mask: Any, heads: int, causal: bool, window: int, alibi: bool
) -> tuple[DeviceArray, DeviceArray]:
    z, past, real = take(z), take(past), take(real)
    g = _settings(z, past, mask, heads, causal, window, alibi)
    n, t = z.shape[:2]
    y, sums = empty((n, t, z.shape[2] // 3)), empty((n, heads, t))
    if y.size:
        tile = FEW if t <= FEW.height else tile_of(g[D])
        given = z, past, real, _mask(mask)
        _attend[tile](_blocks(tile, n, g), *given, y, sums, g)
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
    dz, means = empty(z.shape), empty(sums.shape)
    given = z, past, real, _mask(mask), dy, sums, means, dz
    for kernels, tiles in ((_query_gradient, TILES), (_key_gradient, KEY_TILES)):
        tile = tile_of(g[D], tiles)
        kernels[tile](_blocks(tile, len(z), g), *given, g)
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
    _, t, columns = z.shape
    flags = int(mask is not None), int(causal), window, int(alibi)
    return t, past.shape[1], heads, columns // (3 * heads), *flags


def tile_of(d: int, tiles: tuple[Tile, ...] = TILES) -> Tile:
    """For heads of so many numbers."""
    return next((tile for tile in tiles if d <= tile.width), tiles[-1])


def _blocks(tile: Tile, n: int, g: tuple[int, ...]) -> int:
    """For each sequence, each head, each tile of rows and each piece of a head one."""
    return n * g[HEADS] * -(-g[T] // tile.height) * -(-g[D] // tile.width)


@device
def _place(height, width, g):
    """What a block has: its sequence, its head, the first of its rows, and the first of the numbers of its result."""
    pieces, tiles = divide(g[D] + width - 1, width), divide(g[T] + height - 1, height)
    line = divide(cuda.blockIdx.x, pieces)
    heads = divide(line, tiles)
    n = divide(heads, g[HEADS])
    number = (cuda.blockIdx.x - line * pieces) * width
    return here(n), here(heads - n * g[HEADS]), here(g[PAST] + (line - heads * tiles) * height), here(number)


def _attend_kernel(tile: Tile) -> Kernel:
    (rows, numbers), height, width = tile, tile.height, tile.width
    (in_room, in_weights), of_result, of_scores = shared(rows, numbers), rows * numbers, rows * 4
    most = max(numbers, 4)

    @kernel("f4[:], f4[:], f4[:], u1[:], f4[:], f4[:], i4*8", THREADS, name=f"attend_{height}x{width}")
    def attend(z, past, real, mask, y, sums, g):
        room = aligned(cuda.shared.array(in_room, f4))
        weights = aligned(cuda.shared.array(in_weights, f4))
        factors = aligned(cuda.shared.array(height, f4))
        parts = cuda.shared.array(THREADS, f4)
        acc = cuda.local.array(of_result, f4)
        scores = cuda.local.array(of_scores, f4)
        left = cuda.local.array(rows, f4)
        right = cuda.local.array(most, f4)
        place, flags = (room, weights, scores, left, right), (real, mask)
        n, head, row, number = _place(height, width, g)
        source, scale = (z, past, z, n, head), scales(head, g)
        low, high = met_by_queries(row, height, g)
        for i in range(of_result):
            acc[i] = f4(0)
        top, total = LOWEST, f4(0)
        for key in range(low, high, COLUMNS):
            dots(place, source, row, QUERY, key, KEY, rows, g)
            running = top, total, parts, factors
            top, total = softmax(place, source, flags, row, key, high, running, scale, rows, g)
            load(left, factors, corner(rows)[0], rows, APART)
            for i in range(of_result):
                acc[i] *= left[i // numbers]
            add(acc, place, source, key, high, VALUE, number, rows, numbers, g)
        sum_up(sums, top, total, parts, factors, source, row, number, height, g)
        load(left, factors, corner(rows)[0], rows, APART)
        for i in range(of_result):
            acc[i] /= left[i // numbers]
        write(y, acc, source, row, number, 1, 0, rows, numbers, g)

    return attend


GRADIENTS = "f4[:], f4[:], f4[:], u1[:], f4[:], f4[:], f4[:], f4[:], i4*8"


def _query_gradient_kernel(tile: Tile) -> Kernel:
    (rows, numbers), height, width = tile, tile.height, tile.width
    (in_room, in_weights), of_result, of_scores = shared(rows, numbers), rows * numbers, rows * 4
    most = max(numbers, 4)

    @kernel(GRADIENTS, THREADS, name=f"query_gradient_{height}x{width}")
    def query_gradient(z, past, real, mask, dy, sums, means, dz, g):
        room = aligned(cuda.shared.array(in_room, f4))
        weights = aligned(cuda.shared.array(in_weights, f4))
        acc = cuda.local.array(of_result, f4)
        scores = cuda.local.array(of_scores, f4)
        totals = cuda.local.array(rows, f4)
        left = cuda.local.array(rows, f4)
        right = cuda.local.array(most, f4)
        place, flags = (room, weights, scores, left, right), (real, mask)
        n, head, row, number = _place(height, width, g)
        source, scale = (z, past, dy, n, head), scales(head, g)
        low, high = met_by_queries(row, height, g)
        for i in range(of_result):
            acc[i] = f4(0)
        for r in range(rows):
            totals[r] = f4(0)
        for turn in range(2):
            for key in range(low, high, COLUMNS):
                dots(place, source, row, QUERY, key, KEY, rows, g)
                weigh(place, source, flags, sums, row, key, high, False, scale, rows, g)
                dots(place, source, row, GRADIENT, key, VALUE, rows, g)
                if turn == 0:
                    _add_means(totals, place, high - key, rows)
                else:
                    slope(place, source, means, row, key, False, scale, rows, g)
                    add(acc, place, source, key, high, KEY, number, rows, numbers, g)
            if turn == 0:
                _share_means(means, totals, room, source, row, rows, g)
        write(dz, acc, source, row, number, 3, QUERY, rows, numbers, g)

    return query_gradient


@device
def _add_means(totals, place, there, rows):
    """The weights of a thread times their gradients, which are its scores, of so many columns."""
    _, weights, scores, left, _ = place
    down, across = corner(rows)
    for q in range(4):
        if across + q < there:
            load(left, weights, (across + q) * (DOWN * rows + PAD) + down, rows, APART)
            for r in range(rows):
                totals[r] += left[r] * scores[r * 4 + q]


@device
def _share_means(means, totals, room, source, row, rows, g):
    """Σ w dw of all rows, of which each thread has a part. Of a wide head several blocks write the same."""
    height, (down, across) = DOWN * rows, corner(rows)
    cuda.syncthreads()
    store(room, divide(across, 4) * height + down, totals, rows, APART)
    cuda.syncthreads()
    own = cuda.threadIdx.x
    if own < height and row + own < g[PAST] + g[T]:
        means[line_of(source, row + own, g)] = row_sum(room, height, own, ACROSS)


def _key_gradient_kernel(tile: Tile) -> Kernel:
    (rows, numbers), height, width = tile, tile.height, tile.width
    (in_room, in_weights), of_result, of_scores = shared(rows, numbers), rows * numbers, rows * 4
    most = max(numbers, 4)

    @kernel(GRADIENTS, THREADS, name=f"key_gradient_{height}x{width}")
    def key_gradient(z, past, real, mask, dy, sums, means, dz, g):
        room = aligned(cuda.shared.array(in_room, f4))
        weights = aligned(cuda.shared.array(in_weights, f4))
        dkeys = cuda.local.array(of_result, f4)
        dvalues = cuda.local.array(of_result, f4)
        scores = cuda.local.array(of_scores, f4)
        left = cuda.local.array(rows, f4)
        right = cuda.local.array(most, f4)
        place, flags = (room, weights, scores, left, right), (real, mask)
        n, head, row, number = _place(height, width, g)
        source, scale = (z, past, dy, n, head), scales(head, g)
        low, high = met_by_keys(row, height, g)
        for i in range(of_result):
            dkeys[i] = f4(0)
            dvalues[i] = f4(0)
        for query in range(low, high, COLUMNS):
            dots(place, source, row, KEY, query, QUERY, rows, g)
            weigh(place, source, flags, sums, row, query, high, True, scale, rows, g)
            add(dvalues, place, source, query, high, GRADIENT, number, rows, numbers, g)
            dots(place, source, row, VALUE, query, GRADIENT, rows, g)
            slope(place, source, means, row, query, True, scale, rows, g)
            add(dkeys, place, source, query, high, QUERY, number, rows, numbers, g)
        write(dz, dkeys, source, row, number, 3, KEY, rows, numbers, g)
        write(dz, dvalues, source, row, number, 3, VALUE, rows, numbers, g)

    return key_gradient


_attend = {tile: _attend_kernel(tile) for tile in (FEW, *TILES)}
_query_gradient = {tile: _query_gradient_kernel(tile) for tile in TILES}
_key_gradient = {tile: _key_gradient_kernel(tile) for tile in KEY_TILES}


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
