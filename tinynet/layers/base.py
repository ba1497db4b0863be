"""What every layer has: settings, parameters, a forward and a backward pass. No layer keeps activations."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import MutableMapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..checks import check_choice, check_seed, show_shape
from ..errors import ShapeError, TinynetError
from .arrays import HasArrays

Shape = tuple[int | None, ...]
Gradients = dict[str, np.ndarray]
State = dict[str, tuple[np.ndarray, ...]]
"""Of a network: for each recurrent layer, by name, the arrays (n, units) that it hands from one time step to the next."""

ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "silu", "gelu", "sigmoid", "tanh", "softmax")


class Run(NamedTuple):
    """What a pass through a network needs to know besides the arrays."""

    kernels: ModuleType
    """The back end."""
    training: bool = False
    """True where dropout drops and batch normalisation uses the batch."""
    seed: int = 0
    """Everything random in this pass follows from it."""
    logits: bool = False
    """True where the softmax or sigmoid of the last layer is left to the loss."""
    input_gradient: bool = True
    """False where nobody asks for the gradient at a layer's input: backward may return None for it."""
    mask: np.ndarray | None = None
    """Which time steps of the input are real, (n, t) bool; None: all. A recurrent layer passes over the others."""
    state: Any = None
    """What recurrent layers start from instead of zeros: for a network a `State`, for a layer its own entry."""


class Layer(HasArrays):
    """A function with parameters.

    Subclasses are dataclasses whose fields are their settings. `parameters` are trained, `statistics` are saved
    with them but not trained. A layer never touches the contents of an array: each step is a kernel of the back end.
    """

    parameters: MutableMapping[str, np.ndarray]
    statistics: MutableMapping[str, np.ndarray]

    takes_ids = False
    """True for a layer whose input is not numbers but ids, which only a network's first layer can be."""
    kernels_only = False
    """True where `infer` leaves all work on arrays to kernels that the back ends wrote themselves, so that its calls can be recorded."""
    timewise = False
    """True where a step of the output depends on that step of a sequence alone, and on the state that steps before it left:
    the mask of the input is the mask of the output, and a sequence may come in pieces."""
    state_sizes: tuple[int, ...] = ()
    """Units of each array of the state that is handed from step to step."""

    def __post_init__(self) -> None:
        self._name = snake_case(type(self).__name__)
        self.parameters = {}
        self.statistics = {}
        self.check()

    @property
    def name(self) -> str:
        """Its kind, and its number among those of its kind in the network: dense_1."""
        return self._name

    def check(self) -> None:
        """Check the settings and bring them to their canonical form; raises TinynetError."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output, without the batch axis; raises ShapeError for an input that does not fit."""
        return input_shape

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> None:
        """Create the parameters for an input shape without the batch axis; without a generator, zeros."""

    def flops(self, input_shape: Shape) -> int:
        """Floating-point operations of one sample's forward pass (a multiply-add is two)."""
        return 0

    def size(self, input_shape: Shape) -> int:
        """Numbers that one sample's forward pass holds at once, where that is more than input and output: what lies between."""
        return 0

    def forward(self, x: np.ndarray, run: Run) -> tuple[np.ndarray, Any]:
        """The output, and whatever `backward` needs."""
        raise NotImplementedError

    def infer(self, x: np.ndarray, run: Run) -> np.ndarray:
        """The output alone, where nobody will ask for gradients."""
        return self.forward(x, run)[0]

    def backward(self, dy: np.ndarray, saved: Any, run: Run) -> tuple[np.ndarray | None, Gradients]:
        """From the gradient at the output: the gradient at the input, and one for each parameter."""
        raise NotImplementedError

    def named(self, gradients: Gradients) -> Gradients:
        """Gradients by "layer.parameter"."""
        return {f"{self.name}.{key}": value for key, value in gradients.items()}

    def output_mask(self, x: np.ndarray, run: Run) -> np.ndarray | None:
        """Which time steps of the output for x are real, (n, t); None: all."""
        return run.mask if self.timewise else None

    def final_state(self, saved: Any) -> tuple[np.ndarray, ...]:
        """The state after the last step of a forward pass, from what that kept for `backward`."""
        return ()

    def settings(self) -> dict[str, Any]:
        """The settings that differ from their defaults, as JSON can hold them."""
        differing = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.default is dataclasses.MISSING or value != field.default:
                differing[field.name] = value.config() if isinstance(value, Layer) else value
        return differing

    def config(self) -> dict[str, Any]:
        """The layer's type and settings, as model files hold them."""
        return {"type": type(self).__name__, **self.settings()}

    def description(self) -> str:
        """Type and settings as people read them."""
        values = {key: getattr(self, key) for key in self.settings()}
        shown = (f"{k}={v.description() if isinstance(v, Layer) else v}" for k, v in values.items())
        return f"{type(self).__name__}({', '.join(shown)})"

    def state(self) -> dict[str, np.ndarray]:
        """Parameters and statistics by "layer.name": the live ones."""
        return {f"{self.name}.{key}": a for key, a in (*self.parameters.items(), *self.statistics.items())}

    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(value.size for value in self.parameters.values())

    def wrong_shape(self, expected: str, got: Shape) -> ShapeError:
        """The error for an input of a shape that this layer does not take."""
        return ShapeError(f"{self.name} takes an input of shape {expected}, but is given {show_shape(got)}")


def build_layers(owner: str, layers: Sequence[Layer], shapes: Sequence[Shape], seed: int | None) -> None:
    """Create the parameters of layers, once all shapes fit: from a seed, or zeros for None. Raises TinynetError."""
    rng = None if seed is None else np.random.default_rng(check_seed(owner, "seed", seed))
    for layer, shape in zip(layers, shapes, strict=False):
        try:
            layer.build(shape, rng)
        except (MemoryError, OverflowError, ValueError) as error:
            if isinstance(error, TinynetError):
                raise
            raise TinynetError(
                f"{layer.name} has more parameters than memory can hold; make it smaller"
            ) from None


def snake_case(name: str) -> str:
    """MaxPool2D → max_pool2d."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def check_activation(owner: str, value: str | None) -> str:
    """The name of an activation; None is linear."""
    return check_choice(owner, "activation", "linear" if value is None else value, ACTIVATIONS)


def as_rows(x: np.ndarray) -> np.ndarray:
    """All steps of all sequences under one another: (n, t, d) → (n·t, d)."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def parameterised_activation(
    run: Run, kernel: Any, name: str, *arguments: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """Call a kernel that can fuse an activation. Returns the output, and the input of an activation that was not fused."""
    k = run.kernels
    name = "linear" if run.logits else name
    if name in k.FUSED:
        return kernel(*arguments, name), None
    z = kernel(*arguments, "linear")
    return k.activation(z, name), z


def activation_gradient(
    run: Run, dy: np.ndarray, y: np.ndarray, z: np.ndarray | None, name: str
) -> np.ndarray:
    """Gradient at the input of a layer's own activation."""
    name = "linear" if run.logits else name
    return dy if name == "linear" else run.kernels.activation_gradient(dy, y, name, z)
