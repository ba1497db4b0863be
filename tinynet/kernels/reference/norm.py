"""Normalisation: y = γ (x − μ) / √(σ² + ε) + β, with a mean and variance per channel (batch) or per vector (layer).

`mask` (n, t), or None for all, says which steps of x (n, t, …, c) are real: the others are normalised, but do not count.
"""

from __future__ import annotations

import numpy as np

from .activation import activation, activation_gradient
from .sequence import keep_steps


def batch_norm_statistics(x: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance (c,) over every axis but the last of x (…, c); 0 where no row counts."""
    rows = _counted(x, mask)
    count = x.dtype.type(max(len(rows), 1))
    mean = rows.sum(axis=0) / count
    return mean, np.square(rows - mean).sum(axis=0) / count


def batch_norm(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
    rectify: bool = False,
) -> np.ndarray:
    """y = γ (x - μ) / √(σ² + ε) + β (Ioffe & Szegedy 2015), or ReLU of it; x (…, c), the others (c,)."""
    factor = gamma / np.sqrt(variance + variance.dtype.type(epsilon))
    y = (x - mean) * factor + beta
    return activation(y, "relu") if rectify else y


def fold_batch_norm(
    kernel: np.ndarray,
    bias: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(W f, β + (b − μ) f), f = γ / √(σ² + ε): the kernel and bias of one linear layer that does what two do.

    kernel W and bias b (c,), or None, are those of the layer before the normalisation; W's last axes are the c outputs.
    """
    factor = gamma / np.sqrt(variance + variance.dtype.type(epsilon))
    folded = (kernel.reshape(-1, len(factor)) * factor).reshape(kernel.shape)
    return folded, beta + ((0 if bias is None else bias) - mean) * factor


def batch_norm_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
    mask: np.ndarray | None,
    rectify: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dγ, dβ) where μ and σ² are the batch's own, so that the gradient flows through them too.

    With x̂ the normalised input and m rows that count: dβ = Σ dy, dγ = Σ dy x̂ and, without the fraction where a row
    does not count, dx = γ / √(σ² + ε) · (dy − (dβ + x̂ dγ) / m). With `rectify`, dy is first 0 where y is not above 0.
    """
    if rectify:
        dy = activation_gradient(dy, batch_norm(x, mean, variance, gamma, beta, epsilon), "relu")
    inverse = 1 / np.sqrt(variance + variance.dtype.type(epsilon))
    normalised = (x - mean) * inverse
    axes = tuple(range(x.ndim - 1))
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * normalised).sum(axis=axes)
    through_statistics = (dbeta + normalised * dgamma) / x.dtype.type(max(len(_counted(x, mask)), 1))
    if mask is not None:
        through_statistics = keep_steps(through_statistics, mask)
    return gamma * inverse * (dy - through_statistics), dgamma, dbeta


def layer_norm(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, epsilon: float) -> np.ndarray:
    """y = γ (x - μ) / √(σ² + ε) + β, μ and σ² those of each vector by itself (Ba et al. 2016); x (…, c), γ and β (c,)."""
    return _standardised(x, epsilon)[0] * gamma + beta


def layer_norm_gradient(
    dy: np.ndarray, x: np.ndarray, gamma: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dγ, dβ).

    With x̂ the normalised input and g = γ dy: dx = (g − mean g − x̂ · mean(g x̂)) / √(σ² + ε), dγ = Σ dy x̂, dβ = Σ dy.
    """
    normalised, inverse = _standardised(x, epsilon)
    g, axes = dy * gamma, tuple(range(x.ndim - 1))
    through_mean, through_variance = _mean_of_vector(g), normalised * _mean_of_vector(g * normalised)
    dx = (g - through_mean - through_variance) * inverse
    return dx, (dy * normalised).sum(axis=axes), dy.sum(axis=axes)


def _standardised(x: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """((x − μ) / √(σ² + ε), 1 / √(σ² + ε)) of each vector."""
    centred = x - _mean_of_vector(x)
    inverse = 1 / np.sqrt(_mean_of_vector(np.square(centred)) + x.dtype.type(epsilon))
    return centred * inverse, inverse


def _mean_of_vector(x: np.ndarray) -> np.ndarray:
    return x.mean(axis=-1, keepdims=True, dtype=x.dtype)


def _counted(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The rows (m, c) that count."""
    return (x if mask is None else x[mask]).reshape(-1, x.shape[-1])
