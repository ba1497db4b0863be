"""Attention and positions: one query, one key, one number at a time."""

from __future__ import annotations

import math

import numpy as np


def _weights(z, past, real, mask, heads, causal, window, alibi, sequence, head, query):
    """(weight, key and value) of each step that the query sees, and log Σ exp of its scores."""
    steps, width, before = z.shape[1], z.shape[2] // 3, past.shape[1]
    d, found = width // heads, []
    columns = slice(head * d, (head + 1) * d)
    for j in range(before + steps):
        back = before + query - j
        if (causal and back < 0) or (window and back >= window):
            continue
        if j < before:
            is_real, key_value = real[sequence, j] != 0, past[sequence, j]
        else:
            is_real = mask is None or mask[sequence, j - before]
            key_value = z[sequence, j - before, width:]
        if is_real:
            key, value = key_value[:width][columns], key_value[width:][columns]
            pairs = zip(z[sequence, query, :width][columns], key, strict=True)
            score = sum(float(a) * float(b) for a, b in pairs) / math.sqrt(d)
            penalty = back * 2 ** (-8 * (head + 1) / heads) if alibi else 0.0
            found.append((score - penalty, j, key, value))
    top = max((score for score, *_ in found), default=0.0)
    total = sum(math.exp(score - top) for score, *_ in found) or 1.0
    return [(math.exp(score - top) / total, *rest) for score, *rest in found], top + math.log(total)


def attention(z, past, real, mask, heads, causal, window, alibi):
    n, steps, width = z.shape[0], z.shape[1], z.shape[2] // 3
    y, sums = np.zeros((n, steps, width)), np.zeros((n, heads, steps))
    for sequence, head, query in np.ndindex(n, heads, steps):
        found, sums[sequence, head, query] = _weights(
            z, past, real, mask, heads, causal, window, alibi, sequence, head, query
        )
        for weight, _, _, value in found:
            for i, number in enumerate(value):
                y[sequence, query, head * (width // heads) + i] += weight * float(number)
    return y, sums


def attention_gradient(dy, z, past, real, mask, sums, heads, causal, window, alibi):
    n, steps, width, before = z.shape[0], z.shape[1], z.shape[2] // 3, past.shape[1]
    d, dz = width // heads, np.zeros(z.shape)
    for sequence, head, query in np.ndindex(n, heads, steps):
        found, _ = _weights(z, past, real, mask, heads, causal, window, alibi, sequence, head, query)
        first = head * d
        given = [float(dy[sequence, query, first + i]) for i in range(d)]
        dweights = [sum(g * float(v) for g, v in zip(given, value, strict=True)) for *_, value in found]
        mean = sum(weight * dw for (weight, *_), dw in zip(found, dweights, strict=True))
        for (weight, j, key, _), dw in zip(found, dweights, strict=True):
            dscore = weight * (dw - mean) / math.sqrt(d)
            for i in range(d):
                dz[sequence, query, first + i] += dscore * float(key[i])
                if j >= before:
                    step = dz[sequence, j - before]
                    step[width + first + i] += dscore * float(z[sequence, query, first + i])
                    step[2 * width + first + i] += weight * given[i]
    return dz


def attention_cache(z, past, real, mask):
    keys_values, flags = np.zeros(past.shape), np.zeros(real.shape)
    for sequence in range(len(z)):
        steps = [(step, flag != 0) for step, flag in zip(past[sequence], real[sequence], strict=True)]
        for t, step in enumerate(z[sequence]):
            steps.append((step[len(step) // 3 :], mask is None or mask[sequence, t]))
        for i, (step, flag) in enumerate(steps[len(z[sequence]) :]):
            keys_values[sequence, i], flags[sequence, i] = step, flag
    return keys_values, flags


def add_positions(x, table, start):
    y, following = np.zeros(x.shape), np.zeros((len(x), 1))
    for sequence, steps in enumerate(x):
        position = math.floor(start[sequence, 0])
        for t, step in enumerate(steps):
            y[sequence, t] = step + table[(position + t) % len(table)]
        following[sequence] = (position + len(steps)) % len(table)
    return y, following


def add_positions_gradient(dy, start, rows):
    dtable = np.zeros((rows, dy.shape[2]))
    for sequence, steps in enumerate(dy):
        for t, step in enumerate(steps):
            dtable[(math.floor(start[sequence, 0]) + t) % rows] += step
    return dtable
