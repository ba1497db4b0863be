"""Batch normalisation (Ioffe & Szegedy 2015): y = γ (x − μ) / √(σ² + ε) + β, a mean and variance a channel."""

from __future__ import annotations

import numpy as np


def batch_norm_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance over every axis but the last."""
    rows = x.reshape(-1, x.shape[-1])
    return rows.mean(axis=0), rows.var(axis=0)


def batch_norm(
    x: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    epsilon: float,
) -> np.ndarray:
    """y = γ (x − μ) / √(σ² + ε) + β."""
    factor = gamma / np.sqrt(variance + variance.dtype.type(epsilon))
    return x * factor + (beta - mean * factor)


def batch_norm_gradient(
    dy: np.ndarray, x: np.ndarray, mean: np.ndarray, variance: np.ndarray, gamma: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dγ, dβ) where μ and σ² are the batch's own, so that the gradient flows through them too.

    With x̂ the normalised input and m rows: dβ = Σ dy, dγ = Σ dy x̂, dx = γ / √(σ² + ε) · (dy − (dβ + x̂ dγ) / m).
    """
    inverse = 1 / np.sqrt(variance + variance.dtype.type(epsilon))
    normalised = (x - mean) * inverse
    axes = tuple(range(x.ndim - 1))
    dbeta = dy.sum(axis=axes)
    dgamma = (dy * normalised).sum(axis=axes)
    rows = x.dtype.type(max(x.size // x.shape[-1], 1))
    return gamma * inverse * (dy - (dbeta + normalised * dgamma) / rows), dgamma, dbeta
