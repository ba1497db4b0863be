"""Layers that wrap another: TimeDistributed applies it at each step, Bidirectional reads a sequence in both directions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..checks import check_choice
from ..errors import TinynetError
from .base import Context, Gradients, Layer, Shape
from .recurrent import Recurrent

MERGE_MODES = ("concat", "sum", "mul", "ave")


class Wrapper(Layer):
    """A layer with another one inside, the setting `layer`; model files store that as a separate layer."""

    layer: Layer

    def check(self) -> None:
        if not isinstance(self.layer, Layer) or self.layer.takes_ids:
            raise TinynetError(f"{self.kind}: layer must be a layer that takes numbers, not {self.layer!r}")


@dataclass(eq=False)
class TimeDistributed(Wrapper):
    """y[t] = layer(x[t]), the same layer at each step.

    Shapes: (n, steps, …) → (n, steps, …), where the layer maps the rest; steps may be open. Parameters: the
    layer's. Raises TinynetError for anything but a layer, ShapeError for an input that is not a sequence or does not fit the layer.
    """

    layer: Layer

    streamable = True

    def children(self) -> dict[str, Layer]:
        return {"layer": self.layer}

    def array_name(self, child: str, key: str) -> str:
        return key

    def inside(self, input_shape: Shape) -> list[tuple[str, Layer, Shape]]:
        """The layers of a chain inside, after which arrays are named."""
        return self.layer.inside(input_shape[1:])

    @property
    def last(self) -> Layer:
        return self.layer

    def with_last(self, layer: Layer) -> TimeDistributed:
        return TimeDistributed(layer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape:
            raise self.wrong_shape("(steps, …)", input_shape)
        return (input_shape[0], *self.layer.compute_output_shape(input_shape[1:]))

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        self.layer.create(input_shape[1:], rng)

    def size(self, input_shape: Shape) -> int:
        return (input_shape[0] or 1) * self.layer.size(input_shape[1:])

    def flops(self, input_shape: Shape) -> int:
        return (input_shape[0] or 1) * self.layer.flops(input_shape[1:])

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        y, saved = self.layer.forward(_unfold(x), context.of_child(0))
        return y.reshape(*x.shape[:2], *y.shape[1:]), (x.shape, saved)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        shape, kept = saved
        dx, gradients = self.layer.backward(_unfold(dy), kept, context.of_child(0))
        return None if dx is None else dx.reshape(shape), gradients


def _unfold(x: np.ndarray) -> np.ndarray:
    """The steps of all sequences as separate samples: (n, t, …) → (n·t, …)."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


@dataclass(eq=False)
class Bidirectional(Wrapper):
    """y = merge(a, b): a is the output of an RNN, LSTM or GRU, b that of a second one which reads backwards (Schuster & Paliwal 1997).

    With `return_sequences` b is reversed again, so that a[t] and b[t] both belong to step t. `merge_mode`: concat
    (along the last axis), sum, mul or ave. Shapes: as the layer's, with "concat" twice its units. Parameters: the layer's,
    each as `forward_…` and `backward_…`. State: that of the first, then that of the second. Raises TinynetError for
    any other layer, for one that already reads backwards and for a bad mode, ShapeError as the layer does.
    """

    layer: Recurrent
    merge_mode: str = "concat"

    def check(self) -> None:
        super().check()
        if not isinstance(self.layer, Recurrent) or self.layer.go_backwards:
            raise TinynetError(
                f"{self.kind}: layer must be an RNN, LSTM or GRU that reads forwards, not {self.layer.description()}"
            )
        check_choice(self.kind, "merge_mode", self.merge_mode, MERGE_MODES)
        self.backward_layer = dataclasses.replace(cast(Any, self.layer), go_backwards=True)

    def children(self) -> dict[str, Layer]:
        return {"forward": self.layer, "backward": self.backward_layer}

    def array_name(self, child: str, key: str) -> str:
        return f"{child}_{key}"

    @property
    def return_sequences(self) -> bool:
        """As in the layer."""
        return self.layer.return_sequences

    @property
    def return_state(self) -> bool:
        """As in the layer."""
        return self.layer.return_state

    def zero_state(self, n: int) -> tuple[np.ndarray, ...]:
        return self.layer.zero_state(n) + self.backward_layer.zero_state(n)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        *steps, units = self.layer.compute_output_shape(input_shape)
        return (*steps, 2 * units if self.merge_mode == "concat" else units)

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        return context.mask if self.return_sequences else None

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        self.layer.create(input_shape, rng)
        self.backward_layer.create(input_shape, rng)

    def size(self, input_shape: Shape) -> int:
        return 2 * self.layer.size(input_shape)

    def flops(self, input_shape: Shape) -> int:
        return 2 * self.layer.flops(input_shape)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        context_ahead, context_back = self._contexts(context)
        a, saved_ahead = self.layer.forward(x, context_ahead)
        b, saved_back = self.backward_layer.forward(x, context_back)
        b = self._turned(b, context)
        return context.kernels.merge(a, b, self.merge_mode), (a, b, saved_ahead, saved_back)

    def final_state(self, saved: Any) -> tuple[np.ndarray, ...]:
        *_, saved_ahead, saved_back = saved
        return self.layer.final_state(saved_ahead) + self.backward_layer.final_state(saved_back)

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        a, b, saved_ahead, saved_back = saved
        context_ahead, context_back = self._contexts(context)
        da, db = context.kernels.merge_gradient(dy, a, b, self.merge_mode)
        dx_ahead, ahead = self.layer.backward(da, saved_ahead, context_ahead)
        dx_back, back = self.backward_layer.backward(self._turned(db, context), saved_back, context_back)
        gradients = {self.array_name("forward", key): value for key, value in ahead.items()}
        gradients.update({self.array_name("backward", key): value for key, value in back.items()})
        if not context.input_gradient:
            return None, gradients
        return context.kernels.merge(dx_ahead, dx_back, "sum"), gradients

    def _contexts(self, context: Context) -> tuple[Context, Context]:
        """The context of each of the two: its half of the state, and its own randomness."""
        half = self.layer.state_count
        ahead, back = (context.state[:half], context.state[half:]) if context.state else (None, None)
        context_back = context.of_child(1)._replace(mask=context.mask, state=back)
        return context._replace(state=ahead), context_back

    def _turned(self, y: np.ndarray, context: Context) -> np.ndarray:
        """A sequence in reverse order; a final state unchanged."""
        return context.kernels.reverse_steps(y, context.mask) if self.return_sequences else y
