"""The GRU cell over whole sequences, with the reset gate after the recurrent product or before it: see recurrent.py for how it is blocked.

Where the gate comes before, the candidate needs what all units have reset: one barrier more in each step, and two in the gradient's.
"""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, nothing, take
from .compiler.driver import cuda
from .compiler.functions import sigmoid, tanh
from .compiler.kernel import device, kernel
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

Gru = tuple[DeviceArray, DeviceArray, DeviceArray]


@as_defined
def gru(xw: Any, recurrent: Any, recurrent_bias: Any, h0: Any, mask: Any, reset_after: bool) -> Gru:
    xw, recurrent, h0 = take(xw), take(recurrent), take(h0)
    n, steps, columns = xw.shape
    units = columns // 3
    bias = nothing() if recurrent_bias is None else take(recurrent_bias)
    h, gates, inner = states(steps, h0), empty(xw.shape), empty((n, steps, units))
    if h.size:
        real, has_mask = real_steps(mask)
        given = xw, recurrent, bias, h0, real, arrivals()
        made = h, gates, inner
        flags = has_mask, int(recurrent_bias is not None), int(reset_after)
        blocks, lanes = split(n, units, units, 3)
        _gru(blocks, *given, *made, n, steps, units, lanes, *flags)
    return h, gates, inner


@as_defined
def gru_gradient(
    dh: Any, h: Any, gates: Any, inner: Any, recurrent: Any, mask: Any, reset_after: bool
) -> Gru:
    dh, h, gates, inner, recurrent = map(take, (dh, h, gates, inner, recurrent))
    n, states_, units = dh.shape
    dxw, dr, dh0 = empty(gates.shape), empty(gates.shape), empty((n, units))
    if dh.size:
        real, has_mask = real_steps(mask)
        given = dh, h, gates, inner, recurrent, real, arrivals()
        blocks, lanes = split(n, units, 3 * units, 1)
        flags = has_mask, int(reset_after)
        _gru_gradient(blocks, *given, dxw, dr, dh0, n, states_ - 1, units, lanes, *flags)
    return dxw, dr, dh0


@device
def _bias(bias, has_bias, i):
    return bias[i] if has_bias else f4(0)


@kernel(
    "f4[:], f4[:], f4[:], f4[:], u1[:], u4[:], f4[:], f4[:], f4[:], i4, i4, i4, i4, i4, i4, i4",
    threads=THREADS,
    registers=REGISTERS,
)
def _gru(
    xw, recurrent, bias, h0, real, arrived, h, gates, inner, n, steps, units, lanes, has_mask, has_bias, after
):
    room = aligned(cuda.shared.array(ROOM, f4))
    weights = cuda.local.array(WEIGHTS, f4)
    acc = cuda.local.array(SUMS, f4)
    values = cuda.local.array(VALUES, f4)
    place = room, weights, acc, values
    tile, layout, span = tile_of(units, lanes), (3 * units, 1, units, 0), (0, units, units)
    lane = tile[2]
    first, count = sequences_of_block(n)
    visits = visits_of(count, lanes, units)
    line, phases = (steps + 1) * units, 1 if after else 2
    begin(h, h0, first, count, steps, units)
    turn = 0
    while turn < phases * steps:
        step = divide(turn, phases)
        is_first, is_last = turn == step * phases, turn + 1 == (step + 1) * phases
        syncblocks(arrived)
        v = 0
        while v < visits:
            base, s0, rows, stale = visit(v, turn, count, lanes, units)
            before = (first + s0) * line + step * units
            operand = h, before, line, rows
            if not is_first:
                operand = inner, ((first + s0) * steps + step) * units, steps * units, rows
            product(place, stale, recurrent, layout, base + lane, units, operand, span, tile, 3)
            for e in range(cuda.threadIdx.x, rows * lanes, THREADS):
                s = divide(e, lanes)
                own = e - s * lanes
                unit = base + own
                if unit < units:
                    row, at = (first + s0 + s) * steps + step, before + s * line + unit
                    gate = row * 3 * units + unit
                    if is_first:
                        r = total(place, s, 0, own, tile, 3) + _bias(bias, has_bias, unit)
                        z = total(place, s, 1, own, tile, 3) + _bias(bias, has_bias, units + unit)
                        gates[gate] = sigmoid(xw[gate] + r)
                        gates[gate + units] = sigmoid(xw[gate + units] + z)
                        inner[row * units + unit] = gates[gate] * h[at]
                    if is_last:
                        own_sum = total(place, s, 2, own, tile, 3)
                        product_n = own_sum + _bias(bias, has_bias, 2 * units + unit)
                        r, z = gates[gate], gates[gate + units]
                        if after:
                            inner[row * units + unit] = product_n
                        candidate = tanh(xw[gate + 2 * units] + (r * product_n if after else product_n))
                        gates[gate + 2 * units] = candidate
                        is_real = not has_mask or real[row] != 0
                        h[at + units] = (f4(1) - z) * candidate + z * h[at] if is_real else h[at]
            v += 1
        turn += 1


