"""Masking, which marks padding in a sequence, RepeatVector, which makes one from a vector, and Cropping1D, which shortens it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_count, check_counts, check_number
from .base import Context, Gradients, Layer, Shape


@dataclass(eq=False)
class Masking(Layer):
    """y[t] = x[t], or zeros if every feature of x[t] is `mask_value`: such steps are padding, which recurrent layers skip.

    Shapes: (n, steps, features) → the same, steps may be open. Default as in Keras: 0. Raises TinynetError for a value
    that is not finite, ShapeError for an input that is not a sequence.
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


@dataclass(eq=False)
class Cropping1D(Layer):
    """y[t] = x[t + left]: the first `left` and the last `right` steps are left out, cropping = (left, right), or one number for both.

    Shapes: (n, steps, features) → (n, steps - left - right, features), steps may be open. Default as in Keras: (1, 1). Raises
    TinynetError for anything but whole numbers from 0, ShapeError for an input that is not a sequence or not longer than what is cropped.
    """

    cropping: int | tuple[int, ...] = (1, 1)

    def check(self) -> None:
        self.cropping = pair = check_counts(self.kind, "cropping", self.cropping, 2, least=0)
        self.left, self.right = pair

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        steps = None
        if len(input_shape) == 2 and (steps := input_shape[0]) is not None:
            steps -= self.left + self.right
        if len(input_shape) != 2 or (steps is not None and steps < 1):
            raise self.wrong_shape(
                f"(steps, features), steps more than {self.left + self.right}", input_shape
            )
        return (steps, *input_shape[1:])

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        if context.mask is None:
            return None
        count = context.mask.shape[1] - self.left - self.right
        return context.kernels.every_step(context.mask, self.left, 1, count)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        self.compute_output_shape(x.shape[1:])
        return context.kernels.crop_steps(x, self.left, self.right), None

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        return context.kernels.crop_steps_gradient(dy, self.left, self.right), {}
