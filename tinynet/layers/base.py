"""The base class of layers: settings, parameters, a forward and a backward pass, and possibly layers inside.

A network is a tree of layers. Parameters, statistics, names, states and settings of a whole network come from one walk over
`children`. No layer keeps activations, and none knows its name: names belong to the network that holds the layer.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import re
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np

from ..checks import Shape, check_choice, show_shape
from ..errors import ShapeError, TinynetError
from .arrays import Below, HasArrays

Gradients = dict[str, np.ndarray]
State = dict[str, Any] | tuple[np.ndarray, ...]
"""What a layer passes from one time step to the next: for a recurrent layer its arrays (n, units), for a layer with others
inside a dict of their states by name."""

DEEPEST = 30
"""How deep layers may be nested."""
ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "silu", "gelu", "sigmoid", "tanh", "softmax")


class Context(NamedTuple):
    """What a pass through a network needs besides the arrays."""

    kernels: ModuleType
    """The back end."""
    training: bool = False
    """True if dropout is active and batch normalisation uses the batch."""
    seed: int = 0
    """The source of everything random in this pass."""
    gradients: bool = True
    """False if `backward` will not be called: forward need not save anything for it."""
    input_gradient: bool = True
    """False if the gradient at the layer's input is not needed: backward may return None for it."""
    mask: np.ndarray | None = None
    """Which time steps of the input are real, (n, t) bool; None: all. A recurrent layer skips the others."""
    state: Any = None
    """The layer's initial `State`; None: zeros."""

    def of_child(self, index: int) -> Context:
        """The context of the layer at this index inside another, with its own seed. Its parent sets mask and state."""
        return self._replace(seed=(self.seed * 1_000_003 + index) % 2**32, mask=None, state=None)


class Layer(HasArrays):
    """A function with parameters.

    Subclasses are dataclasses whose fields are their settings. `parameters` are trained, `statistics` are saved with them but not
    trained; a layer with others inside has those of all of them. A layer never touches the contents of an array: each step
    is a kernel of the back end.
    """

    parameters: MutableMapping[str, np.ndarray]
    statistics: MutableMapping[str, np.ndarray]

    takes_ids = False
    """True for a layer that takes ids instead of numbers; it can only be a network's first layer."""
    streamable = False
    """True if a step of the output depends only on the same step of the input and the state that earlier steps left:
    the mask of the input is the mask of the output, and a sequence may come in pieces."""

    def __post_init__(self) -> None:
        self._trainable = True
        self.check()
        inside = self.children()
        self._depth = 1 + max((child._depth for child in inside.values()), default=0)
        if self._depth > DEEPEST:
            raise TinynetError(f"{self.kind}: layers are nested more than {DEEPEST} deep")
        self.parameters = Below(self, "parameters") if inside else {}
        self.statistics = Below(self, "statistics") if inside else {}

    @property
    def kind(self) -> str:
        """The layer's name in messages while it has no place in a network: dense."""
        return snake_case(self.type_name())

    @classmethod
    def type_name(cls) -> str:
        """Its type in model files."""
        return cls.__name__

    @property
    def owner(self) -> str:
        return self.kind

    def check(self) -> None:
        """Check the settings and convert them to their canonical form; raises TinynetError."""

    # ---- the tree ----

    def children(self) -> dict[str, Layer]:
        """The layers inside, by name."""
        return {}

    def array_name(self, child: str, key: str) -> str:
        """The name here of an array of a layer inside."""
        return under(child, key)

    def inside(self, input_shape: Shape) -> list[tuple[str, Layer, Shape]]:
        """The layers of a container, by name, each with the shape of its input sample."""
        return []

    def walk(self) -> Iterator[tuple[str, Layer]]:
        """All layers inside, each with its path: parallel_1/sequential_2/conv2d_1."""
        for name, child in self.children().items():
            yield name, child
            yield from ((f"{name}/{path}", layer) for path, layer in child.walk())

    def state(self) -> dict[str, np.ndarray]:
        """Parameters and statistics by name, layer by layer: the live ones."""
        if children := self.children():
            return {self.array_name(n, key): a for n, c in children.items() for key, a in c.state().items()}
        return {**self.parameters, **self.statistics}

    def trained(self) -> dict[str, np.ndarray]:
        """The parameters that training changes: those that are not frozen."""
        if children := self.children():
            return {self.array_name(n, key): a for n, c in children.items() for key, a in c.trained().items()}
        return dict(self.parameters) if self.trainable else {}

    @property
    def learns(self) -> bool:
        """Whether training changes this layer or one inside it."""
        if children := self.children():
            return any(child.learns for child in children.values())
        return self.trainable and bool(self.parameters)

    @property
    def trainable(self) -> bool:
        """Whether training changes its parameters. Set it to False to freeze them, and those of all layers inside.

        Frozen batch normalisation uses its moving averages in training too, as in Keras.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        """Freeze or unfreeze this layer and all layers inside."""
        self._trainable = bool(value)
        for child in self.children().values():
            child.trainable = value

    @property
    def last(self) -> Layer | None:
        """The layer inside whose output is also this layer's output, if there is one."""
        return None

    def with_last(self, layer: Layer) -> Layer:
        """A copy that shares the arrays, with another layer in place of `last`."""
        raise NotImplementedError

    # ---- shapes and arrays ----

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output, without the batch axis; raises ShapeError for an input that does not fit."""
        return input_shape

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        """Create the parameters for an input shape without the batch axis; without a generator, zeros."""

    def create(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        """Create the parameters, or keep those that the layer has from another network; raises ShapeError if they do not fit."""
        if self.children() or not self.state():
            try:
                return self.build(input_shape, rng)
            except (MemoryError, OverflowError, ValueError) as error:
                if isinstance(error, TinynetError):
                    raise
                problem = "has more parameters than fit into memory; make it smaller"
                raise TinynetError(f"{self.kind} {problem}") from None
        needed = copy.copy(self)
        needed.parameters, needed.statistics = {}, {}
        needed.build(input_shape, None)
        for key, array in self.state().items():
            if array.shape != needed.state()[key].shape:
                raise ShapeError(
                    f"{self.kind} already belongs to a network, where its {key} has the shape {array.shape}; here it would "
                    f"need {needed.state()[key].shape}: make a new layer"
                )

    def flops(self, input_shape: Shape) -> int:
        """Floating-point operations of one sample's forward pass (a multiply-add is two)."""
        return 0

    def size(self, input_shape: Shape) -> int:
        """The most numbers that one sample's forward pass holds at once, besides input and output."""
        return 0

    # ---- passes ----

    def take(self, x: Any) -> Any:
        """Samples in the form that a network's first layer needs: C-contiguous float32."""
        return np.ascontiguousarray(x, np.float32)

    def forward(self, x: Any, context: Context) -> tuple[np.ndarray, Any]:
        """The output, and whatever `backward` needs."""
        raise NotImplementedError

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[Any, Gradients]:
        """The gradient at the input, and one per parameter, from the gradient at the output."""
        raise NotImplementedError

    def output_mask(self, x: Any, saved: Any, context: Context) -> np.ndarray | None:
        """Which time steps of the output for x are real, (n, t); None: all."""
        return context.mask if self.streamable else None

    def zero_state(self, n: int) -> State:
        """The initial state of n sequences; empty for a layer without state."""
        return ()

    def final_state(self, saved: Any) -> State:
        """The state after the last step of a forward pass that began with a state, from what the pass saved."""
        return ()

    # ---- settings ----

    def settings(self) -> dict[str, Any]:
        """The settings that differ from their defaults."""
        fields = {field.name: field.default for field in dataclasses.fields(cast(Any, self))}
        values = {name: getattr(self, name) for name in fields}
        return {name: value for name, value in values.items() if value != fields[name]}

    def config(self) -> dict[str, Any]:
        """The layer's type and settings, as model files hold them."""
        frozen = {} if self.trainable else {"trainable": False}
        return {"type": self.type_name(), **{k: _config(v) for k, v in self.settings().items()}, **frozen}

    def description(self) -> str:
        """Type and settings, for people to read."""
        shown = (f"{key}={_described(value)}" for key, value in self.settings().items())
        return f"{self.type_name()}({', '.join(shown)})"

    def parameter_count(self) -> int:
        """Number of parameters, counted by value."""
        return sum(value.size for value in self.parameters.values())

    def wrong_shape(self, expected: str, got: Shape) -> ShapeError:
        """The error for an input of the wrong shape."""
        return ShapeError(f"{self.kind} takes an input of shape {expected}, but is given {show_shape(got)}")


