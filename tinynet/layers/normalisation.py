"""Normalisation of batches and of vectors, which keeps training stable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_number
from .base import Context, Gradients, Layer, Shape, values
from .initializers import initialise


@dataclass(eq=False)
class BatchNorm(Layer):
    """y = γ (x − μ) / √(σ² + ε) + β, mean and variance per channel (Ioffe & Szegedy 2015).

    In training μ and σ² are the batch's, without masked steps, and update the moving averages:
    m ← momentum · m + (1 − momentum) · batch. Otherwise the moving averages are used. Shapes: (…, channels) → the same;
    γ `gamma`, β `beta`, `moving_mean`, `moving_variance` (channels,). Defaults as in Keras. Raises TinynetError for a bad
    setting, ShapeError for an open number of channels.
    """

    momentum: float = 0.99
    epsilon: float = 1e-3

    streamable = True
    rectify = False
    """Whether y goes through ReLU; only `fused` makes layers that do that."""

    def check(self) -> None:
        self.momentum = check_number(self.kind, "momentum", self.momentum, below=1)
        self.epsilon = check_number(self.kind, "epsilon", self.epsilon, above=0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape or input_shape[-1] is None:
            raise self.wrong_shape("(…, channels) with a known number of channels", input_shape)
        return input_shape

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        channels = input_shape[-1:]
        self.parameters["gamma"] = initialise("ones", channels, rng)
        self.parameters["beta"] = initialise("zeros", channels, rng)
        self.statistics["moving_mean"] = initialise("zeros", channels, rng)
        self.statistics["moving_variance"] = initialise("ones", channels, rng)

    def flops(self, input_shape: Shape) -> int:
        return 2 * values(input_shape)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        k = context.kernels
        gamma, beta = self.parameters["gamma"], self.parameters["beta"]
        moving_mean, moving_variance = self.statistics["moving_mean"], self.statistics["moving_variance"]
        of_batch = context.training and self.trainable
        mean, variance = moving_mean, moving_variance
        if of_batch:
            mean, variance = k.batch_norm_statistics(x, context.mask)
            k.blend([moving_mean, moving_variance], [mean, variance], 1 - self.momentum)
        y = k.batch_norm(x, mean, variance, gamma, beta, self.epsilon, self.rectify)
        return y, (x, mean, variance, None if of_batch else y)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        x, mean, variance, y = saved
        k, gamma, beta = context.kernels, self.parameters["gamma"], self.parameters["beta"]
        settings = self.epsilon, context.mask, self.rectify
        dx, dgamma, dbeta = k.batch_norm_gradient(dy, x, mean, variance, gamma, beta, *settings)
        if y is not None:  # moving averages do not depend on x
            zeros = k.zeros(gamma.shape, gamma.dtype)
            dz = k.activation_gradient(dy, y, "relu") if self.rectify else dy
            dx = k.batch_norm(dz, zeros, variance, gamma, zeros, self.epsilon)
        return dx, {"gamma": dgamma, "beta": dbeta}


@dataclass(eq=False)
class LayerNorm(Layer):
    """y = γ (x − μ) / √(σ² + ε) + β, mean and variance of each vector by itself, over the last axis (Ba et al. 2016).

    Shapes: (…, features) → the same; γ `gamma`, β `beta` (features,). Default as in Keras. Raises TinynetError for a bad setting,
    ShapeError for an open number of features.
    """

    epsilon: float = 1e-3

    streamable = True

    def check(self) -> None:
        self.epsilon = check_number(self.kind, "epsilon", self.epsilon, above=0)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape or input_shape[-1] is None:
            raise self.wrong_shape("(…, features) with a known number of features", input_shape)
        return input_shape

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        self.parameters["gamma"] = initialise("ones", input_shape[-1:], rng)
        self.parameters["beta"] = initialise("zeros", input_shape[-1:], rng)

    def flops(self, input_shape: Shape) -> int:
        return 5 * values(input_shape)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        gamma, beta = self.parameters["gamma"], self.parameters["beta"]
        return context.kernels.layer_norm(x, gamma, beta, self.epsilon), x

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        gamma = self.parameters["gamma"]
        dx, dgamma, dbeta = context.kernels.layer_norm_gradient(dy, saved, gamma, self.epsilon)
        return dx, {"gamma": dgamma, "beta": dbeta}
