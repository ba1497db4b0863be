"""Losses: each gives the loss of a batch and its gradient in one call.

`weights` (m,) says how much each row counts: `1/m` everywhere for a mean. The loss is a number in
float64, where the back end has it: `float(loss)` brings it to Python. The gradient has the dtype of the predictions.
"""

from __future__ import annotations

import numpy as np

Loss = tuple[float, np.ndarray]


def cross_entropy(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Loss:
    """Cross entropy of a softmax, `sum_i w_i * -log softmax(logits_i)[label_i]`, and its gradient, fused and stable.

    logits (m, c), labels (m,) integer in 0…c-1, weights (m,). Returns the loss and w_i (softmax(logits_i) - onehot_i).
    """
    rows = np.arange(len(labels))
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = logits - logits.max(axis=1, keepdims=True)
        gradient = np.exp(shifted)
        total = gradient.sum(axis=1, keepdims=True)
        losses = np.log(total[:, 0]) - shifted[rows, labels]
        gradient /= total
    gradient[rows, labels] -= 1
    gradient *= weights[:, None]
    return _weighted_sum(losses, weights), gradient


def soft_cross_entropy(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, smoothing: float
) -> Loss:
    """`sum_i w_i * -sum_j p_ij log softmax(logits_i)_j` with p = (1 - smoothing) targets + smoothing / c, and its gradient.

    logits (m, c), targets (m, c) whose rows sum to 1, or (m,) integer classes, weights (m,); smoothing 0…1 (Szegedy et al. 2016).
    The gradient is w_i (softmax(logits_i) - p_i).
    """
    c = logits.shape[1]
    if targets.ndim == 1:
        targets = np.eye(c, dtype=logits.dtype)[targets]
    p = targets * logits.dtype.type(1 - smoothing) + logits.dtype.type(smoothing / c)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
        gradient = np.exp(shifted)
        total = gradient.sum(axis=1, keepdims=True)
        shifted = np.where(p == 0, 0, shifted)  # a class that is not named may have any logit
        losses = (p * (np.log(total) - shifted)).sum(axis=1, dtype=np.float64)
        gradient = (gradient / total - p) * weights[:, None]
    return _weighted_sum(losses, weights), gradient


def binary_cross_entropy(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Loss:
    """Cross entropy of a sigmoid, `-t log s(z) - (1-t) log(1-s(z))`, averaged over c, fused and stable.

    logits z and targets t (m, c), weights (m,). The gradient is `w_i (s(z) - t) / c`.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        small = np.exp(-np.abs(logits))
        losses = np.maximum(logits, 0) - logits * targets + np.log1p(small)
        gradient = np.where(logits >= 0, 1, small) / (1 + small) - targets
    return _mean_of_columns(losses, gradient, weights)


def mean_squared_error(predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Loss:
    """`(p - t)²`, averaged over c; predictions p and targets t (m, c), weights (m,)."""
    difference = predictions - targets
    return _mean_of_columns(np.square(difference), 2 * difference, weights)


def mean_absolute_error(predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Loss:
    """`|p - t|`, averaged over c; predictions p and targets t (m, c), weights (m,). Its slope at p = t is 0."""
    difference = predictions - targets
    return _mean_of_columns(np.abs(difference), np.sign(difference), weights)


def huber(predictions: np.ndarray, targets: np.ndarray, weights: np.ndarray, delta: float) -> Loss:
    """`e²/2` where |e| ≤ delta, else `delta (|e| - delta/2)`, for e = p - t, averaged over c (Huber 1964).

    predictions p and targets t (m, c), weights (m,).
    """
    difference = predictions - targets
    gradient = np.clip(difference, -delta, delta)
    return _mean_of_columns(gradient * (difference - gradient / 2), gradient, weights)


def _mean_of_columns(losses: np.ndarray, gradient: np.ndarray, weights: np.ndarray) -> Loss:
    share = (weights / losses.shape[1]).astype(losses.dtype, copy=False)
    return _weighted_sum(losses.mean(axis=1, dtype=np.float64), weights), gradient * share[:, None]


def _weighted_sum(losses: np.ndarray, weights: np.ndarray) -> float:
    # not a dot product: BLAS may split it by its number of threads
    return float(np.sum(losses.astype(np.float64, copy=False) * weights))
