"""Convolutions over pictures and sequences, channels last."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_count, check_counts, check_flag
from .base import (
    Context,
    Gradients,
    Layer,
    Shape,
    activated,
    activation_gradient,
    check_activation,
)
from .initializers import INITIALIZERS, initialise

PADDINGS = ("valid", "same")
Pads = tuple[tuple[int, int], ...]


Sizes = tuple[int, ...]


@functools.lru_cache(maxsize=4096)
def windows(
    sizes: Sizes, window: Sizes, strides: Sizes, padding: str, dilation: Sizes
) -> tuple[tuple[int, tuple[int, int]], ...]:
    """For each axis the output size, and the padding before and after, as TensorFlow defines "valid" and "same"."""
    axes = []
    for size, reach, stride in zip(sizes, reaches(window, dilation), strides, strict=True):
        out = (size - reach) // stride + 1 if padding == "valid" else -(-size // stride)
        total = 0 if padding == "valid" else max((out - 1) * stride + reach - size, 0)
        axes.append((out, (total // 2, total - total // 2)))
    return tuple(axes)


@functools.lru_cache(maxsize=4096)
def cropped_pads(
    sizes: Sizes, window: Sizes, strides: Sizes, padding: str, dilation: Sizes, wanted: Sizes
) -> tuple[tuple[int, int], ...]:
    """The padding of each axis, reduced (even below 0) where an output of the wanted size would not read it."""
    pads = []
    for axis, (_, (before, after)) in enumerate(windows(sizes, window, strides, padding, dilation)):
        used = (wanted[axis] - 1) * strides[axis] + reaches(window, dilation)[axis]
        pads.append((before, min(after, used - sizes[axis] - before)))
    return tuple(pads)


def reaches(window: Sizes, dilation: Sizes) -> Sizes:
    """The extent of a dilated window on each axis, in pixels."""
    return tuple(d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True))


def padded_size(
    sizes: Sizes, window: Sizes, strides: Sizes, padding: str, dilation: Sizes, channels: int
) -> int:
    """How many numbers a picture or sequence has, including padding."""
    axes = windows(sizes, window, strides, padding, dilation)
    padded = (size + sum(pads) for size, (_, pads) in zip(sizes, axes, strict=True))
    return math.prod(padded) * channels


def known(sizes: tuple[int | None, ...], window: Sizes, dilation: Sizes) -> Sizes:
    """Sizes, with the extent of a window in place of an open one."""
    return tuple(
        reach if size is None else size for size, reach in zip(sizes, reaches(window, dilation), strict=True)
    )


def windows_mask(context: Context, padding: str, reach: int, stride: int, count: int) -> np.ndarray | None:
    """Which windows over a sequence are real: with "valid" those whose last step is, with "same" those whose first unpadded step is."""
    if context.mask is None:
        return None
    return context.kernels.every_step(context.mask, reach - 1 if padding == "valid" else 0, stride, count)


def only_real(x: np.ndarray, rank: int, context: Context) -> np.ndarray:
    """A sequence with zeros at the steps that the mask leaves out, like padding; a picture unchanged."""
    return x if context.mask is None or rank == 2 else context.kernels.keep_steps(x, context.mask)


def as_picture(x: np.ndarray, rank: int) -> np.ndarray:
    """A sequence (n, t, c) as a picture one pixel high: (n, 1, t, c)."""
    return x if rank == 2 else x[:, None]


class Convolution(Layer):
    """The base class of all convolutions; `rank` is the number of spatial axes."""

    rank: int
    kernel_size: Any
    strides: Any
    padding: str
    dilation_rate: Any
    activation: str
    use_bias: bool
    crop: Callable[[Sizes], Sizes] | None = None
    """Maps the output's spatial size to that of the part that is read; only `fused` makes convolutions with a crop."""

    def check(self) -> None:
        for setting in ("kernel_size", "strides", "dilation_rate"):
            setattr(self, setting, check_counts(self.kind, setting, getattr(self, setting), self.rank))
        self.activation = check_activation(self.kind, self.activation)
        check_choice(self.kind, "padding", self.padding, PADDINGS)
        self.use_bias = check_flag(self.kind, "use_bias", self.use_bias)

    def output_channels(self, channels: int) -> int:
        """The number of channels of the output."""
        raise NotImplementedError

    def _windows(self, sizes: Sizes) -> tuple:
        return windows(sizes, self.kernel_size, self.strides, self.padding, self.dilation_rate)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        expected = ("(length, channels)", "(height, width, channels)")[self.rank - 1]
        if len(input_shape) != self.rank + 1 or None in input_shape[1 if self.rank == 1 else 0 :]:
            raise self.wrong_shape(expected, input_shape)
        filters = self.output_channels(input_shape[-1])
        if input_shape[0] is None:
            return (None, filters)
        out = tuple(size for size, _ in self._windows(input_shape[:-1]))
        if min(out) < 1:
            reach = reaches(self.kernel_size, self.dilation_rate)
            raise self.wrong_shape(f"{expected} of at least {reach}", input_shape)
        return (*out, filters)

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        for name, (initializer, shape) in self.kernels(input_shape[-1]).items():
            self.parameters[name] = initialise(initializer, shape, rng)
        if self.use_bias:
            self.parameters["bias"] = np.zeros(self.output_channels(input_shape[-1]), np.float32)

    def kernels(self, channels: int) -> dict[str, tuple[str, Shape]]:
        """The initializer and the shape of each kernel, by name; every one meets each output position once."""
        raise NotImplementedError

    def flops(self, input_shape: Shape) -> int:
        sizes = known(input_shape[:-1], self.kernel_size, self.dilation_rate)
        positions = math.prod(self.spatial_output(sizes))
        return 2 * positions * sum(math.prod(shape) for _, shape in self.kernels(input_shape[-1]).values())

    def size(self, input_shape: Shape) -> int:
        *sizes, channels = input_shape
        settings = (self.kernel_size, self.strides, self.padding, self.dilation_rate)
        return padded_size(known(tuple(sizes), self.kernel_size, self.dilation_rate), *settings, channels)

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        if self.rank == 2:
            return None
        (reach,), (stride,) = reaches(self.kernel_size, self.dilation_rate), self.strides
        (count,) = self.spatial_output(x.shape[1:2])
        return windows_mask(context, self.padding, reach, stride, count)

    def geometry(self, sizes: Sizes) -> tuple[Sizes, Pads, Sizes]:
        """(strides, pads, dilation) of two axes."""
        settings = (self.kernel_size, self.strides, self.padding, self.dilation_rate)
        pads = cropped_pads(sizes, *settings, self.spatial_output(sizes))
        if self.rank == 1:
            return (1, *self.strides), ((0, 0), *pads), (1, *self.dilation_rate)
        return self.strides, pads, self.dilation_rate

    def spatial_output(self, sizes: Sizes) -> Sizes:
        """Height and width (or length) of the output of `forward`."""
        whole = tuple(out for out, _ in self._windows(sizes))
        return self.crop(whole) if self.crop else whole


