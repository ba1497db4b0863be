"""Fused steps: neighbouring layers that are faster as one step, and outputs that are not computed where they are not read.

The layers themselves do not change. A fused step has the interface of a layer and uses the arrays of the layers it replaces; if one
of them must behave differently, the step has a copy of it that shares its arrays.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from .activation import Activation
from .base import Context, Gradients, Layer, Shape, under
from .conv import Conv1D, Conv2D, Convolution, FullConvolution, Sizes, as_picture
from .dense import Dense
from .depthwise import DepthwiseConv2D, SeparableConv2D
from .embedding import Embedding
from .normalisation import BatchNorm
from .pooling import Pooling
from .recurrent import Recurrent

RISING = ("linear", "relu", "leaky_relu", "elu", "sigmoid", "tanh")
"""Activations that can be fused with max-pooling: they never decrease, so max f(x) = f(max x)."""
LARGEST_WINDOW = 256
"""The largest window whose positions fit in one byte."""
OF_LOSSES = ("softmax", "sigmoid")
"""Last activations that a loss can compute itself."""
FOLDED_INTO = {
    Conv1D: "kernel",
    Conv2D: "kernel",
    Dense: "kernel",
    DepthwiseConv2D: "depthwise_kernel",
    SeparableConv2D: "pointwise_kernel",
}
"""Linear layers, and the kernel of each whose last axes are the output's channels."""

Kind = TypeVar("Kind", bound=Layer)


class Step(NamedTuple):
    """One step of a pass through a chain."""

    index: int
    """The index of its first layer in the chain."""
    name: str
    """The name of the layer whose arrays and state it has."""
    layer: Layer
    parts: tuple[Layer, ...]
    """The layers of the chain that it replaces."""

    @property
    def learns(self) -> bool:
        """Whether training changes any of its layers."""
        return any(part.learns for part in self.parts)

    def named(self, gradients: Gradients) -> Gradients:
        """Its gradients, by the chain's names."""
        if isinstance(self.layer, EmbeddingAndRecurrent):
            return gradients
        return {under(self.name, key): gradient for key, gradient in gradients.items()}


def fuse(layers: dict[str, Layer], inference: bool = False) -> list[Step]:
    """The steps of a pass through these layers; at inference batch normalisation is a part of the layer before it."""
    return list(_steps(list(layers.items()), inference))


def _steps(layers: Sequence[tuple[str, Layer]], inference: bool) -> Iterator[Step]:
    index = 0
    while index < len(layers):
        name, first = layers[index]
        followers = [layer for _, layer in layers[index + 1 : index + 4]]
        step, count = first, 1
        if isinstance(first, Embedding) and followers and isinstance(followers[0], Recurrent):
            if EmbeddingAndRecurrent.fits(first, followers[0]):
                follower, _ = layers[index + 1]
                step, count = EmbeddingAndRecurrent(name, first, follower, followers[0]), 2
                name = follower
        elif isinstance(first, BatchNorm) and followers and _is_relu(followers[0]):
            step, count = BatchNormAndReLU(first), 2
        elif isinstance(first, tuple(FOLDED_INTO)):
            step, count = _linear(first, followers, inference)
        yield Step(index, name, step, tuple(layer for _, layer in layers[index : index + count]))
        index += count


def _is_relu(layer: Layer) -> bool:
    return isinstance(layer, Activation) and layer.activation == "relu"


def _linear(first: Any, followers: list[Any], inference: bool) -> tuple[Layer, int]:
    """A dense layer or convolution, with the batch normalisation, the activation and the pooling behind it; and how many layers that is."""
    step, norm, count = first, None, 1

    def follows(kind: type[Layer]) -> bool:
        return count <= len(followers) and isinstance(followers[count - 1], kind)

    if inference and first.activation == "linear" and follows(BatchNorm):
        norm, count = followers[count - 1], count + 1
    if first.activation == "linear" and follows(Activation):
        step, count = _twin(first, activation=followers[count - 1].activation), count + 1
    pooling = followers[count - 1] if follows(Pooling) else None
    if not isinstance(first, Convolution) or pooling is None or pooling.rank != first.rank:
        return (Folded(step, norm) if norm else step), count
    step = _twin(step, crop=pooling.part_read)
    if isinstance(first, FullConvolution) and ConvolutionAndMaxPool.fits(step, pooling):
        step, count = ConvolutionAndMaxPool(step, pooling), count + 1
    return (Folded(step, norm) if norm else step), count


