"""What the recurrent cells share: products with the state, and how a batch is shared out; the equations stand in the reference.

Blocking: a task is a share of the batch, which it takes through all steps of time: no thread ever waits for another between steps.
At each step the product of the state with U runs on the register tile, SHORT sequences at a time, U packed in panels that stay in
L1 while the task's sequences pass; what follows element by element is done while it is in L1 too. Bound by
the multipliers, with large U by L2, where U comes from. A few sequences alone, as when text is written, are products of
a vector and a matrix (row.py), bound by the memory that U comes from; sums run in the same order there, so the bits are the same.

Every sequence is computed for itself, so how a batch is shared out changes no bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .compiler import launch
from .compiler.jit import helper
from .compiler.tile import SHORT, WIDTH, finish, outer, resume, short_row_offsets
from .contraction import ONE, pack
from .flat import flat
from .plans import kept
from .transposed import product, rows_of

Mask = np.ndarray | None


@helper
def multiply(a, a_rows, at, depth, w, base, base_rows, base_at, y, y_rows, y_at, columns, first, last):
    """y[row] = base[row] + a[row] · w for the rows first … last - 1, w (depth, columns) in panels.

    Row r of an array begins at its table's entry r plus its own offset `…_at`.
    """
    for panel in range((columns + WIDTH - 1) // WIDTH):
        column = panel * WIDTH
        for row in range(first, last, SHORT):
            rows, j = short_row_offsets(a_rows, row), panel * depth * WIDTH
            sums = resume(base, short_row_offsets(base_rows, row), base_at + column, base_at + columns)
            for k in range(at, at + depth):
                sums = outer(sums, a, rows, k, w, j)
                j += WIDTH
            finish(sums, y, short_row_offsets(y_rows, row), y_at + column, y_at + columns, ONE)


@helper
def is_real(mask, place):
    """Whether a step counts; an empty mask: all do."""
    return mask.size == 0 or mask[place] != 0


class Shares(NamedTuple):
    """How a batch is shared out: rows of a task, and tables of where the rows of arrays begin, a multiple of SHORT entries."""

    few: bool
    rows: int
    tasks: int
    work: int
    states: np.ndarray
    products: np.ndarray
    inner: np.ndarray
    units: np.ndarray
    gates: np.ndarray
    begin: np.ndarray
    """Where each row of an array of one row begins."""


def shares(n: int, steps: int, units: int, gates: int) -> Shares:
    """How n sequences are shared out among the threads."""
    return _shares(n, steps, units, gates, launch.get_threads())


@kept
def _shares(n: int, steps: int, units: int, gates: int, threads: int) -> Shares:
    few, tiles = n < SHORT, -(-n // SHORT)
    rows = 1 if few else SHORT * -(-tiles // max(1, min(tiles, threads)))
    sequences = np.minimum(np.arange(tiles * SHORT), n - 1)
    per_row = (steps + 1) * units, steps * gates * units, steps * units, units, gates * units, 0
    work = n * steps * units * units * gates // 16
    return Shares(few, rows, -(-n // rows), work, *[sequences * count for count in per_row])


def packed_panels(w: np.ndarray, transposed: bool, first: int = 0, stop: int | None = None) -> np.ndarray:
    """Columns first … stop - 1 of a matrix, as `multiply` reads them."""
    lines, line = w.shape
    part = (line if stop is None else stop) - first
    depth, columns = (part, lines) if transposed else (lines, part)
    panels = -(-columns // WIDTH)
    packed = memory.empty((panels * depth * WIDTH,))
    pack(panels, packed.size, flat(w), packed, depth, columns, transposed, first, line)
    return packed


def flags(mask: Mask) -> np.ndarray:
    """A mask as kernels take it: bytes, none of them where all steps are real."""
    return np.zeros(0, np.uint8) if mask is None else np.ascontiguousarray(mask).view(np.uint8).reshape(-1)


def states(n: int, steps: int, units: int) -> np.ndarray:
    """Room for the state before the first step and after each."""
    return memory.empty((n, steps + 1, units))


def whole_rows(s: Shares) -> int:
    """Rows of a task where all go through the tile."""
    return SHORT if s.few else s.rows


def whole_tasks(s: Shares, n: int) -> int:
    """Tasks of `whole_rows` rows."""
    return -(-n // whole_rows(s))


@as_defined
def state_kernel_gradient(h: np.ndarray, dr: np.ndarray) -> np.ndarray:
    n, steps, columns = dr.shape
    units = h.shape[2]
    return product(h, rows_of(n, steps, 1, units), units, dr.reshape(n * steps, columns))