class FullConvolution(Convolution):
    """The base class of Conv1D and Conv2D: each filter reads all channels."""

    filters: int
    kernel_initializer: str

    def check(self) -> None:
        self.filters = check_count(self.kind, "filters", self.filters)
        super().check()
        check_choice(self.kind, "kernel_initializer", self.kernel_initializer, INITIALIZERS)

    def output_channels(self, channels: int) -> int:
        return self.filters

    def kernels(self, channels: int) -> dict[str, tuple[str, Shape]]:
        return {"kernel": (self.kernel_initializer, (*self.kernel_size, channels, self.filters))}

    def picture_kernel(self) -> np.ndarray:
        """The kernel for pictures; that of a sequence becomes one pixel high."""
        kernel = self.parameters["kernel"]
        return kernel if self.rank == 2 else kernel[None]

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        x, geometry = only_real(x, self.rank, context), self.geometry(x.shape[1:-1])
        operands = as_picture(x, self.rank), self.picture_kernel(), self.parameters.get("bias"), *geometry
        y, z = activated(context, context.kernels.conv2d, self.activation, *operands)
        return y if self.rank == 2 else y[:, 0], (x, y, z)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        x, y, z = saved
        kernel, geometry = self.picture_kernel(), self.geometry(x.shape[1:-1])
        picture = as_picture(x, self.rank)
        dz = activation_gradient(context, dy.reshape(y.shape), y, z, self.activation)
        dkernel = context.kernels.conv2d_kernel_gradient(picture, dz, kernel.shape, *geometry)
        gradients = {"kernel": dkernel.reshape(self.parameters["kernel"].shape)}
        if self.use_bias:
            gradients["bias"] = context.kernels.bias_gradient(dz)
        if not context.input_gradient:
            return None, gradients
        dx = context.kernels.conv2d_input_gradient(dz, kernel, picture.shape, *geometry)
        return only_real(dx.reshape(x.shape), self.rank, context), gradients


@dataclass(eq=False)
class Conv2D(FullConvolution):
    """y[i, j, o] = activation(b[o] + Σ_{u, v, c} x[i·s + u·d, j·s + v·d, c] W[u, v, c, o]), s strides, d dilation.

    Shapes: x (n, height, width, channels) → y (n, height', width', filters); W `kernel` (kh, kw, channels, filters),
    b `bias` (filters,). "valid": height' = ⌊(height − d (kh − 1) − 1) / s⌋ + 1; "same": ⌈height / s⌉, padded with zeros.
    Defaults as in Keras. Raises TinynetError for a bad setting, ShapeError for an input that does not fit.
    """

    filters: int
    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = (1, 1)
    padding: str = "valid"
    dilation_rate: int | tuple[int, int] = (1, 1)
    activation: str = "linear"
    use_bias: bool = True
    kernel_initializer: str = "glorot_uniform"

    rank = 2


@dataclass(eq=False)
class Conv1D(FullConvolution):
    """y[t, o] = activation(b[o] + Σ_{u, c} x[t·s + u·d, c] W[u, c, o]), s strides, d dilation.

    Shapes: x (n, length, channels) → y (n, length', filters); W `kernel` (k, channels, filters), b `bias` (filters,).
    "valid" and "same" as in Conv2D; the length may be open. Steps that a mask leaves out are zeros, and windows that end there
    ("valid") or stand there ("same") are left out of the output.
    Raises TinynetError for a bad setting, ShapeError for an input that does not fit.
    """

    filters: int
    kernel_size: int | tuple[int]
    strides: int | tuple[int] = (1,)
    padding: str = "valid"
    dilation_rate: int | tuple[int] = (1,)
    activation: str = "linear"
    use_bias: bool = True
    kernel_initializer: str = "glorot_uniform"

    rank = 1
