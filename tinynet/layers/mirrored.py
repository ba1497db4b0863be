"""Mirrored, which looks at a picture twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import TinynetError
from .base import Context, Gradients, Layer, Shape, values
from .containers import Around


@dataclass(eq=False)
class Mirrored(Around):
    """y = (f(x) + f(x mirrored left to right)) / 2, f a chain of layers; in training y = f(x).

    For networks whose training mirrors every second picture, since a thing means the same from both sides: two looks are surer than
    one (Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", 2012, section 4.1, which
    averages probabilities; features before the last layer do as well, and their mean is that of the logits). Twice the
    time, but for training. Shapes: (n, height, width, channels) → the chain's. Raises TinynetError for anything but layers, and where one
    inside is mirrored already, which would double the time again for nothing; ShapeError for what is no picture.
    """

    layers: Sequence[Layer]

    def check(self) -> None:
        super().check()
        if any(isinstance(layer, Mirrored) for _, layer in self.chain.walk()):
            raise TinynetError(
                f"{self.kind} cannot hold another {self.kind}: a mirror image is looked at already"
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise self.wrong_shape("(height, width, channels)", input_shape)
        return self.chain.compute_output_shape(input_shape)

    def flops(self, input_shape: Shape) -> int:
        return 2 * self.chain.flops(input_shape)

    def size(self, input_shape: Shape) -> int:
        output = values(self.chain.compute_output_shape(input_shape))
        return values(input_shape) + self.chain.size(input_shape) + output

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        y, kept = self.chain.forward(x, context)
        if context.training:
            return y, (kept, None)
        other, kept_other = self.chain.forward(_mirrored(x, context), context)
        return context.kernels.merge(y, other, "ave"), (kept, (y, other, kept_other))

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        kept, second = saved
        if second is None:
            return self.chain.backward(dy, kept, context)
        k, (y, other, kept_other) = context.kernels, second
        dy, dother = k.merge_gradient(dy, y, other, "ave")
        dx, gradients = self.chain.backward(dy, kept, context)
        dback, more = self.chain.backward(dother, kept_other, context)
        gradients = {name: k.merge(own, more[name], "sum") for name, own in gradients.items()}
        if not context.input_gradient:
            return None, gradients
        return k.merge(dx, _mirrored(dback, context), "sum"), gradients


def _mirrored(x: np.ndarray, context: Context) -> np.ndarray:
    """Pictures mirrored left to right: each row of pixels is a sequence that is read backwards."""
    n, height, width, channels = x.shape
    rows = context.kernels.reverse_steps(x.reshape(n * height, width, channels), None)
    return rows.reshape(x.shape)
