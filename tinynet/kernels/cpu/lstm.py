"""Long short-term memory; blocking as recurrent.py says."""

from __future__ import annotations

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .activation import sigmoid_gradient, tanh_gradient
from .compiler.jit import jit
from .compiler.simd import LANES, load_until, splat, store_until
from .flat import flat
from .functions import copy, fma, sigmoid, tanh
from .recurrent import (
    Mask,
    flags,
    is_real,
    multiply,
    packed_panels,
    shares,
    states,
    whole_rows,
    whole_tasks,
)
from .row import multiply_row


@jit
def _lstm(task, xw, u, h0, c0, h, c, gates, h_rows, xw_rows, mask, steps, units, n, rows, few):
    first, last, width = task * rows, min(n, (task + 1) * rows), 4 * units
    for row in range(first, last):
        copy(h0, row * units, h, h_rows[row], units)
        copy(c0, row * units, c, h_rows[row], units)
    for t in range(steps):
        now, here = t * units, t * width
        if few:
            a, start = h_rows[first] + now, xw_rows[first] + here
            multiply_row(h, a, units, u, width, 0, xw, start, gates, start, width)
        else:
            multiply(h, h_rows, now, units, u, xw, xw_rows, here, gates, xw_rows, here, width, first, last)
        for row in range(first, last):
            start, at = xw_rows[row] + here, h_rows[row] + now
            real, then = is_real(mask, row * steps + t), at + units
            for j in range(0, units, LANES):
                i = sigmoid(load_until(gates, start + j, start + units))
                f = sigmoid(load_until(gates, start + units + j, start + 2 * units))
                g = tanh(load_until(gates, start + 2 * units + j, start + 3 * units))
                o = sigmoid(load_until(gates, start + 3 * units + j, start + width))
                store_until(gates, start + j, start + units, i)
                store_until(gates, start + units + j, start + 2 * units, f)
                store_until(gates, start + 2 * units + j, start + 3 * units, g)
                store_until(gates, start + 3 * units + j, start + width, o)
                before = load_until(c, at + j, then)
                cell = fma(f, before, i * g)
                state = o * tanh(cell)
                store_until(c, then + j, then + units, cell if real else before)
                store_until(h, then + j, then + units, state if real else load_until(h, at + j, then))


@jit
def _lstm_gradient(
    task, dh, dc, h, c, gates, w, dxw, acc, dcell, h_rows, xw_rows, rows_of, mask, steps, units, n, rows
):
    first, last, width = task * rows, min(n, (task + 1) * rows), 4 * units
    for row in range(first, last):
        copy(dh, h_rows[row] + steps * units, acc, row * units, units)
        copy(dc, row * units, dcell, row * units, units)
    for t in range(steps - 1, -1, -1):
        for row in range(first, last):
            start, at, own = xw_rows[row] + t * width, h_rows[row] + t * units, row * units
            real, then = is_real(mask, row * steps + t), at + units
            one, zero = splat(np.float32(1)), splat(np.float32(0))
            for j in range(0, units, LANES):
                dstate, dcell_here = (
                    load_until(acc, own + j, own + units),
                    load_until(dcell, own + j, own + units),
                )
                base = load_until(dh, at + j, then)
                if real:
                    i, f = (
                        load_until(gates, start + j, start + units),
                        load_until(gates, start + units + j, start + 2 * units),
                    )
                    g = load_until(gates, start + 2 * units + j, start + 3 * units)
                    o = load_until(gates, start + 3 * units + j, start + width)
                    tanh_c = tanh(load_until(c, then + j, then + units))
                    cell = fma(dstate * o, one - tanh_c * tanh_c, dcell_here)
                    store_until(dxw, start + j, start + units, sigmoid_gradient(cell * g, i))
                    forget = sigmoid_gradient(cell * load_until(c, at + j, then), f)
                    store_until(dxw, start + units + j, start + 2 * units, forget)
                    store_until(dxw, start + 2 * units + j, start + 3 * units, tanh_gradient(cell * i, g))
                    store_until(
                        dxw, start + 3 * units + j, start + width, sigmoid_gradient(dstate * tanh_c, o)
                    )
                    store_until(dcell, own + j, own + units, cell * f)
                    store_until(acc, own + j, own + units, base)
                else:
                    store_until(dxw, start + j, start + units, zero)
                    store_until(dxw, start + units + j, start + 2 * units, zero)
                    store_until(dxw, start + 2 * units + j, start + 3 * units, zero)
                    store_until(dxw, start + 3 * units + j, start + width, zero)
                    store_until(acc, own + j, own + units, base + dstate)
        multiply(dxw, xw_rows, t * width, width, w, acc, rows_of, 0, acc, rows_of, 0, units, first, last)


@as_defined
def lstm(
    xw: np.ndarray, recurrent: np.ndarray, h0: np.ndarray, c0: np.ndarray, mask: Mask
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, steps, units = xw.shape[0], xw.shape[1], h0.shape[1]
    h, c, gates = states(n, steps, units), states(n, steps, units), memory.empty(xw.shape)
    if not steps:
        h[:, 0], c[:, 0] = h0, c0
    elif xw.size:
        s = shares(n, steps, units, 4)
        u = flat(recurrent) if s.few else packed_panels(recurrent, False)
        arrays = flat(xw), u, flat(h0), flat(c0), h.reshape(-1), c.reshape(-1), gates.reshape(-1)
        sizes = steps, units, n, s.rows, s.few
        _lstm(s.tasks, s.work, *arrays, s.states, s.products, flags(mask), *sizes)
    return h, c, gates


@as_defined
def lstm_gradient(
    dh: np.ndarray,
    dc: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    gates: np.ndarray,
    recurrent: np.ndarray,
    mask: Mask,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, steps, units = h.shape[0], h.shape[1] - 1, h.shape[2]
    dxw, acc, dcell = memory.empty(gates.shape), memory.empty((n, units)), memory.empty((n, units))
    if not dxw.size:
        return dxw, np.ascontiguousarray(dh[:, -1]), np.ascontiguousarray(dc)
    s = shares(n, steps, units, 4)
    given = flat(dh), flat(dc), flat(h), flat(c), flat(gates), packed_panels(recurrent, True)
    made = dxw.reshape(-1), acc.reshape(-1), dcell.reshape(-1)
    tables = s.states, s.products, s.units, flags(mask)
    _lstm_gradient(whole_tasks(s, n), s.work, *given, *made, *tables, steps, units, n, whole_rows(s))
    return dxw, acc, dcell
