"""Layers that say which steps of a sequence are real, and that make a sequence of one vector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_count, check_number
from .base import Context, Gradients, Layer, Shape


@dataclass(eq=False)
class Masking(Layer):
    """y[t] = x[t], or zeros where every feature of x[t] is `mask_value`: such steps are padding, which recurrent layers skip.

    Shapes: (n, steps, features) → the same, steps may be open. Default as in Keras: 0. Raises TinynetError for a value
    that is not a finite number, ShapeError for an input that is not a sequence.
    """

    mask_value: float = 0.0

    streamable = True

    def check(self) -> None:
        self.mask_value = check_number(self.kind, "mask_value", self.mask_value, least=-math.inf)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) < 2:
            raise self.wrong_shape("(steps, features)", input_shape)
        return input_shape

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray:
        return saved

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        mask = context.kernels.step_mask(x, self.mask_value)
        return context.kernels.keep_steps(x, mask), mask

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        return context.kernels.keep_steps(dy, saved), {}


@dataclass(eq=False)
class RepeatVector(Layer):
    """y[t] = x at each of n steps. Shapes: (batch, features) → (batch, n, features).

    Raises TinynetError for a bad number, ShapeError for an input that is not a vector.
    """

    n: int

    def check(self) -> None:
        self.n = check_count(self.kind, "n", self.n)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise self.wrong_shape("(features,)", input_shape)
        return (self.n, *input_shape)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        return context.kernels.repeat_steps(x, self.n), None

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        return context.kernels.sum_steps(dy), {}
