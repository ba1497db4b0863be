"""The public interface: `Sequential`, `Ensemble` and `load`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from . import storage
from .archive import EXPANSION, FREE_BYTES, MODEL
from .checks import check_count, show_shape
from .errors import ModelFileError, TinynetError, UsageError
from .layers import make
from .layers.base import Layer, Shape, State
from .network import BATCH_SIZE, Network, leaves
from .settings import Elsewhere, checked, sealed, unknown_attribute
from .tasks.base import check_task, name_of
from .terminal import echo

FLOAT_BYTES, SMALLEST_FLOAT, SAMPLE_BYTES = 4, 2, 256 << 20
"""Bytes of a number in memory, and in a file of float16; and what one layer of a model from a file may need per sample, unless the
limit for reading the file is more."""
MOST_OPERATIONS, STEP_OPERATIONS = 300 * 10**9, 300_000
"""Operations that a model from a file may need per sample, ten times VGG16's; and the operations that one step of a recurrent
layer counts as, at least."""
MOST_LAYERS = 2_000
"""The most layers a file may have; more would fill memory with zeros before their arrays are found to be missing."""


@sealed
class Sequential(Network):
    """A chain of layers: y = fₙ(… f₂(f₁(x))).

    With an `input_shape`, the shape of one sample without the batch axis, it is a network; without one it is a layer for other
    networks. If the first layer is a `Parallel`, `input_shape` may be a tuple of shapes, one per branch. `seed` decides the initial
    weights (None: zeros). `labels` names the classes, `vocabulary` the characters or words (index = id); `metadata` is stored in the
    file: `metadata["input"]` says how a picture is prepared. Raises ShapeError if one layer's output does not fit the next.

    Layers of a loaded network can be used in a new one, which shares their arrays: transfer learning. Those that are frozen stay as
    they are; here all but the new output layer:

        body = tn.load("digits").layers[:-1]
        for layer in body:
            layer.trainable = False
        letters = tn.Sequential([*body, tn.Dense(26, activation="softmax")], input_shape=(28, 28, 1))
    """

    _FIXED = ("layers", "input_shape")

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
        super().__init__(
            layers, input_shape, seed, name=name, labels=labels, vocabulary=vocabulary, metadata=metadata
        )
        check_characters(self)

    if TYPE_CHECKING:
        from .tasks.characters import generate
        from .tasks.classes import classify
        from .training.fitting import evaluate, fit
    else:
        fit = Elsewhere("tinynet.training.fitting")
        evaluate = Elsewhere("tinynet.training.fitting")
        classify = Elsewhere("tinynet.tasks.classes")
        generate = Elsewhere("tinynet.tasks.characters")

    @checked
    def predict(
        self,
        x: Any,
        batch_size: int = BATCH_SIZE,
        initial_state: State | None = None,
        return_state: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, State]:
        """The outputs (n, …) float32 for samples (n, *input_shape), computed in batches of `batch_size`.

        x is an array, or a tuple of arrays if the network has several inputs. Recurrent layers start from `initial_state`, {layer's
        name: arrays (n, units)}, or zeros. With `return_state`, here or on a layer, returns (outputs, state): pass that state on
        to continue the same sequences.
        """
        self.check_begun()
        batch_size = check_count(self.name, "batch_size", batch_size)
        returned = return_state or self.returns_state
        outputs, state = self.answer(x, batch_size, initial_state, returned)
        return (outputs, state) if returned else outputs

    @checked
    def step(self, x_t: Any, state: State | None = None) -> tuple[np.ndarray, State]:
        """One time step of a stream: the output for x_t, (n, features) or ids (n,), and the state for the next step.

        Without a state, a new sequence begins. The output (n, …) has no time axis. Single steps give the same outputs as the
        whole sequence. On the device cuda the state stays in the GPU's memory; `np.asarray` copies an array of it from there.
        Raises TinynetError for a network that needs the whole sequence at once, ShapeError for a wrong shape.
        """
        return self.advance(x_t, state)

    # ---- files ----

    @checked
    def save(self, path: str | bytes | os.PathLike | BinaryIO, dtype: str = "float32") -> None:
        """Write the model into one .npz file, its values as float32 or float16; an existing file is replaced at the end.

        Raises TinynetError when it cannot be written.
        """
        self.check_begun()
        found = to_config(self)
        storage.check_config(found)
        _check_classes(self)
        storage.save(found, self.state(), path, dtype)

    @checked
    def summary(self, print_fn: Callable[[str], Any] = echo) -> None:
        """Print the layers with their output shapes and numbers of parameters."""
        for line in summary_lines(self):
            print_fn(line)

    def __getattr__(self, name: str) -> Any:
        raise unknown_attribute(type(self), name, dir(type(self)))

    def __repr__(self) -> str:
        return self.description() if self.input_shape is None else "\n".join(summary_lines(self))


class Ensemble:
    """Several networks whose outputs are averaged: y = (f₁(x) + … + fₙ(x)) / n (Hansen & Salamon 1990).

    models: networks, files, or names of shipped models. They must have the same classes in the same order; each prepares a sample in
    its own way, so that `classify` takes networks of different sizes and vocabularies. `predict` and `evaluate` give all the same
    array. Raises UsageError if the classes differ, ModelFileError for a file that cannot be read.
    """

    def __init__(self, models: Sequence[Network | str | os.PathLike]) -> None:
        if isinstance(models, (str, os.PathLike, Network)) or not models:
            raise TinynetError("an ensemble takes a list of models, at least one")
        self.models = [model if isinstance(model, Network) else load(model) for model in models]
        first = self.models[0]
        for model in self.models:
            model.check_begun()
            if found := name_of(first):
                check_task(model, found)
            if (model.labels, model.output_shape) != (first.labels, first.output_shape):
                order = sorted(model.labels or ()) == sorted(first.labels or ()) != []
                differ = "their classes in another order" if order else "different classes"
                raise UsageError(
                    f"the models {first.name} and {model.name} have {differ} and cannot be averaged"
                )
        self.labels = first.labels

    def predict(self, x: Any, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """The mean of the models' outputs (n, …) for a batch of samples, given as to `predict`."""
        batch_size = check_count("the ensemble", "batch_size", batch_size)
        return np.mean([model.answer(x, batch_size)[0] for model in self.models], axis=0)

    def classify(self, given: Any, top: int | None = None) -> list[tuple[str, float]] | list[list]:
        """Classify a sample like `Sequential.classify`, by the mean of the models' probabilities."""
        from .tasks.classes import classify_by

        return classify_by(self.models, given, top)

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """{"loss": …, "accuracy": …} of the mean of the models' probabilities on samples x and labels y."""
        from .tasks.classes import measure

        return measure(self.models, [x] * len(self.models), y)

    def __repr__(self) -> str:
        return f"Ensemble({', '.join(model.name for model in self.models)})"


