"""The register tile: ROWS × WIDTH float32 sums that a loop carries in vector registers.

    sums = start(bias, rows, column, stop)         every row is bias[column : column + WIDTH], zero from `stop` on
    sums = outer(sums, a, rows, k, w, j)           sums[i] += a[rows[i] + k] · w[j : j + WIDTH]
    finish(sums, y, rows, column, stop, …)         y[rows[i] + column :] = activation(sums[i]), nothing from column `stop` on

A narrow tile has LANES columns, for what is left of a matrix beside the wide ones: `start_narrow`, `resume_narrow`, `outer_narrow`, which
takes the number of columns that are left; `finish` takes both.

`rows` is a tuple of ROWS offsets, or of SHORT, read from a table with `row_offsets`: any places in memory. So a convolution with
strides and dilation, the gradients of it, a matrix product and its transposes are all short loops round `outer`: no operand is
rearranged first. A table that ends inside a tile repeats its last row: that row is computed twice and written twice.

The tile takes ROWS · 2 registers for sums, 2 for w and 1 for a: 6 rows fit the 16 registers of AVX2 (and SSE), 12 the
32 of AVX-512 and NEON. Its inner step has 2 · ROWS fused multiply-adds for ROWS + 2 loads, so with operands in the first
two caches the multipliers bound it.
"""

from __future__ import annotations

import platform

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .simd import (
    INTP,
    LANES,
    Value,
    address,
    broadcast,
    call,
    choose,
    first_lanes,
    load_at,
    masked_load_at,
    masked_store_at,
    store_at,
    vector,
)

_ARM = platform.machine().lower() in ("aarch64", "arm64")
_VECTOR_REGISTER = "w" if _ARM else "v" if LANES == 16 else "x"
ROWS = 12 if LANES == 16 or platform.machine().lower() in ("aarch64", "arm64") else 6
WIDTH = 2 * LANES
SHORT = 8 if ROWS == 12 else ROWS
"""Rows of a shorter tile, for batches that are to be shared out evenly: it still keeps the multipliers nearly as busy."""


def _offsets_of(count: int):
    @intrinsic
    def row_offsets(typing_context, table, first):
        def generate(context, builder, signature, values):
            pointer = address(context, builder, signature.args[0], *values)
            offsets = [builder.load(builder.gep(pointer, [INTP(i)])) for i in range(count)]
            offsets = [builder.sext(offset, INTP) if offset.type != INTP else offset for offset in offsets]
            return context.make_tuple(builder, signature.return_type, offsets)

        return types.UniTuple(types.intp, count)(table, types.intp), generate

    row_offsets.__doc__ = f"The offsets of {count} rows: entries `first` … of a table of int32 or int64."
    return row_offsets


row_offsets, short_row_offsets = _offsets_of(ROWS), _offsets_of(SHORT)


READS_CUT_LINES = not _ARM
"""Whether a narrow tile may read less than a vector of w: elsewhere that is slow, and lines have to end with zeros."""


def _sums_of(rows, vectors):
    """The type of the sums of so many rows."""
    return types.UniTuple(vector, vectors * len(rows))


def _start_of(vectors: int):
    @intrinsic
    def start(typing_context, bias, rows, column, stop):
        def generate(context, builder, signature, values):
            bias, _, column, stop = values
            base = address(context, builder, signature.args[0], bias, column)
            pointers = [builder.gep(base, [INTP(v * LANES)]) for v in range(vectors)]
            row = _load_either(builder, column, stop, pointers, vectors)
            return context.make_tuple(builder, signature.return_type, row * len(signature.args[1]))

        return _sums_of(rows, vectors)(bias, rows, types.intp, types.intp), generate

    start.__doc__ = f"Sums whose every row is bias[column : column + {vectors} · LANES], zero from `stop` on."
    return start


def _resume_of(vectors: int):
    @intrinsic
    def resume(typing_context, y, rows, column, stop):
        def generate(context, builder, signature, values):
            _, rows, column, stop = values
            pointers = _pointers(context, builder, signature.args[0], values[0], rows, column, vectors)
            sums = _load_either(builder, column, stop, pointers, vectors)
            return context.make_tuple(builder, signature.return_type, sums)

        return _sums_of(rows, vectors)(y, rows, types.intp, types.intp), generate

    resume.__doc__ = (
        "Sums that go on from memory: row i is y[rows[i] + column :], zero from column `stop` on."
    )
    return resume


start, start_narrow = _start_of(2), _start_of(1)
resume, resume_narrow = _resume_of(2), _resume_of(1)


@intrinsic
def outer(typing_context, sums, a, rows, k, w, j):
    """sums[i] += a[rows[i] + k] · w[j : j + WIDTH]."""

    def generate(context, builder, signature, values):
        pointer = address(context, builder, signature.args[4], *values[4:])
        line = [load_at(builder, builder.gep(pointer, [INTP(v)])) for v in (0, LANES)]
        return _multiply(context, builder, signature, values, line)

    return sums(sums, a, rows, types.intp, w, types.intp), generate


