"""Transfer learning: a network begins with the layers of a trained one, its base, and a new output layer for the new classes.

What the first layers of a network have learnt, edges and strokes, words, sounds, is of use for other classes too, most of all where
there are few samples (Yosinski, Clune, Bengio & Lipson 2014). Layers that are frozen stay as they are; the others are fine-tuned,
at a smaller learning rate, so that what they know is not lost before the new output layer has learnt to use it.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import Shape, show_shape
from ..errors import Setting, TinynetError, UsageError, did_you_mean
from ..layers import Activation, Dense, Embedding, Layer
from ..layers.containers import Chain
from ..sequential import Sequential, load
from ..tasks.base import check_task
from ..terminal import table

FINE_TUNING = 0.5
"""The learning rate with which base layers are trained, in parts of the one that suits a new network."""


@dataclass(frozen=True)
class Base:
    """A trained network that a new one begins with. name: as the user gave it; layers: those that are used, by name; frozen: how many
    of them, from the input, stay as they are.
    """

    name: str
    model: Sequential
    layers: dict[str, Layer]
    frozen: int

    @property
    def architecture(self) -> str:
        """What its layers are, as the table of architectures calls that: cnn-gru."""
        kinds = {layer.kind for _, layer in self.model.walk()}
        cells = [cell for cell in ("rnn", "lstm", "gru") if cell in kinds]
        if "multi_head_attention" in kinds and not cells:
            return "transformer"
        if not any("conv" in kind for kind in kinds):
            return "-".join(cells)
        blocks = {  # the first that occurs names it
            "separable_conv2d": "cnn",
            "depthwise_conv2d": "mobilenet",
            "residual": "resnet",
            "parallel": "inception",
        }
        named = next((name for kind, name in blocks.items() if kind in kinds and not cells), "cnn")
        return "-".join([named, *cells])

    @property
    def rate(self) -> float:
        """By what to multiply the learning rate that suits a new network."""
        return FINE_TUNING if any(layer.learns for layer in self.layers.values()) else 1.0

    def network(self, labels: Sequence[str], input_shape: Shape, **identity: Any) -> Sequential:
        """The layers of the base, then a new output layer; raises TinynetError unless they take samples of this shape."""
        if tuple(input_shape) != self.model.input_shape:
            raise TinynetError(
                f"{self.name} takes samples of {show_shape(self.model.input_shape)}, but these are {show_shape(input_shape)}: "
                "choose another ",
                Setting("base"),
            )
        layers = [*self.layers.values(), Dense(len(labels), activation="softmax")]
        return Sequential(layers, input_shape, labels=labels, **identity)

    def embedding(self, rows: int, start: Callable[[np.ndarray], np.ndarray]) -> Embedding:
        """The base's embedding with rows for more ids, which begin as `start` makes them of its own rows."""
        (old,) = [layer for layer in self.layers.values() if isinstance(layer, Embedding)]
        if rows == old.input_dim:
            return old
        known = old.parameters["embeddings"]
        grown = dataclasses.replace(old, input_dim=rows)
        grown.parameters["embeddings"] = np.concatenate(
            [known, np.tile(start(known), (rows - len(known), 1))]
        )
        grown.trainable = old.trainable
        return grown

    def record(self) -> dict[str, Any]:
        """What the training record says of it, and what a training must have in common to be resumed."""
        digest = hashlib.blake2b(digest_size=8)
        for array in self.model.state().values():
            digest.update(np.ascontiguousarray(array).data)
        return {"base": self.name, "freeze": self.frozen, "base weights": digest.hexdigest()}

    def lines(self, output: str) -> list[str]:
        """Which layers are its own, and which of them are frozen, as a table; output: what the output layer is."""
        cells = [("", "layer", "parameters", "")]
        for number, (name, layer) in enumerate(self.layers.items(), 1):
            how = "frozen" if number <= self.frozen else "fine-tuned"
            said = f"from {self.name}, {how}" if layer.parameters else f"from {self.name}"
            cells.append((str(number), name, f"{layer.parameter_count():,}", said))
        return [*table([*cells, (str(len(cells)), "output", "", output)], left=(1, 3))]


def begin(name: str, freeze: str | int | None, task: str, body: Callable[[Sequential], Chain]) -> Base:
    """The base of that name, for a network for this task. freeze: how many of its layers, or the last of them, stay as they are.

    body: the chain in the network whose layers are used: those before its last dense layer. Raises ModelFileError for a file that
    cannot be read, TinynetError for a model that is for another task or has no such layers, UsageError for layers that it lacks.
    """
    model = load(name)
    own, model.name = model.name, name
    check_task(model, task)
    model.name = own
    chain = body(model)
    layers = list(chain.children().items())
    last = max((i for i, (_, layer) in enumerate(layers) if isinstance(layer, Dense)), default=-1)
    below = dict(layers[: max(last, 0)])
    if not any(layer.parameters for layer in below.values()) or any(
        not isinstance(layer, Activation) for _, layer in layers[last + 1 :]
    ):
        raise TinynetError(
            f"{name} cannot be a base: its layers do not end in a dense one, which new classes could replace, after others that "
            "have learnt something; choose another ",
            Setting("base"),
        )
    frozen = _frozen(name, freeze, list(below))
    for number, layer in enumerate(below.values()):
        layer.trainable = number >= frozen
    return Base(name, model, below, frozen)


def _frozen(base: str, freeze: str | int | None, names: list[str]) -> int:
    """How many layers are frozen; raises UsageError for a number or name that is not among them."""
    asked = "0" if freeze is None else str(freeze)
    if asked in names:
        return names.index(asked) + 1
    if asked.isdecimal() and int(asked) <= len(names):
        return int(asked)
    if asked.isdecimal():
        problem = f" {asked} is too many: {base} gives {len(names)} layers, the output layer is new"
    else:
        close = did_you_mean(asked, names)
        problem = f" {asked} is not a layer that {base} gives{'; ' * bool(close)}{close}"
    listed = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))
    advice = " Give" if problem.endswith("?") else "; give"
    raise UsageError(Setting("freeze"), f"{problem}{advice} a number or a name: {listed}")
