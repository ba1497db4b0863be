"""What recurrent cells share: how they are blocked, the product with the recurrent weights, and the gradient of those.

A cell runs over a whole sequence in one launch. Sequences are divided among groups of blocks, units among the blocks of a group, which
meet at a barrier before each step, since every unit needs the state of all (`syncblocks`). A block has a tile of units at a time, and
the weights of that tile lie in the registers of its threads: of a thread, TERMS terms of the sums for COLUMNS columns. Where the blocks
that are resident together have room for all tiles, each keeps one from the first step to the last, and reads nothing but states; where
not, each goes through several at every step and reads their weights anew. A block takes ROWS sequences at a time, whose states come
through shared memory, and adds the parts of its threads there, in an order that follows from the sizes of the layer alone. What bounds
it: for few sequences the barrier, one step after the other; for many, arithmetic. The gradient multiplies with U's transpose likewise.

Each kernel allocates the arrays that `product` works in, since what a device function allocates ends with it.

A column is a gate of a unit where a unit has several, and else a unit. A layout, a tuple (down, beside, apart, hop), says where weights
are: that of term k in column p of a unit is matrix[k · down + unit · beside + p · apart], and the column belongs to unit + p · hop.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import nothing, take, zeros
from .compiler.driver import cuda, multiprocessors
from .compiler.kernel import device
from .compiler.primitives import divide, f4, here, least, load4, store4
from .dense import dense_kernel_gradient

THREADS = 128
COLUMNS = 4
"""Of a thread, at most."""
TERMS = 32
"""Of a sum, of which a thread has the weights."""
ROWS = 4
"""Sequences at a time."""
SLICES = 64
"""Of a sum, at most: the states of so many times TERMS fit into shared memory."""
PITCH = THREADS + 8
"""From one sum to the next in shared memory: a thread's own fall into different banks."""
WEIGHTS, SUMS, VALUES, ROOM = COLUMNS * TERMS, COLUMNS * ROWS, 4 * ROWS, SLICES * TERMS * ROWS
"""Numbers of a thread, and in the shared memory of a block."""
REGISTERS = 240
"""Of a thread, at most: half of them are weights."""
RESIDENT = 2
"""Blocks that a multiprocessor has registers and shared memory for."""
COUNTERS = 1024
"""Groups of blocks, at most."""


@as_defined
def state_kernel_gradient(h: Any, dr: Any) -> DeviceArray:
    h, dr = take(h), take(dr)
    n, states, units = h.shape
    rows = n * (states - 1)
    return dense_kernel_gradient(h[:, :-1].reshape(rows, units), dr.reshape(rows, dr.shape[2]))


