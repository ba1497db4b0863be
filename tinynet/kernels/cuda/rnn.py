"""The basic recurrent cell over whole sequences: see recurrent.py for how it is blocked."""

from __future__ import annotations

from typing import Any

from ..reference.definition import as_defined
from .activation import CODES, activated, slope
from .array import DeviceArray
from .arrays import empty, take
from .compiler.driver import cuda
from .compiler.kernel import kernel
from .compiler.primitives import f4, least
from .recurrent import SEQUENCES, THREADS, blocks_of, real_steps, states, sums, transposed


@as_defined
def rnn(xw: Any, recurrent: Any, h0: Any, mask: Any, activation: str) -> DeviceArray:
    xw, recurrent, h0 = take(xw), take(recurrent), take(h0)
    n, steps, units = xw.shape
    h, (real, has_mask) = states(steps, h0), real_steps(mask)
    if h.size:
        given = xw, recurrent, h0, real, h
        _rnn(blocks_of(n), *given, n, steps, units, has_mask, CODES[activation])
    return h


@as_defined
def rnn_gradient(
    dh: Any, h: Any, recurrent: Any, mask: Any, activation: str
) -> tuple[DeviceArray, DeviceArray]:
    dh, h, recurrent = take(dh), take(h), take(recurrent)
    n, states_, units = dh.shape
    dxw, dh0, (real, has_mask) = empty((n, states_ - 1, units)), empty((n, units)), real_steps(mask)
    if dh.size:
        given = dh, h, transposed(recurrent), real, dxw, dh0
        _rnn_gradient(blocks_of(n), *given, n, states_ - 1, units, has_mask, CODES[activation])
    return dxw, dh0


@kernel("f4[:], f4[:], f4[:], u1[:], f4[:], i4, i4, i4, i4, i4", threads=THREADS)
def _rnn(xw, recurrent, h0, real, h, n, steps, units, has_mask, code):
    acc = cuda.local.array(SEQUENCES, f4)
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
            sums(acc, h, recurrent, before, line, unit, units, units, 1, units, count)
            for s in range(SEQUENCES):
                if s < count:
                    row = (first + s) * steps + step
                    state = activated(acc[s] + xw[row * units + unit], code)
                    at = before + s * line + unit
                    h[at + units] = state if not has_mask or real[row] != 0 else h[at]


@kernel("f4[:], f4[:], f4[:], u1[:], f4[:], f4[:], i4, i4, i4, i4, i4", threads=THREADS)
def _rnn_gradient(dh, h, turned, real, dxw, dh0, n, steps, units, has_mask, code):
    """dh0 holds the gradient at the state of the step that is being done."""
    acc = cuda.local.array(SEQUENCES, f4)
    first = cuda.blockIdx.x * SEQUENCES
    count = least(n - first, SEQUENCES)
    line = (steps + 1) * units
    for unit in range(cuda.threadIdx.x, units, THREADS):
        for s in range(count):
            dh0[(first + s) * units + unit] = dh[(first + s) * line + steps * units + unit]
    for back in range(steps):
        step = steps - 1 - back
        for unit in range(cuda.threadIdx.x, units, THREADS):
            for s in range(count):
                row, own = (first + s) * steps + step, (first + s) * units + unit
                at = (first + s) * line + step * units + unit
                is_real = not has_mask or real[row] != 0
                dstate = dh0[own]
                dxw[row * units + unit] = dstate * slope(h[at + units], code) if is_real else f4(0)
                dh0[own] = dh[at] + (f4(0) if is_real else dstate)
        cuda.syncthreads()
        for unit in range(cuda.threadIdx.x, units, THREADS):
            begin = (first * steps + step) * units
            sums(acc, dxw, turned, begin, steps * units, unit, units, units, 1, units, count)
            for s in range(SEQUENCES):
                if s < count:
                    dh0[(first + s) * units + unit] += acc[s]
