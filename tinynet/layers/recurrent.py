"""Recurrent layers: each step of a sequence updates a state.

The product of the inputs with W is computed for all steps at once; the cells' kernels add the product of the state with U. A pass
starts from `run.state`, or zeros, and ends at `final_state(saved)`: so a sequence may be given in pieces, in prediction as well as
in training (truncated back-propagation through time: no gradient flows from a piece into the previous one).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_count, check_flag, check_number
from .base import Gradients, Layer, Run, Shape, as_rows
from .initializers import INITIALIZERS, initialise

CELL_ACTIVATIONS = ("tanh", "relu")


class Recurrent(Layer):
    """The base class of RNN, LSTM and GRU. A cell's kernel returns the saved arrays, first of them h (n, t + 1, units)."""

    units: int
    use_bias: bool
    kernel_initializer: str
    recurrent_initializer: str
    dropout: float
    return_sequences: bool
    return_state: bool
    go_backwards: bool
    gates: int
    """The number of gates: the products with W and U have this many parts of `units` each."""
    carried: int = 1
    """The number of arrays in a state; they are the first of the saved arrays."""

    FLAGS = ("use_bias", "return_sequences", "return_state", "go_backwards")

    def scan(self, z: np.ndarray, state: tuple[np.ndarray, ...], run: Run) -> tuple[np.ndarray, ...]:
        """Run the cell over all steps, from the product with the inputs and the initial state; returns the saved arrays."""
        raise NotImplementedError

    def scan_gradient(
        self, dh: np.ndarray, trace: tuple[np.ndarray, ...], run: Run
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
    def timewise(self) -> bool:
        """True unless the last step is read first."""
        return not self.go_backwards

    def zero_state(self, n: int) -> tuple[np.ndarray, ...]:
        return tuple(np.zeros((n, self.units), np.float32) for _ in range(self.carried))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise self.wrong_shape("(steps, features) with a known number of features", input_shape)
        return (input_shape[0], self.units) if self.return_sequences else (self.units,)

    def output_mask(self, x: np.ndarray, saved: Any, run: Run) -> np.ndarray | None:
        return run.mask if self.return_sequences else None

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

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, Any]:
        taken = self._drop(x, run)
        if self.go_backwards:
            taken = run.kernels.reverse_steps(taken, run.mask)
        kernel = self.parameters["kernel"]
        z = run.kernels.dense(as_rows(taken), kernel, self.parameters.get("bias"))
        y, trace = self.recur(z.reshape(*x.shape[:2], kernel.shape[1]), run)
        return y, (taken, trace)

    def recur(self, z: np.ndarray, run: Run) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """The output and the saved arrays, from the product with the inputs, x W + b."""
        state = run.state or tuple(
            run.kernels.zeros((len(z), self.units), z.dtype) for _ in range(self.carried)
        )
        trace = self.scan(z, state, run)
        return run.kernels.states_after(trace[0], self.return_sequences), trace

    def final_state(self, saved: Any) -> tuple[np.ndarray, ...]:
        _, trace = saved
        return tuple(states[:, -1] for states in trace[: self.carried])

    def backward(self, dy: np.ndarray, saved: Any, run: Run) -> tuple[np.ndarray | None, Gradients]:
        k, (taken, trace) = run.kernels, saved
        dz, gradients = self.recur_gradient(dy, trace, run)
        gradients["kernel"] = k.dense_kernel_gradient(as_rows(taken), as_rows(dz))
        if self.use_bias:
            gradients["bias"] = k.bias_gradient(dz)
        if not run.input_gradient:
            return None, gradients
        dx = k.dense_input_gradient(as_rows(dz), self.parameters["kernel"]).reshape(taken.shape)
        if self.go_backwards:
            dx = k.reverse_steps(dx, run.mask)
        return self._drop(dx, run), gradients

    def recur_gradient(
        self, dy: np.ndarray, trace: tuple[np.ndarray, ...], run: Run
    ) -> tuple[np.ndarray, Gradients]:
        """The gradients at x W + b and of the recurrent parameters, from the gradient at the output."""
        return self.scan_gradient(run.kernels.state_gradient(dy, trace[0].shape[1] - 1), trace, run)

    def _drop(self, x: np.ndarray, run: Run) -> np.ndarray:
        if not (run.training and self.dropout):
            return x
        return run.kernels.sequence_dropout(x, self.dropout, run.seed)


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

    def scan(self, z, state, run):
        return (run.kernels.rnn(z, self.parameters["recurrent_kernel"], *state, run.mask, self.activation),)

    def scan_gradient(self, dh, trace, run):
        (h,) = trace
        recurrent = self.parameters["recurrent_kernel"]
        dz, _ = run.kernels.rnn_gradient(dh, h, recurrent, run.mask, self.activation)
        return dz, {"recurrent_kernel": run.kernels.state_kernel_gradient(h, dz)}


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

    gates, carried = 4, 2
    FLAGS = (*Recurrent.FLAGS, "unit_forget_bias")

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        super().build(input_shape, rng)
        if self.use_bias and self.unit_forget_bias and rng is not None:
            self.parameters["bias"][self.units : 2 * self.units] = 1

    def scan(self, z, state, run):
        return run.kernels.lstm(z, self.parameters["recurrent_kernel"], *state, run.mask)

    def scan_gradient(self, dh, trace, run):
        h, c, gates = trace
        dc = run.kernels.zeros(c.shape[::2], c.dtype)
        recurrent = self.parameters["recurrent_kernel"]
        dz, _, _ = run.kernels.lstm_gradient(dh, dc, h, c, gates, recurrent, run.mask)
        return dz, {"recurrent_kernel": run.kernels.state_kernel_gradient(h, dz)}


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

    def scan(self, z, state, run):
        recurrent, bias = self.parameters["recurrent_kernel"], self.parameters.get("recurrent_bias")
        return run.kernels.gru(z, recurrent, bias, *state, run.mask, self.reset_after)

    def scan_gradient(self, dh, trace, run):
        h, gates, inner = trace
        k, recurrent = run.kernels, self.parameters["recurrent_kernel"]
        dz, dr, _ = k.gru_gradient(dh, h, gates, inner, recurrent, run.mask, self.reset_after)
        if self.reset_after:
            gradients = {"recurrent_kernel": run.kernels.state_kernel_gradient(h, dr)}
        else:  # U_n is multiplied by r h, which is `inner`
            split = 2 * self.units
            met_h = k.state_kernel_gradient(h, dr[..., :split])
            met_inner = k.dense_kernel_gradient(as_rows(inner), as_rows(dr[..., split:]))
            gradients = {"recurrent_kernel": k.merge(met_h, met_inner, "concat")}
        if "recurrent_bias" in self.parameters:
            gradients["recurrent_bias"] = k.bias_gradient(dr)
        return dz, gradients