def summary_lines(model: Network) -> Iterator[str]:
    """The table of a network's layers, including nested ones."""
    rows = [("layer", "output", "parameters"), *_summary_rows(model, model.input_shape, "")]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for left, shape, count in rows:
        yield f"{left:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}".rstrip()
    frozen = model.parameter_count() - sum(array.size for array in model.trained().values())
    counted = f"{model.parameter_count():,} parameters" + (f", {frozen:,} of them frozen" if frozen else "")
    yield f"{counted}, {model.flops():,} operations per sample"


def _summary_rows(layer: Layer, input_shape: Any, indent: str) -> Iterator[tuple[str, str, str]]:
    """(layer, output shape, number of parameters), line by line."""
    for name, inner, shape in layer.inside(input_shape):
        described = inner.type_name() if inner.inside(shape) else inner.description()
        frozen = "" if inner.trainable else "  (frozen)"
        output, count = show_shape(inner.compute_output_shape(shape)), f"{inner.parameter_count():,}"
        yield f"{indent}{name}  {described}{frozen}", output, count
        yield from _summary_rows(inner, shape, indent + "  ")


# ---- the file ----


def to_config(model: Sequential) -> dict[str, Any]:
    """Everything about a model except its arrays, ready for JSON."""
    layers = [layer.config() for layer in model.layers]
    return {
        "format": MODEL,
        "version": 2 if is_nested(model) else 1,
        "name": model.name,
        "input_shape": [list(s) if isinstance(s, tuple) else s for s in model.input_shape],
        "layers": layers,
        "labels": model.labels,
        "vocabulary": model.vocabulary,
        "metadata": model.metadata,
    }


