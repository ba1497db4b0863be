"""Recurrent layers: each step of a sequence updates a state.

The product with the inputs is computed for all steps at once; the cells' kernels add the product with the state. A pass starts from
`context.state`, or zeros, and `final_state(saved)` is its final state, so a sequence may come in pieces, in inference as well as in
training (truncated back-propagation through time: no gradient flows from a piece into the one before it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_count, check_flag, check_number
from .base import Context, Gradients, Layer, Shape, as_rows
from .initializers import INITIALIZERS, initialise

CELL_ACTIVATIONS = ("tanh", "relu")


class Recurrent(Layer):
    """The base of RNN, LSTM and GRU. What `scan` returns is saved; its first array is h (n, t + 1, units)."""

    units: int
    use_bias: bool
    kernel_initializer: str
    recurrent_initializer: str
    dropout: float
    return_sequences: bool
    return_state: bool
    go_backwards: bool
    gates: int
    """Number of gates: the products with W and U have this many parts of `units` outputs."""
    state_count: int = 1
    """Number of arrays in a state; they come first in what `scan` returns."""

    FLAGS = ("use_bias", "return_sequences", "return_state", "go_backwards")

    def scan(self, z: np.ndarray, state: tuple[np.ndarray, ...], context: Context) -> tuple[np.ndarray, ...]:
        """What the cell's kernel returns for all steps, from the product with the inputs and the initial state."""
        raise NotImplementedError

    def scan_gradient(
        self, dh: np.ndarray, scanned: tuple[np.ndarray, ...], context: Context
    ) -> tuple[np.ndarray, Gradients]:
        """dz, and the gradients of the recurrent parameters."""
        raise NotImplementedError

    def check(self) -> None:
        self.units = check_count(self.kind, "units", self.units)
        for setting in self.FLAGS:
            setattr(self, setting, check_flag(self.kind, setting, getattr(self, setting)))
        self.dropout = check_number(self.kind, "dropout", self.dropout, below=1)
        for setting in ("kernel_initializer", "recurrent_initializer"):
            check_choice(self.kind, setting, getattr(self, setting), INITIALIZERS)

    @property
    def streamable(self) -> bool:
        """False if the last step is read first."""
        return not self.go_backwards

    def zero_state(self, n: int) -> tuple[np.ndarray, ...]:
        return tuple(np.zeros((n, self.units), np.float32) for _ in range(self.state_count))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise self.wrong_shape("(steps, features) with a known number of features", input_shape)
        return (input_shape[0], self.units) if self.return_sequences else (self.units,)

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        return context.mask if self.return_sequences else None

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        outputs = self.gates * self.units
        self.parameters["kernel"] = initialise(self.kernel_initializer, (input_shape[-1], outputs), rng)
        shape = (self.units, outputs)
        self.parameters["recurrent_kernel"] = initialise(self.recurrent_initializer, shape, rng)
        if self.use_bias:
            self.parameters["bias"] = np.zeros(outputs, np.float32)

    def size(self, input_shape: Shape) -> int:
        return (input_shape[0] or 1) * (self.gates + 1) * self.units

    def flops(self, input_shape: Shape) -> int:
        return 2 * (input_shape[0] or 1) * (input_shape[1] + self.units) * self.gates * self.units

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        inputs_used = self._drop(x, context)
        if self.go_backwards:
            inputs_used = context.kernels.reverse_steps(inputs_used, context.mask)
        kernel = self.parameters["kernel"]
        z = context.kernels.dense(as_rows(inputs_used), kernel, self.parameters.get("bias"))
        y, scanned = self.recur(z.reshape(*x.shape[:2], kernel.shape[1]), context)
        return y, (inputs_used, scanned)

    def recur(self, z: np.ndarray, context: Context) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """The output and what `scan` returns, from the product with the inputs, z = x W + b."""
        state = context.state or tuple(
            context.kernels.zeros((len(z), self.units), z.dtype) for _ in range(self.state_count)
        )
        scanned = self.scan(z, state, context)
        if self.return_sequences:
            return context.kernels.crop_steps(scanned[0], 1, 0), scanned
        last = context.kernels.crop_steps(scanned[0], z.shape[1], 0)
        return last.reshape(len(z), self.units), scanned

    def final_state(self, saved: Any) -> tuple[np.ndarray, ...]:
        _, scanned = saved
        return tuple(states[:, -1] for states in scanned[: self.state_count])

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        k, (inputs_used, scanned) = context.kernels, saved
        dz, gradients = self.recur_gradient(dy, scanned, context)
        gradients["kernel"] = k.dense_kernel_gradient(as_rows(inputs_used), as_rows(dz))
        if self.use_bias:
            gradients["bias"] = k.bias_gradient(dz)
        if not context.input_gradient:
            return None, gradients
        dx = k.dense_input_gradient(as_rows(dz), self.parameters["kernel"]).reshape(inputs_used.shape)
        if self.go_backwards:
            dx = k.reverse_steps(dx, context.mask)
        return self._drop(dx, context), gradients

    def recur_gradient(
        self, dy: np.ndarray, scanned: tuple[np.ndarray, ...], context: Context
    ) -> tuple[np.ndarray, Gradients]:
        """The gradient at z and those of the recurrent parameters, from the gradient at the output."""
        steps, each = scanned[0].shape[1] - 1, self.return_sequences
        dy = dy.reshape(len(dy), steps if each else 1, self.units)
        dh = context.kernels.crop_steps_gradient(dy, 1 if each else steps, 0)
        return self.scan_gradient(dh, scanned, context)

    def _drop(self, x: np.ndarray, context: Context) -> np.ndarray:
        if not (context.training and self.dropout):
            return x
        return context.kernels.sequence_dropout(x, self.dropout, context.seed)


