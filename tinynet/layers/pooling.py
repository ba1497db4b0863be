"""Pooling: the largest or the mean value of windows of a picture or sequence, or of all of it, channels last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_counts
from .base import Context, Gradients, Layer, Shape
from .conv import PADDINGS, Pads, Sizes, as_picture, known, only_real, padded_size, windows, windows_mask


class Pooling(Layer):
    """The base class of pooling layers with a window; `rank` is the number of spatial axes, `largest` max or mean."""

    rank: int
    largest: bool
    pool_size: Any
    strides: Any
    padding: str

    def check(self) -> None:
        self.pool_size = check_counts(self.kind, "pool_size", self.pool_size, self.rank)
        strides = self.pool_size if self.strides is None else self.strides
        self.strides = check_counts(self.kind, "strides", strides, self.rank)
        check_choice(self.kind, "padding", self.padding, PADDINGS)

    def _windows(self, sizes: Sizes) -> tuple:
        return windows(sizes, self.pool_size, self.strides, self.padding, (1,) * self.rank)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        expected = ("(length, channels)", "(height, width, channels)")[self.rank - 1]
        if len(input_shape) != self.rank + 1 or None in input_shape[1 if self.rank == 1 else 0 :]:
            raise self.wrong_shape(expected, input_shape)
        if input_shape[0] is None:
            return input_shape
        out = tuple(size for size, _ in self._windows(input_shape[:-1]))
        if min(out) < 1:
            raise self.wrong_shape(f"{expected} of at least {self.pool_size}", input_shape)
        return (*out, input_shape[-1])

    def part_read(self, sizes: Sizes) -> Sizes:
        """The part of an input of this spatial size, from its first corner, that the windows read."""
        axes = zip(sizes, self.pool_size, self.strides, self._windows(sizes), strict=True)
        return tuple(min(size, (out - 1) * s + k - before) for size, k, s, (out, (before, _)) in axes)

    def flops(self, input_shape: Shape) -> int:
        shape = (*known(input_shape[:-1], self.pool_size, (1,) * self.rank), input_shape[-1])
        return math.prod(self.compute_output_shape(shape)) * math.prod(self.pool_size)

    def size(self, input_shape: Shape) -> int:
        *sizes, channels = input_shape
        ones = (1,) * self.rank
        sizes = known(tuple(sizes), self.pool_size, ones)
        return padded_size(sizes, self.pool_size, self.strides, self.padding, ones, channels)

    def geometry(self, sizes: Sizes) -> tuple[Sizes, Sizes, Pads]:
        """(window, strides, pads) of two axes."""
        pads = tuple(pad for _, pad in self._windows(sizes))
        if self.rank == 1:
            return (1, *self.pool_size), (1, *self.strides), ((0, 0), *pads)
        return self.pool_size, self.strides, pads

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        pool = context.kernels.max_pool2d if self.largest else context.kernels.avg_pool2d
        x = only_real(x, self.rank, context)
        y = pool(as_picture(x, self.rank), *self.geometry(x.shape[1:-1]))
        return y if self.rank == 2 else y[:, 0], (x, y)

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        if self.rank == 2:
            return None
        (count, _), *_ = self._windows(x.shape[1:2])
        (reach,), (stride,) = self.pool_size, self.strides
        return windows_mask(context, self.padding, reach, stride, count)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        x, y = saved
        geometry = self.geometry(x.shape[1:-1])
        picture, dy = as_picture(x, self.rank), dy.reshape(y.shape)
        if self.largest:
            dx = context.kernels.max_pool2d_gradient(dy, picture, y, *geometry)
        else:
            dx = context.kernels.avg_pool2d_gradient(dy, picture.shape, *geometry)
        return only_real(dx.reshape(x.shape), self.rank, context), {}


@dataclass(eq=False)
class MaxPool2D(Pooling):
    """y[i, j, c] = max over the window of x[i·s + u, j·s + v, c]; padding never wins.

    Shapes: (n, height, width, channels) → (n, height', width', channels), sizes as in Conv2D. `strides` None is the
    window's size. Raises TinynetError for a bad setting, ShapeError for an input smaller than the window.
    """

    pool_size: int | tuple[int, int] = (2, 2)
    strides: int | tuple[int, int] | None = None
    padding: str = "valid"

    rank, largest = 2, True


@dataclass(eq=False)
class AvgPool2D(Pooling):
    """y[i, j, c] = mean over the window of x[i·s + u, j·s + v, c]; padding is not counted.

    Shapes, settings and errors as in MaxPool2D.
    """

    pool_size: int | tuple[int, int] = (2, 2)
    strides: int | tuple[int, int] | None = None
    padding: str = "valid"

    rank, largest = 2, False


@dataclass(eq=False)
class MaxPool1D(Pooling):
    """y[t, c] = max over the window of x[t·s + u, c]. Shapes: (n, length, channels) → (n, length', channels).

    Settings and errors as in MaxPool2D; open lengths and masks as in Conv1D.
    """

    pool_size: int | tuple[int] = (2,)
    strides: int | tuple[int] | None = None
    padding: str = "valid"

    rank, largest = 1, True


@dataclass(eq=False)
class AvgPool1D(Pooling):
    """y[t, c] = mean over the window of x[t·s + u, c]. Shapes: (n, length, channels) → (n, length', channels).

    Settings and errors as in AvgPool2D; open lengths and masks as in Conv1D, whose zeros count.
    """

    pool_size: int | tuple[int] = (2,)
    strides: int | tuple[int] | None = None
    padding: str = "valid"

    rank, largest = 1, False


class GlobalPooling(Layer):
    """The base class of pooling over the whole picture."""

    largest: bool

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3 or None in input_shape:
            raise self.wrong_shape("(height, width, channels)", input_shape)
        return input_shape[-1:]

    def flops(self, input_shape: Shape) -> int:
        return math.prod(input_shape)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        pool = context.kernels.max_pool2d if self.largest else context.kernels.avg_pool2d
        y = pool(x, x.shape[1:3], x.shape[1:3], ((0, 0), (0, 0)))
        return y.reshape(len(x), x.shape[3]), (x, y)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        x, y = saved
        dy, geometry = dy.reshape(y.shape), (x.shape[1:3], x.shape[1:3], ((0, 0), (0, 0)))
        if self.largest:
            return context.kernels.max_pool2d_gradient(dy, x, y, *geometry), {}
        return context.kernels.avg_pool2d_gradient(dy, x.shape, *geometry), {}


@dataclass(eq=False)
class GlobalAveragePool2D(GlobalPooling):
    """y[c] = mean over the whole picture of x[i, j, c] (Lin et al. 2014).

    Shapes: (n, height, width, channels) → (n, channels). Raises ShapeError for anything but a picture.
    """

    largest = False


@dataclass(eq=False)
class GlobalMaxPool2D(GlobalPooling):
    """y[c] = max over the whole picture of x[i, j, c].

    Shapes: (n, height, width, channels) → (n, channels). Raises ShapeError for anything but a picture.
    """

    largest = True


class GlobalPooling1D(Layer):
    """One window as long as the sequence; steps that the mask leaves out do not count."""

    largest: bool

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise self.wrong_shape("(steps, channels) with a known number of channels", input_shape)
        return input_shape[-1:]

    def flops(self, input_shape: Shape) -> int:
        return (input_shape[0] or 1) * input_shape[1]

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        pool = context.kernels.max_steps if self.largest else context.kernels.mean_steps
        y = pool(x, context.mask)
        return y, (x, y)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        x, y = saved
        if self.largest:
            return context.kernels.max_steps_gradient(dy, x, y, context.mask), {}
        return context.kernels.mean_steps_gradient(dy, x.shape[1], context.mask), {}


@dataclass(eq=False)
class GlobalAveragePool1D(GlobalPooling1D):
    """y[c] = mean over the real steps of x[t, c]; 0 where none is real.

    Shapes: (n, steps, channels) → (n, channels), steps may be open. Raises ShapeError for anything but a sequence.
    """

    largest = False


@dataclass(eq=False)
class GlobalMaxPool1D(GlobalPooling1D):
    """y[c] = max over the real steps of x[t, c]; 0 where none is real (Collobert et al. 2011).

    Shapes: (n, steps, channels) → (n, channels), steps may be open. Raises ShapeError for anything but a sequence.
    """

    largest = True