def _config(value: Any) -> Any:
    if isinstance(value, Layer):
        return value.config()
    return [_config(item) for item in value] if isinstance(value, list) else value


def _described(value: Any) -> str:
    if isinstance(value, Layer):
        return value.description()
    return f"[{', '.join(map(_described, value))}]" if isinstance(value, list) else str(value)


def under(name: str, key: str) -> str:
    """An array's full name: dense_1.kernel, residual_1/dense_1.kernel."""
    return f"{name}{'/' if '.' in key else '.'}{key}"


@contextmanager
def placed(name: str, layer: Layer) -> Iterator[None]:
    """Make a layer's errors name its place in the network: dense_1 takes …, sequential_1/dense_2 takes …"""
    try:
        yield
    except TinynetError as error:
        text = str(error)
        own = text.startswith(f"{layer.kind} ") or text.startswith(f"{layer.kind}:")
        raise type(error)(name + text[len(layer.kind) :] if own else f"{name}/{text}") from None


def snake_case(name: str) -> str:
    """MaxPool2D → max_pool2d."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def check_activation(owner: str, value: str | None) -> str:
    """The name of an activation; None is linear."""
    return check_choice(owner, "activation", "linear" if value is None else value, ACTIVATIONS)


def as_rows(x: np.ndarray) -> np.ndarray:
    """All steps of all sequences as rows: (n, t, d) → (n·t, d)."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def values(shape: Shape) -> int:
    """How many numbers a sample of this shape, or of these shapes, has; an open size counts as 1."""
    if shape and isinstance(shape[0], tuple):
        return sum(map(values, shape))
    return math.prod(size or 1 for size in shape)


def activated(
    context: Context, kernel: Any, name: str, *arguments: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """Call a kernel that can fuse an activation. Returns the output and, if the activation was not fused, its input."""
    k = context.kernels
    if name in k.FUSED:
        return kernel(*arguments, name), None
    z = kernel(*arguments, "linear")
    return k.activation(z, name), z


def activation_gradient(
    context: Context, dy: np.ndarray, y: np.ndarray, z: np.ndarray | None, name: str
) -> np.ndarray:
    """The gradient at the input of a layer's activation."""
    return dy if name == "linear" else context.kernels.activation_gradient(dy, y, name, z)
