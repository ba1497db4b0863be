"""The affine map y = x W + b and its gradients."""

from __future__ import annotations

import numpy as np

from .activation import activation as activate


def dense(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, activation: str = "linear"
) -> np.ndarray:
    """y = activation(x W + b); x (m, k), W (k, n), b (n,) or None. Returns (m, n); the activation is a fused one."""
    z = x @ kernel
    if bias is not None:
        z += bias
    return activate(z, activation)


def dense_input_gradient(dz: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """dx = dz Wᵀ; dz (m, n), W (k, n). Returns (m, k)."""
    return dz @ kernel.T


def dense_kernel_gradient(x: np.ndarray, dz: np.ndarray) -> np.ndarray:
    """dW = xᵀ dz; x (m, k), dz (m, n). Returns (k, n)."""
    return x.T @ dz


def bias_gradient(dz: np.ndarray) -> np.ndarray:
    """db = Σ dz over every axis but the last."""
    return dz.reshape(-1, dz.shape[-1]).sum(axis=0)
