"""The product of one row and a matrix: a single example, or one sequence that is written.

Every number of the matrix is read once, where it lies, and meets one factor, so the memory that it comes from is the bound: most often
L2. Blocking: the sums of BROAD vectors of columns stay in registers while the rows of the matrix pass, so that nothing
else is read or written in between; of the columns that are left, half as many, and so on. Each sum runs down the rows in their
order, as it does in the register tile: the bits are the same.
"""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic

from .compiler.jit import helper
from .compiler.simd import (
    INTP,
    LANES,
    address,
    broadcast,
    call,
    load_at,
    load_until,
    splat,
    store_at,
    store_until,
    vector,
)
from .compiler.tile import ROWS
from .functions import fma

BROAD = 16 if ROWS == 12 else 8
"""Vectors of sums: half of the registers."""


def _columns_of(count: int, rest):
    """`multiply_row` by `count` vectors of columns at a time; `rest` does the same with the columns that are left."""
    sums_type = types.UniTuple(vector, count)

    def pointers(context, builder, array_type, array, at):
        first = address(context, builder, array_type, array, at)
        return [builder.gep(first, [INTP(i * LANES)]) for i in range(count)]

    @intrinsic
    def load(typing_context, x, at):
        def generate(context, builder, signature, values):
            found = [load_at(builder, p) for p in pointers(context, builder, signature.args[0], *values)]
            return context.make_tuple(builder, sums_type, found)

        return sums_type(x, types.intp), generate

    @intrinsic
    def add(typing_context, sums, factor, w, at):
        def generate(context, builder, signature, values):
            sums, factor, w, at = values
            factor, made = broadcast(builder, factor), []
            for i, pointer in enumerate(pointers(context, builder, signature.args[2], w, at)):
                line = load_at(builder, pointer)
                made.append(call(builder, "fma", factor, line, builder.extract_value(sums, i)))
            return context.make_tuple(builder, sums_type, made)

        return sums_type(sums, types.float32, w, types.intp), generate

    @intrinsic
    def store(typing_context, sums, y, at):
        def generate(context, builder, signature, values):
            for i, pointer in enumerate(pointers(context, builder, signature.args[1], *values[1:])):
                store_at(builder, builder.extract_value(values[0], i), pointer)
            return context.get_dummy_value()

        return types.void(sums, y, types.intp), generate

    @helper
    def multiply(a, at, depth, w, line, first, base, base_at, y, y_at, columns):
        done = 0
        while columns - done >= count * LANES:
            sums, w_at = load(base, base_at + done), first + done
            for k in range(at, at + depth):
                sums = add(sums, a[k], w, w_at)
                w_at += line
            store(sums, y, y_at + done)
            done += count * LANES
        if done < columns:
            rest(a, at, depth, w, line, first + done, base, base_at + done, y, y_at + done, columns - done)

    return multiply


@helper
def _part_of_a_vector(a, at, depth, w, line, first, base, base_at, y, y_at, columns):
    sums, w_at = load_until(base, base_at, base_at + columns), first
    for k in range(at, at + depth):
        sums = fma(splat(a[k]), load_until(w, w_at, w_at + columns), sums)
        w_at += line
    store_until(y, y_at, y_at + columns, sums)


def _by_halves(count: int):
    return _columns_of(count, _by_halves(count // 2)) if count else _part_of_a_vector


multiply_row = _by_halves(BROAD)
"""multiply_row(a, at, depth, w, line, first, base, base_at, y, y_at, columns): y = base + a · w for one row.

The row a begins at `at` and has `depth` numbers, w lies in lines, of which `columns` columns from `first` on are read.
"""
