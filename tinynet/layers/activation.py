"""An activation as a layer of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Context, Gradients, Layer, Shape, activation_gradient, check_activation, values


@dataclass(eq=False)
class Activation(Layer):
    """y = f(x) with f one of linear, relu, leaky_relu (slope 0.2), elu, silu, gelu, sigmoid, tanh, softmax (over the last axis).

    Shapes: any → the same. Raises TinynetError for an unknown name. The equations are those of the kernel `activation`.
    """

    activation: str

    streamable = True

    def check(self) -> None:
        self.activation = check_activation(self.kind, self.activation)

    def flops(self, input_shape: Shape) -> int:
        return values(input_shape)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        y = context.kernels.activation(x, self.activation)
        return y, (x, y)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        x, y = saved
        return activation_gradient(context, dy, y, x, self.activation), {}
