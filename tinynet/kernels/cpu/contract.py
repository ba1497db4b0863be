"""The two loops round the register tile that every product of matrices and every convolution runs through.

`contract` sums over the elements of a row (a patch of a picture, a row of a matrix); `correlate` sums over the rows (pixels, samples).
Which memory a row is comes from tables, made once per shape by conv.py and dense.py and cached.

Blocking: a task of `contract` is one picture (or a share of its tiles and columns); the weights of one panel of WIDTH columns, a few
dozen kilobytes packed one after the other, stay in the first cache while all tiles of the picture pass. A task of `correlate` is a
fixed share of the pictures with a partial sum of its own, so that the result does not depend on the number of threads.
Both are bound by the multipliers, small shapes by the launch.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from . import memory
from .flat import flat
from .jit import jit
from .simd import LANES, clear, load, store
from .tile import ROWS, WIDTH, finish, outer, resume, row_offsets, start, zeros


class Plan(NamedTuple):
    """Where `contract` finds its operands."""

    in_rows: np.ndarray
    """Offset in one picture of x of each row's first element, ROWS to a tile."""
    out_rows: np.ndarray
    """Offset in one picture of y of each row."""
    tiles: np.ndarray
    """First tile of each tap, and the end; more than one tap means that y is added to."""
    segments: np.ndarray
    """Offsets, from a row's first element, of the runs of consecutive elements that it consists of."""
    length: int
    """Elements in each run."""
    images: int
    x_image: int
    """Elements in a picture of x."""
    y_image: int
    row_parts: int
    """Tasks that share a picture's tiles; 1 if y is added to."""
    panel_parts: int
    """Tasks that share the columns."""


