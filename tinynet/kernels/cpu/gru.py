"""The gated recurrent unit; blocking as recurrent.py says."""

from __future__ import annotations

import numpy as np

from ..reference.definition import as_defined
from . import memory
from .activation import sigmoid_gradient, tanh_gradient
from .compiler.jit import helper, jit
from .compiler.simd import LANES, elementwise, load_until, splat, store_until
from .contraction import no_bias
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


@elementwise
def _blend(z, n, h):
    """(1 - z) n + z h."""
    return (z * (h - n)) + n


@helper
def _multiply_state(a, a_rows, now, w, at, columns, bias, b_rows, product, p_rows, units, first, last, few):
    """Columns `at` … at + columns - 1 of product = bias + a · w, for the rows of a task."""
    if few:
        start = p_rows[first] + at
        multiply_row(a, a_rows[first] + now, units, w, 3 * units, at, bias, at, product, start, columns)
    else:
        multiply(a, a_rows, now, units, w, bias, b_rows, at, product, p_rows, at, columns, first, last)


@helper
def _reset_and_update(xw, product, h, gates, inner, start, p, at, i_at, units, reset_after):
    """r and z of one row, and what `inner` keeps: the product with U_n, or r h where the reset comes before."""
    for j in range(0, units, LANES):
        r = sigmoid(load_until(xw, start + j, start + units) + load_until(product, p + j, p + units))
        store_until(gates, start + j, start + units, r)
        second, stop = start + units + j, start + 2 * units
        z = sigmoid(load_until(xw, second, stop) + load_until(product, p + units + j, p + 2 * units))
        store_until(gates, second, stop, z)
        kept = (
            load_until(product, p + 2 * units + j, p + 3 * units)
            if reset_after
            else r * load_until(h, at + j, at + units)
        )
        store_until(inner, i_at + j, i_at + units, kept)


@helper
def _candidate_and_state(xw, product, h, gates, start, p, at, units, real, reset_after):
    """n of one row, and its next state; p: where its product with U_n begins."""
    then = at + units
    for j in range(0, units, LANES):
        r = load_until(gates, start + j, start + units)
        z = load_until(gates, start + units + j, start + 2 * units)
        un, before = load_until(product, p + j, p + units), load_until(h, at + j, then)
        third, stop = start + 2 * units + j, start + 3 * units
        n = tanh(load_until(xw, third, stop) + (r * un if reset_after else un))
        store_until(gates, third, stop, n)
        store_until(h, then + j, then + units, _blend(z, n, before) if real else before)


@jit
def _gru(
    task,
    xw,
    u,
    v,
    bias,
    h0,
    h,
    gates,
    inner,
    product,
    h_rows,
    xw_rows,
    i_rows,
    p_rows,
    b_rows,
    mask,
    steps,
    units,
    count,
    rows,
    few,
    reset_after,
):
    """u: U, or where the reset comes before, its first two parts; v: then its third; product: workspace for the products with U."""
    first, last, width = task * rows, min(count, (task + 1) * rows), 3 * units
    wide = width if reset_after else 2 * units
    for row in range(first, last):
        copy(h0, row * units, h, h_rows[row], units)
    for t in range(steps):
        now, here = t * units, t * width
        _multiply_state(h, h_rows, now, u, 0, wide, bias, b_rows, product, p_rows, units, first, last, few)
        for row in range(first, last):
            start, at, i_at = xw_rows[row] + here, h_rows[row] + now, i_rows[row] + now
            _reset_and_update(xw, product, h, gates, inner, start, p_rows[row], at, i_at, units, reset_after)
        if not reset_after:
            _multiply_state(
                inner, i_rows, now, v, wide, units, bias, b_rows, product, p_rows, units, first, last, few
            )
        for row in range(first, last):
            start, p, at = xw_rows[row] + here, p_rows[row] + 2 * units, h_rows[row] + now
            real = is_real(mask, row * steps + t)
            _candidate_and_state(xw, product, h, gates, start, p, at, units, real, reset_after)


@helper
def _gate_gradients(dh, h, gates, inner, dxw, dr, acc, start, at, own, i_at, units, real, reset_after):
    """One row of a step: dxw, dr but for what comes through U_n, and in acc what reaches the state before without U."""
    zero, one = splat(np.float32(0)), splat(np.float32(1))
    for j in range(0, units, LANES):
        dstate = load_until(acc, own + j, own + units)
        dh_active, dh_skipped = (dstate, zero) if real else (zero, dstate)
        r = load_until(gates, start + j, start + units)
        z = load_until(gates, start + units + j, start + 2 * units)
        n = load_until(gates, start + 2 * units + j, start + 3 * units)
        before = load_until(h, at + j, at + units)
        dn = tanh_gradient(dh_active * (one - z), n)
        store_until(dxw, start + 2 * units + j, start + 3 * units, dn)
        store_until(dr, start + 2 * units + j, start + 3 * units, dn * r if reset_after else dn)
        dz = sigmoid_gradient(dh_active * (before - n), z)
        store_until(dxw, start + units + j, start + 2 * units, dz)
        store_until(dr, start + units + j, start + 2 * units, dz)
        reset = sigmoid_gradient(dn * load_until(inner, i_at + j, i_at + units), r)
        store_until(dxw, start + j, start + units, reset)
        store_until(dr, start + j, start + units, reset)
        rest = load_until(dh, at + j, at + units) + dh_skipped
        store_until(acc, own + j, own + units, fma(dh_active, z, rest))


