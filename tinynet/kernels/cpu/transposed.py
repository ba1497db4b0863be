"""Products xᵀ w of matrices that share their long axis: the gradients of weights, sums over the rows of a batch.

Blocking: DEPTH rows at a time. Of x they are copied so that what a register tile reads lies in one piece, for columns of a matrix
map to few L1 sets; of w each task copies WIDTH columns, which stay in L1 while all its tiles pass.
Sums lie in L2 between one block and the next. Bound by the multipliers.
"""

from __future__ import annotations

import numpy as np

from . import memory
from .compiler.jit import jit
from .compiler.simd import LANES, load_until, store_until
from .compiler.tile import ROWS, WIDTH, finish, outer, resume, row_offsets, start
from .contraction import ONE
from .flat import flat
from .functions import scratch
from .plans import kept

DEPTH = 256
"""Rows of a block: WIDTH columns of so many fill two thirds of L1."""
TASKS = 16
"""Fewest shares of a product, where it has so many tiles."""


@jit
def _pack_columns(task, x, x_rows, packed, columns, tiles):
    """packed[block, tile, row, i] = x[row, tile · ROWS + i], for one tile of one block; beyond the columns the last, again."""
    block, tile = divmod(task, tiles)
    first, column = block * DEPTH, tile * ROWS
    depth = min(DEPTH, x_rows.size - first)
    at = (first * tiles + tile * depth) * ROWS
    for row in range(first, first + depth):
        source = x_rows[row] + column
        for i in range(0, ROWS, LANES):
            store_until(packed, at + i, at + ROWS, load_until(x, source + i, min(x.size, source + ROWS)))
        for i in range(columns - column, ROWS):
            packed[at + i] = packed[at + columns - column - 1]
        at += ROWS


@jit
def _multiply_packed(task, packed, w, y, in_rows, out_rows, nothing, rows, columns, row_parts):
    """y = xᵀ w for a share of the tiles and one panel of the columns."""
    panels, tiles = (columns + WIDTH - 1) // WIDTH, out_rows.size // ROWS
    row_part, panel = divmod(task, panels)
    column = panel * WIDTH
    lines, offsets = scratch(DEPTH * WIDTH), row_offsets(in_rows, 0)
    for first in range(0, rows, DEPTH):
        depth = min(DEPTH, rows - first)
        for row in range(depth):
            source = (first + row) * columns
            for j in range(0, WIDTH, LANES):
                line = load_until(w, source + column + j, source + columns)
                store_until(lines, row * WIDTH + j, (row + 1) * WIDTH, line)
        for tile in range(tiles * row_part // row_parts, tiles * (row_part + 1) // row_parts):
            outs = row_offsets(out_rows, tile * ROWS)
            sums = resume(y, outs, column, columns) if first else start(nothing, outs, 0, WIDTH)
            k = (first * tiles + tile * depth) * ROWS
            for j in range(0, depth * WIDTH, WIDTH):
                sums = outer(sums, packed, offsets, k, lines, j)
                k += ROWS
            finish(sums, y, outs, column, columns, ONE)


def product(x: np.ndarray, x_rows: np.ndarray, columns: int, w: np.ndarray) -> np.ndarray:
    """Σ over rows r of x[r]ᵀ w[r]: (columns of x, columns of w); row r of x begins at x_rows[r], w (rows, columns)."""
    rows, width = w.shape
    if not rows or not width or not columns:
        return np.zeros((columns, width), np.float32)
    tiles = -(-columns // ROWS)
    packed = memory.empty((tiles * rows * ROWS,))
    _pack_columns(-(-rows // DEPTH) * tiles, packed.size, flat(x), x_rows, packed, columns, tiles)
    y = memory.empty((columns, width))
    panels = -(-width // WIDTH)
    row_parts = min(-(-TASKS // panels), tiles)
    tables = *_tables(columns, width), _NOTHING
    work = tiles * ROWS * rows * width // 16
    _multiply_packed(
        panels * row_parts, work, packed, flat(w), y.reshape(-1), *tables, rows, width, row_parts
    )
    return y


_NOTHING = np.zeros(WIDTH, np.float32)


@kept
def _tables(columns: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the values of a tile lie in a packed row, and where the rows of y begin, the last one met again up to a whole tile."""
    padded = -(-columns // ROWS) * ROWS
    return np.arange(ROWS), np.minimum(np.arange(padded), columns - 1) * width


@kept
def rows_of(count: int, length: int, skipped: int, width: int) -> np.ndarray:
    """Where rows of so many numbers begin: of each of `count` sequences the first `length` rows, then so many are skipped."""
    sequences, steps = np.arange(count)[:, None], np.arange(length)
    return ((sequences * (length + skipped) + steps) * width).reshape(-1)
