"""Convolutions whose filters read one channel each, and those in two parts: first every channel alone, then all channels at every pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_count
from .base import Context, Gradients, Shape, activated, activation_gradient
from .conv import Convolution
from .initializers import INITIALIZERS

ONE_BY_ONE = (1, 1), ((0, 0), (0, 0)), (1, 1)
"""Strides, padding and dilation of a 1×1 convolution."""


class Depthwise(Convolution):
    """The base class of convolutions that begin with `depth_multiplier` filters for each channel."""

    depth_multiplier: int
    depthwise_initializer: str

    rank = 2

    def check(self) -> None:
        super().check()
        self.depth_multiplier = check_count(self.kind, "depth_multiplier", self.depth_multiplier)
        check_choice(self.kind, "depthwise_initializer", self.depthwise_initializer, INITIALIZERS)

    def kernels(self, channels: int) -> dict[str, tuple[str, Shape]]:
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        return {"depthwise_kernel": (self.depthwise_initializer, shape)}


@dataclass(eq=False)
class DepthwiseConv2D(Depthwise):
    """y[i, j, c·m + q] = activation(b[c·m + q] + Σ_{u, v} x[i·s + u·d, j·s + v·d, c] W[u, v, c, q]), q < m (Howard et al. 2017).

    s are the strides, d the dilation, m the depth multiplier. Shapes: x (n, height, width, channels) → y (n, height', width',
    channels · m), sizes as in Conv2D; W `depthwise_kernel` (kh, kw, channels, m), b `bias` (channels · m,).
    Defaults as in Keras. Raises TinynetError for a bad setting, ShapeError for an input that does not fit.
    """

    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = (1, 1)
    padding: str = "valid"
    depth_multiplier: int = 1
    dilation_rate: int | tuple[int, int] = (1, 1)
    activation: str = "linear"
    use_bias: bool = True
    depthwise_initializer: str = "glorot_uniform"

    def output_channels(self, channels: int) -> int:
        return channels * self.depth_multiplier

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        operands = x, self.parameters["depthwise_kernel"], self.parameters.get("bias")
        convolve, geometry = context.kernels.depthwise_conv2d, self.geometry(x.shape[1:-1])
        y, z = activated(context, convolve, self.activation, *operands, *geometry)
        return y, (x, y, z)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        x, y, z = saved
        k, geometry = context.kernels, self.geometry(x.shape[1:-1])
        kernel = self.parameters["depthwise_kernel"]
        dz = activation_gradient(context, dy, y, z, self.activation)
        gradients = {"depthwise_kernel": k.depthwise_conv2d_kernel_gradient(x, dz, kernel.shape, *geometry)}
        if self.use_bias:
            gradients["bias"] = k.bias_gradient(dz)
        if not context.input_gradient:
            return None, gradients
        return k.depthwise_conv2d_input_gradient(dz, kernel, x.shape, *geometry), gradients


@dataclass(eq=False)
class SeparableConv2D(Depthwise):
    """y[i, j, o] = activation(b[o] + Σ_k z[i, j, k] P[k, o]), z the DepthwiseConv2D of x (Chollet 2017).

    Shapes: x (n, height, width, channels) → y (n, height', width', filters), sizes as in Conv2D; `depthwise_kernel` (kh, kw, channels, m),
    P `pointwise_kernel` (1, 1, channels · m, filters), b `bias` (filters,). Of a 3×3 Conv2D it takes about a ninth of the weights.
    Defaults as in Keras. Raises TinynetError for a bad setting, ShapeError for an input that does not fit.
    """

    filters: int
    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = (1, 1)
    padding: str = "valid"
    dilation_rate: int | tuple[int, int] = (1, 1)
    depth_multiplier: int = 1
    activation: str = "linear"
    use_bias: bool = True
    depthwise_initializer: str = "glorot_uniform"
    pointwise_initializer: str = "glorot_uniform"

    def check(self) -> None:
        self.filters = check_count(self.kind, "filters", self.filters)
        super().check()
        check_choice(self.kind, "pointwise_initializer", self.pointwise_initializer, INITIALIZERS)

    def output_channels(self, channels: int) -> int:
        return self.filters

    def kernels(self, channels: int) -> dict[str, tuple[str, Shape]]:
        pointwise = (1, 1, channels * self.depth_multiplier, self.filters)
        return {
            **super().kernels(channels),
            "pointwise_kernel": (self.pointwise_initializer, pointwise),
        }

    def size(self, input_shape: Shape) -> int:
        between = math.prod(self.spatial_output(input_shape[:-1])) * input_shape[-1] * self.depth_multiplier
        return super().size(input_shape) + between

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        k, own = context.kernels, self.parameters
        z = k.depthwise_conv2d(x, own["depthwise_kernel"], None, *self.geometry(x.shape[1:-1]))
        operands = z, own["pointwise_kernel"], own.get("bias"), *ONE_BY_ONE
        y, before = activated(context, k.conv2d, self.activation, *operands)
        return y, (x, z, y, before)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        x, z, y, before = saved
        k, geometry = context.kernels, self.geometry(x.shape[1:-1])
        depthwise, pointwise = self.parameters["depthwise_kernel"], self.parameters["pointwise_kernel"]
        dy = activation_gradient(context, dy, y, before, self.activation)
        dz = k.conv2d_input_gradient(dy, pointwise, z.shape, *ONE_BY_ONE)
        gradients = {
            "depthwise_kernel": k.depthwise_conv2d_kernel_gradient(x, dz, depthwise.shape, *geometry),
            "pointwise_kernel": k.conv2d_kernel_gradient(z, dy, pointwise.shape, *ONE_BY_ONE),
        }
        if self.use_bias:
            gradients["bias"] = k.bias_gradient(dy)
        if not context.input_gradient:
            return None, gradients
        return k.depthwise_conv2d_input_gradient(dz, depthwise, x.shape, *geometry), gradients