@intrinsic
def outer_narrow(typing_context, sums, a, rows, k, w, j, left):
    """sums[i] += a[rows[i] + k] · w[j : j + LANES], of which `left` numbers count."""

    def generate(context, builder, signature, values):
        pointer = address(context, builder, signature.args[4], *values[4:6])
        mask = first_lanes(builder, values[6])
        line = masked_load_at(builder, pointer, mask) if READS_CUT_LINES else load_at(builder, pointer)
        return _multiply(context, builder, signature, values, [line])

    return sums(sums, a, rows, types.intp, w, types.intp, types.intp), generate


def _multiply(context, builder, signature, values, line):
    """The sums, row by row, after the product of a column of `a` and a line of w, which is so many vectors."""
    sums, a, rows, k = values[:4]
    base = address(context, builder, signature.args[1], a, k)
    result = []
    for i in range(len(signature.args[2])):
        factor = broadcast(builder, builder.load(builder.gep(base, [builder.extract_value(rows, i)])))
        for v, part in enumerate(line):
            before = builder.extract_value(sums, len(line) * i + v)
            result.append(call(builder, "fma", factor, part, before))
        base = _after(builder, base, *result[-len(line) :])
    return context.make_tuple(builder, signature.return_type, result)


def _after(builder, pointer, *values):
    """The pointer, which the compiler takes to depend on `values`: no load through it is moved before they are computed.

    Its scheduler would else load the factors of all rows first, and spill sums to make room for them: twice the time.
    """
    kind = ir.FunctionType(pointer.type, [pointer.type, *[value.type for value in values]])
    constraints = ",".join(["=r", "0", *[_VECTOR_REGISTER] * len(values)])
    return builder.call(ir.InlineAsm(kind, "", constraints, side_effect=True), [pointer, *values])


@intrinsic
def finish(typing_context, sums, y, rows, column, stop, slope):
    """y[rows[i] + column :] = sums[i] where ≥ 0, elsewhere slope · sums[i], 0 ≤ slope ≤ 1; nothing from column `stop` on.

    So slope 1 is the identity and 0 is ReLU, of -inf too; NaN stays NaN.
    """

    def generate(context, builder, signature, values):
        sums, y, rows, column, stop, slope = values
        vectors = len(signature.args[0]) // len(signature.args[2])
        pointers = _pointers(context, builder, signature.args[1], y, rows, column, vectors)
        outputs = _activated(
            builder, [builder.extract_value(sums, i) for i in range(len(signature.args[0]))], slope
        )

        def store_all():
            for value, pointer in zip(outputs, pointers, strict=True):
                store_at(builder, value, pointer)

        def store_some():
            for value, pointer, mask in zip(
                outputs,
                pointers,
                _masks(builder, column, stop, vectors) * len(signature.args[2]),
                strict=True,
            ):
                masked_store_at(builder, value, pointer, mask)

        _either(builder, column, stop, vectors, store_all, store_some)
        return context.get_dummy_value()

    return types.void(sums, y, rows, types.intp, types.intp, types.float32), generate


def _pointers(context, builder, array_type, array, rows, column, vectors):
    """The places of the vectors of each row of a tile, row by row."""
    base = address(context, builder, array_type, array, column)
    starts = [builder.gep(base, [builder.extract_value(rows, i)]) for i in range(rows.type.count)]
    return [builder.gep(p, [INTP(v * LANES)]) for p in starts for v in range(vectors)]


def _load_either(builder, column, stop, pointers, vectors):
    """The vectors at pointers, zero from column `stop` on."""

    def whole():
        return [load_at(builder, pointer) for pointer in pointers]

    def part():
        masks = _masks(builder, column, stop, vectors) * (len(pointers) // vectors)
        return [masked_load_at(builder, *place) for place in zip(pointers, masks, strict=True)]

    return _either(builder, column, stop, vectors, whole, part)


def _masks(builder, column, stop, vectors):
    """The masks of the vectors of a row."""
    left = builder.sub(stop, column)
    return [first_lanes(builder, builder.sub(left, INTP(v * LANES))) for v in range(vectors)]


def _either(builder, column, stop, vectors, whole, part):
    """`whole` for a tile inside the columns, `part` for one that `stop` cuts."""
    inside = builder.icmp_signed("<=", builder.add(column, INTP(vectors * LANES)), stop)
    return _branch(builder, inside, whole, part)


def _branch(builder, condition, if_true, if_false):
    """Emit one of two ways, the first being the likely one; merge the values they return."""
    with builder.if_else(condition, likely=True) as (yes, no):
        with yes:
            first, first_block = if_true(), builder.block
        with no:
            second, second_block = if_false(), builder.block
    if first is None:
        return None
    merged = []
    for a, b in zip(first, second, strict=True):
        phi = builder.phi(a.type)
        phi.add_incoming(a, first_block)
        phi.add_incoming(b, second_block)
        merged.append(phi)
    return merged


def _activated(builder, sums, slope):
    """The sums where ≥ 0, elsewhere times slope; for ReLU, which is one instruction, zero."""
    values = [Value(builder, value) for value in sums]
    is_relu, is_linear = (builder.fcmp_ordered("==", slope, ir.Constant(slope.type, x)) for x in (0.0, 1.0))
    factor = Value(builder, broadcast(builder, slope))

    def relu():
        return [choose(z < 0.0, 0.0, z).value for z in values]

    def leaky():
        return [choose(z * factor > z, z * factor, z).value for z in values]

    def rising():
        return _branch(builder, is_relu, relu, leaky)

    return _branch(builder, is_linear, lambda: sums, rising)
