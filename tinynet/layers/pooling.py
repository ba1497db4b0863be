"""Pooling: the largest or the mean value of windows of a picture or a sequence, channels last."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_counts
from .base import Gradients, Layer, Run, Shape
from .conv import PADDINGS, Pads, Sizes, as_picture, padded_size, windows


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
        if len(input_shape) != self.rank + 1 or None in input_shape:
            raise self.wrong_shape(expected, input_shape)
        out = tuple(size for size, _ in self._windows(input_shape[:-1]))
        if min(out) < 1:
            raise self.wrong_shape(f"{expected} of at least {self.pool_size}", input_shape)
        return (*out, input_shape[-1])

    def part_read(self, sizes: Sizes) -> Sizes:
        """The part of an input of this spatial size, from its first corner, that the windows read."""
        axes = zip(sizes, self.pool_size, self.strides, self._windows(sizes), strict=True)
        return tuple(min(size, (out - 1) * s + k - before) for size, k, s, (out, (before, _)) in axes)

    def flops(self, input_shape: Shape) -> int:
        return math.prod(self.compute_output_shape(input_shape)) * math.prod(self.pool_size)

    def size(self, input_shape: Shape) -> int:
        *sizes, channels = input_shape
        ones = (1,) * self.rank
        return padded_size(tuple(sizes), self.pool_size, self.strides, self.padding, ones, channels)

    def geometry(self, sizes: Sizes) -> tuple[Sizes, Sizes, Pads]:
        """(window, strides, pads) of two axes."""
        pads = tuple(pad for _, pad in self._windows(sizes))
        if self.rank == 1:
            return (1, *self.pool_size), (1, *self.strides), ((0, 0), *pads)
        return self.pool_size, self.strides, pads

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, Any]:
        pool = run.kernels.max_pool2d if self.largest else run.kernels.avg_pool2d
        y = pool(as_picture(x, self.rank), *self.geometry(x.shape[1:-1]))
        return y if self.rank == 2 else y[:, 0], (x, y)

    def backward(self, dy: np.ndarray, saved: Any, run: Run) -> tuple[np.ndarray, Gradients]:
        x, y = saved
        geometry = self.geometry(x.shape[1:-1])
        picture, dy = as_picture(x, self.rank), dy.reshape(y.shape)
        if self.largest:
            dx = run.kernels.max_pool2d_gradient(dy, picture, y, *geometry)
        else:
            dx = run.kernels.avg_pool2d_gradient(dy, picture.shape, *geometry)
        return dx.reshape(x.shape), {}


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

    Settings and errors as in MaxPool2D.
    """

    pool_size: int | tuple[int] = (2,)
    strides: int | tuple[int] | None = None
    padding: str = "valid"

    rank, largest = 1, True


@dataclass(eq=False)
class AvgPool1D(Pooling):
    """y[t, c] = mean over the window of x[t·s + u, c]. Shapes: (n, length, channels) → (n, length', channels).

    Settings and errors as in AvgPool2D.
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

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, Any]:
        pool = run.kernels.max_pool2d if self.largest else run.kernels.avg_pool2d
        y = pool(x, x.shape[1:3], x.shape[1:3], ((0, 0), (0, 0)))
        return y.reshape(len(x), x.shape[3]), (x, y)

    def backward(self, dy: np.ndarray, saved: Any, run: Run) -> tuple[np.ndarray, Gradients]:
        x, y = saved
        dy, geometry = dy.reshape(y.shape), (x.shape[1:3], x.shape[1:3], ((0, 0), (0, 0)))
        if self.largest:
            return run.kernels.max_pool2d_gradient(dy, x, y, *geometry), {}
        return run.kernels.avg_pool2d_gradient(dy, x.shape, *geometry), {}


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