def split(n: int, units: int, terms: int, columns_of_unit: int) -> tuple[tuple[int, int], int]:
    """The grid for so many sequences, groups and the blocks of a group, all resident together; and the lanes of a tile.

    terms: of each sum; columns_of_unit: gates of a unit in the product.
    """
    most = THREADS // min(-(-terms // TERMS), SLICES)
    lanes = -(-units // (COLUMNS if columns_of_unit == 1 else 1))
    tiles = -(-lanes // most)
    resident = min(RESIDENT * multiprocessors(), COUNTERS)
    blocks = min(tiles, resident)
    sequences = -(-n // min(-(-n // ROWS), resident // blocks))
    return (-(-n // sequences), blocks), -(-lanes // tiles)


@functools.cache
def arrivals() -> DeviceArray:
    """The counters of `syncblocks`, one per group; they need not be set back."""
    return zeros((COUNTERS,), np.uint32)


def states(steps: int, first: DeviceArray) -> DeviceArray:
    """Room for the state before the first step and after each, (n, steps + 1, units)."""
    n, units = first.shape
    return DeviceArray((n, steps + 1, units))


def real_steps(mask: Any) -> tuple[DeviceArray, int]:
    """A mask as kernels take it, and whether there is one."""
    return (nothing(bool), 0) if mask is None else (take(mask, np.dtype(bool)), 1)


@device
def sequences_of_block(n):
    """The first sequence of this block's group, and how many it has."""
    each = divide(n + cuda.gridDim.x - 1, cuda.gridDim.x)
    first = cuda.blockIdx.x * each
    return here(first), here(least(n - first, each))


@device
def tile_of(terms, lanes):
    """How a tile is divided among threads: (slice, slices, lane, lanes). A slice has TERMS terms of the sums, a lane some columns."""
    slices = least(least(divide(THREADS, lanes), divide(terms + 3, 4)), SLICES)
    slice_ = divide(cuda.threadIdx.x, lanes)
    return slice_, here(slices), here(cuda.threadIdx.x - slice_ * lanes), here(lanes)


@device
def visits_of(count, width, units):
    """How many times a block makes a product in each step: for each of its tiles, for ROWS sequences at a time."""
    tiles = divide(units - cuda.blockIdx.y * width + cuda.gridDim.y * width - 1, cuda.gridDim.y * width)
    return here(tiles * divide(count + ROWS - 1, ROWS))


@device
def visit(i, turn, count, width, units):
    """Of the i'th: the tile's first unit, the first sequence, how many, and whether the weights must be read.

    They must at first, and at every turn where a block has several tiles.
    """
    rounds = divide(count + ROWS - 1, ROWS)
    tile = divide(i, rounds)
    s0 = (i - tile * rounds) * ROWS
    stale = s0 == 0 and (turn == 0 or cuda.gridDim.y * width < units)
    base = (cuda.blockIdx.y + tile * cuda.gridDim.y) * width
    return here(base), here(s0), here(least(count - s0, ROWS)), stale


@device
def begin(states, first_states, first, count, steps, units):
    """The states before the first step, of a block's sequences and its share of the units."""
    for unit in range(cuda.blockIdx.y * THREADS + cuda.threadIdx.x, units, cuda.gridDim.y * THREADS):
        for s in range(first, first + count):
            states[s * (steps + 1) * units + unit] = first_states[s * units + unit]


@device
def product(place, stale, matrix, layout, unit, units, operand, span, tile, columns):
    """Σ_k x[begin + s · stride + k] · weight(k), of the columns of a tile and of `count` sequences, at most ROWS; `total` tells it.

    place: arrays of ROOM in shared memory, and of WEIGHTS, SUMS and VALUES of a thread; stale: whether weights must be read; unit: the
    thread's first; operand: (x, begin, stride, count); span: (low, high, terms), the k that are added of all there are.
    """
    _, _, acc, _ = place
    slice_, slices, _, _ = tile
    must_read = stale or slices * TERMS < span[2]
    for i in range(ROWS * columns):
        acc[i] = f4(0)
    first = 0
    while first < span[2]:
        _stage(place, operand, first, slices, span, units % 4 == 0)
        if slice_ < slices:
            # Written out, since the compiler leaves so long a loop one, and registers have no index.
            _quad(0, place, must_read, matrix, layout, unit, units, first, span[2], tile, columns)
            _quad(1, place, must_read, matrix, layout, unit, units, first, span[2], tile, columns)
            _quad(2, place, must_read, matrix, layout, unit, units, first, span[2], tile, columns)
            _quad(3, place, must_read, matrix, layout, unit, units, first, span[2], tile, columns)
            _quad(4, place, must_read, matrix, layout, unit, units, first, span[2], tile, columns)
            _quad(5, place, must_read, matrix, layout, unit, units, first, span[2], tile, columns)
            _quad(6, place, must_read, matrix, layout, unit, units, first, span[2], tile, columns)
            _quad(7, place, must_read, matrix, layout, unit, units, first, span[2], tile, columns)
        first += slices * TERMS
    _share(place, tile, columns)


@device
def _place_of(j, s, slice_):
    """Where four neighbouring terms are in shared memory: the j'th of a slice, of sequence s."""
    return ((j * ROWS + s) * SLICES + slice_) * 4


@device
def _stage(place, operand, first, slices, span, is_wide):
    """The terms from the first on of all sequences into shared memory, 0 beside the span; is_wide: they lie at multiples of 16 bytes."""
    room, _, _, values = place
    x, begin, stride, count = operand
    low, high, _ = span
    cuda.syncthreads()  # nobody reads what was there before
    for quad in range(cuda.threadIdx.x, slices * (TERMS // 4), THREADS):
        k = first + 4 * quad
        if is_wide and low <= k and k < high:
            for s in range(ROWS):
                load4(values, s * 4, x, begin + least(s, count - 1) * stride + k)
        else:
            for s in range(ROWS):
                for q in range(4):
                    inside = low <= k + q and k + q < high
                    values[s * 4 + q] = x[begin + least(s, count - 1) * stride + k + q] if inside else f4(0)
        j = divide(quad, slices)
        for s in range(ROWS):
            store4(room, _place_of(j, s, quad - j * slices), values, s * 4)
    cuda.syncthreads()


@device
def _quad(j, place, must_read, matrix, layout, unit, units, first, terms, tile, columns):
    """acc[s, p] += the j'th four neighbouring terms of a thread, whose weights are read if they must; slices have theirs in turn."""
    room, weights, acc, values = place
    slice_, slices, _, _ = tile
    if must_read:
        down, beside, apart, hop = layout
        begin, unit, apart = here(first + 4 * (slice_ + j * slices)), here(unit), here(apart)
        for q in range(4):
            for p in range(columns):
                k = begin + q
                inside = k < terms and unit + p * hop < units
                weight = matrix[k * down + unit * beside + p * apart] if inside else f4(0)
                weights[(j * 4 + q) * columns + p] = weight
    for s in range(ROWS):
        load4(values, s * 4, room, _place_of(j, s, slice_))
    for s in range(ROWS):
        for q in range(4):
            for p in range(columns):
                acc[s * columns + p] += values[s * 4 + q] * weights[(j * 4 + q) * columns + p]


@device
def _share(place, tile, columns):
    """The parts of all slices into shared memory, where as many are added as there are threads for."""
    room, _, acc, _ = place
    _, slices, _, lanes = tile
    t = here(cuda.threadIdx.x)
    cuda.syncthreads()
    for i in range(ROWS * columns):
        room[i * PITCH + t] = acc[i]
    cuda.syncthreads()
    sums, ways = ROWS * columns * lanes, _ways(columns, lanes)
    for e in range(t, ways * sums, THREADS):
        way = divide(e, sums)
        i = divide(e - way * sums, lanes)
        at = i * PITCH + e - way * sums - i * lanes
        part = f4(0)
        other = way
        while other < slices:
            part += room[at + other * lanes]
            other += ways
        room[at + way * lanes] = part
    cuda.syncthreads()


@device
def _ways(columns, lanes):
    """In how many parts a sum stays in shared memory: never more than slices."""
    ways = divide(THREADS, ROWS * columns * lanes)
    return ways if ways > 1 else 1


@device
def total(place, s, p, lane, tile, columns):
    """The sum of sequence s in column p of a lane."""
    room, lanes = place[0], tile[3]
    at = (s * columns + p) * PITCH + lane
    whole = room[at]
    for way in range(1, _ways(columns, lanes)):
        whole += room[at + way * lanes]
    return whole


@device
def unit_total(place, s, own, tile):
    """The sum of sequence s for a unit of the tile, where each has one."""
    p = divide(own, tile[3])
    return total(place, s, p, own - p * tile[3], tile, COLUMNS)