@jit
def contract(task, x, w, bias, y, in_rows, out_rows, tiles, segments, sizes, slope):
    """y[row] = activation(bias + Σ x[row's elements] · w), or y[row] += … where there are several taps."""
    length, x_image, y_image, row_parts, panel_parts = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
    columns, w_panel, w_row, w_tap = sizes[5], sizes[6], sizes[7], sizes[8]
    taps = tiles.size - 1
    panels = (columns + WIDTH - 1) // WIDTH
    image, part = divmod(task, row_parts * panel_parts)
    row_part, panel_part = divmod(part, panel_parts)
    stop = image * y_image + columns
    first_panel, last_panel = panels * panel_part // panel_parts, panels * (panel_part + 1) // panel_parts
    if taps > 1:
        for pixel in range(image * y_image, (image + 1) * y_image, columns):
            clear(y, pixel + first_panel * WIDTH, pixel + min(columns, last_panel * WIDTH))
    for tap in range(taps):
        count = tiles[tap + 1] - tiles[tap]
        for panel in range(first_panel, last_panel):
            column = image * y_image + panel * WIDTH
            for tile in range(count * row_part // row_parts, count * (row_part + 1) // row_parts):
                rows = row_offsets(in_rows, (tiles[tap] + tile) * ROWS)
                outs = row_offsets(out_rows, (tiles[tap] + tile) * ROWS)
                j = tap * w_tap + panel * w_panel
                sums = start(bias, panel * WIDTH) if taps == 1 else resume(y, outs, column, stop)
                for s in range(segments.size):
                    first = image * x_image + segments[s]
                    for k in range(first, first + length):
                        sums = outer(sums, x, rows, k, w, j)
                        j += w_row
                finish(sums, y, outs, column, stop, slope)


@jit
def correlate(task, x, dz, partial, positions, in_rows, out_rows, sizes):
    """partial[row] = Σ_positions x[row + position] · dz[position], over the pictures of this task's share; dz is packed."""
    images, x_image, chunks, row_parts, columns, out_size = (
        sizes[0],
        sizes[1],
        sizes[2],
        sizes[3],
        sizes[4],
        sizes[5],
    )
    chunk, row_part = divmod(task, row_parts)
    panels, tiles = (columns + WIDTH - 1) // WIDTH, in_rows.size // ROWS
    stop = chunk * out_size + columns
    first_image = images * chunk // chunks
    for image in range(first_image, images * (chunk + 1) // chunks):
        for panel in range(panels):
            column = chunk * out_size + panel * WIDTH
            for tile in range(tiles * row_part // row_parts, tiles * (row_part + 1) // row_parts):
                rows = row_offsets(in_rows, tile * ROWS)
                outs = row_offsets(out_rows, tile * ROWS)
                sums = zeros() if image == first_image else resume(partial, outs, column, stop)
                j = (image * panels + panel) * positions.size * WIDTH
                for p in range(positions.size):
                    sums = outer(sums, x, rows, image * x_image + positions[p], dz, j)
                    j += WIDTH
                finish(sums, partial, outs, column, stop, np.float32(1))


@jit
def pack(task, w, packed, depth, columns, tap_size, row_step, column_step):
    """packed[tap, panel, k, j] = w[tap · tap_size + k · row_step + (panel · WIDTH + j) · column_step], 0 beyond the columns."""
    tap, panel = divmod(task, (columns + WIDTH - 1) // WIDTH)
    first = panel * WIDTH
    whole = column_step == 1 and first + WIDTH <= columns
    at = task * depth * WIDTH
    for k in range(depth):
        source = tap * tap_size + k * row_step + first * column_step
        if whole:
            store(packed, at, load(w, source))
            store(packed, at + LANES, load(w, source + LANES))
        else:
            for j in range(WIDTH):
                packed[at + j] = w[source + j * column_step] if first + j < columns else np.float32(0)
        at += WIDTH


def packed_panels(
    w: np.ndarray, taps: int, depth: int, columns: int, row_step: int, column_step: int
) -> np.ndarray:
    """The weights in the order in which `contract` reads them: taps × panels × depth × WIDTH."""
    panels = -(-columns // WIDTH)
    packed = memory.empty((taps * panels * depth * WIDTH,))
    pack(taps * panels, packed.size, w, packed, depth, columns, depth * columns, row_step, column_step)
    return packed


def run(plan: Plan, x, w, bias, y, columns: int, packed: bool, slope: float = 1.0) -> None:
    """Run `contract` on flat arrays; w is packed, or a matrix of rows of `columns` elements, a multiple of WIDTH."""
    depth = plan.segments.size * plan.length
    taps = plan.tiles.size - 1
    sizes = _sizes(
        plan.length,
        plan.x_image,
        plan.y_image,
        plan.row_parts,
        plan.panel_parts,
        columns,
        depth,
        taps,
        packed,
    )
    tasks = plan.images * plan.row_parts * plan.panel_parts
    work = plan.images * plan.in_rows.size * depth * columns // 16
    contract(
        tasks,
        work,
        x,
        w,
        bias,
        y,
        plan.in_rows,
        plan.out_rows,
        plan.tiles,
        plan.segments,
        sizes,
        np.float32(slope),
    )


@functools.lru_cache(maxsize=512)
def _sizes(length, x_image, y_image, row_parts, panel_parts, columns, depth, taps, packed):
    panels = -(-columns // WIDTH)
    strides = (depth * WIDTH, WIDTH, panels * depth * WIDTH) if packed else (WIDTH, columns, depth * columns)
    return np.array([length, x_image, y_image, row_parts, panel_parts, columns, *strides], np.int64)


def whole_tiles(rows) -> np.ndarray:
    """A table of row offsets, its last row repeated up to a multiple of ROWS."""
    rows = np.asarray(rows, np.int64).reshape(-1)
    return np.concatenate([rows, np.repeat(rows[-1:], -rows.size % ROWS)])


def whole_columns(x: np.ndarray) -> np.ndarray:
    """A matrix (…, n) as (rows, n rounded up to WIDTH), zeros behind; not copied where n fits."""
    columns = x.shape[-1]
    if columns % WIDTH == 0:
        return x
    wide = np.zeros((x.size // columns, columns + -columns % WIDTH), np.float32)
    wide[:, :columns] = x.reshape(-1, columns)
    return wide


def padded_bias(bias: np.ndarray | None, columns: int) -> np.ndarray:
    """A bias as long as the panels; zeros for None."""
    if bias is None:
        return _zeros(columns + -columns % WIDTH)
    return whole_columns(flat(bias)).reshape(-1)


@functools.lru_cache(maxsize=64)
def _zeros(count: int) -> np.ndarray:
    return np.zeros(count, np.float32)