def _twin(layer: Kind, **changed: Any) -> Kind:
    """A copy of the layer that shares its arrays, with some attributes changed."""
    twin = copy.copy(layer)
    vars(twin).update(changed)
    return twin


def last_activation(layer: Layer) -> str | None:
    """A layer's last activation if a loss can compute it: "softmax", "sigmoid" or None."""
    if layer.last is not None:
        return last_activation(layer.last)
    name = getattr(layer, "activation", None)
    return name if name in OF_LOSSES else None


def without_activation(layer: Layer) -> Layer:
    """A copy of a layer that leaves its last activation to the loss."""
    if layer.last is not None:
        return layer.with_last(without_activation(layer.last))
    return _twin(layer, activation="linear")


class BatchNormAndReLU(Layer):
    """Batch normalisation and the ReLU behind it as one step, which reads and writes the memory between them once less."""

    streamable = True

    def __init__(self, norm: BatchNorm) -> None:
        self.norm = norm
        self.parameters, self.statistics = norm.parameters, norm.statistics

    def flops(self, input_shape: Shape) -> int:
        return self.norm.flops(input_shape)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        both = _twin(self.norm, rectify=True)  # made anew, since the layer may have been frozen meanwhile
        y, saved = both.forward(x, context)
        return y, (both, saved)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        both, own = saved
        return both.backward(dy, own, context)


class Folded(Layer):
    """A linear layer and the batch normalisation behind it as one linear layer, with moving averages (Jacob et al. 2018, section 3.2).

    γ (x W + b − μ) / √(σ² + ε) + β = x (W f) + (β + (b − μ) f) with f = γ / √(σ² + ε). The product W f is computed in every pass,
    which takes no longer than one row of the input: so it is never older than the weights.
    """

    def __init__(self, step: Layer, norm: BatchNorm) -> None:
        self.step, self.norm = step, norm
        self.parameters = step.parameters

    def flops(self, input_shape: Shape) -> int:
        return self.step.flops(input_shape)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        folded = self._folded(self.step, context)
        y, saved = folded.forward(x, context)
        return y, (folded, saved)

    def _folded(self, step: Any, context: Context) -> Layer:
        """A copy of the step whose weights are multiplied."""
        if isinstance(step, ConvolutionAndMaxPool):
            return ConvolutionAndMaxPool(cast(Any, self._folded(step.convolution, context)), step.pooling)
        own, norm, name = step.parameters, self.norm, FOLDED_INTO[type(step)]
        vectors = *norm.statistics.values(), *norm.parameters.values()
        kernel, bias = context.kernels.fold_batch_norm(own[name], own.get("bias"), *vectors, norm.epsilon)
        return _twin(step, parameters={**own, name: kernel, "bias": bias}, use_bias=True)

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        folded, own = saved
        return folded.output_mask(x, own, context)


