"""Mixup (Zhang, Cissé, Dauphin & Lopez-Paz 2018): pairs of samples, mixed, with the labels of both."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from .samples import Batch


def mixed(batch: Batch, alpha: float, classes: int, kernels: ModuleType, seed: int) -> Batch:
    """Each sample with another of the batch: x = λ x_i + (1 − λ) x_j, labels p = λ p_i + (1 − λ) p_j; λ ~ Beta(α, α), one per batch.

    x (n, …) float32, targets classes (n,) or probabilities (n, classes) → probabilities. With weights w the weight is
    λ w_i + (1 − λ) w_j, so that the loss is λ w_i times that for p_i plus (1 − λ) w_j times that for p_j.
    """
    rng = np.random.default_rng([seed, 1])  # not the numbers by which pictures are changed
    share, order = float(rng.beta(alpha, alpha)), rng.permutation(len(batch.targets))
    x = batch.x.copy()
    kernels.blend([x], [batch.x[order]], 1 - share)
    own = (
        batch.targets if batch.targets.dtype.kind == "f" else np.eye(classes, dtype=np.float32)[batch.targets]
    )
    if batch.weights is None:
        return batch._replace(x=x, targets=_probabilities(share * own + (1 - share) * own[order]))
    w, v = share * batch.weights, (1 - share) * batch.weights[order]
    total = w + v
    parts = w[:, None] * own + v[:, None] * own[order]
    targets = np.where(total[:, None] > 0, parts / np.where(total > 0, total, 1)[:, None], own)
    return batch._replace(x=x, targets=_probabilities(targets), weights=total)


def _probabilities(targets: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(targets, np.float32)
