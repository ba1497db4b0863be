"""Layers made of another layer: the same one at each step of a sequence, or one that reads it both ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import MOST_AXES, check_choice
from ..errors import TinynetError
from .base import Gradients, Layer, Run, Shape
from .recurrent import Recurrent

MERGE_MODES = ("concat", "sum", "mul", "ave")


class Joined(MutableMapping):
    """The parameters of several layers as one mapping: `kernel` of the layer "forward" is `forward_kernel`."""

    def __init__(self, **layers: Layer) -> None:
        self._layers = layers

    def _find(self, name: str) -> tuple[MutableMapping[str, np.ndarray], str]:
        prefix, _, own = name.partition("_")
        if prefix not in self._layers:
            raise KeyError(name)
        return self._layers[prefix].parameters, own

    def __getitem__(self, name: str) -> np.ndarray:
        parameters, own = self._find(name)
        return parameters[own]

    def __setitem__(self, name: str, value: np.ndarray) -> None:
        parameters, own = self._find(name)
        parameters[own] = value

    def __delitem__(self, name: str) -> None:
        parameters, own = self._find(name)
        del parameters[own]

    def __iter__(self) -> Iterator[str]:
        return (f"{prefix}_{own}" for prefix, layer in self._layers.items() for own in layer.parameters)

    def __len__(self) -> int:
        return sum(len(layer.parameters) for layer in self._layers.values())


class Wrapper(Layer):
    """A layer with another one inside, its setting `layer`; model files hold that as a layer of its own."""

    layer: Layer
    depth = 0

    def check(self) -> None:
        self.depth = 1 + getattr(self.layer, "depth", 0)
        if self.depth > MOST_AXES:
            raise TinynetError(f"{self.name}: more than {MOST_AXES} layers lie within each other")
        if not isinstance(self.layer, Layer) or self.layer.takes_ids:
            raise TinynetError(f"{self.name}: layer must be a layer that takes numbers, not {self.layer!r}")
        if self.layer.parameters:
            raise TinynetError(
                f"{self.name}: {self.layer.name} belongs to a network already; make a new layer"
            )


@dataclass(eq=False)
class TimeDistributed(Wrapper):
    """y[t] = layer(x[t]), the same layer at each step.

    Shapes: (n, steps, …) → (n, steps, …), where the layer takes and gives the rest; steps may be open. Parameters: the
    layer's. Raises TinynetError for what is no layer, ShapeError for an input that is no sequence or does not fit the layer.
    """

    layer: Layer

    timewise = True

    def check(self) -> None:
        super().check()
        self.parameters, self.statistics = self.layer.parameters, self.layer.statistics

    @property
    def activation(self) -> str | None:
        """The activation that ends the layer, which a loss may take over."""
        return getattr(self.layer, "activation", None)

    def output_shape(self, input_shape: Shape) -> Shape:
        if not input_shape:
            raise self.wrong_shape("(steps, …)", input_shape)
        return (input_shape[0], *self.layer.output_shape(input_shape[1:]))

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        self.layer.build(input_shape[1:], rng)

    def size(self, input_shape: Shape) -> int:
        return (input_shape[0] or 1) * self.layer.size(input_shape[1:])

    def flops(self, input_shape: Shape) -> int:
        return (input_shape[0] or 1) * self.layer.flops(input_shape[1:])

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, Any]:
        y, saved = self.layer.forward(_unfold(x), run._replace(mask=None))
        return y.reshape(*x.shape[:2], *y.shape[1:]), (x.shape, saved)

    def backward(self, dy: np.ndarray, saved: Any, run: Run) -> tuple[np.ndarray | None, Gradients]:
        shape, kept = saved
        dx, gradients = self.layer.backward(_unfold(dy), kept, run._replace(mask=None))
        return None if dx is None else dx.reshape(shape), gradients


def _unfold(x: np.ndarray) -> np.ndarray:
    """The steps of all sequences as samples of their own: (n, t, …) → (n·t, …)."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


