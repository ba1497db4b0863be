"""Cells, and what goes with them: one number, one step, one sequence at a time."""

from __future__ import annotations

import math

import numpy as np

from .rows import scalar_activation


def product(vector, matrix, column):
    return sum(float(v) * float(w) for v, w in zip(vector, matrix[:, column], strict=True))


def real_steps(mask, n, t):
    """(sequence, step, whether it is real), in the order of time."""
    return [(i, s, mask is None or bool(mask[i, s])) for i in range(n) for s in range(t)]


def sigmoid(z):
    return scalar_activation(z, "sigmoid")


def states(z, first):
    h = np.zeros((z.shape[0], z.shape[1] + 1, first.shape[1]))
    h[:, 0] = first
    return h


def rnn(z, recurrent, h0, mask, activation):
    h = states(z, h0)
    for i, t, real in real_steps(mask, *z.shape[:2]):
        for j in range(h.shape[2]):
            new = scalar_activation(float(z[i, t, j]) + product(h[i, t], recurrent, j), activation)
            h[i, t + 1, j] = new if real else h[i, t, j]
    return h


def rnn_gradient(dh, h, recurrent, mask, activation):
    total = dh.astype(np.float64)  # everything that reaches a state
    dz = np.zeros(dh[:, 1:].shape)
    for i, t, real in reversed(real_steps(mask, *dz.shape[:2])):
        for j in range(dz.shape[2]):
            if not real:
                total[i, t, j] += total[i, t + 1, j]
                continue
            y = float(h[i, t + 1, j])
            dz[i, t, j] = total[i, t + 1, j] * (float(y > 0) if activation == "relu" else 1 - y * y)
            for k in range(dz.shape[2]):
                total[i, t, k] += dz[i, t, j] * float(recurrent[k, j])
    return dz, total[:, 0]


def lstm(z, recurrent, h0, c0, mask):
    h, c, gates = states(z, h0), states(z, c0), np.zeros(z.shape)
    units = h0.shape[1]
    for i, t, real in real_steps(mask, *z.shape[:2]):
        for j in range(units):
            pre = [
                float(z[i, t, g * units + j]) + product(h[i, t], recurrent, g * units + j) for g in range(4)
            ]
            values = [sigmoid(pre[0]), sigmoid(pre[1]), math.tanh(pre[2]), sigmoid(pre[3])]
            gates[i, t, j::units] = values
            cell = values[1] * c[i, t, j] + values[0] * values[2]
            c[i, t + 1, j] = cell if real else c[i, t, j]
            h[i, t + 1, j] = values[3] * math.tanh(cell) if real else h[i, t, j]
    return h, c, gates


def lstm_gradient(dh, dc, h, c, gates, recurrent, mask):
    total, cells = dh.astype(np.float64), np.zeros(dh.shape)
    cells[:, -1] = dc
    dz, units = np.zeros(gates.shape), dh.shape[2]
    for i, t, real in reversed(real_steps(mask, *dz.shape[:2])):
        for j in range(units):
            if not real:
                total[i, t, j] += total[i, t + 1, j]
                cells[i, t, j] += cells[i, t + 1, j]
                continue
            gi, gf, gg, go = (float(v) for v in gates[i, t, j::units])
            tanh_c = math.tanh(float(c[i, t + 1, j]))
            cell = cells[i, t + 1, j] + total[i, t + 1, j] * go * (1 - tanh_c**2)
            cells[i, t, j] += cell * gf
            slopes = [
                cell * gg * gi * (1 - gi),
                cell * float(c[i, t, j]) * gf * (1 - gf),
                cell * gi * (1 - gg**2),
                total[i, t + 1, j] * tanh_c * go * (1 - go),
            ]
            for g, slope in enumerate(slopes):
                dz[i, t, g * units + j] = slope
                for k in range(units):
                    total[i, t, k] += slope * float(recurrent[k, g * units + j])
    return dz, total[:, 0], cells[:, 0]


