"""The one loop round the register tile that every product of matrices and every convolution, forward and backward, runs through.

    y[row, column] = activation(bias[column] + Σ_k x[row + offset[k]] · w[k, column])

Which memory a row is and what is summed over are tables, made once per shape by conv.py and dense.py and cached with it in a `Plan`:
a sum over the elements of a patch for a convolution, over the pixels of pictures for the gradient of its kernel.

Blocking: w is read in panels of WIDTH columns, whose few dozen kilobytes stay in L1 while all tiles of a picture pass.
The columns that are left beside whole panels are taken LANES at a time by the narrow tile: 16 filters are not computed as 32.
Panels are packed, the lines of each one after the other, where w is transposed or is read so often that half of L1's sets are too few.
Bound by the multipliers; small shapes by the launch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import memory
from .compiler.jit import helper, jit
from .compiler.simd import LANES, load, load_until, store, store_until, transpose
from .compiler.tile import (
    READS_CUT_LINES,
    ROWS,
    WIDTH,
    finish,
    outer,
    outer_narrow,
    resume,
    resume_narrow,
    row_offsets,
    start,
    start_narrow,
)
from .flat import CHUNK, chunks, flat
from .functions import clear
from .plans import PLANS, kept

ONE = np.float32(1)
TILES_WORTH_PACKING = 12
"""Lines of w that lie far apart map to the same L1 sets: so many tiles that read them pay for a copy in panels."""
Sums = tuple[np.ndarray, np.ndarray]
"""Of each number of the first and each of the second."""
BIAS, CLEAR, ADD = 0, 1, 2
"""What the sums begin with: the bias; zeros, so that rows may be met again; or what is there."""


class Layout(NamedTuple):
    """The tables of a contraction, which do not depend on how many pictures there are."""

    in_rows: np.ndarray
    """Where in x each row begins, ROWS to a tile."""
    out_rows: np.ndarray
    """Where in y each row begins."""
    tiles: np.ndarray
    """The first tile and the end of each step."""
    offsets: np.ndarray
    """From a row's begin to each of the elements that are summed over."""
    plans: dict[Any, Plan]
    """What `plan` has made of them."""

    def plan(self, key: Any, make: Callable[[Layout], Plan]) -> Plan:
        """The plan that was made of these tables under this key; made now if there is none."""
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= PLANS:
                self.plans.clear()
            plan = self.plans[key] = make(self)
        return plan


class Plan(NamedTuple):
    """Everything about a contraction but its operands."""

    shape: tuple[int, ...]
    """Of the result."""
    tasks: int
    work: int
    layout: Layout
    sizes: np.ndarray
    """The integers that `contract` reads first: `_parts_of` and `_lengths_of` name them."""
    packing: tuple[int, int, int, bool] | None
    """(steps, depth, columns, transposed) of weights that have to be packed in panels."""

    @property
    def tables(self) -> tuple[np.ndarray, ...]:
        """The arrays that `contract` takes after its operands."""
        return *self.layout[:4], self.sizes


@helper
def _parts_of(sizes):
    """How a contraction is cut: (groups, steps, shared, begin, row_parts, panel_parts)."""
    return sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]


@helper
def _lengths_of(sizes):
    """From one to the next: of groups and steps of x, groups of y, whose columns follow; of steps, panels and lines of w."""
    return sizes[6], sizes[7], sizes[8], sizes[9], sizes[10], sizes[11], sizes[12]


@helper
def _column_of(panel, columns):
    """Where a panel begins: WIDTH columns each, those that are left LANES each."""
    wide = columns // WIDTH
    return panel * WIDTH if panel <= wide else min(columns, wide * WIDTH + (panel - wide) * LANES)