@dataclass(eq=False)
class Bidirectional(Wrapper):
    """y = merge(a, b): a is what an RNN, LSTM or GRU gives, b what a second one gives that begins at the end (Schuster & Paliwal 1997).

    With `return_sequences` b is turned round again, so that a[t] and b[t] both belong to step t. `merge_mode`: concat
    (along the last axis), sum, mul or ave. Shapes: as the layer's, with "concat" twice its units. Parameters: the layer's,
    each as `forward_…` and `backward_…`. State: that of the first, then that of the second. Raises TinynetError for
    another layer, for one that goes backwards itself and for a bad mode, ShapeError as the layer does.
    """

    layer: Recurrent
    merge_mode: str = "concat"

    def check(self) -> None:
        super().check()
        if not isinstance(self.layer, Recurrent) or self.layer.go_backwards:
            raise TinynetError(
                f"{self.name}: layer must be an RNN, LSTM or GRU that goes forwards, not {self.layer.description()}"
            )
        check_choice(self.name, "merge_mode", self.merge_mode, MERGE_MODES)
        self.backward_layer = dataclasses.replace(self.layer, go_backwards=True)
        self.parameters = Joined(forward=self.layer, backward=self.backward_layer)

    @property
    def return_sequences(self) -> bool:
        """As in the layer."""
        return self.layer.return_sequences

    @property
    def return_state(self) -> bool:
        """As in the layer."""
        return self.layer.return_state

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.layer.state_sizes * 2

    def output_shape(self, input_shape: Shape) -> Shape:
        *steps, units = self.layer.output_shape(input_shape)
        return (*steps, 2 * units if self.merge_mode == "concat" else units)

    def output_mask(self, x: np.ndarray, run: Run) -> np.ndarray | None:
        return self.layer.output_mask(x, run)

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        self.layer.build(input_shape, rng)
        self.backward_layer.build(input_shape, rng)

    def size(self, input_shape: Shape) -> int:
        return 2 * self.layer.size(input_shape)

    def flops(self, input_shape: Shape) -> int:
        return 2 * self.layer.flops(input_shape)

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, Any]:
        run_ahead, run_back = self._runs(run)
        a, saved_ahead = self.layer.forward(x, run_ahead)
        b, saved_back = self.backward_layer.forward(x, run_back)
        b = self._turned(b, run)
        return run.kernels.merge(a, b, self.merge_mode), (a, b, saved_ahead, saved_back)

    def final_state(self, saved: Any) -> tuple[np.ndarray, ...]:
        *_, saved_ahead, saved_back = saved
        return self.layer.final_state(saved_ahead) + self.backward_layer.final_state(saved_back)

    def backward(self, dy: np.ndarray, saved: Any, run: Run) -> tuple[np.ndarray | None, Gradients]:
        a, b, saved_ahead, saved_back = saved
        run_ahead, run_back = self._runs(run)
        da, db = run.kernels.merge_gradient(dy, a, b, self.merge_mode)
        dx_ahead, ahead = self.layer.backward(da, saved_ahead, run_ahead)
        dx_back, back = self.backward_layer.backward(self._turned(db, run), saved_back, run_back)
        gradients = {f"forward_{name}": value for name, value in ahead.items()}
        gradients.update({f"backward_{name}": value for name, value in back.items()})
        if not run.input_gradient:
            return None, gradients
        return run.kernels.merge(dx_ahead, dx_back, "sum"), gradients

    def _runs(self, run: Run) -> tuple[Run, Run]:
        """What each of the two is told: its half of the state, and its own randomness."""
        half = len(self.layer.state_sizes)
        ahead, back = (run.state[:half], run.state[half:]) if run.state else (None, None)
        return run._replace(state=ahead), run._replace(state=back, seed=(run.seed + 1_000_003**2) % 2**32)

    def _turned(self, y: np.ndarray, run: Run) -> np.ndarray:
        """What belongs to steps, in the opposite order; a last state as it is."""
        return run.kernels.reverse_steps(y, run.mask) if self.return_sequences else y
