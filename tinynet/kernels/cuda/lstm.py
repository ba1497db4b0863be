"""The LSTM cell over whole sequences: see recurrent.py for how it is blocked."""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .array import DeviceArray
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.functions import sigmoid, tanh
from .compiler.kernel import kernel
from .compiler.primitives import f4, least
from .recurrent import SEQUENCES, THREADS, blocks_of, real_steps, states, sums, transposed

SUMS = 4 * SEQUENCES


@as_defined
def lstm(
    xw: Any, recurrent: Any, h0: Any, c0: Any, mask: Any
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    xw, recurrent, h0, c0 = take(xw), take(recurrent), take(h0), take(c0)
    n, steps, columns = xw.shape
    h, c, gates, (real, has_mask) = states(steps, h0), states(steps, c0), empty(xw.shape), real_steps(mask)
    if h.size:
        given = xw, recurrent, h0, c0, real
        _lstm(blocks_of(n), *given, h, c, gates, n, steps, columns // 4, has_mask)
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
        given = dh, dc, c, gates, transposed(recurrent), real
        made = dxw, dh0, dc0
        _lstm_gradient(blocks_of(n), *given, *made, n, states_ - 1, units, has_mask)
    return dxw, dh0, dc0


@kernel("f4[:], f4[:], f4[:], f4[:], u1[:], f4[:], f4[:], f4[:], i4, i4, i4, i4", threads=THREADS)
def _lstm(xw, recurrent, h0, c0, real, h, c, gates, n, steps, units, has_mask):
    acc = cuda.local.array(SUMS, f4)
    first = cuda.blockIdx.x * SEQUENCES
    count = least(n - first, SEQUENCES)
    line = (steps + 1) * units
    for unit in range(cuda.threadIdx.x, units, THREADS):
        for s in range(count):
            h[(first + s) * line + unit] = h0[(first + s) * units + unit]
            c[(first + s) * line + unit] = c0[(first + s) * units + unit]
    for step in range(steps):
        cuda.syncthreads()
        before = first * line + step * units
        for unit in range(cuda.threadIdx.x, units, THREADS):
            sums(acc, h, recurrent, before, line, unit, units, 4 * units, 4, units, count)
            for s in range(SEQUENCES):
                if s < count:
                    row, at = (first + s) * steps + step, before + s * line + unit
                    gate = row * 4 * units + unit
                    i = sigmoid(acc[s * 4] + xw[gate])
                    f = sigmoid(acc[s * 4 + 1] + xw[gate + units])
                    g = tanh(acc[s * 4 + 2] + xw[gate + 2 * units])
                    o = sigmoid(acc[s * 4 + 3] + xw[gate + 3 * units])
                    gates[gate] = i
                    gates[gate + units] = f
                    gates[gate + 2 * units] = g
                    gates[gate + 3 * units] = o
                    cell = f * c[at] + i * g
                    is_real = not has_mask or real[row] != 0
                    c[at + units] = cell if is_real else c[at]
                    h[at + units] = o * tanh(cell) if is_real else h[at]


@kernel("f4[:], f4[:], f4[:], f4[:], f4[:], u1[:], f4[:], f4[:], f4[:], i4, i4, i4, i4", threads=THREADS)
def _lstm_gradient(dh, dc, c, gates, turned, real, dxw, dh0, dc0, n, steps, units, has_mask):
    """dh0 and dc0 hold the gradients at the states of the step that is being done."""
    acc = cuda.local.array(SEQUENCES, f4)
    first = cuda.blockIdx.x * SEQUENCES
    count = least(n - first, SEQUENCES)
    line = (steps + 1) * units
    for unit in range(cuda.threadIdx.x, units, THREADS):
        for s in range(count):
            dh0[(first + s) * units + unit] = dh[(first + s) * line + steps * units + unit]
            dc0[(first + s) * units + unit] = dc[(first + s) * units + unit]
    for back in range(steps):
        step = steps - 1 - back
        for unit in range(cuda.threadIdx.x, units, THREADS):
            for s in range(count):
                row, own = (first + s) * steps + step, (first + s) * units + unit
                at, gate = (first + s) * line + step * units + unit, row * 4 * units + unit
                is_real = not has_mask or real[row] != 0
                dstate = dh0[own]
                active, kept = (dstate, dc0[own]) if is_real else (f4(0), f4(0))
                i, f = gates[gate], gates[gate + units]
                g, o = gates[gate + 2 * units], gates[gate + 3 * units]
                tanh_c = tanh(c[at + units])
                cell = kept + active * o * (f4(1) - tanh_c * tanh_c)
                dxw[gate] = cell * g * i * (f4(1) - i)
                dxw[gate + units] = cell * c[at] * f * (f4(1) - f)
                dxw[gate + 2 * units] = cell * i * (f4(1) - g * g)
                dxw[gate + 3 * units] = active * tanh_c * o * (f4(1) - o)
                dc0[own] = cell * f if is_real else dc0[own]
                dh0[own] = dh[at] if is_real else dh[at] + dstate
        cuda.syncthreads()
        for unit in range(cuda.threadIdx.x, units, THREADS):
            begin, stride = (first * steps + step) * 4 * units, steps * 4 * units
            sums(acc, dxw, turned, begin, stride, unit, 4 * units, units, 1, units, count)
            for s in range(SEQUENCES):
                if s < count:
                    dh0[(first + s) * units + unit] += acc[s]
