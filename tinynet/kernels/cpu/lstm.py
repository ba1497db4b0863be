"""Long short-term memory; blocking as recurrent.py says."""

from __future__ import annotations

import numpy as np

from . import memory
from .activation import sigmoid_gradient, tanh_gradient
from .compiler.jit import jit
from .compiler.simd import LANES, load_until, splat, store_until
from .definition import as_defined
from .flat import flat
from .functions import copy, fma, sigmoid, tanh
from .recurrent import (
    Mask,
    flags,
    is_real,
    multiply,
    panels_of,
    shares,
    states,
    whole_rows,
    whole_tasks,
)
from .row import multiply_row


@jit
def _lstm(task, z, u, h0, c0, h, c, gates, h_rows, z_rows, mask, steps, units, n, rows, few):
    first, last, width = task * rows, min(n, (task + 1) * rows), 4 * units
    for row in range(first, last):
        copy(h0, row * units, h, h_rows[row], units)
        copy(c0, row * units, c, h_rows[row], units)
    for t in range(steps):
        now, here = t * units, t * width
        if few:
            a, g = h_rows[first] + now, z_rows[first] + here
            multiply_row(h, a, units, u, width, 0, z, g, gates, g, width)
        else:
            multiply(h, h_rows, now, units, u, z, z_rows, here, gates, z_rows, here, width, first, last)
        for row in range(first, last):
            g, at = z_rows[row] + here, h_rows[row] + now
            real, then = is_real(mask, row * steps + t), at + units
            for j in range(0, units, LANES):
                i = sigmoid(load_until(gates, g + j, g + units))
                f = sigmoid(load_until(gates, g + units + j, g + 2 * units))
                m = tanh(load_until(gates, g + 2 * units + j, g + 3 * units))
                o = sigmoid(load_until(gates, g + 3 * units + j, g + width))
                store_until(gates, g + j, g + units, i)
                store_until(gates, g + units + j, g + 2 * units, f)
                store_until(gates, g + 2 * units + j, g + 3 * units, m)
                store_until(gates, g + 3 * units + j, g + width, o)
                before = load_until(c, at + j, then)
                cell = fma(f, before, i * m)
                state = o * tanh(cell)
                store_until(c, then + j, then + units, cell if real else before)
                store_until(h, then + j, then + units, state if real else load_until(h, at + j, then))


@jit
def _lstm_gradient(
    task, dh, dc, h, c, gates, w, dz, acc, dcell, h_rows, z_rows, rows_of, mask, steps, units, n, rows
):
    first, last, width = task * rows, min(n, (task + 1) * rows), 4 * units
    for row in range(first, last):
        copy(dh, h_rows[row] + steps * units, acc, row * units, units)
        copy(dc, row * units, dcell, row * units, units)
    for t in range(steps - 1, -1, -1):
        for row in range(first, last):
            g, at, own = z_rows[row] + t * width, h_rows[row] + t * units, row * units
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
                        load_until(gates, g + j, g + units),
                        load_until(gates, g + units + j, g + 2 * units),
                    )
                    m = load_until(gates, g + 2 * units + j, g + 3 * units)
                    o = load_until(gates, g + 3 * units + j, g + width)
                    bent = tanh(load_until(c, then + j, then + units))
                    cell = fma(dstate * o, one - bent * bent, dcell_here)
                    store_until(dz, g + j, g + units, sigmoid_gradient(cell * m, i))
                    forget = sigmoid_gradient(cell * load_until(c, at + j, then), f)
                    store_until(dz, g + units + j, g + 2 * units, forget)
                    store_until(dz, g + 2 * units + j, g + 3 * units, tanh_gradient(cell * i, m))
                    store_until(dz, g + 3 * units + j, g + width, sigmoid_gradient(dstate * bent, o))
                    store_until(dcell, own + j, own + units, cell * f)
                    store_until(acc, own + j, own + units, base)
                else:
                    store_until(dz, g + j, g + units, zero)
                    store_until(dz, g + units + j, g + 2 * units, zero)
                    store_until(dz, g + 2 * units + j, g + 3 * units, zero)
                    store_until(dz, g + 3 * units + j, g + width, zero)
                    store_until(acc, own + j, own + units, base + dstate)
        multiply(dz, z_rows, t * width, width, w, acc, rows_of, 0, acc, rows_of, 0, units, first, last)


@as_defined
def lstm(
    z: np.ndarray, recurrent: np.ndarray, h0: np.ndarray, c0: np.ndarray, mask: Mask
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, steps, units = z.shape[0], z.shape[1], h0.shape[1]
    h, c, gates = states(n, steps, units), states(n, steps, units), memory.empty(z.shape)
    if not steps:
        h[:, 0], c[:, 0] = h0, c0
    elif z.size:
        s = shares(n, steps, units, 4)
        u = flat(recurrent) if s.few else panels_of(recurrent, False)
        arrays = flat(z), u, flat(h0), flat(c0), h.reshape(-1), c.reshape(-1), gates.reshape(-1)
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
    dz, acc, dcell = memory.empty(gates.shape), memory.empty((n, units)), memory.empty((n, units))
    if not dz.size:
        return dz, np.ascontiguousarray(dh[:, -1]), np.ascontiguousarray(dc)
    s = shares(n, steps, units, 4)
    given = flat(dh), flat(dc), flat(h), flat(c), flat(gates), panels_of(recurrent, True)
    made = dz.reshape(-1), acc.reshape(-1), dcell.reshape(-1)
    tables = s.states, s.products, s.units, flags(mask)
    _lstm_gradient(whole_tasks(s, n), s.work, *given, *made, *tables, steps, units, n, whole_rows(s))
    return dz, acc, dcell