def gru(z, recurrent, recurrent_bias, h0, mask, reset_after):
    h, gates = states(z, h0), np.zeros(z.shape)
    units = h0.shape[1]
    inner = np.zeros((*z.shape[:2], units))
    bias = np.zeros(3 * units) if recurrent_bias is None else recurrent_bias
    for i, t, real in real_steps(mask, *z.shape[:2]):
        xw = [float(z[i, t, j]) for j in range(3 * units)]
        r = [sigmoid(xw[j] + product(h[i, t], recurrent, j) + float(bias[j])) for j in range(units)]
        u = [
            sigmoid(xw[j] + product(h[i, t], recurrent, j) + float(bias[j])) for j in range(units, 2 * units)
        ]
        reset = [a * b for a, b in zip(r, h[i, t], strict=True)]
        for j in range(units):
            at = 2 * units + j
            product_n = product(h[i, t] if reset_after else reset, recurrent, at) + float(bias[at])
            n = math.tanh(xw[at] + (r[j] * product_n if reset_after else product_n))
            inner[i, t, j] = product_n if reset_after else reset[j]
            gates[i, t, j::units] = r[j], u[j], n
            h[i, t + 1, j] = (1 - u[j]) * n + u[j] * h[i, t, j] if real else h[i, t, j]
    return h, gates, inner


def gru_gradient(dh, h, gates, inner, recurrent, mask, reset_after):
    total, units = dh.astype(np.float64), dh.shape[2]
    dz, dr = np.zeros(gates.shape), np.zeros(gates.shape)
    for i, t, real in reversed(real_steps(mask, *dz.shape[:2])):
        if not real:
            total[i, t] += total[i, t + 1]
            continue
        r, u, n = (gates[i, t, g * units : (g + 1) * units].astype(np.float64) for g in range(3))
        dreset = np.zeros(units)  # without reset_after: the gradient at r h
        for j in range(units):
            slope = total[i, t + 1, j] * (1 - u[j]) * (1 - n[j] ** 2)
            dz[i, t, 2 * units + j] = slope
            dr[i, t, 2 * units + j] = slope * r[j] if reset_after else slope
            dz[i, t, units + j] = total[i, t + 1, j] * (float(h[i, t, j]) - n[j]) * u[j] * (1 - u[j])
            total[i, t, j] += total[i, t + 1, j] * u[j]
            for k in range(units):
                dreset[k] += dr[i, t, 2 * units + j] * float(recurrent[k, 2 * units + j])
        for j in range(units):
            own = (
                dz[i, t, 2 * units + j] * float(inner[i, t, j])
                if reset_after
                else dreset[j] * float(h[i, t, j])
            )
            dz[i, t, j] = own * r[j] * (1 - r[j])
            total[i, t, j] += dreset[j] * (1 if reset_after else r[j])
        dr[i, t, : 2 * units] = dz[i, t, : 2 * units]
        for k in range(units):
            for j in range(2 * units):
                total[i, t, k] += dr[i, t, j] * float(recurrent[k, j])
    return dz, dr, total[:, 0]


def embedding(ids, table):
    return np.array([[[float(v) for v in table[index]] for index in row] for row in ids])


def embedding_gradient(dy, ids, input_dim):
    dtable = np.zeros((input_dim, dy.shape[2]))
    for i, t, j in np.ndindex(*dy.shape):
        dtable[ids[i, t], j] += float(dy[i, t, j])
    return dtable


def embedding_bag(ids, table, factor):
    y = np.zeros((len(ids), table.shape[1]))
    for i, j in np.ndindex(*y.shape):
        y[i, j] = factor * sum(float(table[index, j]) for index in ids[i] if index)
    return y


def embedding_bag_gradient(dy, ids, input_dim, factor):
    dtable = np.zeros((input_dim, dy.shape[1]))
    for i, t, j in np.ndindex(*ids.shape, dy.shape[1]):
        dtable[ids[i, t], j] += factor * float(dy[i, j]) if ids[i, t] else 0
    return dtable


def step_mask(x, value):
    return np.array([[any(v != value for v in np.ravel(step)) for step in sequence] for sequence in x])


def every_step(mask, first, stride, count):
    return np.array([[bool(row[first + i * stride]) for i in range(count)] for row in mask])


def keep_steps(x, mask):
    y = np.zeros(x.shape)
    for i, t, real in real_steps(mask, *x.shape[:2]):
        if real:
            y[i, t] = x[i, t]
    return y


def reverse_steps(x, mask):
    y = x.astype(np.float64)
    for i in range(len(x)):
        steps = [t for t in range(x.shape[1]) if mask is None or mask[i, t]]
        for t, source in zip(steps, reversed(steps), strict=True):
            y[i, t] = x[i, source]
    return y


def repeat_steps(x, steps):
    return np.array([[row] * steps for row in x.astype(np.float64).tolist()])


def sum_steps(x):
    return np.array([[sum(float(v) for v in column) for column in sequence.T] for sequence in x])