def is_nested(model: Network) -> bool:
    """Whether it needs version 2 of the file: it has nested or frozen layers."""
    return any(hasattr(layer, "layers") or not layer.trainable for _, layer in model.walk())


def load(source: str | bytes | os.PathLike | BinaryIO) -> Sequential:
    """Read a model from a file, given by its path, the name of a shipped model, or an open binary file.

    Reading takes at most 64 MiB plus 20 times the file's size. Raises ModelFileError, naming the file and the entry, for
    anything that does not fit: no such file, not an .npz, truncated, an unknown version, layer or setting, a missing, extra,
    oversized, pickled or wrongly shaped array.
    """
    with storage.reading(source) as file:
        model = _from_config(file)
        file.fill(model.state())
    return model


def _from_config(file: storage.ModelFile) -> Sequential:
    """The network that a file describes, its arrays zeros; raises ModelFileError."""
    found = file.config
    settings = {key: found[key] for key in ("input_shape", "name", "labels", "vocabulary", "metadata")}
    try:
        _check_layers(found["layers"])
        model = Sequential([make(entry) for entry in found["layers"]], seed=None, **settings)
        _check_classes(model)
        check_sample(model, file.allowance)
    except (ValueError, MemoryError, OverflowError) as error:
        raise ModelFileError(f"{file.name}: {error}") from error
    return model


def check_readable(model: Network) -> None:
    """Raise TinynetError, before training rather than after it, for a network that is too large to be read from its file."""
    _check_layers([layer.config() for layer in model.layers])
    check_sample(model, FREE_BYTES + EXPANSION * SMALLEST_FLOAT * model.parameter_count())


def _check_layers(entries: Any) -> None:
    if (count := count_layers(entries)) > MOST_LAYERS:
        raise TinynetError(f"its {count:,} layers are more than {MOST_LAYERS:,}")


def check_sample(model: Network, allowance: int) -> None:
    """Raise TinynetError if one sample would need more memory or time than is allowed."""
    most = max(SAMPLE_BYTES, allowance)
    state = sum(math.prod(array.shape[1:]) for array in leaves(model.state_like))
    for values, place in ((model.size(model.input_shape), "in a layer"), (state, "between two steps")):
        if (needed := FLOAT_BYTES * values) > most:
            raise TinynetError(f"one sample would take {needed:,} bytes {place}, more than {most:,}")
    operations = model.flops() + STEP_OPERATIONS * count_steps(model, model.input_shape)
    if operations > MOST_OPERATIONS:
        raise TinynetError(f"one sample would take {operations:,} operations, more than {MOST_OPERATIONS:,}")


def count_steps(layer: Layer, input_shape: Any) -> int:
    """Steps of all recurrent layers, including nested ones, per sample."""
    steps = 0
    for _, inner, shape in layer.inside(input_shape):
        own = inner.zero_state(0) and not inner.inside(shape)
        steps += (shape[0] or 1) if own else count_steps(inner, shape)
    return steps


def count_layers(entries: Any) -> int:
    """The number of layers in a config, including nested ones."""
    if isinstance(entries, dict):
        return sum(count_layers(entries.get(key, ())) for key in ("layers", "layer")) + 1
    return sum(map(count_layers, entries)) if isinstance(entries, list) else 0


def _check_classes(model: Sequential) -> None:
    """Raise TinynetError unless there are as many labels as outputs."""
    if model.labels is not None and model.output_shape[-1:] != (len(model.labels),):
        shape = show_shape(model.output_shape)
        raise TinynetError(f"{len(model.labels)} classes are named, but the output has the shape {shape}")


def check_characters(model: Network) -> None:
    """Raise TinynetError, before training rather than after it, if name, labels or vocabulary have an invalid character."""
    vocabulary = model.vocabulary if isinstance(model.vocabulary, (str, list, tuple)) else ()
    for text in (model.name, *(model.labels or ()), "".join(map(str, vocabulary))):
        try:
            str(text).encode()
        except UnicodeEncodeError:
            raise TinynetError(
                f"{text!r} contains an invalid character, which a model file cannot hold; rename it"
            ) from None