class ConvolutionAndMaxPool(Layer):
    """A convolution and the max-pooling after it as one step: y = activation(max over the window of (x * W + b)).

    The maximum commutes with increasing activations, so the values in between need not be stored: backward only needs the
    position of the largest one in each window.
    """

    def __init__(self, convolution: FullConvolution, pooling: Pooling) -> None:
        self.convolution, self.pooling = convolution, pooling
        self.parameters = convolution.parameters

    @staticmethod
    def fits(first: FullConvolution, second: Pooling) -> bool:
        """Whether the two layers can be one step."""
        return second.largest and first.activation in RISING and math.prod(second.pool_size) <= LARGEST_WINDOW

    def flops(self, input_shape: Shape) -> int:
        convolution = self.convolution
        return convolution.flops(input_shape) + self.pooling.flops(
            convolution.compute_output_shape(input_shape)
        )

    def _settings(self, sizes: Sizes) -> tuple:
        convolution = self.convolution
        pooling = self.pooling.geometry(convolution.spatial_output(sizes))
        return convolution.geometry(sizes), convolution.activation, pooling

    def _operands(self, x: np.ndarray) -> tuple:
        own = self.convolution.picture_kernel(), self.parameters.get("bias")
        return as_picture(x, self.pooling.rank), *own, *self._settings(x.shape[1:-1])

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        """The output, and what backward needs."""
        if self._is_masked(context):
            return self._forward_by_parts(x, context)
        if context.gradients:
            y, argmax = context.kernels.conv2d_max_pool2d_with_argmax(*self._operands(x))
        else:
            y, argmax = context.kernels.conv2d_max_pool2d(*self._operands(x)), None
        return y if self.pooling.rank == 2 else y[:, 0], (x, y, argmax)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        """The gradients of the input and of the convolution's parameters."""
        if self._is_masked(context):
            convolved, pooled, told = saved
            return self.convolution.backward(self.pooling.backward(dy, pooled, told)[0], convolved, context)
        x, y, argmax = saved
        operands = as_picture(x, self.pooling.rank), self.convolution.picture_kernel()
        dx, dkernel, dbias = context.kernels.conv2d_max_pool2d_gradient(
            dy.reshape(y.shape), y, argmax, *operands, *self._settings(x.shape[1:-1]), context.input_gradient
        )
        gradients = {"kernel": dkernel.reshape(self.parameters["kernel"].shape)}
        if self.convolution.use_bias:
            gradients["bias"] = dbias
        return None if dx is None else dx.reshape(x.shape), gradients

    def _is_masked(self, context: Context) -> bool:
        return context.mask is not None and self.pooling.rank == 1

    def _forward_by_parts(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        """Run one after the other, since the steps between them that the mask leaves out must be zeros."""
        z, convolved = self.convolution.forward(x, context)
        told = context._replace(mask=self.convolution.output_mask(x, convolved, context))
        y, pooled = self.pooling.forward(z, told)
        return y, (convolved, pooled, told)

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        if not self._is_masked(context):
            return None
        steps = self.convolution.spatial_output(x.shape[1:2])
        return self.pooling.output_mask(np.empty((0, *steps)), None, saved[2])


class EmbeddingAndRecurrent(Layer):
    """An embedding and the recurrent layer after it as one step.

    The cell sees an id as a row of E W + b. If a batch holds more ids than the table E has rows, that product is computed
    once per row and looked up by id, and its gradient is summed per row before it goes on to E, W and b.
    """

    def __init__(self, first: str, embedding: Embedding, second: str, recurrent: Recurrent) -> None:
        self.names = first, second
        self.embedding, self.recurrent = embedding, recurrent
        self.parameters = recurrent.parameters

    @staticmethod
    def fits(first: Embedding, second: Recurrent) -> bool:
        """Whether the two layers can be one step: the cell's inputs must be rows of E, in the order of the ids."""
        return not (first.mask_zero or second.dropout or second.go_backwards)

    def flops(self, input_shape: Shape) -> int:
        return self.recurrent.flops(self.embedding.compute_output_shape(input_shape))

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        return self.recurrent.output_mask(x, saved, context)

    def zero_state(self, n: int) -> tuple[np.ndarray, ...]:
        return self.recurrent.zero_state(n)

    def final_state(self, saved: Any) -> tuple[np.ndarray, ...]:
        return self.recurrent.final_state(saved[1])

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        k, table = context.kernels, self.embedding.parameters["embeddings"]
        if x.size <= len(table):
            y, saved = self.recurrent.forward(k.embedding(x, table), context)
            return y, (x, saved)
        projected_table = k.dense(table, self.parameters["kernel"], self.parameters.get("bias"))
        y, scanned = self.recurrent.recur(k.embedding(x, projected_table), context)
        return y, (x, (None, scanned))

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[None, Gradients]:
        x, (inputs_used, scanned) = saved
        k, table = context.kernels, self.embedding.parameters["embeddings"]
        if inputs_used is not None:
            dx, gradients = self.recurrent.backward(dy, saved[1], context._replace(input_gradient=True))
            return None, self._named(gradients, k.embedding_gradient(dx, x, len(table)))
        dz, gradients = self.recurrent.recur_gradient(dy, scanned, context)
        dprojected_table = k.embedding_gradient(dz, x, len(table))
        gradients["kernel"] = k.dense_kernel_gradient(table, dprojected_table)
        if self.recurrent.use_bias:
            gradients["bias"] = k.bias_gradient(dprojected_table)
        return None, self._named(
            gradients, k.dense_input_gradient(dprojected_table, self.parameters["kernel"])
        )

    def _named(self, gradients: Gradients, dtable: np.ndarray) -> Gradients:
        """All gradients, by the names of the two layers."""
        first, second = self.names
        own = {under(second, key): gradient for key, gradient in gradients.items()}
        return {under(first, "embeddings"): dtable, **own}
