"""The simple recurrent cell; blocking as recurrent.py says."""

from __future__ import annotations

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .activation import relu, relu_gradient, tanh_gradient
from .compiler.jit import jit
from .compiler.simd import LANES, load_until, splat, store_until
from .flat import flat
from .functions import copy, tanh
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
def _rnn(task, xw, u, h0, h, h_rows, xw_rows, mask, steps, units, n, rows, few, rectify):
    first, last = task * rows, min(n, (task + 1) * rows)
    for row in range(first, last):
        copy(h0, row * units, h, h_rows[row], units)
    for t in range(steps):
        now, then = t * units, (t + 1) * units
        if few:
            multiply_row(
                h,
                h_rows[first] + now,
                units,
                u,
                units,
                0,
                xw,
                xw_rows[first] + now,
                h,
                h_rows[first] + then,
                units,
            )
        else:
            multiply(h, h_rows, now, units, u, xw, xw_rows, now, h, h_rows, then, units, first, last)
        for row in range(first, last):
            at, stop = h_rows[row] + then, h_rows[row] + then + units
            if is_real(mask, row * steps + t):
                for j in range(at, stop, LANES):
                    value = load_until(h, j, stop)
                    store_until(h, j, stop, relu(value) if rectify else tanh(value))
            else:
                copy(h, at - units, h, at, units)


@jit
def _rnn_gradient(task, dh, h, w, dxw, acc, h_rows, xw_rows, rows_of, mask, steps, units, n, rows, rectify):
    first, last = task * rows, min(n, (task + 1) * rows)
    for row in range(first, last):
        copy(dh, h_rows[row] + steps * units, acc, row * units, units)
    for t in range(steps - 1, -1, -1):
        for row in range(first, last):
            state, own, base = h_rows[row] + (t + 1) * units, row * units, h_rows[row] + t * units
            real = is_real(mask, row * steps + t)
            for j in range(0, units, LANES):
                dstate, y = load_until(acc, own + j, own + units), load_until(h, state + j, state + units)
                zero = splat(np.float32(0))
                slope = (relu_gradient(dstate, y) if rectify else tanh_gradient(dstate, y)) if real else zero
                at = xw_rows[row] + t * units
                store_until(dxw, at + j, at + units, slope)
                dh_skipped = zero if real else dstate
                store_until(acc, own + j, own + units, load_until(dh, base + j, base + units) + dh_skipped)
        multiply(dxw, xw_rows, t * units, units, w, acc, rows_of, 0, acc, rows_of, 0, units, first, last)


@as_defined
def rnn(xw: np.ndarray, recurrent: np.ndarray, h0: np.ndarray, mask: Mask, activation: str) -> np.ndarray:
    n, steps, units = xw.shape
    h = states(n, steps, units)
    if not steps:
        h[:, 0] = h0
    elif xw.size:
        s = shares(n, steps, units, 1)
        u = flat(recurrent) if s.few else packed_panels(recurrent, False)
        sizes = steps, units, n, s.rows, s.few, activation == "relu"
        _rnn(s.tasks, s.work, flat(xw), u, flat(h0), h.reshape(-1), s.states, s.products, flags(mask), *sizes)
    return h


@as_defined
def rnn_gradient(
    dh: np.ndarray, h: np.ndarray, recurrent: np.ndarray, mask: Mask, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    n, steps, units = h.shape[0], h.shape[1] - 1, h.shape[2]
    dxw, acc = memory.empty((n, steps, units)), memory.empty((n, units))
    if not dxw.size:
        return dxw, np.ascontiguousarray(dh[:, -1])
    s = shares(n, steps, units, 1)
    arrays = flat(dh), flat(h), packed_panels(recurrent, True), dxw.reshape(-1), acc.reshape(-1)
    sizes = steps, units, n, whole_rows(s), activation == "relu"
    _rnn_gradient(whole_tasks(s, n), s.work, *arrays, s.states, s.products, s.units, flags(mask), *sizes)
    return dxw, acc
