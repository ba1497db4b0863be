"""Kernels as loops over single numbers, written from their equations: slow, plain, and sharing nothing with any back end.

Each takes what the kernel of its name takes and returns float64.
"""

from __future__ import annotations

import math

import numpy as np


def windows(size: int, window: int, stride: int, pads: tuple[int, int], dilation: int = 1) -> list[list[int]]:
    """For each output position along an axis, the input positions that it meets, None outside of the picture and where it is cropped."""
    low, high = min(pads[0], 0), min(pads[1], 0)
    first, last = -pads[0], size - 1 + pads[1]
    found = []
    start = first
    while start + (window - 1) * dilation <= last:
        places = [start + u * dilation for u in range(window)]
        found.append([p if 0 - low <= p < size + high else None for p in places])
        start += stride
    return found


def meetings(shape, window, strides, pads, dilation=(1, 1)):
    """(i, j, [(u, v, row, column), …]) for each output position; what lies outside is left out."""
    rows = windows(shape[1], window[0], strides[0], pads[0], dilation[0])
    columns = windows(shape[2], window[1], strides[1], pads[1], dilation[1])
    for i, some_rows in enumerate(rows):
        for j, some_columns in enumerate(columns):
            yield (
                i,
                j,
                [
                    (u, v, row, column)
                    for u, row in enumerate(some_rows)
                    for v, column in enumerate(some_columns)
                    if row is not None and column is not None
                ],
            )


def _output_shape(shape, window, strides, pads, dilation, channels):
    return (
        shape[0],
        len(windows(shape[1], window[0], strides[0], pads[0], dilation[0])),
        len(windows(shape[2], window[1], strides[1], pads[1], dilation[1])),
        channels,
    )


def conv2d(x, kernel, bias, strides, pads, dilation, activation="linear"):
    y = np.zeros(_output_shape(x.shape, kernel.shape[:2], strides, pads, dilation, kernel.shape[3]))
    for i, j, met in meetings(x.shape, kernel.shape[:2], strides, pads, dilation):
        for n in range(x.shape[0]):
            for o in range(kernel.shape[3]):
                total = 0.0 if bias is None else float(bias[o])
                for u, v, row, column in met:
                    for c in range(x.shape[3]):
                        total += float(x[n, row, column, c]) * float(kernel[u, v, c, o])
                y[n, i, j, o] = scalar_activation(total, activation)
    return y


def conv2d_input_gradient(dz, kernel, input_shape, strides, pads, dilation):
    dx = np.zeros(input_shape)
    for i, j, met in meetings(input_shape, kernel.shape[:2], strides, pads, dilation):
        for u, v, row, column in met:
            for n, c, o in np.ndindex(input_shape[0], *kernel.shape[2:]):
                dx[n, row, column, c] += float(dz[n, i, j, o]) * float(kernel[u, v, c, o])
    return dx


def conv2d_kernel_gradient(x, dz, kernel_shape, strides, pads, dilation):
    dkernel = np.zeros(kernel_shape)
    for i, j, met in meetings(x.shape, kernel_shape[:2], strides, pads, dilation):
        for u, v, row, column in met:
            for n, c, o in np.ndindex(x.shape[0], *kernel_shape[2:]):
                dkernel[u, v, c, o] += float(x[n, row, column, c]) * float(dz[n, i, j, o])
    return dkernel


def dense(x, kernel, bias, activation="linear"):
    y = np.zeros((len(x), kernel.shape[1]))
    for i, j in np.ndindex(*y.shape):
        total = 0.0 if bias is None else float(bias[j])
        for k in range(kernel.shape[0]):
            total += float(x[i, k]) * float(kernel[k, j])
        y[i, j] = scalar_activation(total, activation)
    return y


def dense_input_gradient(dz, kernel):
    dx = np.zeros((len(dz), kernel.shape[0]))
    for i, k, j in np.ndindex(len(dz), *kernel.shape):
        dx[i, k] += float(dz[i, j]) * float(kernel[k, j])
    return dx


def dense_kernel_gradient(x, dz):
    dkernel = np.zeros((x.shape[1], dz.shape[1]))
    for i, k, j in np.ndindex(len(x), *dkernel.shape):
        dkernel[k, j] += float(x[i, k]) * float(dz[i, j])
    return dkernel


def max_pool2d(x, window, strides, pads):
    y = np.zeros(_output_shape(x.shape, window, strides, pads, (1, 1), x.shape[3]))
    for i, j, met in meetings(x.shape, window, strides, pads):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            best = -math.inf
            for _, _, row, column in met:
                value = float(x[n, row, column, c])
                if value > best or math.isnan(value):
                    best = value
                if math.isnan(best):
                    break
            y[n, i, j, c] = best
    return y


