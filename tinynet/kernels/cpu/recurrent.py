"""Recurrent cells over whole sequences, forward and backward; the equations stand in the reference.

Blocking: a task is a share of the batch, which it takes through all steps of time: no thread ever waits for another between steps.
At each step the product of the state with U runs on the register tile, SHORT sequences at a time, U packed in panels that stay in
the first cache while the task's sequences pass; what follows element by element is done while it is in the first cache too. Bound by
the multipliers, with large U by the second cache that U comes from. A few sequences alone, as when text is written, are products of
a vector and a matrix, bound by the memory that U comes from; sums run in the same order there, so the bits are the same.

Every sequence is computed for itself, so how a batch is shared out changes no bit.
"""

from __future__ import annotations

import numpy as np

from . import jit, memory
from .contract import ONE, no_bias, pack
from .flat import flat
from .functions import fma, sigmoid, tanh
from .jit import helper
from .simd import LANES, choose, elementwise, load_until, splat, store_until
from .tile import SHORT, WIDTH, finish, outer, resume, short_row_offsets

Mask = np.ndarray | None


# ---- products with the state


@helper
def _multiply(a, a_rows, at, depth, w, base, base_rows, base_at, y, y_rows, y_at, columns, first, last):
    """y[row] = base[row] + a[row] · w for the rows first … last - 1, w (depth, columns) in panels.

    Row r of an array begins at its table's entry r plus its own offset `…_at`.
    """
    for panel in range((columns + WIDTH - 1) // WIDTH):
        column = panel * WIDTH
        for row in range(first, last, SHORT):
            rows, j = short_row_offsets(a_rows, row), panel * depth * WIDTH
            sums = resume(base, short_row_offsets(base_rows, row), base_at + column, base_at + columns)
            for k in range(at, at + depth):
                sums = outer(sums, a, rows, k, w, j)
                j += WIDTH
            finish(sums, y, short_row_offsets(y_rows, row), y_at + column, y_at + columns, ONE)


@helper
def _multiply_row(a, at, depth, w, line, first, base, base_at, y, y_at, columns):
    """y = base + a · w for one row, w lying in lines, of which `columns` columns from `first` on are read; in `_multiply`'s order."""
    stop = y_at + columns
    for j in range(0, columns, LANES):
        store_until(y, y_at + j, stop, load_until(base, base_at + j, base_at + columns))
    fours = depth // 4 * 4
    for k in range(0, fours, 4):
        f0, f1, f2, f3 = splat(a[at + k]), splat(a[at + k + 1]), splat(a[at + k + 2]), splat(a[at + k + 3])
        for j in range(0, columns, LANES):
            w_at, end = k * line + first + j, k * line + first + columns
            sums = fma(f0, load_until(w, w_at, end), load_until(y, y_at + j, stop))
            sums = fma(f1, load_until(w, w_at + line, end + line), sums)
            sums = fma(f2, load_until(w, w_at + 2 * line, end + 2 * line), sums)
            store_until(y, y_at + j, stop, fma(f3, load_until(w, w_at + 3 * line, end + 3 * line), sums))
    for k in range(fours, depth):
        for j in range(0, columns, LANES):
            w_at, end = k * line + first + j, k * line + first + columns
            sums = fma(splat(a[at + k]), load_until(w, w_at, end), load_until(y, y_at + j, stop))
            store_until(y, y_at + j, stop, sums)


@helper
def _copy(source, at, y, y_at, count):
    for j in range(0, count, LANES):
        store_until(y, y_at + j, y_at + count, load_until(source, at + j, at + count))


@helper
def _is_real(mask, place):
    """Whether a step counts; an empty mask: all do."""
    return mask.size == 0 or mask[place] != 0


class _Shares:
    """How a batch is shared out: rows of a task, and tables of where the rows of arrays begin, a multiple of SHORT entries."""

    def __init__(self, n: int, steps: int, units: int, gates: int) -> None:
        self.few = n < SHORT
        tiles = -(-n // SHORT)
        self.rows = 1 if self.few else SHORT * -(-tiles // max(1, min(tiles, jit.get_threads())))
        self.tasks = -(-n // self.rows)
        rows = np.minimum(np.arange(tiles * SHORT), n - 1)
        self.states, self.products = rows * (steps + 1) * units, rows * steps * gates * units
        self.inner, self.units, self.gates = rows * steps * units, rows * units, rows * gates * units
        self.work = n * steps * units * units * gates // 16


def _panels(w: np.ndarray, transposed: bool) -> np.ndarray:
    """A matrix as `_multiply` reads it."""
    depth, columns = w.shape[::-1] if transposed else w.shape
    panels = -(-columns // WIDTH)
    packed = memory.empty((panels * depth * WIDTH,))
    pack(panels, packed.size, flat(w), packed, depth, columns, transposed)
    return packed


def _flags(mask: Mask) -> np.ndarray:
    return np.zeros(0, np.uint8) if mask is None else np.ascontiguousarray(mask).view(np.uint8).reshape(-1)


def _states(n: int, steps: int, first: np.ndarray) -> np.ndarray:
    states = memory.empty((n, steps + 1, first.shape[1]))
    states[:, 0] = first
    return states


# ---- rnn


@elementwise
def _tanh_slope(dy, y):
    """dy (1 - y²)."""
    return dy * (1.0 - y * y)


@elementwise
def _relu_slope(dy, y):
    """dy where y is above 0."""
    return choose(y <= 0.0, 0.0, dy)


@elementwise
def _rectified(z):
    """max(z, 0); NaN stays."""
    return choose(z < 0.0, 0.0, z)


@jit.jit
def _rnn(task, z, u, h, h_rows, z_rows, mask, steps, units, n, rows, few, rectify):
    first, last = task * rows, min(n, (task + 1) * rows)
    for t in range(steps):
        now, then = t * units, (t + 1) * units
        if few:
            _multiply_row(
                h,
                h_rows[first] + now,
                units,
                u,
                units,
                0,
                z,
                z_rows[first] + now,
                h,
                h_rows[first] + then,
                units,
            )
        else:
            _multiply(h, h_rows, now, units, u, z, z_rows, now, h, h_rows, then, units, first, last)
        for row in range(first, last):
            at, stop = h_rows[row] + then, h_rows[row] + then + units
            if _is_real(mask, row * steps + t):
                for j in range(at, stop, LANES):
                    value = load_until(h, j, stop)
                    store_until(h, j, stop, _rectified(value) if rectify else tanh(value))
            else:
                _copy(h, at - units, h, at, units)


@jit.jit
def _rnn_gradient(task, dh, h, w, dz, acc, h_rows, z_rows, rows_of, mask, steps, units, n, rows, rectify):
    first, last = task * rows, min(n, (task + 1) * rows)
    for row in range(first, last):
        _copy(dh, h_rows[row] + steps * units, acc, row * units, units)
    for t in range(steps - 1, -1, -1):
        for row in range(first, last):
            state, own, base = h_rows[row] + (t + 1) * units, row * units, h_rows[row] + t * units
            real = _is_real(mask, row * steps + t)
            for j in range(0, units, LANES):
                dstate, y = load_until(acc, own + j, own + units), load_until(h, state + j, state + units)
                zero = splat(np.float32(0))
                slope = (_relu_slope(dstate, y) if rectify else _tanh_slope(dstate, y)) if real else zero
                at = z_rows[row] + t * units
                store_until(dz, at + j, at + units, slope)
                around = zero if real else dstate
                store_until(acc, own + j, own + units, load_until(dh, base + j, base + units) + around)
        _multiply(dz, z_rows, t * units, units, w, acc, rows_of, 0, acc, rows_of, 0, units, first, last)


def rnn(z: np.ndarray, recurrent: np.ndarray, h0: np.ndarray, mask: Mask, activation: str) -> np.ndarray:
    """h[t + 1] = activation(z[t] + h[t] U); z (n, t, units), U (units, units), h0 (n, units) → h."""
    n, steps, units = z.shape
    h = _states(n, steps, h0)
    if z.size:
        s = _Shares(n, steps, units, 1)
        u = flat(recurrent) if s.few else _panels(recurrent, False)
        sizes = steps, units, n, s.rows, s.few, activation == "relu"
        _rnn(s.tasks, s.work, flat(z), u, h.reshape(-1), s.states, s.products, _flags(mask), *sizes)
    return h


def rnn_gradient(
    dh: np.ndarray, h: np.ndarray, recurrent: np.ndarray, mask: Mask, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    """(dz (n, t, units), dh0), from the gradient at every state."""
    n, steps, units = h.shape[0], h.shape[1] - 1, h.shape[2]
    dz, acc = memory.empty((n, steps, units)), memory.empty((n, units))
    if not dz.size:
        return dz, np.ascontiguousarray(dh[:, -1])
    s = _Shares(n, steps, units, 1)
    arrays = flat(dh), flat(h), _panels(recurrent, True), dz.reshape(-1), acc.reshape(-1)
    sizes = steps, units, n, _whole_rows(s), activation == "relu"
    _rnn_gradient(_tasks(s, n), s.work, *arrays, s.states, s.products, s.units, _flags(mask), *sizes)
    return dz, acc


def _whole_rows(s: _Shares) -> int:
    """Rows of a task where all go through the tile."""
    return SHORT if s.few else s.rows


def _tasks(s: _Shares, n: int) -> int:
    return -(-n // _whole_rows(s))


# ---- lstm


@elementwise
def _sigmoid_slope(dy, y):
    """dy y (1 - y)."""
    return dy * y * (1.0 - y)


@jit.jit
def _lstm(task, z, u, h, c, gates, h_rows, z_rows, mask, steps, units, n, rows, few):
    first, last, width = task * rows, min(n, (task + 1) * rows), 4 * units
    for t in range(steps):
        now, here = t * units, t * width
        if few:
            a, g = h_rows[first] + now, z_rows[first] + here
            _multiply_row(h, a, units, u, width, 0, z, g, gates, g, width)
        else:
            _multiply(h, h_rows, now, units, u, z, z_rows, here, gates, z_rows, here, width, first, last)
        for row in range(first, last):
            g, at = z_rows[row] + here, h_rows[row] + now
            real, then = _is_real(mask, row * steps + t), at + units
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


@jit.jit
def _lstm_gradient(
    task, dh, h, c, gates, w, dz, acc, dcell, h_rows, z_rows, rows_of, mask, steps, units, n, rows
):
    first, last, width = task * rows, min(n, (task + 1) * rows), 4 * units
    for row in range(first, last):
        _copy(dh, h_rows[row] + steps * units, acc, row * units, units)
    for t in range(steps - 1, -1, -1):
        for row in range(first, last):
            g, at, own = z_rows[row] + t * width, h_rows[row] + t * units, row * units
            real, then = _is_real(mask, row * steps + t), at + units
            one, zero = splat(np.float32(1)), splat(np.float32(0))
            for j in range(0, units, LANES):
                dstate, dc = load_until(acc, own + j, own + units), load_until(dcell, own + j, own + units)
                base = load_until(dh, at + j, then)
                if real:
                    i, f = (
                        load_until(gates, g + j, g + units),
                        load_until(gates, g + units + j, g + 2 * units),
                    )
                    m = load_until(gates, g + 2 * units + j, g + 3 * units)
                    o = load_until(gates, g + 3 * units + j, g + width)
                    bent = tanh(load_until(c, then + j, then + units))
                    cell = fma(dstate * o, one - bent * bent, dc)
                    store_until(dz, g + j, g + units, _sigmoid_slope(cell * m, i))
                    forget = _sigmoid_slope(cell * load_until(c, at + j, then), f)
                    store_until(dz, g + units + j, g + 2 * units, forget)
                    store_until(dz, g + 2 * units + j, g + 3 * units, _tanh_slope(cell * i, m))
                    store_until(dz, g + 3 * units + j, g + width, _sigmoid_slope(dstate * bent, o))
                    store_until(dcell, own + j, own + units, cell * f)
                    store_until(acc, own + j, own + units, base)
                else:
                    store_until(dz, g + j, g + units, zero)
                    store_until(dz, g + units + j, g + 2 * units, zero)
                    store_until(dz, g + 2 * units + j, g + 3 * units, zero)
                    store_until(dz, g + 3 * units + j, g + width, zero)
                    store_until(acc, own + j, own + units, base + dstate)
        _multiply(dz, z_rows, t * width, width, w, acc, rows_of, 0, acc, rows_of, 0, units, first, last)


def lstm(
    z: np.ndarray, recurrent: np.ndarray, h0: np.ndarray, c0: np.ndarray, mask: Mask
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """c[t + 1] = f c[t] + i g and h[t + 1] = o tanh c[t + 1], where i f g o are the four parts of z[t] + h[t] U.

    i, f and o go through a sigmoid, g through tanh. z (n, t, 4 units), U (units, 4 units), h0 and c0 (n, units).
    Returns h, c (n, t + 1, units) and the gates after their activations (n, t, 4 units).
    """
    n, steps, units = z.shape[0], z.shape[1], h0.shape[1]
    h, c, gates = _states(n, steps, h0), _states(n, steps, c0), memory.empty(z.shape)
    if z.size:
        s = _Shares(n, steps, units, 4)
        u = flat(recurrent) if s.few else _panels(recurrent, False)
        arrays = flat(z), u, h.reshape(-1), c.reshape(-1), gates.reshape(-1)
        sizes = steps, units, n, s.rows, s.few
        _lstm(s.tasks, s.work, *arrays, s.states, s.products, _flags(mask), *sizes)
    return h, c, gates


def lstm_gradient(
    dh: np.ndarray,
    dc: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    gates: np.ndarray,
    recurrent: np.ndarray,
    mask: Mask,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dz (n, t, 4 units), dh0, dc0), from the gradient at every h and, dc (n, units), at the last c."""
    n, steps, units = h.shape[0], h.shape[1] - 1, h.shape[2]
    dz, acc, dcell = memory.empty(gates.shape), memory.empty((n, units)), memory.empty((n, units))
    dcell[...] = dc
    if not dz.size:
        return dz, np.ascontiguousarray(dh[:, -1]), dcell
    s = _Shares(n, steps, units, 4)
    given = flat(dh), flat(h), flat(c), flat(gates), _panels(recurrent, True)
    made = dz.reshape(-1), acc.reshape(-1), dcell.reshape(-1)
    tables = s.states, s.products, s.units, _flags(mask)
    _lstm_gradient(_tasks(s, n), s.work, *given, *made, *tables, steps, units, n, _whole_rows(s))
    return dz, acc, dcell


# ---- gru


@elementwise
def _blend(u, n, h):
    """(1 - u) n + u h."""
    return (u * (h - n)) + n


@jit.jit
def _gru(
    task,
    z,
    u,
    v,
    bias,
    h,
    gates,
    inner,
    product,
    h_rows,
    z_rows,
    i_rows,
    p_rows,
    b_rows,
    mask,
    steps,
    units,
    n,
    rows,
    few,
    reset_after,
):
    """u: U, or where the reset comes before, its first two parts; v: then its third; product: room for z's share of the state."""
    first, last, width = task * rows, min(n, (task + 1) * rows), 3 * units
    wide = width if reset_after else 2 * units
    for t in range(steps):
        now, here = t * units, t * width
        if few:
            _multiply_row(h, h_rows[first] + now, units, u, width, 0, bias, 0, product, p_rows[first], wide)
        else:
            _multiply(h, h_rows, now, units, u, bias, b_rows, 0, product, p_rows, 0, wide, first, last)
        for row in range(first, last):
            g, p, at, i_at = z_rows[row] + here, p_rows[row], h_rows[row] + now, i_rows[row] + now
            for j in range(0, units, LANES):
                r = sigmoid(load_until(z, g + j, g + units) + load_until(product, p + j, p + units))
                store_until(gates, g + j, g + units, r)
                second, stop = g + units + j, g + 2 * units
                keep = sigmoid(
                    load_until(z, second, stop) + load_until(product, p + units + j, p + 2 * units)
                )
                store_until(gates, second, stop, keep)
                taken = (
                    load_until(product, p + 2 * units + j, p + width)
                    if reset_after
                    else r * load_until(h, at + j, at + units)
                )
                store_until(inner, i_at + j, i_at + units, taken)
        if not reset_after:
            if few:
                _multiply_row(
                    inner,
                    i_rows[first] + now,
                    units,
                    u,
                    width,
                    wide,
                    bias,
                    wide,
                    product,
                    p_rows[first] + wide,
                    units,
                )
            else:
                _multiply(
                    inner,
                    i_rows,
                    now,
                    units,
                    v,
                    bias,
                    b_rows,
                    wide,
                    product,
                    p_rows,
                    wide,
                    units,
                    first,
                    last,
                )
        for row in range(first, last):
            g, p, at = z_rows[row] + here, p_rows[row] + 2 * units, h_rows[row] + now
            real, then = _is_real(mask, row * steps + t), at + units
            for j in range(0, units, LANES):
                r, keep = load_until(gates, g + j, g + units), load_until(gates, g + units + j, g + 2 * units)
                brought, before = load_until(product, p + j, p + units), load_until(h, at + j, then)
                third, stop = g + 2 * units + j, g + width
                m = tanh(load_until(z, third, stop) + (r * brought if reset_after else brought))
                store_until(gates, third, stop, m)
                store_until(h, then + j, then + units, _blend(keep, m, before) if real else before)


@jit.jit
def _gru_gradient(
    task,
    dh,
    h,
    gates,
    inner,
    w,
    v,
    dz,
    dr,
    acc,
    taken,
    h_rows,
    z_rows,
    i_rows,
    rows_of,
    nothing,
    mask,
    steps,
    units,
    n,
    rows,
    reset_after,
):
    """w: U transposed, or where the reset comes before, its first two parts; v: then its third; taken: room for dn U_n."""
    first, last, width = task * rows, min(n, (task + 1) * rows), 3 * units
    wide = width if reset_after else 2 * units
    zero, one = splat(np.float32(0)), splat(np.float32(1))
    for row in range(first, last):
        _copy(dh, h_rows[row] + steps * units, acc, row * units, units)
    for t in range(steps - 1, -1, -1):
        here = t * width
        for row in range(first, last):
            g, at, own, i_at = (
                z_rows[row] + here,
                h_rows[row] + t * units,
                row * units,
                i_rows[row] + t * units,
            )
            real = _is_real(mask, row * steps + t)
            for j in range(0, units, LANES):
                dstate = load_until(acc, own + j, own + units)
                through, around = (dstate, zero) if real else (zero, dstate)
                r, keep = load_until(gates, g + j, g + units), load_until(gates, g + units + j, g + 2 * units)
                m, before = load_until(gates, g + 2 * units + j, g + width), load_until(h, at + j, at + units)
                dn = _tanh_slope(through * (one - keep), m)
                store_until(dz, g + 2 * units + j, g + width, dn)
                store_until(dr, g + 2 * units + j, g + width, dn * r if reset_after else dn)
                dkeep = _sigmoid_slope(through * (before - m), keep)
                store_until(dz, g + units + j, g + 2 * units, dkeep)
                store_until(dr, g + units + j, g + 2 * units, dkeep)
                reset = _sigmoid_slope(dn * load_until(inner, i_at + j, i_at + units), r)
                store_until(dz, g + j, g + units, reset)
                store_until(dr, g + j, g + units, reset)
                rest = load_until(dh, at + j, at + units) + around
                store_until(acc, own + j, own + units, fma(through, keep, rest))
        if not reset_after:
            _multiply(
                dr, z_rows, here + wide, units, v, nothing, rows_of, 0, taken, rows_of, 0, units, first, last
            )
            for row in range(first, last):
                g, at, own = z_rows[row] + here, h_rows[row] + t * units, row * units
                for j in range(0, units, LANES):
                    r, back = load_until(gates, g + j, g + units), load_until(taken, own + j, own + units)
                    reset = _sigmoid_slope(back * load_until(h, at + j, at + units), r)
                    store_until(dz, g + j, g + units, reset)
                    store_until(dr, g + j, g + units, reset)
                    store_until(
                        acc, own + j, own + units, fma(back, r, load_until(acc, own + j, own + units))
                    )
        _multiply(dr, z_rows, here, wide, w, acc, rows_of, 0, acc, rows_of, 0, units, first, last)


def gru(
    z: np.ndarray,
    recurrent: np.ndarray,
    recurrent_bias: np.ndarray | None,
    h0: np.ndarray,
    mask: Mask,
    reset_after: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """h[t + 1] = (1 − u) n + u h[t] with r = σ(z_r + h U_r + b_r), u = σ(z_u + h U_u + b_u), and the candidate

    n = tanh(z_n + r (h U_n + b_n)) where `reset_after`, else tanh(z_n + (r h) U_n + b_n).

    The parts of z, U and b (3 units,), or None, are r, u and n. Returns h, the gates after their activations (n, t, 3 units)
    and `inner` (n, t, units), which is h U_n + b_n where `reset_after`, else r h.
    """
    n, steps, units = z.shape[0], z.shape[1], h0.shape[1]
    h, gates, inner = _states(n, steps, h0), memory.empty(z.shape), memory.empty((n, steps, units))
    if z.size:
        s = _Shares(n, steps, units, 3)
        u, v = _parts(recurrent, reset_after, False) if not s.few else (flat(recurrent), no_bias(1))
        bias = no_bias(3 * units) if recurrent_bias is None else flat(recurrent_bias)
        product = memory.empty((n * 3 * units,))
        arrays = flat(z), u, v, bias, h.reshape(-1), gates.reshape(-1), inner.reshape(-1), product
        tables = s.states, s.products, s.inner, s.gates, np.zeros_like(s.gates), _flags(mask)
        _gru(s.tasks, s.work, *arrays, *tables, steps, units, n, s.rows, s.few, reset_after)
    return h, gates, inner


def gru_gradient(
    dh: np.ndarray,
    h: np.ndarray,
    gates: np.ndarray,
    inner: np.ndarray,
    recurrent: np.ndarray,
    mask: Mask,
    reset_after: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dz, dr, dh0), dz (n, t, 3 units) the gradient at z and dr, of the same shape, that at the product with U plus b."""
    n, steps, units = h.shape[0], h.shape[1] - 1, h.shape[2]
    dz, dr, acc = memory.empty(gates.shape), memory.empty(gates.shape), memory.empty((n, units))
    if not dz.size:
        return dz, dr, np.ascontiguousarray(dh[:, -1])
    s = _Shares(n, steps, units, 3)
    given = flat(dh), flat(h), flat(gates), flat(inner), *_parts(recurrent, reset_after, True)
    made = dz.reshape(-1), dr.reshape(-1), acc.reshape(-1), memory.empty((n * units,))
    tables = s.states, s.products, s.inner, s.units, np.zeros(n * units, np.float32), _flags(mask)
    _gru_gradient(_tasks(s, n), s.work, *given, *made, *tables, steps, units, n, _whole_rows(s), reset_after)
    return dz, dr, acc


def _parts(recurrent: np.ndarray, reset_after: bool, transposed: bool) -> tuple[np.ndarray, np.ndarray]:
    """U in panels: whole, or the parts of the two gates and of the candidate, which meet the state one after the other."""
    if reset_after:
        return _panels(recurrent, transposed), no_bias(1)
    split = 2 * recurrent.shape[0]
    return _panels(recurrent[:, :split], transposed), _panels(recurrent[:, split:], transposed)
