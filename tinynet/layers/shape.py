"""Layers that only change the shape: no kernel is called, no value copied."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import MOST_AXES, check_count, show_shape
from ..errors import ShapeError, TinynetError
from .base import Context, Gradients, Layer, Shape


class Rearrangement(Layer):
    """The base of layers whose output is the input in another shape."""

    def check_fixed(self, input_shape: Shape) -> None:
        """Raise ShapeError where a size is open, as the length of a sequence may be."""
        if None in input_shape:
            raise ShapeError(
                f"{self.kind} needs a fixed size, but is given {show_shape(input_shape)}: name it in input_shape, or "
                "set return_sequences=False on the recurrent layer before it"
            )

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        return x.reshape(len(x), *self.compute_output_shape(x.shape[1:])), x.shape

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        return dy.reshape(saved), {}


@dataclass(eq=False)
class Flatten(Rearrangement):
    """All values of a sample in one row. Shapes: (n, a, b, …) → (n, a·b·…). Raises ShapeError for an open size."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_fixed(input_shape)
        return (math.prod(input_shape),)


@dataclass(eq=False)
class Reshape(Rearrangement):
    """The same values under another shape, row-major. Shapes: (n, …) → (n, *target_shape).

    One size of `target_shape` may be −1 and then follows from the others. Raises ShapeError where the numbers of values differ.
    """

    target_shape: tuple[int, ...]

    def check(self) -> None:
        sizes = self.target_shape if isinstance(self.target_shape, (tuple, list)) else (self.target_shape,)
        self.target_shape = tuple(
            -1 if size == -1 else check_count(self.kind, "target_shape", size) for size in sizes
        )
        if len(sizes) > MOST_AXES:
            raise TinynetError(f"{self.kind}: target_shape has {len(sizes)} axes, more than {MOST_AXES}")
        if self.target_shape.count(-1) > 1:
            raise TinynetError(f"{self.kind}: only one size of target_shape may be -1")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self.check_fixed(input_shape)
        values, known = math.prod(input_shape), math.prod(size for size in self.target_shape if size != -1)
        if values % known if -1 in self.target_shape else values != known:
            raise self.wrong_shape(f"that fills {show_shape(self.target_shape)}", input_shape)
        return tuple(values // known if size == -1 else size for size in self.target_shape)
