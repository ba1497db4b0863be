"""Dense layers, activations, losses and normalisation: one number at a time."""

from __future__ import annotations

import math

import numpy as np


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


def scalar_activation(z: float, name: str) -> float:
    if name == "relu":
        return z if z > 0 else 0.0
    if name == "leaky_relu":
        return z if z > 0 else 0.2 * z
    if name == "elu":
        return z if z > 0 else math.expm1(z)
    if name == "silu":
        return z / (1 + math.exp(-z))
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


def soft_cross_entropy(logits, targets, weights, smoothing):
    loss, gradient = 0.0, np.zeros(logits.shape)
    columns = logits.shape[1]
    for i, row in enumerate(logits):
        powers = [math.exp(float(v) - float(row.max())) for v in row]
        for j, power in enumerate(powers):
            named = float(targets[i] == j) if targets.ndim == 1 else float(targets[i, j])
            p = (1 - smoothing) * named + smoothing / columns
            loss -= float(weights[i]) * p * math.log(power / sum(powers))
            gradient[i, j] = float(weights[i]) * (power / sum(powers) - p)
    return loss, gradient


def argmax(x):
    return np.array([max(range(len(row)), key=lambda j, row=row: row[j]) for row in x])


def count_correct(total, logits, targets, counted=None):
    classes = targets if targets.ndim == 1 else argmax(targets)
    for i, best in enumerate(argmax(logits)):
        if (counted is None or counted[i]) and best == classes[i]:
            total += 1


def count_correct_binary(total, logits, targets, counted=None):
    _add_rows(total, logits, targets, counted, lambda z, t: (z > 0) == (t > 0.5))


def sum_absolute_errors(total, predictions, targets, counted=None):
    _add_rows(total, predictions, targets, counted, lambda p, t: abs(p - t))


def _add_rows(total, predictions, targets, counted, score):
    rows, columns = predictions.shape
    for i in range(rows):
        if counted is None or counted[i]:
            for j in range(columns):
                total += score(float(predictions[i, j]), float(targets[i, j])) / columns


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


def batch_norm_statistics(x, mask):
    rows = [x[place] for place in np.ndindex(*x.shape[:-1]) if mask is None or mask[place[:2]]]
    columns = list(zip(*rows, strict=True)) or [(0.0,)] * x.shape[-1]
    means = [sum(float(v) for v in column) / len(column) for column in columns]
    variances = [
        sum((float(v) - m) ** 2 for v in column) / len(column)
        for column, m in zip(columns, means, strict=True)
    ]
    return np.array(means), np.array(variances)


def batch_norm(x, mean, variance, gamma, beta, epsilon, rectify=False):
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        c = place[-1]
        z = (float(x[place]) - float(mean[c])) / math.sqrt(float(variance[c]) + epsilon)
        y[place] = float(gamma[c]) * z + float(beta[c])
        if rectify and y[place] < 0:
            y[place] = 0.0
    return y


def fold_batch_norm(kernel, bias, mean, variance, gamma, beta, epsilon):
    folded, shift = np.zeros(kernel.size), np.zeros(gamma.size)
    for c in range(gamma.size):
        factor = float(gamma[c]) / math.sqrt(float(variance[c]) + epsilon)
        shift[c] = float(beta[c]) + ((0.0 if bias is None else float(bias[c])) - float(mean[c])) * factor
        for row in range(kernel.size // gamma.size):
            folded[row * gamma.size + c] = float(kernel.reshape(-1)[row * gamma.size + c]) * factor
    return folded.reshape(kernel.shape), shift


def batch_norm_gradient(dy, x, mean, variance, gamma, beta, epsilon, mask, rectify=False):
    if rectify:
        y = batch_norm(x, mean, variance, gamma, beta, epsilon)
        dy = np.array([d if v > 0 else 0.0 for d, v in zip(dy.reshape(-1), y.reshape(-1), strict=True)])
        dy = dy.reshape(x.shape)
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(x.shape[-1]), np.zeros(x.shape[-1])
    places = list(np.ndindex(*x.shape[:-1]))
    real = [place for place in places if mask is None or mask[place[:2]]]
    for c in range(x.shape[-1]):
        spread = math.sqrt(float(variance[c]) + epsilon)
        normalised = {place: (float(x[(*place, c)]) - float(mean[c])) / spread for place in places}
        for place in places:
            dbeta[c] += float(dy[(*place, c)])
            dgamma[c] += float(dy[(*place, c)]) * normalised[place]
        for place in places:
            dx[(*place, c)] = float(gamma[c]) / spread * float(dy[(*place, c)])
        for place in real:
            through_statistics = (dbeta[c] + normalised[place] * dgamma[c]) / len(real)
            dx[(*place, c)] -= float(gamma[c]) / spread * through_statistics
    return dx, dgamma, dbeta


def murmur(value):
    """The finaliser of MurmurHash3 on Python integers."""
    value ^= value >> 16
    value = value * 0x85EBCA6B % 2**32
    value ^= value >> 13
    value = value * 0xC2B2AE35 % 2**32
    return value ^ value >> 16


def layer_norm(x, gamma, beta, epsilon):
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape[:-1]):
        row = [float(v) for v in x[place]]
        mean = sum(row) / len(row)
        variance = sum((v - mean) ** 2 for v in row) / len(row)
        for i, v in enumerate(row):
            y[(*place, i)] = float(gamma[i]) * (v - mean) / math.sqrt(variance + epsilon) + float(beta[i])
    return y


def layer_norm_gradient(dy, x, gamma, epsilon):
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(gamma.shape), np.zeros(gamma.shape)
    for place in np.ndindex(*x.shape[:-1]):
        row = [float(v) for v in x[place]]
        count, mean = len(row), sum(row) / len(row)
        spread = math.sqrt(sum((v - mean) ** 2 for v in row) / count + epsilon)
        normal = [(v - mean) / spread for v in row]
        g = [float(a) * float(b) for a, b in zip(dy[place], gamma, strict=True)]
        slope = sum(a * b for a, b in zip(g, normal, strict=True)) / count
        for i in range(count):
            dx[(*place, i)] = (g[i] - sum(g) / count - normal[i] * slope) / spread
            dgamma[i] += float(dy[(*place, i)]) * normal[i]
            dbeta[i] += float(dy[(*place, i)])
    return dx, dgamma, dbeta
