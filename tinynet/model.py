"""Sequential: a chain of layers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import kernels, storage
from .checks import check_count, check_shape, show_shape
from .errors import ShapeError, TinynetError
from .layers.arrays import HasArrays, fill
from .layers.base import Layer, Run, Shape, State, build_layers, snake_case
from .layers.conv import Convolution
from .layers.inputs import as_array, as_samples, check_finite_output, fits
from .layers.joined import join
from .layers.pooling import Pooling
from .settings import Elsewhere, checked, sealed, unknown_attribute
from .terminal import echo

BATCH_SIZE = 256
FEW_SAMPLES, CALLS_BEFORE_RECORDING, MOST_RECORDINGS = 16, 3, 16
"""Up to so many samples, Python may take longer than kernels: inputs of a shape that comes again are worth a recording."""


@sealed
class Sequential(HasArrays):
    """A chain of layers: y = fₙ(… f₂(f₁(x))).

    input_shape is the shape of one sample, without the batch axis. `seed` decides the starting weights (None: zeros).
    `labels` names the classes, `vocabulary` the characters or words (index = id); `metadata` travels with the file:
    `metadata["input"]` says how a picture is prepared. Raises ShapeError where one layer's output does not fit the next.
    """

    _FIXED = ("layers", "input_shape")

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Shape | None = None,
        seed: int | None = 0,
        *,
        name: str = "model",
        labels: Sequence[str] | None = None,
        vocabulary: str | Sequence[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.layers = list(layers)
        self.input_shape = check_shape(name, input_shape)
        self.name = name
        self.labels = [str(label) for label in labels] if labels is not None else None
        self.vocabulary = vocabulary
        self.metadata = dict(metadata or {})
        self.epochs_trained = 0
        storage.check_characters(self)
        self._name_layers()
        self._build(seed)

    def _name_layers(self) -> None:
        counts: Counter[str] = Counter()
        seen: set[int] = set()
        for layer in self.layers:
            if not isinstance(layer, Layer):
                given = type(layer).__name__ if isinstance(layer, Sequential) else repr(layer)
                raise TinynetError(f"a Sequential is made of layers, not of {given}")
            held = {id(layer), id(getattr(layer, "layer", layer))}
            if layer.parameters or held & seen:
                raise TinynetError(f"{layer.name} is used twice; make a new layer for each place")
            seen |= held
            kind = snake_case(type(layer).__name__)
            counts[kind] += 1
            layer._name = f"{kind}_{counts[kind]}"
            if layer.takes_ids and layer is not self.layers[0]:
                raise TinynetError(f"{layer.name} takes ids, which no layer gives; make it the first layer")

    def _build(self, seed: int | None) -> None:
        """Create the parameters, and join neighbours that can be one step."""
        self.shapes: list[Shape] = [self.input_shape]
        for layer in self.layers:
            self.shapes.append(layer.output_shape(self.shapes[-1]))
        build_layers(self.name, self.layers, self.shapes, seed)
        self._trim()
        self._steps = join(self.layers)
        self._groups = [
            group for layer in self.layers for group in (layer.parameters, layer.statistics) if group
        ]
        self.takes_ids = bool(self.layers) and self.layers[0].takes_ids
        self._recordable = all(layer.kernels_only for layer in self.layers)
        self._recordings: dict[tuple, Any] = {}
        self._returns_state = any(getattr(layer, "return_state", False) for layer in self.layers)
        self._flops = self.flops(self.input_shape)

    def _trim(self) -> None:
        """Tell each convolution what part of its output the pooling behind it reads."""
        for index, (layer, follower) in enumerate(pairwise(self.layers)):
            if isinstance(layer, Convolution) and isinstance(follower, Pooling):
                layer.trimmed = follower.spatial_size_read(self.shapes[index + 1])

    @property
    def output_shape(self) -> Shape:
        """Shape of one sample's output."""
        return self.shapes[-1]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one sample's output for an input of this shape, where `input_shape` leaves sizes open."""
        for layer in self.layers:
            input_shape = layer.output_shape(input_shape)
        return input_shape

    # ---- passes ----

    def _runs(self, run: Run) -> list[Run]:
        """What each step is told: a seed of its own; only the last leaves out its activation."""
        trained = (index for index, layer in enumerate(self.layers) if layer.parameters)
        first = next(trained, len(self.layers))
        last, state = len(self.layers) - 1, run.state or {}
        return [
            run._replace(
                seed=(run.seed * 1_000_003 + index) % 2**32,
                logits=run.logits and index == last and self.logits_activation is not None,
                input_gradient=index > first,
                mask=None,
                state=state.get(step.name),
            )
            for index, step in self._steps
        ]

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, list[Any]]:
        """The output for a prepared batch, and what `backward` needs.

        Recurrent layers start from run.state, and pass over the steps that run.mask, or a layer on the way, leaves out.
        """
        saved, mask = [], run.mask
        for (_, step), step_run in zip(self._steps, self._runs(run), strict=True):
            if mask is not None:
                step_run = step_run._replace(mask=mask)
            mask = step.output_mask(x, step_run)
            x, kept = step.forward(x, step_run)
            saved.append((kept, step_run, mask))
        return x, saved

    def final_state(self, saved: list[Any]) -> State:
        """Where the recurrent layers stood at the end of a forward pass.

        The next piece of the same sequences starts there: `forward(x, Run(…, state=net.final_state(saved)))`. No gradient
        goes back from one piece to the one before (truncated back-propagation through time).
        """
        passes = zip(self._steps, saved, strict=True)
        return {step.name: step.final_state(kept) for (_, step), (kept, *_) in passes if step.state_sizes}

    def output_mask(self, saved: list[Any]) -> np.ndarray | None:
        """Which time steps of a forward pass's output are real, (n, t); None: all."""
        return saved[-1][2] if saved else None

    def backward(self, dy: np.ndarray, saved: list[Any]) -> dict[str, np.ndarray]:
        """Gradients by "layer.parameter", from the gradient at the output (with run.logits: at the logits)."""
        gradients = {}
        for (_, step), (kept, step_run, _) in zip(reversed(self._steps), reversed(saved), strict=True):
            if dy is None or not (step.parameters or step_run.input_gradient):
                break
            dy, own = step.backward(dy, kept, step_run)
            gradients.update(step.named(own))
        return gradients

    @property
    def logits_activation(self) -> str | None:
        """The activation that ends the network and that a fused loss takes over: "softmax", "sigmoid" or None."""
        name = getattr(self.layers[-1], "activation", None) if self.layers else None
        return name if name in ("softmax", "sigmoid") else None

    # ---- use ----

    @property
    def takes_pictures(self) -> bool:
        """Whether the input is a picture, whose bytes stand for 0…1: three axes, or what `metadata["input"]` prepares."""
        return len(self.input_shape) == 3 or "input" in self.metadata

    def check_input(self, x: Any) -> np.ndarray:
        """x as a C-contiguous float32 batch, or ids as int32; bytes of pictures are scaled to 0…1. Raises ShapeError."""
        return self.numbers(self.check_samples(x))

    def check_samples(self, x: Any) -> np.ndarray:
        """x as an array of samples of the right shape, its numbers as they came; raises ShapeError."""
        if type(x) is np.ndarray and x.dtype == np.float32 and x.ndim and x.shape[1:] == self.input_shape:
            return x
        return as_samples(self._array(x), self.input_shape, self._first)

    def _array(self, x: Any) -> np.ndarray:
        x = as_array(x, f"the input of {self.name}")
        if x.dtype.kind not in "fiub":
            raise TinynetError(f"{self.name} takes an array of numbers, not of {x.dtype}")
        return x

    def numbers(self, x: np.ndarray) -> np.ndarray:
        """Samples as the first layer takes them: ids, or C-contiguous float32; the bytes of a picture become parts of 255."""
        if self.takes_ids:
            return self.layers[0].check_ids(x)
        if x.dtype == np.uint8 and self.takes_pictures:
            x = x.astype(np.float32) / np.float32(255)
        return np.ascontiguousarray(x, np.float32)

    @property
    def _first(self) -> str:
        """Who is named when an input does not fit."""
        return self.layers[0].name if self.layers else self.name

    def check_state(self, state: State | None, count: int) -> State | None:
        """A state for so many sequences, as float32; layers that it leaves out start from zeros. Raises TinynetError."""
        if not state:
            return None
        if not isinstance(state, Mapping):
            raise TinynetError(f"a state is a dict such as `step` returns, not {type(state).__name__}")
        sizes = {layer.name: layer.state_sizes for layer in self.layers if layer.state_sizes}
        checked = {}
        for name, given in state.items():
            if name not in sizes:
                known = ", ".join(sizes) or "no layer"
                raise TinynetError(f"{self.name} has a state for {known}, but is given one for {name!r}")
            arrays = given if isinstance(given, (tuple, list)) else (given,)
            expected = [(count, size) for size in sizes[name]]
            found = [np.shape(array) for array in arrays]
            if found != expected:
                raise ShapeError(
                    f"give a tuple of arrays of shapes {expected} as the state of {name}, not {found}"
                )
            checked[name] = tuple(np.ascontiguousarray(array, np.float32) for array in arrays)
        return checked

    @checked
    def predict(
        self,
        x: Any,
        batch_size: int = BATCH_SIZE,
        initial_state: State | None = None,
        return_state: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, State]:
        """The outputs (n, …) float32 for a batch of samples (n, *input_shape), in pieces of `batch_size`.

        Recurrent layers start from `initial_state`, {layer's name: arrays (n, units)}, or zeros. With `return_state`, or
        where a layer says so, returns (outputs, state): from that state the next piece of the same sequences goes on.
        """
        returned = return_state or self._returns_state
        outputs, state = self._predict(x, batch_size, initial_state, returned)
        return (outputs, state) if returned else outputs

    def _predict(
        self, x: Any, batch_size: int = BATCH_SIZE, state: State | None = None, keep_state: bool = False
    ) -> tuple[np.ndarray, State]:
        x, batch_size = self.check_samples(x), check_count(self.name, "batch_size", batch_size)
        whole = self.takes_ids or len(x) <= batch_size
        if whole:
            x = self.numbers(x)
        if not (state or keep_state) and len(x) <= FEW_SAMPLES:
            # Python takes longer than kernels here: what has a recording takes the short way to it.
            recording, _ = self._recordings.get(self._recording_key(kernels.backend(0), (x,)), (0, None))
            if callable(recording) and (outputs := recording(x)):
                return outputs[0], {}
        state = self.check_state(state, len(x))
        flops = self.flops(x.shape[1:]) if None in self.input_shape else self._flops
        run = Run(kernels.backend(flops * len(x)))
        # No sample at all is one empty piece: only the layers know the output's shape where a size is open.
        pieces = [slice(start, start + batch_size) for start in range(0, len(x) or 1, batch_size)]
        found = [
            self._infer(
                x[p] if whole else self.numbers(x[p]), run._replace(state=_part(state, p)), keep_state
            )
            for p in pieces
        ]
        outputs, states = zip(*found, strict=True)
        if len(found) == 1:
            own = np.ascontiguousarray(outputs[0])
            return own.copy() if np.may_share_memory(own, x) else own, states[0]
        return np.concatenate(outputs), {
            name: tuple(np.concatenate(arrays) for arrays in zip(*(one[name] for one in states), strict=True))
            for name in states[0]
        }

    def _infer(self, x: np.ndarray, run: Run, keep_state: bool = False) -> tuple[np.ndarray, State]:
        """The output, and the state at its end where it is wanted; nothing is kept for a backward pass."""
        if self._recordable and len(x) <= FEW_SAMPLES:
            names = [step.name for _, step in self._steps if step.state_sizes] if keep_state else []
            given = run.state or {}
            if given.keys() == set(names):
                return self._infer_recorded(x, run, names)
        return self._infer_from(x, run, keep_state)

    def _infer_recorded(self, x: np.ndarray, run: Run, names: list[str]) -> tuple[np.ndarray, State]:
        """The same through a recording, where there is one for arrays of these shapes; names: of layers with a state."""
        sizes = [len(run.state[name]) for name in names]

        def function(x: np.ndarray, *states: np.ndarray) -> tuple[np.ndarray, ...]:
            given = _grouped(names, sizes, states)
            y, final = self._infer_from(x, run._replace(state=given or None), bool(names))
            return y, *(array for name in names for array in final[name])

        inputs = x, *(array for name in names for array in run.state[name])
        recording = self._recording(function, inputs, run)
        y, *states = (recording and recording(*inputs)) or function(*inputs)
        return y, _grouped(names, sizes, states)

    def _infer_from(self, x: np.ndarray, run: Run, keep_state: bool) -> tuple[np.ndarray, State]:
        """The output and, where it is wanted, the state at its end."""
        mask, given, final = run.mask, run.state or {}, {}
        for _, step in self._steps:
            step_run = run
            if given or mask is not None:
                step_run = run._replace(mask=mask, state=given.get(step.name))
            mask = step.output_mask(x, step_run)
            if keep_state and step.state_sizes:
                x, kept = step.forward(x, step_run)
                final[step.name] = step.final_state(kept)
            else:
                x = step.infer(x, step_run)
        return x, final

    @checked
    def step(self, x_t: Any, state: State | None = None) -> tuple[np.ndarray, State]:
        """One time step of a stream: the output for x_t, (n, features) or ids (n,), and the state for the next step.

        Without a state a sequence begins. The output (n, …) has no time axis. Step by step, a sequence gives what it gives
        whole. Raises TinynetError for a network that needs the whole sequence at once, ShapeError for what does not fit.
        """
        keeps_time = self.check_stream()
        x, expected = self._array(x_t), self.input_shape[1:]
        if not fits(x.shape, expected):
            wanted = "ids of shape (n,)" if self.takes_ids else f"shape {show_shape((None, *expected))}"
            raise ShapeError(
                f"{self._first} takes one time step of {wanted}, but is given {show_shape(x.shape)}"
            )
        x = self.numbers(x)[:, None]  # checked as it was given, so that an error names the place in it
        flops = self._flops // (self.input_shape[0] or 1)
        run = Run(kernels.backend(flops * len(x)), state=self.check_state(state, len(x)))
        y, state = self._infer(x, run, keep_state=True)
        return y[:, 0] if keeps_time else y, state

    def check_stream(self) -> bool:
        """Whether the output still has a time axis; raises TinynetError where a layer needs the whole sequence."""
        if not any(layer.state_sizes for layer in self.layers):
            raise TinynetError(f"{self.name} has no recurrent layer, which step needs; use predict")
        for layer in self.layers:
            if not layer.timewise:
                raise TinynetError(
                    f"{layer.name} needs the whole sequence at once, not step by step; use predict"
                )
            if not getattr(layer, "return_sequences", True):
                return False
        return True

    def _recording(self, function: Callable, inputs: tuple[np.ndarray, ...], run: Run) -> Callable | None:
        """The kernels for such inputs as one, once they have come CALLS_BEFORE_RECORDING times."""
        key = self._recording_key(run.kernels, inputs)
        found, _ = self._recordings.get(key, (0, None))
        if isinstance(found, int):
            if len(self._recordings) > MOST_RECORDINGS:
                self._recordings.clear()
            ready = found == CALLS_BEFORE_RECORDING
            found = run.kernels.record(function, *inputs) if ready else found + 1
            # The arrays are held, or others might one day have their ids.
            self._recordings[key] = found, self._weights()
        return found if callable(found) else None

    def _recording_key(self, k: ModuleType, inputs: tuple[np.ndarray, ...]) -> tuple:
        """A recording is of one back end, for inputs of such shapes and these weights, whatever values they have."""
        return k, *[array.shape for array in inputs], *map(id, self._weights())

    def _weights(self) -> list[np.ndarray]:
        return [array for group in self._groups for array in group.values()]

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: all but recordings, which belong to this process and these arrays."""
        return {**self.__dict__, "_recordings": {}}

    def __getattr__(self, name: str) -> Any:
        raise unknown_attribute(type(self), name, dir(type(self)))

    def __repr__(self) -> str:
        return "\n".join(self._summary_lines())

    if TYPE_CHECKING:
        from .generation import generate
        from .training.fitting import evaluate, fit
    else:
        fit = Elsewhere("tinynet.training.fitting")
        evaluate = Elsewhere("tinynet.training.fitting")
        generate = Elsewhere("tinynet.generation")

    @checked
    def classify(self, picture: Any, top: int | None = None) -> list[tuple[str, float]] | list[list]:
        """Read and prepare a picture as the model's file says, and name it.

        picture: a path, bytes, an open file, a picture of Pillow or an array, as `tinynet.data.images.read_image` takes it.
        Returns (label, probability), the most probable first, an empty list where nothing is found; for a list, a list.
        Raises ImageError for the first picture that cannot be read, TinynetError for a model that takes no pictures.
        """
        from .data.images import prepare, read_image

        if isinstance(picture, (list, tuple)):
            return [self.classify(each, top) for each in picture]
        if "input" not in self.metadata or len(self.input_shape) not in (2, 3) or len(self.output_shape) != 1:
            example = """set net.metadata["input"], for example to {"kind": "image"}"""
            raise TinynetError(f"{self.name} does not say how a picture becomes its input; {example}")
        prepared = prepare(read_image(picture), self.metadata["input"], self.input_shape)
        return self.rank(self._predict(prepared[None])[0][0], top) if prepared is not None else []

    def rank(self, probabilities: np.ndarray, top: int | None = None) -> list[tuple[str, float]]:
        """The classes of one output, the most probable first; raises TinynetError where it is no number."""
        check_finite_output(self.name, probabilities)
        labels = self.labels or [str(index) for index in range(len(probabilities))]
        count = len(probabilities) if top is None else check_count(self.name, "top", top)
        order = np.argsort(-probabilities, kind="stable")[:count]
        return [(labels[index], float(probabilities[index])) for index in order]

    # ---- parameters ----

    def parameters(self) -> dict[str, np.ndarray]:
        """The trained arrays by "layer.parameter": the live ones, which training changes in place."""
        return {f"{layer.name}.{key}": a for layer in self.layers for key, a in layer.parameters.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Trained arrays and statistics by "layer.name", layer by layer: the live ones."""
        return {key: array for layer in self.layers for key, array in layer.state().items()}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy arrays by name into the model; raises ShapeError for a missing, unknown or wrongly shaped one."""
        fill(self.state(), state)

    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(layer.parameter_count() for layer in self.layers)

    def flops(self, input_shape: Shape | None = None) -> int:
        """Floating-point operations of one sample's forward pass; an open size counts as 1 unless a shape is given."""
        if input_shape is None:
            return self._flops
        total = 0
        for layer in self.layers:
            total += layer.flops(input_shape)
            input_shape = layer.output_shape(input_shape)
        return total

    # ---- files and text ----

    @checked
    def save(self, path: str | os.PathLike, dtype: str = "float32") -> None:
        """Write the model into one .npz file, its values as float32 or float16; an old file is replaced at the end."""
        storage.save(self, path, dtype)

    def summary_rows(self) -> Iterator[tuple[str, str, str]]:
        """(layer, output shape, number of parameters), line by line."""
        for layer, shape in zip(self.layers, self.shapes[1:], strict=True):
            name = f"{layer.name}  {layer.description()}"
            yield name, show_shape(shape), f"{layer.parameter_count():,}"

    @checked
    def summary(self, print_fn: Callable[[str], Any] = echo) -> None:
        """Print the layers with their output shapes and numbers of parameters."""
        for line in self._summary_lines():
            print_fn(line)

    def _summary_lines(self) -> Iterator[str]:
        rows = [("layer", "output", "parameters"), *self.summary_rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for left, shape, count in rows:
            yield f"{left:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}".rstrip()
        yield f"{self.parameter_count():,} parameters, {self.flops():,} operations a sample"


def _part(state: State | None, piece: slice) -> State | None:
    return state and {name: tuple(array[piece] for array in arrays) for name, arrays in state.items()}


def _grouped(names: list[str], sizes: list[int], arrays: Sequence[np.ndarray]) -> State:
    """Arrays in a row as a state: so many for each layer."""
    rest = iter(arrays)
    return {name: tuple(next(rest) for _ in range(size)) for name, size in zip(names, sizes, strict=True)}
