"""Sequential: a chain of layers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import kernels, storage
from .errors import ShapeError, TinynetError
from .layers.base import Layer, Run, Shape, check_count, check_shape, show_shape, snake_case
from .layers.conv import Convolution
from .layers.pooling import ConvolutionAndMaxPool, Pooling

if TYPE_CHECKING:
    from .training import History

BATCH_SIZE = 256
FEW_SAMPLES, CALLS_BEFORE_RECORDING, MOST_RECORDINGS = 16, 3, 16
"""Up to so many samples, Python may take longer than kernels: inputs of a shape that comes again are worth a recording."""


class Sequential:
    """A chain of layers: y = fₙ(… f₂(f₁(x))).

    input_shape is the shape of one sample, without the batch axis. `seed` decides the starting weights (None: zeros).
    `labels` names the classes, `vocabulary` the characters or words (index = id); `metadata` travels with the file:
    `metadata["input"]` says how a picture is prepared. Raises ShapeError where one layer's output does not fit the next.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        input_shape: Shape,
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
        self._name_layers()
        self._build(seed)

    def _name_layers(self) -> None:
        counts: Counter[str] = Counter()
        seen: set[int] = set()
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise TinynetError(f"a Sequential is made of layers, not of {layer!r}")
            if layer.parameters or id(layer) in seen:
                raise TinynetError(f"{layer.name} is used twice; make a new layer for each place")
            seen.add(id(layer))
            kind = snake_case(type(layer).__name__)
            counts[kind] += 1
            layer.name = f"{kind}_{counts[kind]}"

    def _build(self, seed: int | None) -> None:
        """Create the parameters, and join convolutions with the pooling behind them."""
        rng = None if seed is None else np.random.default_rng(seed)
        self.shapes: list[Shape] = [self.input_shape]
        for layer in self.layers:
            self.shapes.append(layer.output_shape(self.shapes[-1]))
        # Only when all fits: a layer that has parameters belongs to a network.
        for layer, shape in zip(self.layers, self.shapes, strict=False):
            layer.build(shape, rng)
        self._steps = self._join(self.layers)
        self._groups = [
            group for layer in self.layers for group in (layer.parameters, layer.statistics) if group
        ]
        self._recordings: dict[tuple, Any] = {}
        self._flops = sum(layer.flops(shape) for layer, shape in zip(self.layers, self.shapes, strict=False))

    def _join(self, layers: Sequence[Layer]) -> list[tuple[int, Layer | ConvolutionAndMaxPool]]:
        """The steps of a pass, each with the index of its layer: a convolution and the max-pooling behind it are one."""
        steps: list[tuple[int, Layer | ConvolutionAndMaxPool]] = []
        joined = False
        for index, layer in enumerate(layers):
            follower = layers[index + 1] if index + 1 < len(layers) else None
            if isinstance(layer, Convolution) and isinstance(follower, Pooling):
                layer.trimmed = follower.spatial_size_read(self.shapes[index + 1])
            if joined:
                joined = False
            elif joined := follower is not None and ConvolutionAndMaxPool.fits(layer, follower):
                steps.append((index, ConvolutionAndMaxPool(layer, follower)))
            else:
                steps.append((index, layer))
        return steps

    @property
    def output_shape(self) -> Shape:
        """Shape of one sample's output."""
        return self.shapes[-1]

    # ---- passes ----

    def _runs(self, run: Run) -> list[Run]:
        """What each step is told: a seed of its own; only the last leaves out its activation."""
        trained = (index for index, layer in enumerate(self.layers) if layer.parameters)
        first = next(trained, len(self.layers))
        last = len(self.layers) - 1
        return [
            run._replace(
                seed=(run.seed * 1_000_003 + index) % 2**32,
                logits=run.logits and index == last and self.logits_activation is not None,
                input_gradient=index > first,
            )
            for index, _ in self._steps
        ]

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, list[Any]]:
        """The output for a prepared batch, and what `backward` needs."""
        saved = []
        for (_, step), step_run in zip(self._steps, self._runs(run), strict=True):
            x, kept = step.forward(x, step_run)
            saved.append((kept, step_run))
        return x, saved

    def backward(self, dy: np.ndarray, saved: list[Any]) -> dict[str, np.ndarray]:
        """Gradients by "layer.parameter", from the gradient at the output (with run.logits: at the logits)."""
        gradients = {}
        for (_, step), (kept, step_run) in zip(reversed(self._steps), reversed(saved), strict=True):
            if dy is None or not (step.parameters or step_run.input_gradient):
                break
            dy, own = step.backward(dy, kept, step_run)
            gradients.update({f"{step.name}.{key}": value for key, value in own.items()})
        return gradients

    @property
    def logits_activation(self) -> str | None:
        """The activation that ends the network and that a fused loss takes over: "softmax", "sigmoid" or None."""
        name = getattr(self.layers[-1], "activation", None) if self.layers else None
        return name if name in ("softmax", "sigmoid") else None

    # ---- use ----

    def check_input(self, x: Any) -> np.ndarray:
        """x as a C-contiguous float32 batch; uint8 pictures are scaled to 0…1. Raises ShapeError."""
        usual = type(x) is np.ndarray and x.dtype == np.float32 and x.flags.c_contiguous and x.ndim
        if usual and x.shape[1:] == self.input_shape:
            return x
        try:
            x = np.asarray(x)
        except ValueError:
            raise ShapeError(
                f"{self.name} takes one array of samples, but the samples given differ in shape"
            ) from None
        if x.dtype == np.uint8:
            x = x.astype(np.float32) / np.float32(255)
        if x.dtype.kind not in "fiub":
            raise TinynetError(f"{self.name} takes an array of numbers, not of {x.dtype}")
        expected = self.input_shape
        if expected[-1:] == (1,) and x.ndim == len(expected) and x.shape[1:] == expected[:-1]:
            x = x[..., None]
        fits = x.ndim == len(expected) + 1 and all(
            want in (None, size) for want, size in zip(expected, x.shape[1:], strict=True)
        )
        if not fits:
            hint = f"; one sample alone needs a batch axis: x[None], {show_shape((1, *x.shape))}"
            name = self.layers[0].name if self.layers else self.name
            raise ShapeError(
                f"{name} takes a batch of shape {show_shape((None, *expected))}, but is given {show_shape(x.shape)}"
                + (hint if len(x.shape) == len(expected) else "")
            )
        return np.ascontiguousarray(x, np.float32)

    def predict(self, x: Any, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """The outputs (n, …) float32 for a batch of samples (n, *input_shape), in pieces of `batch_size`."""
        x, batch_size = self.check_input(x), check_count(self.name, "batch_size", batch_size)
        run = Run(kernels.backend(self.flops() * len(x)))
        # No sample at all is one empty piece: only the layers know the output's shape where a size is open.
        starts = range(0, len(x) or 1, batch_size)
        outputs = [self._infer(x[start : start + batch_size], run) for start in starts]
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def _infer(self, x: np.ndarray, run: Run) -> np.ndarray:
        """The output alone: nothing is kept for a backward pass."""
        if len(x) <= FEW_SAMPLES and (recording := self._recording(x, run)):
            y = recording(x)
            if y is not None:
                return y
        return self._call_steps(x, run)

    def _call_steps(self, x: np.ndarray, run: Run) -> np.ndarray:
        for _, step in self._steps:
            x = step.infer(x, run)
        return x

    def _recording(self, x: np.ndarray, run: Run) -> Callable[[np.ndarray], np.ndarray | None] | None:
        """The kernels for such an input as one, once it has come CALLS_BEFORE_RECORDING times."""
        key = (run.kernels, x.shape, *[id(array) for group in self._groups for array in group.values()])
        found = self._recordings.get(key, 0)
        if isinstance(found, int):
            if len(self._recordings) > MOST_RECORDINGS:
                self._recordings.clear()
            ready = found == CALLS_BEFORE_RECORDING
            found = run.kernels.record(lambda v: self._call_steps(v, run), x) if ready else found + 1
            self._recordings[key] = found
        return found if callable(found) else None

    def __getstate__(self) -> dict[str, Any]:
        """What is copied and pickled: all but recordings, which belong to this process and these arrays."""
        return {**self.__dict__, "_recordings": {}}

    def fit(self, x: Any, y: Any, **settings: Any) -> History:
        """Train on samples and targets; the settings are those of `tinynet.training.fit`."""
        from .training import fit

        return fit(self, x, y, **settings)

    def evaluate(self, x: Any, y: Any, **settings: Any) -> dict[str, float]:
        """Loss and metrics on samples and targets: {"loss": …, "accuracy": …}; settings as `tinynet.training.evaluate`."""
        from .training import evaluate

        return evaluate(self, x, y, **settings)

    def classify(self, picture: Any, top: int | None = None) -> list[tuple[str, float]]:
        """Read and prepare a picture (a path or an open file) as the model's file says, and name it.

        Returns (label, probability), the most probable first; an empty list where there is nothing to be read.
        Raises ImageError for a picture that cannot be read, TinynetError for a model that takes no pictures.
        """
        from .data.images import prepare, read_image

        if "input" not in self.metadata or len(self.input_shape) != 3 or len(self.output_shape) != 1:
            raise TinynetError(
                f"{self.name} does not say how a picture becomes its input; "
                """set net.metadata["input"], for example to {"kind": "image"}"""
            )
        prepared = prepare(read_image(picture), self.metadata["input"], self.input_shape)
        return self.rank(self.predict(prepared[None])[0], top) if prepared is not None else []

    def rank(self, probabilities: np.ndarray, top: int | None = None) -> list[tuple[str, float]]:
        """The classes of one output, the most probable first."""
        labels = self.labels or [str(index) for index in range(len(probabilities))]
        count = len(probabilities) if top is None else check_count(self.name, "top", top)
        order = np.argsort(-probabilities, kind="stable")[:count]
        return [(labels[index], float(probabilities[index])) for index in order]

    # ---- parameters ----

    def parameters(self) -> dict[str, np.ndarray]:
        """The trained arrays by "layer.parameter": the live ones, which training changes in place."""
        return {f"{layer.name}.{key}": a for layer in self.layers for key, a in layer.parameters.items()}

    def state(self) -> dict[str, np.ndarray]:
        """The trained arrays and the statistics that are saved with them."""
        state = self.parameters()
        state.update(
            {f"{layer.name}.{key}": a for layer in self.layers for key, a in layer.statistics.items()}
        )
        return state

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Copy arrays by name into the model; raises ShapeError for a missing, unknown or wrongly shaped one."""
        own = self.state()
        for key in {**own, **state}:
            if key not in state:
                raise ShapeError(f"the array {key} is missing")
            if key not in own:
                raise ShapeError(f"the array {key} belongs to no layer of this model")
            if own[key].shape != np.shape(state[key]):
                expected, got = show_shape(own[key].shape), show_shape(np.shape(state[key]))
                raise ShapeError(
                    f"{key} has the shape {expected} in this model, but the array given has {got}"
                )
        for key, value in state.items():
            own[key][...] = value

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all arrays, layer by layer."""
        return [value.copy() for value in self.state().values()]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Take arrays in the order of `get_weights`."""
        names = list(self.state())
        if len(weights) != len(names):
            raise ShapeError(f"{self.name} has {len(names)} arrays, but {len(weights)} are given")
        self.set_state(dict(zip(names, map(np.asarray, weights), strict=True)))

    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(layer.parameter_count() for layer in self.layers)

    def flops(self) -> int:
        """Floating-point operations of one sample's forward pass."""
        return self._flops

    # ---- files and text ----

    def save(self, path: str | os.PathLike, dtype: str = "float32") -> None:
        """Write the model into one .npz file, its values as float32 or float16; an old file is replaced at the end."""
        storage.save(self, path, dtype)

    def summary_rows(self) -> Iterator[tuple[str, str, str]]:
        """(layer, output shape, number of parameters), line by line."""
        for layer, shape in zip(self.layers, self.shapes[1:], strict=True):
            settings = ", ".join(f"{key}={value}" for key, value in layer.settings().items())
            yield (
                f"{layer.name}  {type(layer).__name__}({settings})",
                show_shape(shape),
                f"{layer.parameter_count():,}",
            )

    def summary(self, print_fn: Callable[[str], Any] = print) -> None:
        """Print the layers with their output shapes and numbers of parameters."""
        rows = [("layer", "output", "parameters"), *self.summary_rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for left, shape, count in rows:
            print_fn(f"{left:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}".rstrip())
        print_fn(f"{self.parameter_count():,} parameters, {self.flops():,} operations a sample")
