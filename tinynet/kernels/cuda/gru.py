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
from .compiler.primitives import f4, least
from .recurrent import SEQUENCES, THREADS, blocks_of, real_steps, states, sums, transposed

SUMS = 3 * SEQUENCES
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
        given = xw, recurrent, bias, h0, real
        made = h, gates, inner
        flags = has_mask, int(recurrent_bias is not None), int(reset_after)
        _gru(blocks_of(n), *given, *made, n, steps, units, *flags)
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
        given = dh, h, gates, inner, transposed(recurrent), real
        made = dxw, dr, dh0
        _gru_gradient(blocks_of(n), *given, *made, n, states_ - 1, units, has_mask, int(reset_after))
    return dxw, dr, dh0


@device
def _bias(bias, has_bias, i):
    return bias[i] if has_bias else f4(0)


@kernel(
    "f4[:], f4[:], f4[:], f4[:], u1[:], f4[:], f4[:], f4[:], i4, i4, i4, i4, i4, i4",
    threads=THREADS,
)
def _gru(xw, recurrent, bias, h0, real, h, gates, inner, n, steps, units, has_mask, has_bias, after):
    acc = cuda.local.array(SUMS, f4)
    first = cuda.blockIdx.x * SEQUENCES
    count = least(n - first, SEQUENCES)
    line = (steps + 1) * units
    for unit in range(cuda.threadIdx.x, units, THREADS):
        for s in range(count):
            h[(first + s) * line + unit] = h0[(first + s) * units + unit]
    for step in range(steps):
        cuda.syncthreads()
        before = first * line + step * units
        for unit in range(cuda.threadIdx.x, units, THREADS):
            sums(acc, h, recurrent, before, line, unit, units, 3 * units, 3, units, count)
            for s in range(SEQUENCES):
                if s < count:
                    row, at = (first + s) * steps + step, before + s * line + unit
                    gate = row * 3 * units + unit
                    r = sigmoid(xw[gate] + acc[s * 3] + _bias(bias, has_bias, unit))
                    z = sigmoid(xw[gate + units] + acc[s * 3 + 1] + _bias(bias, has_bias, units + unit))
                    gates[gate] = r
                    gates[gate + units] = z
                    if after:
                        product = acc[s * 3 + 2] + _bias(bias, has_bias, 2 * units + unit)
                        candidate = tanh(xw[gate + 2 * units] + r * product)
                        inner[row * units + unit] = product
                        gates[gate + 2 * units] = candidate
                        is_real = not has_mask or real[row] != 0
                        h[at + units] = (f4(1) - z) * candidate + z * h[at] if is_real else h[at]
                    else:
                        inner[row * units + unit] = r * h[at]
        if not after:
            cuda.syncthreads()
            for unit in range(cuda.threadIdx.x, units, THREADS):
                begin = (first * steps + step) * units
                sums(
                    acc,
                    inner,
                    recurrent,
                    begin,
                    steps * units,
                    2 * units + unit,
                    units,
                    3 * units,
                    1,
                    0,
                    count,
                )
                for s in range(SEQUENCES):
                    if s < count:
                        row, at = (first + s) * steps + step, before + s * line + unit
                        gate = row * 3 * units + unit
                        product = acc[s] + _bias(bias, has_bias, 2 * units + unit)
                        candidate, z = tanh(xw[gate + 2 * units] + product), gates[gate + units]
                        gates[gate + 2 * units] = candidate
                        is_real = not has_mask or real[row] != 0
                        h[at + units] = (f4(1) - z) * candidate + z * h[at] if is_real else h[at]


@kernel(
    "f4[:], f4[:], f4[:], f4[:], f4[:], u1[:], f4[:], f4[:], f4[:], i4, i4, i4, i4, i4",
    threads=THREADS,
)
def _gru_gradient(dh, h, gates, inner, turned, real, dxw, dr, dh0, n, steps, units, has_mask, after):
    """dh0 holds the gradient at the state of the step that is being done."""
    acc = cuda.local.array(SEQUENCES, f4)
    first = cuda.blockIdx.x * SEQUENCES
    count = least(n - first, SEQUENCES)
    line, stride = (steps + 1) * units, steps * 3 * units
    for unit in range(cuda.threadIdx.x, units, THREADS):
        for s in range(count):
            dh0[(first + s) * units + unit] = dh[(first + s) * line + steps * units + unit]
    for back in range(steps):
        step = steps - 1 - back
        begin = (first * steps + step) * 3 * units
        for unit in range(cuda.threadIdx.x, units, THREADS):
            for s in range(count):
                row, own = (first + s) * steps + step, (first + s) * units + unit
                at, gate = (first + s) * line + step * units + unit, row * 3 * units + unit
                is_real = not has_mask or real[row] != 0
                dstate = dh0[own]
                active = dstate if is_real else f4(0)
                r, z, candidate = gates[gate], gates[gate + units], gates[gate + 2 * units]
                dn = active * (f4(1) - z) * (f4(1) - candidate * candidate)
                dz = active * (h[at] - candidate) * z * (f4(1) - z)
                dxw[gate + units] = dz
                dxw[gate + 2 * units] = dn
                dr[gate + units] = dz
                dr[gate + 2 * units] = dn * r if after else dn
                if after:
                    dxw[gate] = dn * inner[row * units + unit] * r * (f4(1) - r)
                    dr[gate] = dxw[gate]
                dh0[own] = dh[at] + (active * z if is_real else dstate)
        if not after:
            cuda.syncthreads()
            for unit in range(cuda.threadIdx.x, units, THREADS):
                sums(
                    acc,
                    dr,
                    turned,
                    begin + 2 * units,
                    stride,
                    2 * units * units + unit,
                    units,
                    units,
                    1,
                    0,
                    count,
                )
                for s in range(SEQUENCES):
                    if s < count:
                        gate, at = begin + s * stride + unit, (first + s) * line + step * units + unit
                        r = gates[gate]
                        dxw[gate] = acc[s] * h[at] * r * (f4(1) - r)
                        dr[gate] = dxw[gate]
                        dh0[(first + s) * units + unit] += acc[s] * r
        cuda.syncthreads()
        for unit in range(cuda.threadIdx.x, units, THREADS):
            terms = 3 * units if after else 2 * units
            sums(acc, dr, turned, begin, stride, unit, terms, units, 1, 0, count)
            for s in range(SEQUENCES):
                if s < count:
                    dh0[(first + s) * units + unit] += acc[s]
