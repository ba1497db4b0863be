"""Recurrent cells over whole sequences, and their gradients through time.

Sequences are (batch, time, features). z is what the inputs bring to each step, x W + b, made beforehand for all steps
at once; the kernels here add what the state brings. `h` (n, t + 1, units) holds the state before the first step and
after each. `mask` (n, t), or None for all, says which steps are real: at any other the state is carried over unchanged.
Gradients are those at every state, `dh` (n, t + 1, units): what reaches a state through later steps is added to it.
"""

from __future__ import annotations

import numpy as np

from .activation import activation as activate
from .activation import activation_gradient

Mask = np.ndarray | None


def rnn(z: np.ndarray, recurrent: np.ndarray, h0: np.ndarray, mask: Mask, activation: str) -> np.ndarray:
    """h[t + 1] = activation(z[t] + h[t] U); z (n, t, units), U (units, units), h0 (n, units) → h."""
    h = _states(z, h0)
    for t in range(z.shape[1]):
        h[:, t + 1] = _carried(mask, t, h[:, t], activate(z[:, t] + h[:, t] @ recurrent, activation))
    return h


def rnn_gradient(
    dh: np.ndarray, h: np.ndarray, recurrent: np.ndarray, mask: Mask, activation: str
) -> tuple[np.ndarray, np.ndarray]:
    """(dz (n, t, units), dh0), from the gradient at every state."""
    dz = np.empty_like(dh[:, 1:])
    dstate = dh[:, -1]
    for t in reversed(range(dz.shape[1])):
        through, around = _parted(mask, t, dstate)
        dz[:, t] = activation_gradient(through, h[:, t + 1], activation)
        dstate = dh[:, t] + around + dz[:, t] @ recurrent.T
    return dz, dstate


def lstm(
    z: np.ndarray, recurrent: np.ndarray, h0: np.ndarray, c0: np.ndarray, mask: Mask
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """c[t + 1] = f c[t] + i g and h[t + 1] = o tanh c[t + 1], where i f g o are the four parts of z[t] + h[t] U.

    i, f and o go through a sigmoid, g through tanh. z (n, t, 4 units), U (units, 4 units), h0 and c0 (n, units).
    Returns h, c (n, t + 1, units) and the gates after their activations (n, t, 4 units).
    """
    h, c, gates = _states(z, h0), _states(z, c0), np.empty_like(z)
    for t in range(z.shape[1]):
        i, f, g, o = np.split(z[:, t] + h[:, t] @ recurrent, 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        cell = f * c[:, t] + i * g
        c[:, t + 1] = _carried(mask, t, c[:, t], cell)
        h[:, t + 1] = _carried(mask, t, h[:, t], o * np.tanh(cell))
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
    """(dz (n, t, 4 units), dh0, dc0), from the gradient at every h and, dc (n, units), at the last c."""
    dz = np.empty_like(gates)
    dstate, dcell = dh[:, -1], dc
    for t in reversed(range(gates.shape[1])):
        i, f, g, o = np.split(gates[:, t], 4, axis=1)
        through, around = _parted(mask, t, dstate)
        cell_through, cell_around = _parted(mask, t, dcell)
        bent = np.tanh(c[:, t + 1])
        cell = cell_through + through * o * (1 - bent * bent)
        dz[:, t] = np.concatenate(
            (
                cell * g * i * (1 - i),
                cell * c[:, t] * f * (1 - f),
                cell * i * (1 - g * g),
                through * bent * o * (1 - o),
            ),
            axis=1,
        )
        dstate = dh[:, t] + around + dz[:, t] @ recurrent.T
        dcell = cell_around + cell * f
    return dz, dstate, dcell


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
    h, gates = _states(z, h0), np.empty_like(z)
    units = h.shape[2]
    inner = np.empty_like(h[:, 1:])
    bias = np.zeros(3 * units, z.dtype) if recurrent_bias is None else recurrent_bias
    for t in range(z.shape[1]):
        before = h[:, t]
        product = before @ recurrent[:, : 2 * units] + bias[: 2 * units]
        r, u = np.split(_sigmoid(z[:, t, : 2 * units] + product), 2, axis=1)
        taken = before if reset_after else r * before
        product = taken @ recurrent[:, 2 * units :] + bias[2 * units :]
        n = np.tanh(z[:, t, 2 * units :] + (r * product if reset_after else product))
        inner[:, t] = product if reset_after else taken
        gates[:, t] = np.concatenate((r, u, n), axis=1)
        h[:, t + 1] = _carried(mask, t, before, (1 - u) * n + u * before)
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
    dz, dr = np.empty_like(gates), np.empty_like(gates)
    units = h.shape[2]
    dstate = dh[:, -1]
    for t in reversed(range(gates.shape[1])):
        before = h[:, t]
        r, u, n = np.split(gates[:, t], 3, axis=1)
        through, around = _parted(mask, t, dstate)
        dn = through * (1 - u) * (1 - n * n)
        du = through * (before - n) * u * (1 - u)
        product = dn * r if reset_after else dn
        taken = product @ recurrent[:, 2 * units :].T
        reset = dn * inner[:, t] if reset_after else taken * before
        dz[:, t] = np.concatenate((reset * r * (1 - r), du, dn), axis=1)
        dr[:, t] = np.concatenate((dz[:, t, : 2 * units], product), axis=1)
        dstate = dh[:, t] + around + through * u + dr[:, t, : 2 * units] @ recurrent[:, : 2 * units].T
        dstate += taken if reset_after else taken * r
    return dz, dr, dstate


def state_kernel_gradient(h: np.ndarray, dr: np.ndarray) -> np.ndarray:
    """Gradient of the matrix U that states meet, Σ h[t]ᵀ dr[t]; h (n, t + 1, units), whose last is not met, dr (n, t, columns)."""
    return np.tensordot(h[:, :-1], dr, axes=((0, 1), (0, 1)))


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return activate(z, "sigmoid")


def _states(z: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Room for the state before the first step and after each of z's, the first filled in."""
    states = np.empty((z.shape[0], z.shape[1] + 1, first.shape[1]), z.dtype)
    states[:, 0] = first
    return states


def _carried(mask: Mask, t: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The new state where step t is real, else the old one."""
    return after if mask is None else np.where(mask[:, t, None], after, before)


def _parted(mask: Mask, t: int, dstate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A gradient at the state after step t in two: what goes through the step, and what was carried around it."""
    nothing = np.zeros_like(dstate)
    if mask is None:
        return dstate, nothing
    real = mask[:, t, None]
    return np.where(real, dstate, nothing), np.where(real, nothing, dstate)
