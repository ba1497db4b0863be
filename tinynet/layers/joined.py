"""Neighbouring layers that a pass takes as one step, because together they cost less than one after the other.

A joined step has the face of a layer. Files, summaries and users know only the layers that it is made of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .base import Gradients, Layer, Run
from .conv import Convolution, Sizes, as_picture
from .embedding import Embedding
from .pooling import Pooling
from .recurrent import Recurrent

RISING = ("linear", "relu", "leaky_relu", "elu", "sigmoid", "tanh")
"""Fused activations: they never fall, so that max f(x) = f(max x)."""
LARGEST_WINDOW = 256
"""Values in a window whose places fit one byte."""


def join(layers: Sequence[Layer]) -> list[tuple[int, Layer]]:
    """The steps of a pass, each with the index of its first layer."""
    steps: list[tuple[int, Layer]] = []
    index = 0
    while index < len(layers):
        pair = layers[index : index + 2]
        kind = next((kind for kind in JOINED if len(pair) == 2 and kind.fits(*pair)), None)
        steps.append((index, kind(*pair) if kind else layers[index]))
        index += 2 if kind else 1
    return steps


class ConvolutionAndMaxPool(Layer):
    """A convolution and the max-pooling behind it as one step: y = activation(max over the window of (x * W + b)).

    The maximum commutes with activations that rise, and most of what lies between is forgotten at once. Which values were the
    largest is all that backward needs of it.
    """

    def __init__(self, convolution: Convolution, pooling: Pooling) -> None:
        self.convolution, self.pooling = convolution, pooling
        self._name, self.parameters = convolution.name, convolution.parameters

    @staticmethod
    def fits(first: Layer, second: Layer) -> bool:
        """Whether two layers can be one step."""
        if not (isinstance(first, Convolution) and isinstance(second, Pooling) and second.largest):
            return False
        small = math.prod(second.pool_size) <= LARGEST_WINDOW
        return first.rank == second.rank and first.activation in RISING and small

    def _settings(self, sizes: Sizes) -> tuple:
        convolution = self.convolution
        pooling = self.pooling.geometry(convolution.spatial_output(sizes))
        return convolution.geometry(sizes), convolution.activation, pooling

    def _operands(self, x: np.ndarray) -> tuple:
        own = self.convolution.picture_kernel(), self.parameters.get("bias")
        return as_picture(x, self.pooling.rank), *own, *self._settings(x.shape[1:-1])

    def infer(self, x: np.ndarray, run: Run) -> np.ndarray:
        """The output alone."""
        y = run.kernels.conv2d_max_pool2d(*self._operands(x))
        return y if self.pooling.rank == 2 else y[:, 0]

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, Any]:
        """The output, and what backward needs."""
        y, places = run.kernels.conv2d_max_pool2d_traced(*self._operands(x))
        return y if self.pooling.rank == 2 else y[:, 0], (x, y, places)

    def backward(self, dy: np.ndarray, saved: Any, run: Run) -> tuple[np.ndarray | None, Gradients]:
        """The gradients of the input and of the convolution's parameters."""
        x, y, places = saved
        operands = as_picture(x, self.pooling.rank), self.convolution.picture_kernel()
        dx, dkernel, dbias = run.kernels.conv2d_max_pool2d_gradient(
            dy.reshape(y.shape), y, places, *operands, *self._settings(x.shape[1:-1]), run.input_gradient
        )
        gradients = {"kernel": dkernel.reshape(self.parameters["kernel"].shape)}
        if self.convolution.use_bias:
            gradients["bias"] = dbias
        return None if dx is None else dx.reshape(x.shape), gradients


class EmbeddingAndRecurrent(Layer):
    """An embedding and the recurrent layer behind it as one step.

    What an id brings to the cell is a row of E W + b. Where a batch holds more ids than the table E has rows, that product is made
    once for each row and read by the ids, and its gradient is summed by row before it goes on to E, W and b.
    """

    def __init__(self, embedding: Embedding, recurrent: Recurrent) -> None:
        self.embedding, self.recurrent = embedding, recurrent
        self._name, self.state_sizes = recurrent.name, recurrent.state_sizes
        self.parameters = recurrent.parameters

    @staticmethod
    def fits(first: Layer, second: Layer) -> bool:
        """Whether two layers can be one step: what reaches the cell must be rows of E, in the order of the ids."""
        if not (isinstance(first, Embedding) and isinstance(second, Recurrent)):
            return False
        return not (first.mask_zero or second.dropout or second.go_backwards)

    def output_mask(self, x: np.ndarray, run: Run) -> np.ndarray | None:
        return self.recurrent.output_mask(x, run)

    def final_state(self, saved: Any) -> tuple[np.ndarray, ...]:
        return self.recurrent.final_state(saved[1])

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, Any]:
        k, table = run.kernels, self.embedding.parameters["embeddings"]
        if x.size <= len(table):
            y, saved = self.recurrent.forward(k.embedding(x, table), run)
            return y, (x, saved)
        brought = k.dense(table, self.parameters["kernel"], self.parameters.get("bias"))
        y, trace = self.recurrent.recur(k.embedding(x, brought), run)
        return y, (x, (None, trace))

    def backward(self, dy: np.ndarray, saved: Any, run: Run) -> tuple[None, Gradients]:
        x, (taken, trace) = saved
        k, table = run.kernels, self.embedding.parameters["embeddings"]
        if taken is not None:
            dx, gradients = self.recurrent.backward(dy, saved[1], run._replace(input_gradient=True))
            return None, gradients | {"embeddings": k.embedding_gradient(dx, x, len(table))}
        dz, gradients = self.recurrent.recur_gradient(dy, trace, run)
        dbrought = k.embedding_gradient(dz, x, len(table))
        gradients["embeddings"] = k.dense_input_gradient(dbrought, self.parameters["kernel"])
        gradients["kernel"] = k.dense_kernel_gradient(table, dbrought)
        if self.recurrent.use_bias:
            gradients["bias"] = k.bias_gradient(dbrought)
        return None, gradients

    def named(self, gradients: Gradients) -> Gradients:
        embeddings = {"embeddings": gradients.pop("embeddings")}
        return self.embedding.named(embeddings) | self.recurrent.named(gradients)


JOINED = (ConvolutionAndMaxPool, EmbeddingAndRecurrent)
