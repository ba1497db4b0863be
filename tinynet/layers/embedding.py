"""Embedding: ids become vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_count, check_flag
from ..errors import TinynetError
from .base import Gradients, Layer, Run, Shape
from .initializers import INITIALIZERS, initialise


@dataclass(eq=False)
class Embedding(Layer):
    """y[t] = E[x[t]]: each id is looked up in a table (Bengio et al. 2003). Only a network's first layer can be one.

    Shapes: x (n, steps) whole numbers 0…input_dim-1, steps may be open → y (n, steps, output_dim); E `embeddings`
    (input_dim, output_dim). With `mask_zero` the id 0 is padding: recurrent layers skip it. Initial values as in
    Keras: uniform in ±0.05. Raises TinynetError for a bad setting or id, ShapeError for an input without one axis of steps.
    """

    input_dim: int
    output_dim: int
    mask_zero: bool = False
    embeddings_initializer: str = "uniform"

    takes_ids = True
    timewise = True

    def check(self) -> None:
        self.input_dim = check_count(self.kind, "input_dim", self.input_dim)
        self.output_dim = check_count(self.kind, "output_dim", self.output_dim)
        self.mask_zero = check_flag(self.kind, "mask_zero", self.mask_zero)
        check_choice(self.kind, "embeddings_initializer", self.embeddings_initializer, INITIALIZERS)

    def take(self, x: np.ndarray) -> np.ndarray:
        """The ids as int32; raises TinynetError if they are not whole numbers or one has no row in the table."""
        if x.dtype.kind not in "iu":
            raise TinynetError(f"{self.kind} takes ids, which are whole numbers, but is given {x.dtype}")
        outside = (x < 0) | (x >= self.input_dim)
        if outside.any():
            place = tuple(int(index) for index in np.argwhere(outside)[0])
            raise TinynetError(
                f"{self.kind} takes ids 0…{self.input_dim - 1}, but is given {x[place]} at index {place}"
            )
        return np.ascontiguousarray(x, np.int32)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise self.wrong_shape("(steps,) of ids", input_shape)
        return (*input_shape, self.output_dim)

    def output_mask(self, x: np.ndarray, saved: Any, run: Run) -> np.ndarray | None:
        return run.kernels.step_mask(x, 0) if self.mask_zero else run.mask

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        shape = (self.input_dim, self.output_dim)
        self.parameters["embeddings"] = initialise(self.embeddings_initializer, shape, rng)

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, Any]:
        return run.kernels.embedding(x, self.parameters["embeddings"]), x

    def backward(self, dy: np.ndarray, saved: Any, run: Run) -> tuple[None, Gradients]:
        return None, {"embeddings": run.kernels.embedding_gradient(dy, saved, self.input_dim)}
