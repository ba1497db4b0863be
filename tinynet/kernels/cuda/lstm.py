"""The LSTM cell over whole sequences: see recurrent.py for how it is blocked."""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.functions import sigmoid, tanh
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
    total,
    unit_total,
    visit,
    visits_of,
)


@as_defined
def lstm(
    xw: Any, recurrent: Any, h0: Any, c0: Any, mask: Any
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    xw, recurrent, h0, c0 = take(xw), take(recurrent), take(h0), take(c0)
    n, steps, columns = xw.shape
    units = columns // 4
    h, c, gates, (real, has_mask) = states(steps, h0), states(steps, c0), empty(xw.shape), real_steps(mask)
    if h.size:
        given = xw, recurrent, h0, c0, real, arrivals()
        blocks, lanes = split(n, units, units, 4)
        _lstm(blocks, *given, h, c, gates, n, steps, units, lanes, has_mask)
    return h, c, gates


@as_defined
def lstm_gradient(
    dh: Any, dc: Any, h: Any, c: Any, gates: Any, recurrent: Any, mask: Any
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    dh, dc, c, gates, recurrent = map(take, (dh, dc, c, gates, recurrent))
    n, states_, units = dh.shape
    dxw, dh0, dc0, (real, has_mask) = (
        empty(gates.shape),
        empty((n, units)),
        empty((n, units)),
        real_steps(mask),
    )
    if dh.size:
        given = dh, dc, c, gates, recurrent, real, arrivals()
        blocks, lanes = split(n, units, 4 * units, 1)
        _lstm_gradient(blocks, *given, dxw, dh0, dc0, n, states_ - 1, units, lanes, has_mask)
    return dxw, dh0, dc0


@kernel(
    "f4[:], f4[:], f4[:], f4[:], u1[:], u4[:], f4[:], f4[:], f4[:], i4, i4, i4, i4, i4",
    threads=THREADS,
    registers=REGISTERS,
)
def _lstm(xw, recurrent, h0, c0, real, arrived, h, c, gates, n, steps, units, lanes, has_mask):
    room = aligned(cuda.shared.array(ROOM, f4))
    weights = cuda.local.array(WEIGHTS, f4)
    acc = cuda.local.array(SUMS, f4)
    values = cuda.local.array(VALUES, f4)
    place = room, weights, acc, values
    tile, layout, span = tile_of(units, lanes), (4 * units, 1, units, 0), (0, units, units)
    lane = tile[2]
    first, count = sequences_of_block(n)
    visits = visits_of(count, lanes, units)
    line = (steps + 1) * units
    begin(h, h0, first, count, steps, units)
    begin(c, c0, first, count, steps, units)
    step = 0
    while step < steps:
        syncblocks(arrived)
        v = 0
        while v < visits:
            base, s0, rows, stale = visit(v, step, count, lanes, units)
            before = (first + s0) * line + step * units
            operand = h, before, line, rows
            product(place, stale, recurrent, layout, base + lane, units, operand, span, tile, 4)
            for e in range(cuda.threadIdx.x, rows * lanes, THREADS):
                s = divide(e, lanes)
                own = e - s * lanes
                unit = base + own
                if unit < units:
                    row, at = (first + s0 + s) * steps + step, before + s * line + unit
                    gate = row * 4 * units + unit
                    i = sigmoid(total(place, s, 0, own, tile, 4) + xw[gate])
                    f = sigmoid(total(place, s, 1, own, tile, 4) + xw[gate + units])
                    g = tanh(total(place, s, 2, own, tile, 4) + xw[gate + 2 * units])
                    o = sigmoid(total(place, s, 3, own, tile, 4) + xw[gate + 3 * units])
                    gates[gate] = i
                    gates[gate + units] = f
                    gates[gate + 2 * units] = g
                    gates[gate + 3 * units] = o
                    cell = f * c[at] + i * g
                    is_real = not has_mask or real[row] != 0
                    c[at + units] = cell if is_real else c[at]
                    h[at + units] = o * tanh(cell) if is_real else h[at]
            v += 1
        step += 1


@kernel(
    "f4[:], f4[:], f4[:], f4[:], f4[:], u1[:], u4[:], f4[:], f4[:], f4[:], i4, i4, i4, i4, i4",
    threads=THREADS,
    registers=REGISTERS,
)
def _lstm_gradient(
    dh, dc, c, gates, recurrent, real, arrived, dxw, dh0, dc0, n, steps, units, lanes, has_mask
):
    """dh0 and dc0 hold the gradients at the states before the step that is done last."""
    room = aligned(cuda.shared.array(ROOM, f4))
    weights = cuda.local.array(WEIGHTS, f4)
    acc = cuda.local.array(SUMS, f4)
    values = cuda.local.array(VALUES, f4)
    place = room, weights, acc, values
    terms = 4 * units
    tile = tile_of(terms, lanes)
    lane, width = tile[2], 4 * lanes
    layout, span = (1, terms, terms * lanes, lanes), (0, terms, terms)
    first, count = sequences_of_block(n)
    visits = visits_of(count, width, units)
    line = (steps + 1) * units
    turn = 0
    while turn <= steps:
        after = here(steps - turn)
        if turn > 0:
            syncblocks(arrived)
        v = 0
        while v < visits:
            base, s0, rows, stale = visit(v, turn - 1, count, width, units)
            if turn > 0:
                operand = dxw, ((first + s0) * steps + after) * terms, steps * terms, rows
                product(place, stale, recurrent, layout, base + lane, units, operand, span, tile, 4)
            for e in range(cuda.threadIdx.x, rows * width, THREADS):
                s = divide(e, width)
                unit = base + e - s * width
                if unit < units:
                    own, at = (first + s0 + s) * units + unit, (first + s0 + s) * line + after * units + unit
                    dstate, dcell = dh[at], dc[own]
                    if turn > 0:
                        dstate, dcell = (
                            dh0[own] + unit_total(place, s, unit - base, tile),
                            dc0[own],
                        )
                    dh0[own], dc0[own] = dstate, dcell
                    if after > 0:
                        row = (first + s0 + s) * steps + after - 1
                        gate = row * terms + unit
                        is_real = not has_mask or real[row] != 0
                        active, kept = (dstate, dcell) if is_real else (f4(0), f4(0))
                        i, f = gates[gate], gates[gate + units]
                        g, o = gates[gate + 2 * units], gates[gate + 3 * units]
                        tanh_c = tanh(c[at])
                        cell = kept + active * o * (f4(1) - tanh_c * tanh_c)
                        dxw[gate] = cell * g * i * (f4(1) - i)
                        dxw[gate + units] = cell * c[at - units] * f * (f4(1) - f)
                        dxw[gate + 2 * units] = cell * i * (f4(1) - g * g)
                        dxw[gate + 3 * units] = active * tanh_c * o * (f4(1) - o)
                        dh0[own] = dh[at - units] if is_real else dh[at - units] + dstate
                        dc0[own] = cell * f if is_real else dcell
            v += 1
        turn += 1