@dataclass(eq=False)
class RNN(Recurrent):
    """h[t] = activation(x[t] W + b + h[t − 1] U), activation tanh or relu (Elman 1990).

    Shapes: x (n, steps, inputs), steps may be open → the last h (n, units), or with `return_sequences` each (n, steps, units);
    W `kernel` (inputs, units), U `recurrent_kernel` (units, units), b `bias` (units,). State: h (n, units).
    Masked steps keep the state unchanged. `go_backwards` reads the last step first; `return_state` makes the network's
    `predict` return the state too; in training, `dropout` drops the same inputs at all steps of a sequence.
    Defaults as in Keras: Glorot-uniform W, orthogonal U, zero b. Raises TinynetError for a bad setting, ShapeError for an
    input that is not a sequence.
    """

    units: int
    activation: str = "tanh"
    use_bias: bool = True
    kernel_initializer: str = "glorot_uniform"
    recurrent_initializer: str = "orthogonal"
    dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False

    gates = 1

    def check(self) -> None:
        super().check()
        check_choice(self.kind, "activation", self.activation, CELL_ACTIVATIONS)

    def scan(self, z: np.ndarray, state: tuple[np.ndarray, ...], context: Context) -> tuple[np.ndarray, ...]:
        return (
            context.kernels.rnn(
                z, self.parameters["recurrent_kernel"], *state, context.mask, self.activation
            ),
        )

    def scan_gradient(
        self, dh: np.ndarray, scanned: tuple[np.ndarray, ...], context: Context
    ) -> tuple[np.ndarray, Gradients]:
        (h,) = scanned
        recurrent = self.parameters["recurrent_kernel"]
        dz, _ = context.kernels.rnn_gradient(dh, h, recurrent, context.mask, self.activation)
        return dz, {"recurrent_kernel": context.kernels.state_kernel_gradient(h, dz)}