@jit
def contract(task, x, w, bias, y, in_rows, out_rows, tiles, offsets, sizes, slope):
    """A task is a share of the rows and columns of one group: a picture, or a chunk of pictures with a partial sum.

    A group takes one step after the other: taps of a kernel, or pictures of its chunk. Later ones add to y.
    """
    groups, steps, shared, begin, row_parts, panel_parts = _parts_of(sizes)
    x_group, x_step, y_group, columns, w_step, w_panel, w_line = _lengths_of(sizes)
    group, part = divmod(task, row_parts * panel_parts)
    row_part, panel_part = divmod(part, panel_parts)
    wide = columns // WIDTH
    panels = wide + (columns % WIDTH + LANES - 1) // LANES
    first_panel, last_panel = panels * panel_part // panel_parts, panels * (panel_part + 1) // panel_parts
    stop = group * y_group + columns
    if begin == CLEAR:
        for row in range(group * y_group, (group + 1) * y_group, columns):
            clear(y, row + _column_of(first_panel, columns), row + _column_of(last_panel, columns))
    first_step, last_step = (steps * group // groups, steps * (group + 1) // groups) if shared else (0, steps)
    for step in range(first_step, last_step):
        tile_list = 0 if shared else 2 * step
        first_tile, count = tiles[tile_list], tiles[tile_list + 1] - tiles[tile_list]
        origin = group * x_group + step * x_step
        fresh = step == first_step and begin == BIAS
        for panel in range(first_panel, last_panel):
            place = _column_of(panel, columns)
            column, left = group * y_group + place, columns - place
            lines = step * w_step + place // WIDTH * w_panel + place % WIDTH
            for tile in range(count * row_part // row_parts, count * (row_part + 1) // row_parts):
                rows = row_offsets(in_rows, (first_tile + tile) * ROWS)
                outs = row_offsets(out_rows, (first_tile + tile) * ROWS)
                j = lines
                if panel < wide:
                    sums = start(bias, rows, place, columns) if fresh else resume(y, outs, column, stop)
                    for k in range(offsets.size):
                        sums = outer(sums, x, rows, origin + offsets[k], w, j)
                        j += w_line
                    finish(sums, y, outs, column, stop, slope)
                else:
                    few = (
                        start_narrow(bias, rows, place, columns)
                        if fresh
                        else resume_narrow(y, outs, column, stop)
                    )
                    for k in range(offsets.size):
                        few = outer_narrow(few, x, rows, origin + offsets[k], w, j, left)
                        j += w_line
                    finish(few, y, outs, column, stop, slope)


@jit
def pack(task, w, packed, depth, columns, transposed, begin, line):
    """packed[step, panel, k, j] = w[step, k, panel · WIDTH + j] or, transposed, w[step, panel · WIDTH + j, k]; 0 beyond the columns.

    The matrices begin at `begin`, their lines are `line` apart.
    """
    step, panel = divmod(task, (columns + WIDTH - 1) // WIDTH)
    first = panel * WIDTH
    at, source = (
        task * depth * WIDTH,
        begin + step * depth * columns + (first * line if transposed else first),
    )
    whole = 0
    if first + WIDTH <= columns and transposed:
        whole = depth // LANES * LANES
        for k in range(0, whole, LANES):
            transpose(w, source + k, line, packed, at + k * WIDTH, WIDTH)
            transpose(w, source + LANES * line + k, line, packed, at + k * WIDTH + LANES, WIDTH)
    elif first + WIDTH <= columns:
        whole = depth
        for k in range(depth):
            store(packed, at + k * WIDTH, load(w, source + k * line))
            store(packed, at + k * WIDTH + LANES, load(w, source + k * line + LANES))
    for k in range(whole, depth):
        for j in range(WIDTH):
            place = source + (j * line + k if transposed else k * line + j)
            packed[at + k * WIDTH + j] = w[place] if first + j < columns else np.float32(0)


def weights(plan: Plan, w: np.ndarray) -> np.ndarray:
    """The weights as `contract` reads them: packed in panels where they cannot be read where they lie."""
    w = flat(w)
    if plan.packing is None:
        return w
    steps, depth, columns, transposed = plan.packing
    panels = -(-columns // WIDTH)
    packed = memory.empty((steps * panels * depth * WIDTH,))
    line = depth if transposed else columns
    pack(steps * panels, packed.size, w, packed, depth, columns, transposed, 0, line)
    return packed


def operands(plan: Plan, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """x, w and bias as `contract` takes them."""
    return flat(x), weights(plan, w), no_bias(plan.shape[-1]) if bias is None else flat(bias)


def run(plan: Plan, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None = None, slope=ONE) -> np.ndarray:
    """The result of a plan; negative sums are multiplied with `slope`."""
    y = memory.empty(plan.shape)
    contract(plan.tasks, plan.work, *operands(plan, x, w, bias), y.reshape(-1), *plan.tables, slope)
    return y


@jit
def _add_parts(task, parts, y):
    """y = Σ parts, in order."""
    stop = min(y.size, (task + 1) * CHUNK)
    for i in range(task * CHUNK, stop, LANES):
        sums = load_until(parts, i, stop)
        for at in range(y.size, parts.size, y.size):
            sums += load_until(parts, at + i, at + stop)
        store_until(y, i, stop, sums)


def add_parts(parts: np.ndarray) -> np.ndarray:
    """The sum over the first axis, flat: partial sums of tasks."""
    y = memory.empty((parts.size // len(parts),))
    _add_parts(chunks(y), parts.size, flat(parts), y)
    return y


def lay_out(rows: list[tuple[Sums, Sums]], offsets: np.ndarray) -> Layout:
    """The tables of a contraction: for each step where its rows begin in x and in y; and what is summed over.

    Rows of a picture are every sum of a line's begin and a pixel's place in its line, in this order.
    """
    counts = [lines.size * pixels.size for (lines, pixels), _ in rows]
    ends = np.cumsum([0, *(-(-count // ROWS) for count in counts)])
    largest = max(int(offsets.max(initial=0)), *(_largest(sums) for step in rows for sums in step))
    kind = np.int32 if largest <= np.iinfo(np.int32).max else np.int64
    in_rows, out_rows = (memory.pages(int(ends[-1]) * ROWS, kind) for _ in range(2))
    for step, count, first, end in zip(rows, counts, ends[:-1] * ROWS, ends[1:] * ROWS, strict=True):
        for table, (lines, pixels) in zip((in_rows, out_rows), step, strict=True):
            place = table[first : first + count].reshape(lines.size, pixels.size)
            np.add(lines[:, None], pixels, out=place, casting="unsafe")
            table[first + count : end] = table[first + count - 1] if count else 0  # up to a whole tile
    tiles = np.stack([ends[:-1], ends[1:]], axis=1).reshape(-1)
    summed = memory.pages(offsets.size, kind)
    summed[:] = offsets
    return Layout(in_rows, out_rows, tiles, summed, {})


def _largest(sums: Sums) -> int:
    return sum(int(part.max(initial=0)) for part in sums)


def make_plan(
    layout: Layout,
    shape: tuple[int, ...],
    groups: int = 1,
    x_group: int = 0,
    row_parts: int = 1,
    panel_parts: int = 1,
    begin: int = BIAS,
    pictures: int | None = None,
    transposed: bool = False,
    packed: bool = False,
    line: int | None = None,
) -> Plan:
    """Plan a contraction whose result has the given shape, the last axis being the columns.

    The groups split the first axis of the result; each takes all steps of the layout, or, with `pictures`, its share of so many,
    which all have the one list of rows. The weights of a step are (depth, columns), or, transposed, (columns, depth); `packed` asks for
    a copy in panels even where none is needed; lines may be longer than the columns.
    """
    columns, depth = shape[-1], layout.offsets.size
    most_tiles = int((layout.tiles[1::2] - layout.tiles[::2]).max())
    steps = layout.tiles.size // 2 if pictures is None else pictures
    x_step = x_group if pictures is not None else 0
    x_group = 0 if pictures is not None else x_group
    # A step may have no tile, where a tap of a kernel meets no pixel: there are tasks all the same, which clear the result.
    row_parts = max(1, min(row_parts, most_tiles))
    sizes = [groups, steps, pictures is not None, begin, row_parts, panel_parts, x_group, x_step]
    sizes += [math.prod(shape) // groups, columns]
    often_read = columns > WIDTH and line is None and most_tiles >= TILES_WORTH_PACKING
    line = line or columns
    if transposed or packed or often_read or (line % LANES and not READS_CUT_LINES):
        packing = steps, depth, columns, transposed
        sizes += [-(-columns // WIDTH) * depth * WIDTH, depth * WIDTH, WIDTH]
    else:
        packing = None
        sizes += [depth * line, WIDTH, line]
    return Plan(
        shape,
        groups * row_parts * panel_parts,
        (groups if pictures is None else pictures) * layout.in_rows.size * depth * columns // 16,
        layout,
        np.array(sizes, np.int64),
        packing,
    )


@kept
def no_bias(count: int) -> np.ndarray:
    """Zeros, where a layer has no bias."""
    return np.zeros(count, np.float32)
