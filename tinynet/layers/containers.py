"""Layers made of other layers: in sequence, in parallel, or with a shortcut.

A layer inside is named by its kind and a number, dense_1, dense_2, …. The names of its arrays begin with that name:
dense_1.kernel, or two levels down sequential_1/dense_1.kernel.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from ..checks import check_choice, show_shape
from ..errors import ShapeError, TinynetError
from .base import Context, Gradients, Layer, Shape, State, placed, under, values
from .conv import Conv2D
from .dense import Dense
from .fused import fuse

MERGES = ("concat", "add", "mul", "prepend")


class Kept(NamedTuple):
    """What a pass through a chain saves."""

    steps: list[tuple[Any, Context]]
    """What each step's backward needs, and its context; empty if gradients are not needed."""
    mask: np.ndarray | None
    """Which time steps of the output are real."""
    state: dict[str, State]
    """The final state of recurrent layers; without gradients, only if the pass began with a state."""


class Container(Layer):
    """The base class of layers with a list of layers inside."""

    layers: Sequence[Layer]

    def check(self) -> None:
        self.layers = self._checked(self.layers)
        self._children = _named(self.layers)

    def _checked(self, layers: Any) -> list[Layer]:
        if isinstance(layers, Layer) or not isinstance(layers, (list, tuple)):
            raise TinynetError(f"{self.type_name()} takes a list of layers, not {layers!r}")
        for layer in layers:
            if not isinstance(layer, Layer):
                raise TinynetError(f"a {self.type_name()} is made of layers, not of {layer!r}")
        return list(layers)

    def children(self) -> dict[str, Layer]:
        return self._children

    @property
    def streamable(self) -> bool:
        """True if all layers inside are."""
        return all(layer.streamable for layer in self.layers)

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        for name, layer, shape in self.inside(input_shape):
            with placed(name, layer):
                layer.create(shape, rng)

    def zero_state(self, n: int) -> State:
        states = ((name, layer.zero_state(n)) for name, layer in self.children().items())
        return {name: state for name, state in states if state}