@dataclass(eq=False)
class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000):

        i, f, g, o = the four parts of x[t] W + b + h[t − 1] U; σ is applied to i, f and o, tanh to g
        c[t] = f c[t − 1] + i g;   h[t] = o tanh c[t]

    Shapes, settings, mask and errors as in RNN; W `kernel` (inputs, 4 units), U `recurrent_kernel` (units, 4 units),
    b `bias` (4 units,), gates in the order i f g o. State: h and c (n, units). With `unit_forget_bias`, the bias of the forget
    gate is initially 1 (Jozefowicz et al. 2015), Keras's default.
    """

    units: int
    use_bias: bool = True
    kernel_initializer: str = "glorot_uniform"
    recurrent_initializer: str = "orthogonal"
    unit_forget_bias: bool = True
    dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False

    gates, state_count = 4, 2
    FLAGS = (*Recurrent.FLAGS, "unit_forget_bias")

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        super().build(input_shape, rng)
        if self.use_bias and self.unit_forget_bias and rng is not None:
            self.parameters["bias"][self.units : 2 * self.units] = 1

    def scan(self, z: np.ndarray, state: tuple[np.ndarray, ...], context: Context) -> tuple[np.ndarray, ...]:
        return context.kernels.lstm(z, self.parameters["recurrent_kernel"], *state, context.mask)

    def scan_gradient(
        self, dh: np.ndarray, scanned: tuple[np.ndarray, ...], context: Context
    ) -> tuple[np.ndarray, Gradients]:
        h, c, gates = scanned
        dc = context.kernels.zeros(c.shape[::2], c.dtype)
        recurrent = self.parameters["recurrent_kernel"]
        dz, _, _ = context.kernels.lstm_gradient(dh, dc, h, c, gates, recurrent, context.mask)
        return dz, {"recurrent_kernel": context.kernels.state_kernel_gradient(h, dz)}


@dataclass(eq=False)
class GRU(Recurrent):
    """Gated recurrent unit (Cho et al. 2014):

        r = σ(x[t] W_r + b_r + h[t − 1] U_r + d_r);   z = σ(x[t] W_z + b_z + h[t − 1] U_z + d_z)
        n = tanh(x[t] W_n + b_n + r (h[t − 1] U_n + d_n))      with `reset_after`, as in cuDNN and PyTorch,
            tanh(x[t] W_n + b_n + (r h[t − 1]) U_n)            without, as in the paper; then there is no d
        h[t] = (1 − z) n + z h[t − 1]

    Shapes, settings, mask and errors as in RNN; W `kernel` (inputs, 3 units), U `recurrent_kernel` (units, 3 units),
    b `bias` and, with `reset_after`, d `recurrent_bias` (3 units,), gates in the order r z n. State: h (n, units).
    """

    units: int
    use_bias: bool = True
    kernel_initializer: str = "glorot_uniform"
    recurrent_initializer: str = "orthogonal"
    dropout: float = 0.0
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    reset_after: bool = True

    gates = 3
    FLAGS = (*Recurrent.FLAGS, "reset_after")

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        super().build(input_shape, rng)
        if self.use_bias and self.reset_after:
            self.parameters["recurrent_bias"] = np.zeros(3 * self.units, np.float32)

    def scan(self, z: np.ndarray, state: tuple[np.ndarray, ...], context: Context) -> tuple[np.ndarray, ...]:
        recurrent, bias = self.parameters["recurrent_kernel"], self.parameters.get("recurrent_bias")
        return context.kernels.gru(z, recurrent, bias, *state, context.mask, self.reset_after)

    def scan_gradient(
        self, dh: np.ndarray, scanned: tuple[np.ndarray, ...], context: Context
    ) -> tuple[np.ndarray, Gradients]:
        h, gates, inner = scanned
        k, recurrent = context.kernels, self.parameters["recurrent_kernel"]
        dz, dr, _ = k.gru_gradient(dh, h, gates, inner, recurrent, context.mask, self.reset_after)
        if self.reset_after:
            gradients = {"recurrent_kernel": context.kernels.state_kernel_gradient(h, dr)}
        else:  # U_n multiplies r h, which is `inner`
            split = 2 * self.units
            met_h = k.state_kernel_gradient(h, dr[..., :split])
            met_inner = k.dense_kernel_gradient(as_rows(inner), as_rows(dr[..., split:]))
            gradients = {"recurrent_kernel": k.merge(met_h, met_inner, "concat")}
        if "recurrent_bias" in self.parameters:
            gradients["recurrent_bias"] = k.bias_gradient(dr)
        return dz, gradients