@helper
def _reset_gradient(h, gates, dproduct, dxw, dr, acc, start, at, own, units):
    """One row of a step where the reset comes before: from the gradient at r h, those of r and of the state."""
    for j in range(0, units, LANES):
        r = load_until(gates, start + j, start + units)
        back = load_until(dproduct, own + j, own + units)
        reset = sigmoid_gradient(back * load_until(h, at + j, at + units), r)
        store_until(dxw, start + j, start + units, reset)
        store_until(dr, start + j, start + units, reset)
        store_until(acc, own + j, own + units, fma(back, r, load_until(acc, own + j, own + units)))


@jit
def _gru_gradient(
    task,
    dh,
    h,
    gates,
    inner,
    w,
    v,
    dxw,
    dr,
    acc,
    dproduct,
    h_rows,
    xw_rows,
    i_rows,
    rows_of,
    zeros,
    mask,
    steps,
    units,
    count,
    rows,
    reset_after,
):
    """w: U transposed, or where the reset comes before, its first two parts; v: then its third; dproduct: workspace for dn U_n."""
    first, last, width = task * rows, min(count, (task + 1) * rows), 3 * units
    wide = width if reset_after else 2 * units
    for row in range(first, last):
        copy(dh, h_rows[row] + steps * units, acc, row * units, units)
    for t in range(steps - 1, -1, -1):
        here, now = t * width, t * units
        for row in range(first, last):
            start, at, i_at = xw_rows[row] + here, h_rows[row] + now, i_rows[row] + now
            own, real = row * units, is_real(mask, row * steps + t)
            _gate_gradients(dh, h, gates, inner, dxw, dr, acc, start, at, own, i_at, units, real, reset_after)
        if not reset_after:
            at = here + wide
            multiply(dr, xw_rows, at, units, v, zeros, rows_of, 0, dproduct, rows_of, 0, units, first, last)
            for row in range(first, last):
                start, at = xw_rows[row] + here, h_rows[row] + now
                _reset_gradient(h, gates, dproduct, dxw, dr, acc, start, at, row * units, units)
        multiply(dr, xw_rows, here, wide, w, acc, rows_of, 0, acc, rows_of, 0, units, first, last)


@as_defined
def gru(
    xw: np.ndarray,
    recurrent: np.ndarray,
    recurrent_bias: np.ndarray | None,
    h0: np.ndarray,
    mask: Mask,
    reset_after: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, steps, units = xw.shape[0], xw.shape[1], h0.shape[1]
    h, gates, inner = states(n, steps, units), memory.empty(xw.shape), memory.empty((n, steps, units))
    if not steps:
        h[:, 0] = h0
    elif xw.size:
        s = shares(n, steps, units, 3)
        u, v = _parts(recurrent, reset_after, False) if not s.few else (flat(recurrent), flat(recurrent))
        bias = no_bias(3 * units) if recurrent_bias is None else flat(recurrent_bias)
        product = memory.empty((n * 3 * units,))
        arrays = flat(xw), u, v, bias, flat(h0), h.reshape(-1), gates.reshape(-1), inner.reshape(-1), product
        tables = s.states, s.products, s.inner, s.gates, s.begin, flags(mask)
        _gru(s.tasks, s.work, *arrays, *tables, steps, units, n, s.rows, s.few, reset_after)
    return h, gates, inner


@as_defined
def gru_gradient(
    dh: np.ndarray,
    h: np.ndarray,
    gates: np.ndarray,
    inner: np.ndarray,
    recurrent: np.ndarray,
    mask: Mask,
    reset_after: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, steps, units = h.shape[0], h.shape[1] - 1, h.shape[2]
    dxw, dr, acc = memory.empty(gates.shape), memory.empty(gates.shape), memory.empty((n, units))
    if not dxw.size:
        return dxw, dr, np.ascontiguousarray(dh[:, -1])
    s = shares(n, steps, units, 3)
    given = flat(dh), flat(h), flat(gates), flat(inner), *_parts(recurrent, reset_after, True)
    made = (
        dxw.reshape(-1),
        dr.reshape(-1),
        acc.reshape(-1),
        no_bias(1) if reset_after else memory.empty((n * units,)),
    )
    tables = s.states, s.products, s.inner, s.units, no_bias(n * units), flags(mask)
    _gru_gradient(
        whole_tasks(s, n), s.work, *given, *made, *tables, steps, units, n, whole_rows(s), reset_after
    )
    return dxw, dr, acc


def _parts(recurrent: np.ndarray, reset_after: bool, transposed: bool) -> tuple[np.ndarray, np.ndarray]:
    """U in panels: whole, or the parts of the two gates and of the candidate, which meet the state one after the other."""
    if reset_after:
        return packed_panels(recurrent, transposed), no_bias(1)
    split = 2 * recurrent.shape[0]
    return packed_panels(recurrent, transposed, 0, split), packed_panels(recurrent, transposed, split)