@device
def _step_gradient(active, before, product_n, gates, dxw, dr, gate, units, after):
    """dxw and dr of a unit in a step; returns what reaches the state before it, but by way of the products."""
    r, z, candidate = gates[gate], gates[gate + units], gates[gate + 2 * units]
    dn = active * (f4(1) - z) * (f4(1) - candidate * candidate)
    dz = active * (before - candidate) * z * (f4(1) - z)
    dxw[gate + units] = dz
    dxw[gate + 2 * units] = dn
    dr[gate + units] = dz
    dr[gate + 2 * units] = dn * r if after else dn
    if after:
        dxw[gate] = dn * product_n * r * (f4(1) - r)
        dr[gate] = dxw[gate]
    return active * z


@kernel(
    "f4[:], f4[:], f4[:], f4[:], f4[:], u1[:], u4[:], f4[:], f4[:], f4[:], i4, i4, i4, i4, i4, i4",
    threads=THREADS,
    registers=REGISTERS,
)
def _gru_gradient(
    dh, h, gates, inner, recurrent, real, arrived, dxw, dr, dh0, n, steps, units, lanes, has_mask, after
):
    """dh0 holds the gradient at the state before the step that is done last, each element one thread's."""
    room = aligned(cuda.shared.array(ROOM, f4))
    weights = cuda.local.array(WEIGHTS, f4)
    acc = cuda.local.array(SUMS, f4)
    values = cuda.local.array(VALUES, f4)
    place = room, weights, acc, values
    terms = 3 * units
    tile = tile_of(terms, lanes)
    lane, width = tile[2], 4 * lanes
    layout = 1, terms, terms * lanes, lanes
    first, count = sequences_of_block(n)
    visits = visits_of(count, width, units)
    line, phases = (steps + 1) * units, 1 if after else 2
    turn = phases - 1
    while turn < phases * (steps + 1):
        back = divide(turn, phases)
        state = here(steps - back)
        is_last = turn + 1 == (back + 1) * phases
        span = (0 if after or is_last else 2 * units), (terms if after or not is_last else 2 * units), terms
        if back > 0:
            syncblocks(arrived)
        v = 0
        while v < visits:
            base, s0, rows, stale = visit(v, turn - phases, count, width, units)
            if back > 0:
                operand = dr, ((first + s0) * steps + state) * terms, steps * terms, rows
                product(place, stale, recurrent, layout, base + lane, units, operand, span, tile, 4)
            for e in range(cuda.threadIdx.x, rows * width, THREADS):
                s = divide(e, width)
                unit = base + e - s * width
                if unit < units:
                    own, row = (first + s0 + s) * units + unit, (first + s0 + s) * steps + state
                    at = (first + s0 + s) * line + state * units + unit
                    dstate = dh[at]
                    if back > 0:
                        met = unit_total(place, s, unit - base, tile)
                        dstate = dh0[own] + met
                        if not is_last:
                            gate = row * terms + unit
                            r = gates[gate]
                            dxw[gate] = met * h[at] * r * (f4(1) - r)
                            dr[gate] = dxw[gate]
                            dstate = dh0[own] + met * r
                    dh0[own] = dstate
                    if is_last and state > 0:
                        is_real = not has_mask or real[row - 1] != 0
                        active, skips = (dstate, f4(0)) if is_real else (f4(0), dstate)
                        gate, product_n = (row - 1) * terms + unit, inner[(row - 1) * units + unit]
                        through = _step_gradient(
                            active, h[at - units], product_n, gates, dxw, dr, gate, units, after
                        )
                        dh0[own] = dh[at - units] + through + skips
            v += 1
        turn += 1