def max_pool2d_gradient(dy, x, y, window, strides, pads):
    dx = np.zeros(x.shape)
    for i, j, met in meetings(x.shape, window, strides, pads):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            for _, _, row, column in met:
                if x[n, row, column, c] == y[n, i, j, c]:
                    dx[n, row, column, c] += float(dy[n, i, j, c])
                    break
    return dx


def conv2d_max_pool2d(x, kernel, bias, strides, pads, dilation, activation, window, pool_strides, pool_pads):
    y = conv2d(x, kernel, bias, strides, pads, dilation, activation)
    return max_pool2d(y, window, pool_strides, pool_pads)


def conv2d_max_pool2d_traced(
    x, kernel, bias, strides, pads, dilation, activation, window, pool_strides, pool_pads
):
    z = conv2d(x, kernel, bias, strides, pads, dilation)
    y = max_pool2d(z, window, pool_strides, pool_pads)
    places = np.zeros(y.shape, np.uint8)
    for i, j, met in meetings(z.shape, window, pool_strides, pool_pads):
        for n, c in np.ndindex(len(x), z.shape[3]):
            place = next((u, v) for u, v, row, column in met if z[n, row, column, c] == y[n, i, j, c])
            places[n, i, j, c] = place[0] * window[1] + place[1]
    return np.vectorize(lambda value: scalar_activation(float(value), activation))(y), places


def conv2d_max_pool2d_gradient(
    dy,
    y,
    places,
    x,
    kernel,
    strides,
    pads,
    dilation,
    activation,
    window,
    pool_strides,
    pool_pads,
    input_gradient,
):
    slope = {
        "relu": lambda v: float(v > 0),
        "leaky_relu": lambda v: 0.2 if v < 0 else 1.0,
        "tanh": lambda v: 1 - v * v,
        "linear": lambda v: 1.0,
    }[activation]
    dy = dy * np.vectorize(slope)(y)
    dz = np.zeros(_output_shape(x.shape, kernel.shape[:2], strides, pads, dilation, kernel.shape[3]))
    for i, j, met in meetings(dz.shape, window, pool_strides, pool_pads):
        for u, v, row, column in met:
            for n, c in np.ndindex(len(x), dz.shape[3]):
                if places[n, i, j, c] == u * window[1] + v:
                    dz[n, row, column, c] += dy[n, i, j, c]
    geometry = strides, pads, dilation
    dx = conv2d_input_gradient(dz, kernel, x.shape, *geometry) if input_gradient else None
    return dx, conv2d_kernel_gradient(x, dz, kernel.shape, *geometry), sum(dz.reshape(-1, dz.shape[3]))


def avg_pool2d(x, window, strides, pads):
    y = np.zeros(_output_shape(x.shape, window, strides, pads, (1, 1), x.shape[3]))
    for i, j, met in meetings(x.shape, window, strides, pads):
        for n, c in np.ndindex(x.shape[0], x.shape[3]):
            y[n, i, j, c] = sum(float(x[n, row, column, c]) for _, _, row, column in met) / len(met)
    return y


def avg_pool2d_gradient(dy, input_shape, window, strides, pads):
    dx = np.zeros(input_shape)
    for i, j, met in meetings(input_shape, window, strides, pads):
        for _, _, row, column in met:
            for n, c in np.ndindex(input_shape[0], input_shape[3]):
                dx[n, row, column, c] += float(dy[n, i, j, c]) / len(met)
    return dx


def scalar_activation(z: float, name: str) -> float:
    if name == "relu":
        return z if z > 0 else 0.0
    if name == "leaky_relu":
        return z if z > 0 else 0.2 * z
    if name == "sigmoid":
        return 1 / (1 + math.exp(-z))
    if name == "tanh":
        return math.tanh(z)
    if name == "gelu":
        return 0.5 * z * math.erfc(-z / math.sqrt(2))
    return z


def activation(z, name):
    if name == "softmax":
        powers = [[math.exp(float(v) - float(row.max())) for v in row] for row in z.reshape(-1, z.shape[-1])]
        return np.array([[p / sum(row) for p in row] for row in powers]).reshape(z.shape)
    return np.array([scalar_activation(float(v), name) for v in z.reshape(-1)]).reshape(z.shape)


def cross_entropy(logits, labels, weights):
    loss, gradient = 0.0, np.zeros(logits.shape)
    for i, row in enumerate(logits):
        powers = [math.exp(float(v) - float(row.max())) for v in row]
        loss -= float(weights[i]) * math.log(powers[labels[i]] / sum(powers))
        for j, p in enumerate(powers):
            gradient[i, j] = float(weights[i]) * (p / sum(powers) - (j == labels[i]))
    return loss, gradient


