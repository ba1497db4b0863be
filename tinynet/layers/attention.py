"""Attention: each step of a sequence takes what it needs from the others; and the positions that tell it where they stand.

Where a sequence comes in pieces, as when text is written, the keys and values of earlier steps are the state: none is computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_choice, check_count, check_flag
from ..errors import TinynetError
from .base import Context, Gradients, Layer, Shape, as_rows
from .initializers import INITIALIZERS, initialise


def check_sequence(layer: Layer, input_shape: Shape) -> None:
    """Raise ShapeError unless it is the shape of a sequence of vectors."""
    if len(input_shape) != 2 or input_shape[-1] is None:
        raise layer.wrong_shape("(steps, features) with a known number of features", input_shape)


@dataclass(eq=False)
class MultiHeadAttention(Layer):
    """Self attention with several heads (Vaswani et al. 2017), of `key_dim` numbers each:

        q, k, v = the three parts of x W + b, each split into heads
        a[i] = Σ_j w[i, j] v[j],   w[i, j] = softmax over j of q[i] · k[j] / √key_dim;   y = a O + c

    With `causal` a step sees only itself and those before it, with `window` as well only the last `window` of these, itself
    included; then a sequence may come in pieces, and the state holds keys and values of the last window − 1 steps. With `alibi` head
    h = 1, 2, … takes 2^(−8 h / num_heads) · (i − j) off its scores: what lies further back counts less, and no positions are needed
    (Press et al. 2022). Masked steps are seen by none. Shapes: x (n, steps, features), steps may be open → the same; with width =
    num_heads · key_dim: W `kernel` (features, 3 width), b `bias` (3 width,), O `output_kernel` (width, features), c `output_bias`
    (features,). Glorot-uniform kernels, zero biases. Raises TinynetError for a bad setting, ShapeError for an input that is not a
    sequence.
    """

    num_heads: int
    key_dim: int
    causal: bool = False
    window: int | None = None
    alibi: bool = False
    use_bias: bool = True
    kernel_initializer: str = "glorot_uniform"

    def check(self) -> None:
        self.num_heads = check_count(self.kind, "num_heads", self.num_heads)
        self.key_dim = check_count(self.kind, "key_dim", self.key_dim)
        for setting in ("causal", "alibi", "use_bias"):
            setattr(self, setting, check_flag(self.kind, setting, getattr(self, setting)))
        check_choice(self.kind, "kernel_initializer", self.kernel_initializer, INITIALIZERS)
        if self.window is not None:
            self.window = check_count(self.kind, "window", self.window)
        for setting in ("window", "alibi"):
            if getattr(self, setting) and not self.causal:
                raise TinynetError(
                    f"{self.kind}: {setting} counts steps back in time: set causal=True as well"
                )

    @property
    def width(self) -> int:
        """The numbers of all heads together."""
        return self.num_heads * self.key_dim

    @property
    def streamable(self) -> bool:
        """True if a step sees only so many before it."""
        return self.window is not None

    def output_mask(self, x: np.ndarray, saved: Any, context: Context) -> np.ndarray | None:
        return context.mask

    def zero_state(self, n: int) -> tuple[np.ndarray, ...]:
        if self.window is None:
            return ()
        before = n, self.window - 1
        return np.zeros((*before, 2 * self.width), np.float32), np.zeros(before, np.float32)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        check_sequence(self, input_shape)
        return input_shape

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        features, width = input_shape[-1], self.width
        self.parameters["kernel"] = initialise(self.kernel_initializer, (features, 3 * width), rng)
        if self.use_bias:
            self.parameters["bias"] = np.zeros(3 * width, np.float32)
        self.parameters["output_kernel"] = initialise(self.kernel_initializer, (width, features), rng)
        if self.use_bias:
            self.parameters["output_bias"] = np.zeros(features, np.float32)

    def size(self, input_shape: Shape) -> int:
        return (input_shape[0] or 1) * 4 * self.width

    def flops(self, input_shape: Shape) -> int:
        steps = input_shape[0] or 1
        seen = steps if self.window is None else min(self.window, steps)
        return steps * self.width * (8 * input_shape[1] + 4 * seen)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        k, (n, steps, features) = context.kernels, x.shape
        z = k.dense(as_rows(x), self.parameters["kernel"], self.parameters.get("bias"))
        z = z.reshape(n, steps, 3 * self.width)
        past = context.state or (k.zeros((n, 0, 2 * self.width), x.dtype), k.zeros((n, 0), x.dtype))
        a, sums = k.attention(z, *past, context.mask, *self._settings)
        y = k.dense(as_rows(a), self.parameters["output_kernel"], self.parameters.get("output_bias"))
        end = k.attention_cache(z, *past, context.mask) if context.state else ()
        return y.reshape(n, steps, features), (x, z, past, a, sums, end)

    @property
    def _settings(self) -> tuple[int, bool, int, bool]:
        return self.num_heads, self.causal, self.window or 0, self.alibi

    def final_state(self, saved: Any) -> tuple[np.ndarray, ...]:
        return saved[-1]

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray | None, Gradients]:
        k, (x, z, past, a, sums, _) = context.kernels, saved
        rows = dy.reshape(len(dy) * dy.shape[1], dy.shape[2])
        gradients = {"output_kernel": k.dense_kernel_gradient(as_rows(a), rows)}
        da = k.dense_input_gradient(rows, self.parameters["output_kernel"]).reshape(a.shape)
        dz = k.attention_gradient(da, z, *past, context.mask, sums, *self._settings)
        gradients["kernel"] = k.dense_kernel_gradient(as_rows(x), as_rows(dz))
        if self.use_bias:
            gradients |= {"bias": k.bias_gradient(dz), "output_bias": k.bias_gradient(rows)}
        if not context.input_gradient:
            return None, gradients
        return k.dense_input_gradient(as_rows(dz), self.parameters["kernel"]).reshape(x.shape), gradients


@dataclass(eq=False)
class PositionEmbedding(Layer):
    """y[t] = x[t] + E[t mod sequence_length]: a vector per position is learnt and added (Gehring et al. 2017).

    Longer sequences begin again with the first position, which attention with a `window` of at most `sequence_length` can
    still tell apart. Shapes: x (n, steps, features), steps may be open → the same; E `embeddings` (sequence_length, features). State:
    the next position (n, 1). Starting values as in Embedding. Raises TinynetError for a bad setting, ShapeError for an input that is
    not a sequence.
    """

    sequence_length: int
    embeddings_initializer: str = "uniform"

    streamable = True

    def check(self) -> None:
        self.sequence_length = check_count(self.kind, "sequence_length", self.sequence_length)
        check_choice(self.kind, "embeddings_initializer", self.embeddings_initializer, INITIALIZERS)

    def zero_state(self, n: int) -> tuple[np.ndarray, ...]:
        return (np.zeros((n, 1), np.float32),)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        check_sequence(self, input_shape)
        return input_shape

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        shape = self.sequence_length, input_shape[-1]
        self.parameters["embeddings"] = initialise(self.embeddings_initializer, shape, rng)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        k = context.kernels
        (start,) = context.state or (k.zeros((len(x), 1), x.dtype),)
        y, end = k.add_positions(x, self.parameters["embeddings"], start)
        return y, (start, end)

    def final_state(self, saved: Any) -> tuple[np.ndarray, ...]:
        return saved[1:]

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        dtable = context.kernels.add_positions_gradient(dy, saved[0], self.sequence_length)
        return dy, {"embeddings": dtable}
