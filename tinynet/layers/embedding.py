"""Embeddings: ids become vectors, one per step, or one for all together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_count, check_flag, check_number
from ..errors import TinynetError
from .base import Context, Gradients, Layer, Shape
from .initializers import INITIALIZERS, initialise


class Table(Layer):
    """The base of layers that look up ids in the rows of a table E `embeddings` (input_dim, output_dim)."""

    input_dim: int
    output_dim: int
    embeddings_initializer: str

    takes_ids = True

    def check(self) -> None:
        self.input_dim = check_count(self.kind, "input_dim", self.input_dim)
        self.output_dim = check_count(self.kind, "output_dim", self.output_dim)
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

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        shape = (self.input_dim, self.output_dim)
        self.parameters["embeddings"] = initialise(self.embeddings_initializer, shape, rng)


@dataclass(eq=False)
class Embedding(Table):
    """y[t] = E[x[t]]: each id is looked up in a table (Bengio et al. 2003). It can only be a network's first layer.

    Shapes: x (n, steps) whole numbers 0…input_dim-1, steps may be open → y (n, steps, output_dim); E `embeddings`
    (input_dim, output_dim). With `mask_zero` the id 0 is padding, which recurrent layers skip. Starting values as in
    Keras: uniform in ±0.05. Raises TinynetError for a bad setting or id, ShapeError for an input that is not a row of ids.
    """

    input_dim: int
    output_dim: int
    mask_zero: bool = False
    embeddings_initializer: str = "uniform"

    streamable = True

    def check(self) -> None:
        super().check()
        self.mask_zero = check_flag(self.kind, "mask_zero", self.mask_zero)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise self.wrong_shape("(steps,) of ids", input_shape)
        return (*input_shape, self.output_dim)

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        return context.kernels.step_mask(x, 0) if self.mask_zero else context.mask

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        return context.kernels.embedding(x, self.parameters["embeddings"]), x

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[None, Gradients]:
        return None, {"embeddings": context.kernels.embedding_gradient(dy, saved, self.input_dim)}


@dataclass(eq=False)
class EmbeddingBag(Table):
    """y = Σ over t of E[x[t]], where the id 0 is padding: a linear layer on a bag of ids that costs only as much as there are ids.

    With E the log-count ratios of a naive Bayes classifier, y are its log-odds (Wang & Manning 2012). In training `dropout` leaves out
    each id with that probability and multiplies the sum of the others by 1 / (1 − dropout). It can only be a network's first layer.
    Shapes: x (n, steps) whole numbers 0…input_dim-1, steps may be open → y (n, output_dim); E `embeddings` (input_dim, output_dim).
    Starting values as in Embedding. Raises TinynetError for a bad setting or id, ShapeError for an input that is not a row of ids.
    """

    input_dim: int
    output_dim: int
    dropout: float = 0.0
    embeddings_initializer: str = "uniform"

    def check(self) -> None:
        super().check()
        self.dropout = check_number(self.kind, "dropout", self.dropout, below=1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1:
            raise self.wrong_shape("(steps,) of ids", input_shape)
        return (self.output_dim,)

    def flops(self, input_shape: Shape) -> int:
        return (input_shape[0] or 1) * self.output_dim

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        rate = self.dropout if context.training else 0.0
        ids = context.kernels.drop_ids(x, rate, context.seed) if rate else x
        factor = 1 / (1 - rate)
        return context.kernels.embedding_bag(ids, self.parameters["embeddings"], factor), (ids, factor)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[None, Gradients]:
        ids, factor = saved
        return None, {"embeddings": context.kernels.embedding_bag_gradient(dy, ids, self.input_dim, factor)}
