"""Fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_count, check_flag
from .base import (
    Context,
    Gradients,
    Layer,
    Shape,
    activated,
    activation_gradient,
    check_activation,
    values,
)
from .initializers import INITIALIZERS, initialise


@dataclass(eq=False)
class Dense(Layer):
    """y = activation(x W + b).

    Shapes: x (…, inputs) → y (…, units); W `kernel` (inputs, units), b `bias` (units,).
    Defaults as in Keras: Glorot-uniform kernel, zero bias. Raises TinynetError for a bad setting, ShapeError for an
    input without a fixed last axis.
    """

    units: int
    activation: str = "linear"
    use_bias: bool = True
    kernel_initializer: str = "glorot_uniform"

    streamable = True

    def check(self) -> None:
        self.units = check_count(self.kind, "units", self.units)
        self.activation = check_activation(self.kind, self.activation)
        self.use_bias = check_flag(self.kind, "use_bias", self.use_bias)
        check_choice(self.kind, "kernel_initializer", self.kernel_initializer, INITIALIZERS)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape or input_shape[-1] is None:
            raise self.wrong_shape("(…, features) with a known number of features", input_shape)
        return (*input_shape[:-1], self.units)

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        kernel_shape = (input_shape[-1], self.units)
        self.parameters["kernel"] = initialise(self.kernel_initializer, kernel_shape, rng)
        if self.use_bias:
            self.parameters["bias"] = np.zeros(self.units, np.float32)

    def flops(self, input_shape: Shape) -> int:
        return 2 * self.units * values(input_shape)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        kernel, bias = self.parameters["kernel"], self.parameters.get("bias")
        rows = x.reshape(-1, x.shape[-1])
        y, z = activated(context, context.kernels.dense, self.activation, rows, kernel, bias)
        return y.reshape(*x.shape[:-1], self.units), (x, y, z)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        x, y, z = saved
        dz = activation_gradient(context, dy.reshape(y.shape), y, z, self.activation)
        gradients = {"kernel": context.kernels.dense_kernel_gradient(x.reshape(len(dz), x.shape[-1]), dz)}
        if self.use_bias:
            gradients["bias"] = context.kernels.bias_gradient(dz)
        if not context.input_gradient:
            return None, gradients
        return context.kernels.dense_input_gradient(dz, self.parameters["kernel"]).reshape(x.shape), gradients