def _rows_loss(predictions, targets, weights, loss_of, slope_of):
    loss, gradient = 0.0, np.zeros(predictions.shape)
    columns = predictions.shape[1]
    for i, j in np.ndindex(*predictions.shape):
        p, t, w = float(predictions[i, j]), float(targets[i, j]), float(weights[i])
        loss += w / columns * loss_of(p, t)
        gradient[i, j] = w / columns * slope_of(p, t)
    return loss, gradient


def mean_squared_error(predictions, targets, weights):
    return _rows_loss(predictions, targets, weights, lambda p, t: (p - t) ** 2, lambda p, t: 2 * (p - t))


def mean_absolute_error(predictions, targets, weights):
    return _rows_loss(predictions, targets, weights, lambda p, t: abs(p - t), lambda p, t: (p > t) - (p < t))


def huber(predictions, targets, weights, delta):
    return _rows_loss(
        predictions,
        targets,
        weights,
        lambda p, t: (p - t) ** 2 / 2 if abs(p - t) <= delta else delta * (abs(p - t) - delta / 2),
        lambda p, t: max(-delta, min(delta, p - t)),
    )


def binary_cross_entropy(logits, targets, weights):
    return _rows_loss(
        logits,
        targets,
        weights,
        lambda z, t: t * math.log1p(math.exp(-z)) + (1 - t) * math.log1p(math.exp(z)),
        lambda z, t: 1 / (1 + math.exp(-z)) - t,
    )


def bias_gradient(dz):
    total = np.zeros(dz.shape[-1])
    for *place, column in np.ndindex(*dz.shape):
        total[column] += float(dz[(*place, column)])
    return total


def batch_norm_statistics(x):
    rows = x.reshape(-1, x.shape[-1])
    means = [sum(float(v) for v in column) / len(column) for column in rows.T]
    variances = [
        sum((float(v) - m) ** 2 for v in column) / len(column)
        for column, m in zip(rows.T, means, strict=True)
    ]
    return np.array(means), np.array(variances)


def batch_norm(x, mean, variance, gamma, beta, epsilon):
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        c = place[-1]
        z = (float(x[place]) - float(mean[c])) / math.sqrt(float(variance[c]) + epsilon)
        y[place] = float(gamma[c]) * z + float(beta[c])
    return y


def warp(images, matrices, grid=None):
    """Without a grid only."""
    n, h, w, channels = images.shape
    out = np.zeros(images.shape)
    for i, row, column in np.ndindex(n, h, w):
        place = (row - (h - 1) / 2, column - (w - 1) / 2, 1.0)
        y, x = (sum(float(m) * p for m, p in zip(line, place, strict=True)) for line in matrices[i])
        y, x = y + (h - 1) / 2, x + (w - 1) / 2
        for u in (math.floor(y), math.floor(y) + 1):
            for v in (math.floor(x), math.floor(x) + 1):
                if 0 <= u < h and 0 <= v < w:
                    share = (1 - abs(y - u)) * (1 - abs(x - v))
                    for c in range(channels):
                        out[i, row, column, c] += share * float(images[i, u, v, c])
    return out


# ---- sequences: one number, one step, one sequence at a time ----


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
            bent = math.tanh(float(c[i, t + 1, j]))
            cell = cells[i, t + 1, j] + total[i, t + 1, j] * go * (1 - bent**2)
            cells[i, t, j] += cell * gf
            slopes = [
                cell * gg * gi * (1 - gi),
                cell * float(c[i, t, j]) * gf * (1 - gf),
                cell * gi * (1 - gg**2),
                total[i, t + 1, j] * bent * go * (1 - go),
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
        brought = [float(z[i, t, j]) for j in range(3 * units)]
        r = [sigmoid(brought[j] + product(h[i, t], recurrent, j) + float(bias[j])) for j in range(units)]
        u = [
            sigmoid(brought[j] + product(h[i, t], recurrent, j) + float(bias[j]))
            for j in range(units, 2 * units)
        ]
        reset = [a * b for a, b in zip(r, h[i, t], strict=True)]
        for j in range(units):
            at = 2 * units + j
            product_n = product(h[i, t] if reset_after else reset, recurrent, at) + float(bias[at])
            n = math.tanh(brought[at] + (r[j] * product_n if reset_after else product_n))
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


def step_mask(x, value):
    return np.array([[any(v != value for v in np.ravel(step)) for step in sequence] for sequence in x])


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


def state_gradient(dy, steps):
    dh = np.zeros((len(dy), steps + 1, dy.shape[-1]))
    for place in np.ndindex(*dy.shape):
        at = (place[0], place[1] + 1, place[2]) if dy.ndim == 3 else (place[0], steps, place[1])
        dh[at] = float(dy[place])
    return dh


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
