"""A network: the layer at the root of a tree, which knows the shape of its input."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .checks import as_array, check_count, check_seed, check_shape, show_shape
from .errors import ShapeError, TinynetError
from .kernels import device
from .kernels.replay import Replay
from .layers.arrays import fill
from .layers.base import Context, Layer, Shape, State, under
from .layers.containers import Chain
from .layers.fused import last_activation, without_activation
from .layers.inputs import as_samples, check_finite_output, each, first_of, fits, is_bytes
from .layers.sequence import Cropping1D, RepeatVector

BATCH_SIZE = 256
FEW_SAMPLES = 16
"""At or below this batch size Python overhead exceeds kernel time, so repeated shapes are replayed."""


class Network(Chain):
    """A chain of layers with an input: y = fₙ(… f₂(f₁(x))). It knows layers and kernels only.

    `input_shape` is the shape of one sample, without the batch axis; if the first layer is a `Parallel`, it may be a tuple of shapes,
    one per branch. `seed` decides the initial weights (None: zeros). `labels` names the classes, `vocabulary` the characters or
    words (index = id); `metadata` is stored in the file. Raises ShapeError if one layer's output does not fit the next.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Shape | tuple[Shape, ...] | None = None,
        seed: int | None = 0,
        *,
        name: str = "model",
        labels: Sequence[str] | None = None,
        vocabulary: str | Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.layers, self.name = layers, name
        self.input_shape: Any = None
        self._several = False  # whether a sample is a tuple of arrays, one per branch
        self.labels = [str(label) for label in labels] if labels is not None else None
        self.vocabulary = vocabulary
        self.metadata = dict(metadata or {})
        self.epochs_trained = 0
        super().__post_init__()
        seen = [id(layer) for _, layer in self.walk()]
        for path, layer in self.walk():
            if seen.count(id(layer)) > 1:
                raise TinynetError(f"{path} is used twice; make a new layer for each place")
        if input_shape is not None:
            self._begin(input_shape, seed)

    def _begin(self, input_shape: Any, seed: int | None) -> None:
        """Create the parameters that layers do not have yet."""
        several = isinstance(input_shape, (tuple, list)) and any(
            isinstance(s, (tuple, list)) for s in input_shape
        )
        shapes = input_shape if several else [input_shape]
        found = tuple(check_shape(self.name, "input_shape", shape) for shape in shapes)
        self.input_shape = found if several else found[0]
        self._several = several
        if several and not self.takes_several:
            raise ShapeError(
                f"{self.name}: input_shape has {len(found)} shapes, one per branch, but the first layer is not a Parallel"
            )
        self.shapes = self.shapes_through(self.input_shape)
        rng = None if seed is None else np.random.default_rng(check_seed(self.name, "seed", seed))
        self.build(self.input_shape, rng)
        self.state_like = self.zero_state(0)
        self.returns_state = any(getattr(layer, "return_state", False) for layer in self.layers)
        self._flops = self.flops()
        self._is_open = any(None in shape for shape in self.inputs)
        leaves_of = [layer for _, layer in self.walk() if not layer.children()]
        self._groups = [
            group for layer in leaves_of for group in (layer.parameters, layer.statistics) if group
        ]
        self.replay = Replay(self._outputs, self._arrays)

    @property
    def owner(self) -> str:
        return self.name

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """The shape of a sample of each input."""
        return self.input_shape if self._several else (self.input_shape,)

    @property
    def output_shape(self) -> Shape:
        """Shape of one sample's output."""
        return self.shapes[-1]

    def flops(self, input_shape: Shape | None = None) -> int:
        """Floating-point operations of one sample's forward pass; an open size counts as 1 unless a shape is given."""
        return super().flops(self.input_shape if input_shape is None else input_shape)

    # ---- passes ----

    @property
    def logits_activation(self) -> str | None:
        """The network's last activation if a fused loss computes it: "softmax", "sigmoid" or None."""
        return last_activation(self)

    @property
    def logits(self) -> Layer:
        """The same layers on the same arrays, without the last activation, which a fused loss computes."""
        return without_activation(self) if self.logits_activation else self

    def _outputs(self, k: ModuleType, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """The output for inputs; if the arrays of a state follow them, also the final state."""
        count = len(self.inputs)
        x = arrays[:count] if self._several else arrays[0]
        state = rebuilt(self.state_like, iter(arrays[count:])) if len(arrays) > count else None
        y, kept = self.forward(x, Context(k, gradients=False, input_gradient=False, state=state))
        return y, *leaves(kept.state)

    def _arrays(self) -> list[np.ndarray]:
        """All current arrays; any of them may have been replaced since the last call."""
        return [array for group in self._groups for array in group.values()]

    def compute(self, k: ModuleType, x: Any, state: State | None = None) -> tuple[np.ndarray, State]:
        """The output for a prepared batch; if it began with a state, also the final state, whose arrays stay on the device."""
        self.place(k)
        arrays = x if self._several else (x,)
        if state:
            arrays = *arrays, *leaves(state)
        arrays = tuple(map(k.asarray, arrays))
        function = self.replay if len(arrays[0]) <= FEW_SAMPLES else self._outputs
        y, *ends = function(k, *arrays)
        return k.asnumpy(y), rebuilt(self.state_like, iter(ends)) if state else {}

    def place(self, k: ModuleType) -> None:
        """Have all arrays where kernels take them from: in the memory of a GPU or of the host."""
        if device.cuda_loaded():
            for group in self._groups:
                group.update({name: k.asarray(array) for name, array in group.items()})

    def bring_home(self) -> None:
        """Have all arrays in the memory of the host again, if it was `auto` that took a GPU: nobody asked for it."""
        if device.borrowed():
            self.place(device.kernels_on("reference"))

    # ---- inputs ----

    def is_picture(self, shape: Shape) -> bool:
        """Whether an input is a picture, so that bytes mean 0…1: it has three axes, or `metadata["input"]` says so."""
        return len(shape) == 3 or (not self._several and "input" in self.metadata)

    def check_input(self, x: Any) -> Any:
        """x as C-contiguous float32 batches, or ids as int32; bytes of pictures are scaled to 0…1. Raises ShapeError."""
        return self.numbers(self.check_samples(x))

    def check_samples(self, x: Any) -> Any:
        """x as an array of samples of the right shape, or a tuple of them, its numbers unchanged; raises ShapeError."""
        if type(x) is np.ndarray and x.dtype == np.float32 and x.ndim and x.shape[1:] == self.input_shape:
            return x
        if not self._several:
            return as_samples(self._array(x), self.input_shape, self._first)
        if not isinstance(x, (tuple, list)) or len(x) != len(self.inputs):
            raise ShapeError(f"{self.name} takes a tuple of {len(self.inputs)} arrays, one per branch")
        found = tuple(
            as_samples(self._array(part), shape, f"{self._first}, branch {number},")
            for number, (part, shape) in enumerate(zip(x, self.inputs, strict=True), 1)
        )
        if len({len(part) for part in found}) > 1:
            lengths = ", ".join(str(len(part)) for part in found)
            raise ShapeError(
                f"{self.name} needs the same number of samples for each branch, but is given {lengths}"
            )
        return found

    def _array(self, x: Any) -> np.ndarray:
        x = as_array(x, f"the input of {self.name}")
        if x.dtype.kind not in "fiub":
            raise TinynetError(f"{self.name} takes an array of numbers, not of {x.dtype}")
        return x

    def numbers(self, x: Any) -> Any:
        """Samples as the first layer takes them: ids, or C-contiguous float32; a picture's bytes are divided by 255."""
        parts = x if self._several else (x,)
        scaled = tuple(
            part.astype(np.float32) / np.float32(255) if is_bytes(part) and self.is_picture(shape) else part
            for part, shape in zip(parts, self.inputs, strict=True)
        )
        return self.take(scaled if self._several else scaled[0])

    @property
    def _first(self) -> str:
        """The name for messages about an input that does not fit."""
        return next(iter(self.children()), self.name)

    def check_state(self, state: State | None, n: int) -> State | None:
        """A state for n sequences, as float32, on a GPU where it is there; layers missing from it start from zeros.

        Raises TinynetError for any other.
        """
        if state is None:
            return None
        checked = self._checked_state(state, self.zero_state(n))
        return checked if state else None

    def _checked_state(self, state: Any, zeros: Any) -> State:
        if not isinstance(state, Mapping):
            raise TinynetError(f"a state is a dict such as `step` returns, not {type(state).__name__}")
        checked = dict(zeros)
        for name, given in state.items():
            if name not in zeros:
                known = ", ".join(zeros) or "no layer"
                raise TinynetError(f"{self.name} has a state for {known}, but is given one for {name!r}")
            if isinstance(zeros[name], dict):
                checked[name] = self._checked_state(given, zeros[name])
                continue
            arrays = given if isinstance(given, (tuple, list)) else (given,)
            expected, found = ([np.shape(array) for array in own] for own in (zeros[name], arrays))
            if found != expected:
                raise ShapeError(
                    f"give a tuple of arrays of shapes {expected} as the state of {name}, not {found}"
                )
            checked[name] = tuple(
                array if device.on_gpu(array) else np.ascontiguousarray(array, np.float32) for array in arrays
            )
        return checked

    # ---- use ----

    def answer(
        self, x: Any, batch_size: int = BATCH_SIZE, state: State | None = None, keep_state: bool = False
    ) -> tuple[np.ndarray, State]:
        """The outputs for samples, computed in batches of `batch_size`, and the final state if it is wanted."""
        self.check_begun()
        x = self.check_samples(x)
        n = len(first_of(x))
        whole = self.takes_ids or n <= batch_size
        if whole:
            x = self.numbers(x)
        state = self.check_state(state, n) or (self.zero_state(n) if keep_state else None)
        k = device.backend(n * self.operations(x), -(-n // batch_size) if n > batch_size else None)
        if n <= batch_size:
            y, end = self.compute(k, x, state)
            return y.copy() if _shares_memory(y, x) else y, end
        pieces = [slice(start, start + batch_size) for start in range(0, n, batch_size)]
        outputs, ends = zip(*(self._piece(k, x, p, state, whole) for p in pieces), strict=True)
        self.bring_home()
        end_states = [np.concatenate(arrays) for arrays in zip(*map(leaves, ends), strict=True)]
        return np.concatenate(outputs), rebuilt(self.state_like, iter(end_states)) if state else {}

    def _piece(
        self, k: ModuleType, x: Any, piece: slice, state: State | None, whole: bool
    ) -> tuple[np.ndarray, State]:
        part = each(lambda array: array[piece], x)
        given = state and rebuilt(self.state_like, (array[piece] for array in leaves(state)))
        return self.compute(k, part if whole else self.numbers(part), given)

    def operations(self, x: Any) -> int:
        """Floating-point operations of one sample; an open size is taken from these samples."""
        return self.flops(each(lambda array: array.shape[1:], x)) if self._is_open else self._flops

    def advance(self, x_t: Any, state: State | None = None) -> tuple[np.ndarray, State]:
        """One time step of a stream: see `Sequential.step`."""
        if self._several:
            return self._advance_prepended(x_t, state)
        keeps_time = self.check_streamable()
        x, expected = self._array(x_t), self.input_shape[1:]
        if not fits(x.shape, expected):
            wanted = "ids of shape (n,)" if self.takes_ids else f"shape {show_shape((None, *expected))}"
            raise ShapeError(
                f"{self._first} takes one time step of {wanted}, but is given {show_shape(x.shape)}"
            )
        x = self.numbers(x)[:, None]  # checked unchanged, so that an error names the right index
        state = self.check_state(state, len(x)) or self.zero_state(len(x))
        k = device.backend(self._flops // (self.input_shape[0] or 1) * len(x))
        y, state = self.compute(k, x, state)
        return y[:, 0] if keeps_time else y, state

    def _advance_prepended(self, x_t: Any, state: State | None) -> tuple[np.ndarray, State]:
        opening, following = self.phases
        x = self._array(x_t)
        if given := self.check_state(state, len(np.atleast_1d(x))):
            y, end = following.advance(x, rebuilt(following.state_like, iter(leaves(given))))
        else:
            y, end = opening.answer(x, keep_state=True)
            y = y[:, -1] if following.check_streamable() else y
        return y, rebuilt(self.state_like, iter(leaves(end)))

    @functools.cached_property
    def phases(self) -> tuple[Network, Network]:
        """A network that begins with a `Parallel` whose first branch makes the first time steps, as two that share its layers: one
        for these, one for the steps after them, which is without what crops the first ones. Raises TinynetError for any other
        network with several inputs.
        """
        first, *others = self.layers
        if getattr(first, "merge", None) != "prepend" or first.zero_state(0):
            raise TinynetError(
                f"{self.name} has {len(self.inputs)} inputs, but step takes networks with one, or with first time steps before "
                "the others; use predict"
            )
        opening, following = first.children().values()
        one_step = len(opening.compute_output_shape(self.inputs[0])) == 1
        begun = [opening, *([RepeatVector(1)] if one_step else []), *others]
        later = [layer for layer in others if not (isinstance(layer, Cropping1D) and not layer.right)]
        return (
            Network(begun, self.inputs[0], name=self.name),
            Network([following, *later], self.inputs[1], name=self.name),
        )

    def check_streamable(self) -> bool:
        """Whether the output still has a time axis; raises TinynetError where a layer needs the whole sequence."""
        self.check_begun()
        if not self.state_like:
            raise TinynetError(f"{self.name} has no recurrent layer, which step needs; use predict")
        for name, layer in self.children().items():
            if not layer.streamable:
                raise TinynetError(f"{name} needs the whole sequence at once, not step by step; use predict")
            if not getattr(layer, "return_sequences", True):
                return False
        return True

    def check_begun(self) -> None:
        """Raise TinynetError for a chain without an input_shape, which is only a layer."""
        if self.input_shape is None:
            raise TinynetError(
                f"{self.name} has no input_shape, so it is only a layer of other networks; "
                "make it with Sequential([…], input_shape=…)"
            )

    def rank(self, probabilities: np.ndarray, top: int | None = None) -> list[tuple[str, float]]:
        """The classes of one output (classes,), the most probable first; raises TinynetError if it is NaN."""
        check_finite_output(self.name, probabilities)
        count = len(probabilities) if top is None else check_count(self.name, "top", top)
        order = np.argsort(-probabilities, kind="stable")[:count]
        return [(self.labels[i] if self.labels else str(i), float(probabilities[i])) for i in order]

    # ---- weights ----

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy arrays by name into the network; raises ShapeError for a missing, unknown or wrongly shaped one."""
        fill(self.state(), state)


def _shares_memory(y: np.ndarray, x: Any) -> bool:
    """Whether an output may share the input's memory, as when no layer computes anything."""
    given = x if isinstance(x, tuple) else (x,)
    return (y.base is not None or any(y is array for array in given)) and any(
        np.may_share_memory(y, array) for array in given
    )


def leaves(state: State) -> list[np.ndarray]:
    """All arrays of a state, as one flat sequence."""
    if isinstance(state, dict):
        return [array for part in state.values() for array in leaves(part)]
    return list(state)


def named_leaves(state: State) -> dict[str, np.ndarray]:
    """All arrays of a state by name: lstm_1.0, lstm_1.1."""
    if isinstance(state, dict):
        return {under(name, key): a for name, part in state.items() for key, a in named_leaves(part).items()}
    return {str(index): array for index, array in enumerate(state)}


def rebuilt(like: State, arrays: Iterator[np.ndarray]) -> State:
    """A state of the same structure, from a flat sequence of arrays."""
    if isinstance(like, dict):
        return {name: rebuilt(part, arrays) for name, part in like.items()}
    return tuple(next(arrays) for _ in like)
