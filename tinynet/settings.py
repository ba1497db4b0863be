"""Unknown settings are errors: in a call, in a constructor, and as attributes set afterwards.

Each error is one sentence that suggests the closest name, or says where to find what Keras calls so.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from .errors import TinynetError, UnknownNameError, did_you_mean

Function = TypeVar("Function", bound=Callable)
Kind = TypeVar("Kind", bound=type)

OTHER_NAMES = {
    "lr": "learning_rate",
    "clipnorm": "clip_norm",
    "global_clipnorm": "clip_norm",
    "nb_epoch": "epochs",
    "num_epochs": "epochs",
    "dropout_rate": "rate",
    "p": "rate",
    "stride": "strides",
    "min_lr": "min_learning_rate",
}
"""Names that other libraries use, and ours."""
ELSEWHERE = {
    "name": "a network names its layers itself by kind and order, dense_1, dense_2, …: see children()",
    "input_shape": "the network takes it: Sequential([…], input_shape=…)",
    "batch_input_shape": "the network takes it: Sequential([…], input_shape=…)",
    "input_dim": "the network takes it: Sequential([…], input_shape=…)",
    "input_length": "the network takes it: Sequential([…], input_shape=…)",
    "stateful": "fit takes it: net.fit(…, stateful=True); predict and step take and return a state",
    "recurrent_activation": "gates are sigmoids",
    "recurrent_dropout": "dropout drops inputs; no part of the state is dropped",
    "data_format": "channels come last",
    "dtype": "everything is float32",
    "kernel_regularizer": "the optimizer takes it: AdamW(weight_decay=…)",
    "bias_regularizer": "the optimizer takes it: AdamW(weight_decay=…)",
    "verbose": "only fit shows progress: net.fit(…, verbose=True)",
    "metrics": "fit and evaluate take it: net.fit(…, metrics=[…])",
    "validation_freq": "validation is measured after each epoch",
    "validation_batch_size": "its batch size follows from the size of the samples",
    "initial_epoch": "resume=… continues a training that was stopped",
    "steps_per_epoch": "an epoch is all samples once",
    "compile": "loss and optimizer are settings of fit: net.fit(x, y, loss=…, optimizer=…)",
    "add": "all layers are given at once: Sequential([…], input_shape=…)",
    "pop": "all layers are given at once: Sequential([…], input_shape=…)",
    "build": "a network is built when it is made: Sequential([…], input_shape=…)",
    "call": "use predict",
    "optimizer": "fit takes it: net.fit(x, y, optimizer=Adam(1e-3))",
    "learning_rate": "the optimizer takes it: net.fit(x, y, optimizer=Adam(1e-3))",
    "loss": "fit takes it: net.fit(x, y, loss='cross_entropy')",
    "epochs": "fit takes it: net.fit(x, y, epochs=10)",
    "batch_size": "fit takes it: net.fit(x, y, batch_size=64)",
    "weights": "use get_weights() and set_weights(…)",
    "trainable_weights": "use trained()",
    "trainable": "set it on the layer: layer.trainable = False",
    "count_params": "use parameter_count()",
    "load_weights": "tinynet.load(file) makes the whole network",
    "save_weights": "use save(file)",
    "predict_classes": "use predict(x).argmax(axis=-1)",
}
"""Where to find it, or what to do instead."""


def advice(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the known one that was meant, where to find it, or the list of all."""
    known = list(known)
    meant = OTHER_NAMES.get(name, name)
    if meant != name and meant in known:
        return f"did you mean {meant}?"
    longer = [key for key in known if key.startswith(name)]
    close = did_you_mean(name, known) or (f"did you mean {' or '.join(longer)}?" if longer else "")
    listed = f"it has {', '.join(known)}" if known else "it has none"
    return ELSEWHERE.get(meant) or close or listed


def checked(function: Function) -> Function:
    """Decorate a function so that unknown and missing settings raise a TinynetError."""

    @functools.wraps(function)
    def call(*arguments: Any, **settings: Any) -> Any:
        try:
            return function(*arguments, **settings)
        except TypeError:
            if problem := _misfit(function, arguments, settings):
                raise TinynetError(problem) from None
            raise

    return cast(Any, call)


def _misfit(function: Callable, arguments: tuple, settings: Mapping[str, Any]) -> str | None:
    """What is wrong with a call's settings, if anything: one unknown, missing, given twice, or too many without a name."""
    _, *parameters = inspect.signature(function).parameters.values()
    owner = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    names = [parameter.name for parameter in parameters]
    for name in settings:
        if name not in names:
            return f"{owner} has no setting {name}; {advice(name, names)}"
    in_order = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    given = in_order[: len(arguments) - 1]
    if len(arguments) - 1 > len(in_order):
        taken = f"only {', '.join(in_order)}" if in_order else "nothing"
        return f"{owner} takes {taken} without a name; give each setting as name=value"
    if twice := [name for name in given if name in settings]:
        return f"{owner} is given {twice[0]} twice"
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in {*given, *settings}]
    return f"{owner} needs {' and '.join(missing)}" if missing else None


class Elsewhere:
    """A function of another module as a method, imported on first use, with its own signature and docstring."""

    def __init__(self, module: str) -> None:
        self.module = module

    def __set_name__(self, owner: type, name: str) -> None:
        self.owner, self.name = owner, name

    def __get__(self, instance: Any, owner: type) -> Any:
        function = getattr(importlib.import_module(self.module), self.name)
        setattr(self.owner, self.name, function)
        return function.__get__(instance, owner)


def sealed(kind: Kind) -> Kind:
    """Decorate a class so that unknown settings can neither be given nor set; those of a dataclass never change.

    Subclasses that users derive are not restricted.
    """
    own = getattr(kind, "_FIXED", None)
    fixed = {field.name for field in dataclasses.fields(kind)} if own is None else {*own}
    cast(Any, kind.__init__).__qualname__ = f"{kind.__qualname__}.__init__"
    make = checked(kind.__init__)

    @functools.wraps(make)
    def __init__(self: Any, *arguments: Any, **settings: Any) -> None:
        make(self, *arguments, **settings)
        if type(self) is kind:
            vars(self)["_made"] = True

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if type(self) is kind and "_made" in vars(self) and not name.startswith("_"):
            _check_attribute(self, name, fixed)
        object.__setattr__(self, name, value)

    made = cast(Any, kind)
    made.__init__, made.__setattr__ = __init__, __setattr__
    return kind


def _check_attribute(owner: Any, name: str, fixed: set[str]) -> None:
    """Raise TinynetError for an attribute that cannot be set."""
    kind = type(owner).__name__
    own = getattr(type(owner), name, None)
    if name in fixed or (isinstance(own, property) and own.fset is None):
        raise UnknownNameError(f"the {name} of {kind} cannot change; make a new {kind}")
    if name not in vars(owner) and not hasattr(type(owner), name):
        known = {*fixed, *vars(owner)} if hasattr(owner, "_FIXED") else fixed
        raise unknown_attribute(type(owner), name, known)


def unknown_attribute(kind: type, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for an attribute that a class does not have; it lists those that it has."""
    public = sorted(key for key in known if not key.startswith("_"))
    return UnknownNameError(f"{kind.__name__} has no attribute {name}; {advice(name, public)}")
