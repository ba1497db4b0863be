"""The register-tiled product under dense layers and convolutions: C[i, j] = Σ_k A(i, k) B(k, j), float32.

A block computes a tile of C: its threads copy depth-long pieces of A and B into shared memory, then each multiplies into 8 × 8 numbers
that it keeps in registers, 64 multiply-adds for 16 numbers that it reads. While it does, the next pieces are on their way from memory to
registers, and go to the other half of the shared memory: one barrier a piece. Lines in shared memory are 4 numbers longer than the
tile, so that the columns which A is written in fall into different banks. What bounds it: arithmetic for large products (it reads a
number for 32 to 64 multiply-adds), memory for small ones.

A and B are not stored anywhere: an `Operand` says how a thread gets four neighbours of them, of a matrix as it is or transposed, or of
the patches of a picture (conv.py). Where C has too few tiles to occupy a GPU, k is split into parts, each a product by itself, which
`combine` adds in their order: how many follows from the sizes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .array import DeviceArray
from .arrays import empty
from .compiler.driver import cuda
from .compiler.kernel import Kernel, blocks_for, device, kernel
from .compiler.primitives import aligned, f4, least, load4, multiply_add, store4

EIGHT = 8
"""A thread's part of a tile, in rows and in columns."""
BLOCKS = 128
"""Tiles of C, times parts of k, at least, where the sum is long enough: about as many as a large GPU has multiprocessors."""
SHORTEST = 64
"""Terms of a part, at least."""
GEOMETRY = 14
"""Numbers that describe a convolution to its operands."""
FLAT = (0,) * GEOMETRY
PAD = 4
"""Numbers by which a line in shared memory is longer than the tile."""
TYPES = f"f4[:], f4[:], f4[:], f4[:], i4, i4, i4, i4, i4, f4, i4*{GEOMETRY}"


class Tile(NamedTuple):
    """A tile of C: rows, columns, and how many k its block reads at a time: four numbers of A, and of B, a thread."""

    rows: int
    columns: int
    depth: int

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.rows * self.columns // EIGHT**2


LARGE, SMALL = Tile(128, 128, 8), Tile(64, 64, 4)


class Operand(NamedTuple):
    """How a thread gets numbers of A(i, k) or B(k, j); `line` is the i or the j.

    anchor(line, lines, terms, geometry) → three whole numbers, found once per thread: where its line lies, or its four lines.
    fetch(target, x, anchor, k, lines, terms, end, geometry) puts four neighbours into target[0 : 4], 0 where there is nothing: those at
    k, k + 1, … below `end` of one line where `along_k`, else those of four lines at one k, which is below `end`.
    """

    anchor: Callable
    fetch: Callable
    along_k: bool


@device
def _row(line, lines, terms, geometry):
    return line * terms if line < lines else -1, 0, 0


@device
def _along_row(target, x, anchor, k, lines, terms, end, geometry):
    start = anchor[0]
    if start >= 0 and k + 4 <= end and terms % 4 == 0:
        load4(target, 0, x, start + k)
    else:
        for q in range(4):
            target[q] = x[start + k + q] if start >= 0 and k + q < end else f4(0)


@device
def _column(line, lines, terms, geometry):
    return line, 0, 0


@device
def _along_column(target, x, anchor, k, lines, terms, end, geometry):
    line = anchor[0]
    if k < end and line + 4 <= lines and lines % 4 == 0:
        load4(target, 0, x, k * lines + line)
    else:
        for q in range(4):
            target[q] = x[k * lines + line + q] if k < end and line + q < lines else f4(0)


BY_LINE = Operand(_row, _along_row, True)
"""A matrix stored line after line: A as (i, k), B as (j, k)."""
BY_TERM = Operand(_column, _along_column, False)
"""A matrix stored term after term: A as (k, i), B as (k, j)."""


@device
def _where(thread, along_k, quads_of_lines, quads_of_k):
    """The line and the k of the first of a thread's four numbers in a piece of an operand."""
    if along_k:
        return thread // quads_of_k, thread % quads_of_k * 4
    return thread % quads_of_lines * 4, thread // quads_of_lines