def crop_steps(x, left, right):
    n, steps, d = x.shape
    y = np.zeros((n, steps - left - right, d))
    for i, t, j in np.ndindex(*y.shape):
        y[i, t, j] = float(x[i, left + t, j])
    return y


def crop_steps_gradient(dy, left, right):
    n, steps, d = dy.shape
    dx = np.zeros((n, left + steps + right, d))
    for i, t, j in np.ndindex(*dy.shape):
        dx[i, left + t, j] = float(dy[i, t, j])
    return dx


def merge(a, b, mode):
    two = {"sum": lambda p, q: p + q, "mul": lambda p, q: p * q, "ave": lambda p, q: (p + q) / 2}
    pairs = [
        [[float(v) for v in one], [float(v) for v in other]]
        for one, other in zip(a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1]), strict=True)
    ]
    if mode == "concat":
        return np.array([one + other for one, other in pairs]).reshape(*a.shape[:-1], -1)
    return np.array([[two[mode](p, q) for p, q in zip(*pair, strict=True)] for pair in pairs]).reshape(
        a.shape
    )


def merge_gradient(dy, a, b, mode):
    da, db = np.zeros(a.shape), np.zeros(b.shape)
    for *place, j in np.ndindex(*a.shape):
        at = (*place, j)
        if mode == "concat":
            da[at] = float(dy[at])
        else:
            own = {"sum": (1, 1), "ave": (0.5, 0.5), "mul": (float(b[at]), float(a[at]))}[mode]
            da[at], db[at] = float(dy[at]) * own[0], float(dy[at]) * own[1]
    if mode == "concat":
        for *place, j in np.ndindex(*b.shape):
            db[(*place, j)] = float(dy[(*place, a.shape[-1] + j)])
    return da, db


def sample(probabilities, temperature, top_k, top_p, u):
    left = sorted(range(len(probabilities)), key=lambda i: (-float(probabilities[i]), i))
    if temperature == 0:
        return np.array(left[0])
    left = left[: top_k or None]
    weights = [(float(probabilities[i]) / float(probabilities[left[0]])) ** (1 / temperature) for i in left]
    kept, total, whole = 0, 0.0, math.fsum(weights)
    while kept < len(left) and (kept == 0 or total < top_p * whole):
        total += weights[kept]
        kept += 1
    point = u * total
    for i, weight in zip(left[:kept], weights, strict=False):
        point -= weight
        if point < 0:
            return np.array(i)
    return np.array(left[kept - 1])


def state_kernel_gradient(h, dr):
    du = np.zeros((h.shape[2], dr.shape[2]))
    for i, t, j, k in np.ndindex(*dr.shape[:2], *du.shape):
        du[j, k] += float(h[i, t, j]) * float(dr[i, t, k])
    return du


def intersect_masks(a, b):
    return np.array([[bool(p and q) for p, q in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)])


def prepend_steps(mask, count):
    return np.array([[True] * count + row for row in mask.tolist()])


def real_values(x, mask, i, j):
    """Feature j of the real steps of sequence i."""
    return [float(x[i, t, j]) for t in range(x.shape[1]) if mask is None or mask[i, t]]


def mean_steps(x, mask):
    y = np.zeros((x.shape[0], x.shape[2]))
    for i, j in np.ndindex(*y.shape):
        values = real_values(x, mask, i, j)
        y[i, j] = math.fsum(values) / len(values) if values else 0
    return y


def mean_steps_gradient(dy, steps, mask):
    dx = np.zeros((len(dy), steps, dy.shape[1]))
    for i, t, real in real_steps(mask, len(dy), steps):
        count = steps if mask is None else sum(bool(flag) for flag in mask[i])
        for j in range(dy.shape[1]):
            dx[i, t, j] = float(dy[i, j]) / count if real else 0
    return dx


def max_steps(x, mask):
    y = np.zeros((x.shape[0], x.shape[2]))
    for i, j in np.ndindex(*y.shape):
        y[i, j] = max(real_values(x, mask, i, j), default=0)
    return y


def max_steps_gradient(dy, x, y, mask):
    dx = np.zeros(x.shape)
    for i, j in np.ndindex(*dy.shape):
        best = max(real_values(x, mask, i, j), default=None)
        for t in range(x.shape[1]):
            if (mask is None or mask[i, t]) and float(x[i, t, j]) == best:
                dx[i, t, j] = float(dy[i, j])
                break
    return dx
