"""Scaled dot-product attention (Vaswani et al. 2017): each step looks at others and takes a weighted mean of what they hold.

    w[i, j] = softmax over j of q[i] · k[j] / √d;   y[i] = Σ_j w[i, j] v[j]

for each head by itself. `z` (n, t, 3 · width) holds the query, the key and the value of each step side by side, each of them the
vectors of all heads, d = width / heads numbers each. `past` (n, s, 2 · width) holds key and value of s steps before, `real` (n, s) is 0
where there was none or a masked one; `mask` (n, t), or None for all, says which steps of z are real: the others are seen by none.
`causal`: a step sees only itself and those before it, with a `window` above 0 only the last `window` of them, itself included. `alibi`,
for causal attention: head h takes 2^(-8 h / heads), h from 1 on, off a score for each step that lies between (Press et al. 2022).
"""

from __future__ import annotations

import numpy as np

Mask = np.ndarray | None


def attention(
    z: np.ndarray,
    past: np.ndarray,
    real: np.ndarray,
    mask: Mask,
    heads: int,
    causal: bool,
    window: int,
    alibi: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """(y (n, t, width), 0 where a step sees none; log Σ exp of each step's scores, (n, heads, t), 0 where it sees none)."""
    q, k, v = _by_head(z, past, heads)
    scores = _scores(q, k, alibi, _seen(z, past, real, mask, causal, window))
    top = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    top[top == -np.inf] = 0
    powers = np.exp(scores - top)
    total = powers.sum(axis=-1, keepdims=True)
    total[total == 0] = 1
    return _side_by_side(powers / total @ v), (top + np.log(total))[..., 0]


def attention_gradient(
    dy: np.ndarray,
    z: np.ndarray,
    past: np.ndarray,
    real: np.ndarray,
    mask: Mask,
    sums: np.ndarray,
    heads: int,
    causal: bool,
    window: int,
    alibi: bool,
) -> np.ndarray:
    """dz, from dy at y and the log Σ exp that `attention` gave; no gradient flows into the past."""
    q, k, v = _by_head(z, past, heads)
    (dy,) = _split(dy, 1, heads)
    weights = np.exp(_scores(q, k, alibi, _seen(z, past, real, mask, causal, window)) - sums[..., None])
    dweights = dy @ v.swapaxes(-1, -2)
    dscores = weights * (dweights - (weights * dweights).sum(axis=-1, keepdims=True))
    dscores /= dy.dtype.type(np.sqrt(q.shape[-1]))
    steps = past.shape[1]
    dk, dv = dscores.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ dy
    parts = dscores @ k, dk[:, :, steps:], dv[:, :, steps:]
    return np.concatenate([_side_by_side(part) for part in parts], axis=-1)


def attention_cache(
    z: np.ndarray, past: np.ndarray, real: np.ndarray, mask: Mask
) -> tuple[np.ndarray, np.ndarray]:
    """`past` and `real` for the next piece of a sequence: the last steps of those and of z, as many as `past` has."""
    steps = real.shape[1]
    keys_values = np.concatenate([past, z[..., z.shape[2] // 3 :]], axis=1)
    flags = np.ones(z.shape[:2], z.dtype) if mask is None else mask.astype(z.dtype)
    flags = np.concatenate([(real != 0).astype(z.dtype), flags], axis=1)
    first = keys_values.shape[1] - steps
    return keys_values[:, first:].copy(), flags[:, first:].copy()


def _by_head(z: np.ndarray, past: np.ndarray, heads: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries (n, heads, t, d), keys and values (n, heads, s + t, d)."""
    q, k, v = _split(z, 3, heads)
    old_k, old_v = _split(past, 2, heads)
    return q, np.concatenate([old_k, k], axis=2), np.concatenate([old_v, v], axis=2)


def _split(x: np.ndarray, parts: int, heads: int) -> list[np.ndarray]:
    """(n, t, parts · width) → `parts` arrays (n, heads, t, d)."""
    n, t, columns = x.shape
    return list(x.reshape(n, t, parts, heads, columns // (parts * heads)).transpose(2, 0, 3, 1, 4))


def _side_by_side(x: np.ndarray) -> np.ndarray:
    """(n, heads, t, d) → (n, t, width)."""
    n, heads, t, d = x.shape
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(n, t, heads * d)


def _seen(
    z: np.ndarray, past: np.ndarray, real: np.ndarray, mask: Mask, causal: bool, window: int
) -> np.ndarray:
    """Which steps each step sees, (n, 1, t, s + t)."""
    n, t = z.shape[:2]
    flags = np.concatenate([real != 0, np.ones((n, t), bool) if mask is None else mask], axis=1)
    back = past.shape[1] + np.arange(t)[:, None] - np.arange(past.shape[1] + t)
    near = (back >= 0) | (not causal)
    if window:
        near &= back < window
    return near & flags[:, None, None]


def _scores(q: np.ndarray, k: np.ndarray, alibi: bool, seen: np.ndarray) -> np.ndarray:
    """q · k / √d, less for those further back; -∞ where a step is not seen."""
    heads, (t, d) = q.shape[1], q.shape[2:]
    scores = q @ k.swapaxes(-1, -2) / q.dtype.type(np.sqrt(d))
    if alibi:
        back = k.shape[2] - t + np.arange(t)[:, None] - np.arange(k.shape[2])
        slopes = 2.0 ** (-8 * np.arange(1, heads + 1) / heads)
        scores -= (slopes[:, None, None] * back).astype(q.dtype)
    return np.where(seen, scores, q.dtype.type(-np.inf))