def _named(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Layers by name: kind and number."""
    counts: Counter[str] = Counter()
    names = {}
    for layer in layers:
        counts[layer.kind] += 1
        names[f"{layer.kind}_{counts[layer.kind]}"] = layer
    return names


@dataclass(eq=False)
class Chain(Container):
    """y = fₙ(… f₂(f₁(x))): a `Sequential` inside another network.

    Shapes: the first layer's input → the last layer's output. Raises TinynetError for anything but layers, ShapeError if one
    layer's output does not fit the next.
    """

    layers: Sequence[Layer]

    @classmethod
    def type_name(cls) -> str:
        return "Sequential"

    def check(self) -> None:
        super().check()
        self.steps, self.inference_steps = fuse(self._children), fuse(self._children, inference=True)
        self.takes_ids = bool(self.layers) and self.layers[0].takes_ids
        self.takes_several = bool(self.layers) and getattr(self.layers[0], "takes_several", False)
        for name, layer in self._children.items():
            if layer.takes_ids and layer is not self.layers[0]:
                raise TinynetError(f"{name} takes ids, which no layer outputs; make it the first layer")

    @property
    def last(self) -> Layer | None:
        return self.layers[-1] if self.layers else None

    def with_last(self, layer: Layer) -> Chain:
        return Chain([*self.layers[:-1], layer])

    def take(self, x: Any) -> Any:
        if not self.takes_ids and not isinstance(x, tuple):
            return super().take(x)
        name, first = next(iter(self._children.items()))
        with placed(name, first):
            return first.take(x)

    def shapes_through(self, input_shape: Shape) -> list[Shape]:
        """The shapes of one sample before, between and after the layers."""
        shapes = [input_shape]
        for name, layer in self.children().items():
            try:
                with placed(name, layer):
                    shapes.append(layer.compute_output_shape(shapes[-1]))
            except ShapeError:
                self._check_sequence(name, layer, shapes)
                raise
        return shapes

    def _check_sequence(self, name: str, layer: Layer, shapes: list[Shape]) -> None:
        """Raise ShapeError, with the setting that helps, if a layer needs the sequence of which one before gives the last step alone."""
        before = list(self.children().items())[: len(shapes) - 1]
        last = next(
            (n for n, each in reversed(before) if getattr(each, "return_sequences", True) is False), None
        )
        if last is None:
            return
        try:
            layer.compute_output_shape((None, *shapes[-1]))
        except TinynetError:
            return
        raise ShapeError(
            f"{name} needs a sequence, but {last} gives only its last step {show_shape(shapes[-1])}: "
            f"set return_sequences=True on {last}"
        ) from None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.shapes_through(input_shape)[-1]

    def inside(self, input_shape: Shape) -> list[tuple[str, Layer, Shape]]:
        shapes = self.shapes_through(input_shape)
        return [(name, layer, s) for (name, layer), s in zip(self._children.items(), shapes, strict=False)]

    def flops(self, input_shape: Shape) -> int:
        shapes = self.shapes_through(input_shape)
        return sum(step.layer.flops(shapes[step.index]) for step in self.steps)

    def size(self, input_shape: Shape) -> int:
        """That of the largest layer, with its input and output."""
        shapes = self.shapes_through(input_shape)
        layers = zip(self.layers, shapes, shapes[1:], strict=False)
        return max((values(a) + layer.size(a) + values(b) for layer, a, b in layers), default=0)

    def _contexts(self, context: Context) -> Iterator[tuple[Any, Context]]:
        """Each step and its context: no gradients are needed below the lowest layer that learns."""
        steps = self.steps if context.gradients or context.training else self.inference_steps
        first = next((step.index for step in self.steps if step.learns), len(self.layers))
        state = context.state or {}
        for step in steps:
            asked = context.input_gradient or step.index > first
            child_context = context.of_child(step.index)
            yield step, child_context._replace(input_gradient=asked, state=state.get(step.name))

    def forward(self, x: Any, context: Context) -> tuple[np.ndarray, Kept]:
        steps, mask, ends = [], context.mask, {}
        for step, child_context in self._contexts(context):
            child_context = child_context if mask is None else child_context._replace(mask=mask)
            y, saved = step.layer.forward(x, child_context)
            mask = step.layer.output_mask(x, saved, child_context)
            if (context.gradients or child_context.state) and (end := step.layer.final_state(saved)):
                ends[step.name] = end
            if context.gradients:
                steps.append((saved, child_context))
            x = y
        return x, Kept(steps, mask, ends)

    def backward(self, dy: Any, saved: Kept, context: Context) -> tuple[Any, Gradients]:
        gradients: Gradients = {}
        for step, (kept, child_context) in zip(reversed(self.steps), reversed(saved.steps), strict=True):
            if not (step.learns or child_context.input_gradient):
                return None, gradients
            dy, own = step.layer.backward(dy, kept, child_context)
            gradients.update(step.named(own))
        return dy, gradients

    def output_mask(self, x: np.ndarray, saved: Kept, context: Context) -> np.ndarray | None:
        return saved.mask

    def final_state(self, saved: Kept) -> State:
        return saved.state


class Around(Container):
    """The base class of layers that are one chain, `chain`, and something around it."""

    def check(self) -> None:
        self.layers = self._checked(self.layers)
        self.chain = Chain(self.layers)

    def children(self) -> dict[str, Layer]:
        return self.chain.children()

    def inside(self, input_shape: Shape) -> list[tuple[str, Layer, Shape]]:
        return self.chain.inside(input_shape)

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        return saved[0].mask

    def final_state(self, saved: Any) -> State:
        return saved[0].state


@dataclass(eq=False)
class Residual(Around):
    """y = f(x) + x, f a chain of layers (He et al. 2016); if f changes the shape, y = f(x) + P(x).

    P, `projection`, has no bias: for pictures it is a 1×1 convolution whose stride brings x to the size of f(x), for features a
    dense layer. Shapes: as the chain's. Raises TinynetError for anything but layers, ShapeError if f changes the shape in a way
    that no projection can.
    """

    layers: Sequence[Layer]

    def check(self) -> None:
        super().check()
        self.projection: Layer | None = None
        if self.chain.takes_ids:
            raise TinynetError(
                f"{self.kind} adds its input to the output of its layers, and ids cannot be added"
            )

    def children(self) -> dict[str, Layer]:
        projection = {"projection": self.projection} if self.projection else {}
        return {**super().children(), **projection}

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        output = self.chain.compute_output_shape(input_shape)
        needed = self._projection(input_shape, output)
        own = self.projection
        if needed and own and own.compute_output_shape(input_shape) != output:
            raise ShapeError(
                f"{self.kind} was built for another size: its projection does not bring an input of shape {show_shape(input_shape)} "
                f"to that of its layers' output, {show_shape(output)}"
            )
        return output

    def _projection(self, before: Shape, after: Shape) -> Layer | None:
        """The layer that brings x to the shape of f(x); None if x already has it."""
        if before == after:
            return None
        if len(before) == len(after) == 3:
            strides = tuple(-(-old // new) for old, new in zip(before[:2], after[:2], strict=True))
            projection = Conv2D(after[-1], 1, strides=strides, padding="same", use_bias=False)
        else:
            projection = Dense(after[-1] if after else 1, use_bias=False)
        if projection.compute_output_shape(before) != after:
            raise ShapeError(
                f"{self.kind} cannot add its input of shape {show_shape(before)} to the output of its layers, "
                f"{show_shape(after)}: the layers must keep the size, or divide it as strides do"
            )
        return projection

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        if self.projection is None:
            self.projection = self._projection(input_shape, self.chain.compute_output_shape(input_shape))
        super().build(input_shape, rng)

    def inside(self, input_shape: Shape) -> list[tuple[str, Layer, Shape]]:
        projection = [("projection", self.projection, input_shape)] if self.projection else []
        return super().inside(input_shape) + projection

    def flops(self, input_shape: Shape) -> int:
        output = self.chain.compute_output_shape(input_shape)
        projection = self._projection(input_shape, output)
        own = projection.flops(input_shape) if projection else 0
        return self.chain.flops(input_shape) + own + values(output)

    def size(self, input_shape: Shape) -> int:
        return (
            values(input_shape)
            + self.chain.size(input_shape)
            + values(self.chain.compute_output_shape(input_shape))
        )

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        y, kept = self.chain.forward(x, context)
        shortcut, projected = x, None
        if self.projection is not None:
            shortcut, projected = self.projection.forward(x, context.of_child(len(self.layers)))
        return context.kernels.merge(y, shortcut, "sum"), (kept, projected)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        kept, projected = saved
        dx, gradients = self.chain.backward(dy, kept, context)
        shortcut = dy
        if self.projection is not None:
            shortcut, own = self.projection.backward(dy, projected, context)
            gradients |= {under("projection", key): gradient for key, gradient in own.items()}
        if not context.input_gradient:
            return None, gradients
        return context.kernels.merge(dx, shortcut, "sum"), gradients


@dataclass(eq=False)
class Parallel(Container):
    """y = merge(f₁(x), f₂(x), …): layers in parallel, which read the same input; as a network's first layer, each reads its own.

    merge: "concat" along the last axis, "add", "mul", or "prepend", which puts the first before the second as a time step, or as
    several if it is a sequence itself. Shapes: the branches' outputs have equal shapes, except for the axis that grows. Raises
    TinynetError for anything but layers and for an unknown merge, ShapeError if the outputs do not fit each other.
    """

    layers: Sequence[Layer]
    merge: str = "concat"

    takes_several = True

    def check(self) -> None:
        super().check()
        check_choice(self.kind, "merge", self.merge, MERGES)
        if len(self.layers) < 2 or (self.merge == "prepend" and len(self.layers) > 2):
            count = "two layers" if self.merge == "prepend" else "at least two layers"
            raise TinynetError(f"{self.kind} takes {count} to {self.merge}, not {len(self.layers)}")

    @property
    def takes_ids(self) -> bool:
        """True if a branch takes ids: then this must be the first layer."""
        return any(layer.takes_ids for layer in self.layers)

    def take(self, x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(layer.take(own) for layer, own in zip(self.layers, x, strict=True))
        if self.takes_ids and not all(layer.takes_ids for layer in self.layers):
            raise TinynetError(
                f"{self.kind} has branches that take ids and others that take numbers; give each its own input"
            )
        return next(layer.take(x) for layer in self.layers) if self.takes_ids else super().take(x)

    def inputs(self, x: Any) -> list[Any]:
        """The input of each branch, a shape or an array: the same for all, or one each from a tuple."""
        several = isinstance(x, tuple) and x and not isinstance(x[0], (int, type(None)))
        if several and len(x) != len(self.layers):
            raise ShapeError(f"{self.kind} has {len(self.layers)} branches, but {len(x)} inputs")
        return list(x) if several else [x] * len(self.layers)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shapes = []
        for name, layer, shape in self.inside(input_shape):
            with placed(name, layer):
                shapes.append(layer.compute_output_shape(shape))
        *_, merged = accumulate(shapes, self._merged_shape)
        return merged

    def _merged_shape(self, a: Shape, b: Shape) -> Shape:
        if self.merge == "prepend":
            fits, merged = self._prepended(a, b)
        elif self.merge == "concat":
            fits = len(a) == len(b) > 0 and a[:-1] == b[:-1] and None not in (a[-1], b[-1])
            merged = (*a[:-1], a[-1] + b[-1]) if fits else a
        else:
            fits, merged = a == b, a
        if not fits:
            raise ShapeError(
                f"{self.kind} cannot {self.merge} outputs of the shapes {show_shape(a)} and {show_shape(b)}"
            )
        return merged

    @staticmethod
    def _prepended(a: Shape, b: Shape) -> tuple[bool, Shape]:
        """Whether a, one step or several, can stand before the steps of b; and the shape of both."""
        steps, *features = a if len(a) == 2 else (1, *a)
        if steps is None or len(b) != 2 or tuple(features) != b[1:]:
            return False, a
        return True, (None if b[0] is None else steps + b[0], *b[1:])

    def inside(self, input_shape: Shape) -> list[tuple[str, Layer, Shape]]:
        branches = zip(self._children.items(), self.inputs(input_shape), strict=True)
        return [(name, layer, shape) for (name, layer), shape in branches]

    def flops(self, input_shape: Shape) -> int:
        branches = zip(self.layers, self.inputs(input_shape), strict=True)
        return sum(
            layer.flops(shape) + values(layer.compute_output_shape(shape)) for layer, shape in branches
        )

    def size(self, input_shape: Shape) -> int:
        branches = list(zip(self.layers, self.inputs(input_shape), strict=True))
        outputs = 2 * sum(values(layer.compute_output_shape(shape)) for layer, shape in branches)
        return outputs + max(values(shape) + layer.size(shape) for layer, shape in branches)

    def forward(self, x: Any, context: Context) -> tuple[np.ndarray, Any]:
        outputs, kept, state = [], [], context.state or {}
        branches = zip(self.children().items(), self.inputs(x), strict=True)
        for index, ((name, layer), own) in enumerate(branches):
            child_context = context.of_child(index)._replace(mask=context.mask, state=state.get(name))
            y, saved = layer.forward(own, child_context)
            outputs.append(y)
            kept.append((saved, child_context, layer.output_mask(own, saved, child_context)))
        merged = list(accumulate(outputs, lambda a, b: self._merge(a, b, context)))
        return merged[-1], (isinstance(x, tuple), kept, outputs, merged)

    def _merge(self, a: np.ndarray, b: np.ndarray, context: Context) -> np.ndarray:
        if self.merge == "prepend":
            rows = context.kernels.merge(_flat(a), _flat(b), "concat")
            return rows.reshape(len(b), rows.shape[1] // b.shape[-1], b.shape[-1])
        return context.kernels.merge(a, b, "sum" if self.merge == "add" else self.merge)

    def _merge_gradient(
        self, dy: np.ndarray, a: np.ndarray, b: np.ndarray, context: Context
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.merge == "prepend":
            da, db = context.kernels.merge_gradient(_flat(dy), _flat(a), _flat(b), "concat")
            return da.reshape(a.shape), db.reshape(b.shape)
        return context.kernels.merge_gradient(dy, a, b, "sum" if self.merge == "add" else self.merge)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[Any, Gradients]:
        several, kept, outputs, merged = saved
        dys: list[np.ndarray] = []
        for before, output in zip(reversed(merged[:-1]), reversed(outputs[1:]), strict=True):
            dy, own = self._merge_gradient(dy, before, output, context)
            dys.append(own)
        gradients, dxs = {}, []
        branches = zip(self.children().items(), [dy, *reversed(dys)], kept, strict=True)
        for (name, layer), dbranch, (branch, child_context, _) in branches:
            dx, own = (
                layer.backward(dbranch, branch, child_context)
                if child_context.input_gradient or layer.learns
                else (None, {})
            )
            gradients |= {under(name, key): gradient for key, gradient in own.items()}
            dxs.append(dx)
        if several or not context.input_gradient:
            return (tuple(dxs) if context.input_gradient else None), gradients
        *_, dx = accumulate(dxs, lambda a, b: context.kernels.merge(a, b, "sum"))
        return dx, gradients

    def output_mask(self, x: Any, saved: Any, context: Context) -> np.ndarray | None:
        """Steps are real that are real in every branch; those that are prepended always are."""
        _, kept, outputs, _ = saved
        masks = [mask for *_, mask in kept]
        if self.merge == "prepend":
            mask, first = masks[1], outputs[0]
            count = first.shape[1] if len(first.shape) == 3 else 1
            return None if mask is None else context.kernels.prepend_steps(mask, count)
        found = [mask for mask in masks if mask is not None]
        return None if len(found) < len(masks) else functools.reduce(context.kernels.intersect_masks, found)

    def final_state(self, saved: Any) -> State:
        branches = zip(self.children().items(), saved[1], strict=True)
        ends = {name: layer.final_state(kept) for (name, layer), (kept, *_) in branches}
        return {name: end for name, end in ends.items() if end}


def _flat(x: np.ndarray) -> np.ndarray:
    """All steps and features of a sample in a row: (n, …) → (n, values), of no samples too."""
    return x.reshape(len(x), math.prod(x.shape[1:]))
