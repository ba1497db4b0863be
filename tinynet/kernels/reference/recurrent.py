"""Recurrent cells over whole sequences, and their gradients through time.

Sequences are (batch, time, features). xw is what the inputs bring to each step, x W + b, made beforehand for all steps
at once; the kernels here add what the state brings. `h` (n, t + 1, units) holds the state before the first step and
after each. `mask` (n, t), or None for all, says which steps are real: at any other the state is carried over unchanged.
Gradients are those at every state, `dh` (n, t + 1, units): what reaches a state through later steps is added to it.
"""

from __future__ import annotations

import numpy as np

from .activation import activation as activate
from .activation import activation_gradient

Mask = np.ndarray | None


def rnn(xw: np.ndarray, recurrent: np.ndarray, h0: np.ndarray, mask: Mask, activation: str) -> np.ndarray:
    """h[t + 1] = activation(xw[t] + h[t] U); xw (n, t, units), U (units, units), h0 (n, units) → h."""
    h = _states(xw, h0)
    for t in range(xw.shape[1]):
        h[:, t + 1] = _next_state(mask, t, h[:, t], activate(xw[:, t] + h[:, t] @ recurrent, activation))
    return h


def rnn_gradient(
    dh: np.ndarray, h: np.ndarray, recurrent: np.ndarray, mask: Mask, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    """(dxw (n, t, units), dh0), from the gradient at every state."""
    dxw = np.empty_like(dh[:, 1:])
    dstate = dh[:, -1]
    for t in reversed(range(dxw.shape[1])):
        dh_active, dh_skipped = _split_by_mask(mask, t, dstate)
        dxw[:, t] = activation_gradient(dh_active, h[:, t + 1], activation)
        dstate = dh[:, t] + dh_skipped + dxw[:, t] @ recurrent.T
    return dxw, dstate


def lstm(
    xw: np.ndarray, recurrent: np.ndarray, h0: np.ndarray, c0: np.ndarray, mask: Mask
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """c[t + 1] = f c[t] + i g and h[t + 1] = o tanh c[t + 1], where i f g o are the four parts of xw[t] + h[t] U.

    i, f and o go through a sigmoid, g through tanh. xw (n, t, 4 units), U (units, 4 units), h0 and c0 (n, units).
    Returns h, c (n, t + 1, units) and the gates after their activations (n, t, 4 units).
    """
    h, c, gates = _states(xw, h0), _states(xw, c0), np.empty_like(xw)
    for t in range(xw.shape[1]):
        i, f, g, o = np.split(xw[:, t] + h[:, t] @ recurrent, 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        cell = f * c[:, t] + i * g
        c[:, t + 1] = _next_state(mask, t, c[:, t], cell)
        h[:, t + 1] = _next_state(mask, t, h[:, t], o * np.tanh(cell))
        gates[:, t] = np.concatenate((i, f, g, o), axis=1)
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
    """(dxw (n, t, 4 units), dh0, dc0), from the gradient at every h and, dc (n, units), at the last c."""
    dxw = np.empty_like(gates)
    dstate, dcell = dh[:, -1], dc
    for t in reversed(range(gates.shape[1])):
        i, f, g, o = np.split(gates[:, t], 4, axis=1)
        dh_active, dh_skipped = _split_by_mask(mask, t, dstate)
        dc_active, dc_skipped = _split_by_mask(mask, t, dcell)
        tanh_c = np.tanh(c[:, t + 1])
        cell = dc_active + dh_active * o * (1 - tanh_c * tanh_c)
        dxw[:, t] = np.concatenate(
            (
                cell * g * i * (1 - i),
                cell * c[:, t] * f * (1 - f),
                cell * i * (1 - g * g),
                dh_active * tanh_c * o * (1 - o),
            ),
            axis=1,
        )
        dstate = dh[:, t] + dh_skipped + dxw[:, t] @ recurrent.T
        dcell = dc_skipped + cell * f
    return dxw, dstate, dcell


def gru(
    xw: np.ndarray,
    recurrent: np.ndarray,
    recurrent_bias: np.ndarray | None,
    h0: np.ndarray,
    mask: Mask,
    reset_after: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """h[t + 1] = (1 − z) n + z h[t] with r = σ(xw_r + h U_r + b_r), z = σ(xw_z + h U_z + b_z), and the candidate

    n = tanh(xw_n + r (h U_n + b_n)) where `reset_after`, else tanh(xw_n + (r h) U_n + b_n).

    The parts of xw, U and b (3 units,), or None, are r, z and n. Returns h, the gates after their activations (n, t, 3 units)
    and `inner` (n, t, units), which is h U_n + b_n where `reset_after`, else r h.
    """
    h, gates = _states(xw, h0), np.empty_like(xw)
    units = h.shape[2]
    inner = np.empty_like(h[:, 1:])
    bias = np.zeros(3 * units, xw.dtype) if recurrent_bias is None else recurrent_bias
    for t in range(xw.shape[1]):
        before = h[:, t]
        product = before @ recurrent[:, : 2 * units] + bias[: 2 * units]
        r, z = np.split(_sigmoid(xw[:, t, : 2 * units] + product), 2, axis=1)
        operand = before if reset_after else r * before
        product = operand @ recurrent[:, 2 * units :] + bias[2 * units :]
        n = np.tanh(xw[:, t, 2 * units :] + (r * product if reset_after else product))
        inner[:, t] = product if reset_after else operand
        gates[:, t] = np.concatenate((r, z, n), axis=1)
        h[:, t + 1] = _next_state(mask, t, before, (1 - z) * n + z * before)
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
    """(dxw, dr, dh0), dxw (n, t, 3 units) the gradient at xw and dr, of the same shape, that at the product with U plus b."""
    dxw, dr = np.empty_like(gates), np.empty_like(gates)
    units = h.shape[2]
    dstate = dh[:, -1]
    for t in reversed(range(gates.shape[1])):
        before = h[:, t]
        r, z, n = np.split(gates[:, t], 3, axis=1)
        dh_active, dh_skipped = _split_by_mask(mask, t, dstate)
        dn = dh_active * (1 - z) * (1 - n * n)
        dz = dh_active * (before - n) * z * (1 - z)
        product = dn * r if reset_after else dn
        doperand = product @ recurrent[:, 2 * units :].T
        reset = dn * inner[:, t] if reset_after else doperand * before
        dxw[:, t] = np.concatenate((reset * r * (1 - r), dz, dn), axis=1)
        dr[:, t] = np.concatenate((dxw[:, t, : 2 * units], product), axis=1)
        dstate = dh[:, t] + dh_skipped + dh_active * z + dr[:, t, : 2 * units] @ recurrent[:, : 2 * units].T
        dstate += doperand if reset_after else doperand * r
    return dxw, dr, dstate


def state_kernel_gradient(h: np.ndarray, dr: np.ndarray) -> np.ndarray:
    """Gradient of the matrix U that states meet, Σ h[t]ᵀ dr[t]; h (n, t + 1, units), whose last is not met, dr (n, t, columns)."""
    return np.tensordot(h[:, :-1], dr, axes=((0, 1), (0, 1)))


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return activate(z, "sigmoid")


def _states(xw: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Room for the state before the first step and after each of xw's, the first filled in."""
    states = np.empty((xw.shape[0], xw.shape[1] + 1, first.shape[1]), xw.dtype)
    states[:, 0] = first
    return states


def _next_state(mask: Mask, t: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The new state where step t is real, else the old one."""
    return after if mask is None else np.where(mask[:, t, None], after, before)


def _split_by_mask(mask: Mask, t: int, dstate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A gradient at the state after step t in two: the part that goes through the step, and the part that skips it."""
    zeros = np.zeros_like(dstate)
    if mask is None:
        return dstate, zeros
    real = mask[:, t, None]
    return np.where(real, dstate, zeros), np.where(real, zeros, dstate)
