"""The basic recurrent cell over whole sequences: see recurrent.py for how it is blocked."""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .activation import CODES, activated, slope
from .array import DeviceArray
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.kernel import kernel
from .compiler.primitives import aligned, divide, f4, here, syncblocks
from .recurrent import (
    REGISTERS,
    ROOM,
    SUMS,
    THREADS,
    VALUES,
    WEIGHTS,
    arrivals,
    begin,
    product,
    real_steps,
    sequences_of_block,
    split,
    states,
    tile_of,
    unit_total,
    visit,
    visits_of,
)


@as_defined
def rnn(xw: Any, recurrent: Any, h0: Any, mask: Any, activation: str) -> DeviceArray:
    xw, recurrent, h0 = take(xw), take(recurrent), take(h0)
    n, steps, units = xw.shape
    h, (real, has_mask) = states(steps, h0), real_steps(mask)
    if h.size:
        given = xw, recurrent, h0, real, arrivals(), h
        blocks, lanes = split(n, units, units, 1)
        _rnn(blocks, *given, n, steps, units, lanes, has_mask, CODES[activation])
    return h


@as_defined
def rnn_gradient(
    dh: Any, h: Any, recurrent: Any, mask: Any, activation: str
) -> tuple[DeviceArray, DeviceArray]:
    dh, h, recurrent = take(dh), take(h), take(recurrent)
    n, states_, units = dh.shape
    dxw, dh0, (real, has_mask) = empty((n, states_ - 1, units)), empty((n, units)), real_steps(mask)
    if dh.size:
        given = dh, h, recurrent, real, arrivals(), dxw, dh0
        blocks, lanes = split(n, units, units, 1)
        _rnn_gradient(blocks, *given, n, states_ - 1, units, lanes, has_mask, CODES[activation])
    return dxw, dh0


@kernel(
    "f4[:], f4[:], f4[:], u1[:], u4[:], f4[:], i4, i4, i4, i4, i4, i4", threads=THREADS, registers=REGISTERS
)
def _rnn(xw, recurrent, h0, real, arrived, h, n, steps, units, lanes, has_mask, code):
    room = aligned(cuda.shared.array(ROOM, f4))
    weights = cuda.local.array(WEIGHTS, f4)
    acc = cuda.local.array(SUMS, f4)
    values = cuda.local.array(VALUES, f4)
    place = room, weights, acc, values
    tile, span = tile_of(units, lanes), (0, units, units)
    lane, width = tile[2], 4 * lanes
    layout = units, 1, lanes, lanes
    first, count = sequences_of_block(n)
    visits = visits_of(count, width, units)
    line = (steps + 1) * units
    begin(h, h0, first, count, steps, units)
    step = 0
    while step < steps:
        syncblocks(arrived)
        v = 0
        while v < visits:
            base, s0, rows, stale = visit(v, step, count, width, units)
            before = (first + s0) * line + step * units
            operand = h, before, line, rows
            product(place, stale, recurrent, layout, base + lane, units, operand, span, tile, 4)
            for e in range(cuda.threadIdx.x, rows * width, THREADS):
                s = divide(e, width)
                unit = base + e - s * width
                if unit < units:
                    row, at = (first + s0 + s) * steps + step, before + s * line + unit
                    met = unit_total(place, s, unit - base, tile)
                    state = activated(met + xw[row * units + unit], code)
                    h[at + units] = state if not has_mask or real[row] != 0 else h[at]
            v += 1
        step += 1


@kernel(
    "f4[:], f4[:], f4[:], u1[:], u4[:], f4[:], f4[:], i4, i4, i4, i4, i4, i4",
    threads=THREADS,
    registers=REGISTERS,
)
def _rnn_gradient(dh, h, recurrent, real, arrived, dxw, dh0, n, steps, units, lanes, has_mask, code):
    """dh0 holds the gradient at the state before the step that is done last, each element one thread's."""
    room = aligned(cuda.shared.array(ROOM, f4))
    weights = cuda.local.array(WEIGHTS, f4)
    acc = cuda.local.array(SUMS, f4)
    values = cuda.local.array(VALUES, f4)
    place = room, weights, acc, values
    tile, span = tile_of(units, lanes), (0, units, units)
    lane, width = tile[2], 4 * lanes
    layout = 1, units, units * lanes, lanes
    first, count = sequences_of_block(n)
    visits = visits_of(count, width, units)
    line = (steps + 1) * units
    back = 0
    while back <= steps:
        state = here(steps - back)
        if back > 0:
            syncblocks(arrived)
        v = 0
        while v < visits:
            base, s0, rows, stale = visit(v, back - 1, count, width, units)
            if back > 0:
                operand = dxw, ((first + s0) * steps + state) * units, steps * units, rows
                product(place, stale, recurrent, layout, base + lane, units, operand, span, tile, 4)
            for e in range(cuda.threadIdx.x, rows * width, THREADS):
                s = divide(e, width)
                unit = base + e - s * width
                if unit < units:
                    own, row = (first + s0 + s) * units + unit, (first + s0 + s) * steps + state
                    at = (first + s0 + s) * line + state * units + unit
                    dstate = dh[at]
                    if back > 0:
                        dstate = dh0[own] + unit_total(place, s, unit - base, tile)
                    dh0[own] = dstate
                    if state > 0:
                        is_real = not has_mask or real[row - 1] != 0
                        after = dstate * slope(h[at], code) if is_real else f4(0)
                        dxw[(row - 1) * units + unit] = after
                        dh0[own] = dh[at - units] + (f4(0) if is_real else dstate)
            v += 1
        back += 1