@device
def _place(stage, room, line, k, pitch, along_k):
    """Four numbers into shared memory, whose lines are one k each."""
    if along_k:
        for q in range(4):
            room[(k + q) * pitch + line] = stage[q]
    else:
        store4(room, k * pitch + line, stage, 0)


def _multiplier(tile: Tile) -> Any:
    """What a thread does with a piece of A and B in shared memory.

    Two k written out would make 87 % of the loop multiply-adds instead of 79 %, but then registers of convolutions spill.
    """
    row_pitch, column_pitch = tile.rows + PAD, tile.columns + PAD
    depth, half_rows, half_columns = tile.depth, tile.rows // 2, tile.columns // 2

    @device
    def multiply(acc, left, right, a_shared, b_shared, buffer, row, column):
        for k in range(buffer * depth, buffer * depth + depth):
            load4(left, 0, a_shared, k * row_pitch + row)
            load4(left, 4, a_shared, k * row_pitch + half_rows + row)
            load4(right, 0, b_shared, k * column_pitch + column)
            load4(right, 4, b_shared, k * column_pitch + half_columns + column)
            multiply_add(acc, left, right, 8, 8)

    return multiply


def _finisher(tile: Tile) -> tuple[Any, Any]:
    """What becomes of a thread's 64 numbers: bias and activation, and their places in C."""
    half_rows, half_columns = tile.rows // 2, tile.columns // 2

    @device
    def finish(acc, right, bias, column, n, has_bias, slope):
        for j in range(8):
            at = column + (j if j < 4 else half_columns + j - 4)
            right[j] = bias[at] if has_bias and at < n else f4(0)
        for i in range(8):
            for j in range(8):
                z = acc[i * 8 + j] + right[j]
                acc[i * 8 + j] = z if not z < f4(0) else z * slope if slope != f4(0) else f4(0)

    @device
    def write(acc, c, first, row, column, m, n):
        for i in range(8):
            line = row + (i if i < 4 else half_rows + i - 4)
            for part in range(2):
                at, origin = column + part * half_columns, i * 8 + part * 4
                start = first + line * n + at
                if line < m and at + 4 <= n and n % 4 == 0:
                    store4(c, start, acc, origin)
                elif line < m:
                    for q in range(4):
                        if at + q < n:
                            c[start + q] = acc[origin + q]

    return finish, write


def product_kernel(name: str, a_operand: Operand, b_operand: Operand, tile: Tile) -> Kernel:
    """The product of two kinds of operands on tiles of one size, put together before it is compiled."""
    (anchor_a, fetch_a, a_along), (anchor_b, fetch_b, b_along) = a_operand, b_operand
    rows, columns, depth = tile
    a_pitch, b_pitch, across = rows + PAD, columns + PAD, columns // EIGHT
    a_room, b_room = 2 * depth * a_pitch, 2 * depth * b_pitch
    a_quads, b_quads, quads = rows // 4, columns // 4, depth // 4
    multiply, (finish, write) = _multiplier(tile), _finisher(tile)

    @kernel(TYPES, threads=tile.threads, name=f"{name}_{rows}x{columns}")
    def product(a, b, bias, c, m, n, terms, per_part, has_bias, slope, g):
        a_shared = aligned(cuda.shared.array(a_room, f4))
        b_shared = aligned(cuda.shared.array(b_room, f4))
        acc = cuda.local.array(64, f4)
        left = cuda.local.array(8, f4)
        right = cuda.local.array(8, f4)
        a_stage = cuda.local.array(4, f4)
        b_stage = cuda.local.array(4, f4)
        t = cuda.threadIdx.x
        first_k = cuda.blockIdx.z * per_part
        end = least(first_k + per_part, terms)
        a_line, a_k = _where(t, a_along, a_quads, quads)
        b_line, b_k = _where(t, b_along, b_quads, quads)
        a_anchor = anchor_a(cuda.blockIdx.x * rows + a_line, m, terms, g)
        b_anchor = anchor_b(cuda.blockIdx.y * columns + b_line, n, terms, g)
        for i in range(64):
            acc[i] = f4(0)
        fetch_a(a_stage, a, a_anchor, first_k + a_k, m, terms, end, g)
        fetch_b(b_stage, b, b_anchor, first_k + b_k, n, terms, end, g)
        _place(a_stage, a_shared, a_line, a_k, a_pitch, a_along)
        _place(b_stage, b_shared, b_line, b_k, b_pitch, b_along)
        cuda.syncthreads()
        row = t // across * 4
        column = t % across * 4
        buffer = 0
        for k in range(first_k + depth, end + depth, depth):
            if k < end:
                fetch_a(a_stage, a, a_anchor, k + a_k, m, terms, end, g)
                fetch_b(b_stage, b, b_anchor, k + b_k, n, terms, end, g)
            multiply(acc, left, right, a_shared, b_shared, buffer, row, column)
            if k < end:
                buffer = 1 - buffer
                _place(a_stage, a_shared, a_line, buffer * depth + a_k, a_pitch, a_along)
                _place(b_stage, b_shared, b_line, buffer * depth + b_k, b_pitch, b_along)
                cuda.syncthreads()
        row += cuda.blockIdx.x * rows
        column += cuda.blockIdx.y * columns
        finish(acc, right, bias, column, n, has_bias, slope)
        write(acc, c, cuda.blockIdx.z * m * n, row, column, m, n)

    return product


class Product:
    """The product of two kinds of operands, on tiles of the size that fits."""

    def __init__(self, name: str, a: Operand, b: Operand) -> None:
        self.large, self.small = (product_kernel(name, a, b, tile) for tile in (LARGE, SMALL))

    def __call__(
        self,
        a: DeviceArray,
        b: DeviceArray,
        sizes: tuple[int, int, int],
        bias: DeviceArray | None = None,
        slope: float = 1.0,
        geometry: tuple[int, ...] = FLAT,
    ) -> DeviceArray:
        """C (m, n) + bias, negative numbers times a slope, for sizes m, n and k, all above 0."""
        m, n, terms = sizes
        tile, parts = plan(m, n, terms)
        chosen = self.large if tile is LARGE else self.small
        per_part = -(-terms // parts)
        per_part += -per_part % 4  # so that four neighbours are not cut
        parts = -(-terms // per_part)
        blocks = -(-m // tile.rows), -(-n // tile.columns), parts
        c = empty((m, n) if parts == 1 else (parts, m, n))
        if parts > 1:
            chosen(blocks, a, b, c, c, m, n, terms, per_part, 0, 1.0, geometry)
            return combine(c, (m, n), bias, slope)
        given = c if bias is None else bias  # a kernel takes an array in any case
        has_bias = int(bias is not None)
        chosen(
            blocks,
            a,
            b,
            given,
            c,
            m,
            n,
            terms,
            per_part,
            has_bias,
            slope,
            geometry,
        )
        return c


def plan(m: int, n: int, terms: int) -> tuple[Tile, int]:
    """The tile for a product, and into how many parts its sum is split."""
    large = tiles(m, n, LARGE)
    if large >= BLOCKS:
        return LARGE, 1
    small = tiles(m, n, SMALL)
    return SMALL, max(min(-(-BLOCKS // small), terms // SHORTEST, 64), 1)


def tiles(m: int, n: int, tile: Tile) -> int:
    """How many tiles C has."""
    return -(-m // tile.rows) * -(-n // tile.columns)


def combine(
    parts: DeviceArray, shape: tuple[int, ...], bias: DeviceArray | None = None, slope: float = 1.0
) -> DeviceArray:
    """Σ over the first axis of parts, in its order, plus a bias along the last axis of the shape; negative numbers times a slope."""
    y = empty(shape)
    none, n = bias is None, shape[-1]
    given = y if bias is None else bias
    _combine(blocks_for(y.size), parts, given, y, y.size, n, len(parts), int(not none), slope)
    return y


@kernel("f4[:], f4[:], f4[:], i4, i4, i4, i4, f4", threads=256)
def _combine(parts, bias, y, size, n, count, has_bias, slope):
    i = cuda.grid(1)
    while i < size:
        z = f4(0)
        for part in range(count):
            z += parts[part * size + i]
        if has_bias:
            z += bias[i % n]
        if z < f4(0):
            z = z * slope if slope != f4(0) else f4(0)
        y[i] = z
        i += cuda.gridsize(1)
