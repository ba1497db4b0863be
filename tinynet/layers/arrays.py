"""The arrays of a layer or network: reading them, and checking new ones before they are set."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError, TinynetError


class HasArrays:
    """Weights of a layer or network: `get_weights` copies them, `set_weights` replaces them."""

    @property
    def owner(self) -> str:
        """The name used in errors."""
        raise NotImplementedError

    def state(self) -> dict[str, np.ndarray]:
        """Trained arrays and statistics by "layer.name", layer by layer: the live ones."""
        raise NotImplementedError

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all arrays, layer by layer, each layer's in Keras's order (BatchNorm: gamma, beta, moving mean, variance).

        The gates are in the order r z n in a GRU and i f g o in an LSTM. Arrays of Keras layers fit unchanged, except
        for its GRU, which has z r n and, with reset_after, both biases in one array (2, 3 units); to convert those:

            kernel, recurrent_kernel, bias = keras_layer.get_weights()
            ours = [np.concatenate([r, z, n], -1) for z, r, n in
                    (np.split(array, 3, -1) for array in (kernel, recurrent_kernel, *bias))]
        """
        return [np.array(array) for array in self.state().values()]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Set the arrays, in the order of `get_weights`.

        Raises ShapeError if their number or a shape differs, TinynetError if one holds anything but real numbers within
        float32's range; then none is changed. NaN and infinity are accepted with a warning.
        """
        own = self.state()
        if isinstance(weights, (str, bytes, Mapping)) or not isinstance(weights, Iterable):
            raise TinynetError(
                f"{self.owner}: give the weights as a list of arrays, not as {type(weights).__name__}"
            )
        given = list(weights)
        if len(given) != len(own):
            names = ", ".join(own) or "none"
            raise ShapeError(f"{self.owner} has {len(own)} arrays ({names}), but {len(given)} are given")
        named = dict(zip(own, given, strict=True))
        for name, array in named.items():
            _check_range(name, array)
        fill(own, named)


class Below(MutableMapping):
    """Parameters (or statistics) of the layers inside a layer as one mapping, by the names that the layer gives them."""

    def __init__(self, layer: Any, group: str) -> None:
        self._layer, self._group = layer, group

    def _places(self) -> Iterator[tuple[str, MutableMapping[str, np.ndarray], str]]:
        for name, child in self._layer.children().items():
            arrays = getattr(child, self._group)
            yield from ((self._layer.array_name(name, key), arrays, key) for key in arrays)

    def _find(self, name: str) -> tuple[MutableMapping[str, np.ndarray], str]:
        for found, arrays, key in self._places():
            if found == name:
                return arrays, key
        raise KeyError(name)

    def __getitem__(self, name: str) -> np.ndarray:
        arrays, key = self._find(name)
        return arrays[key]

    def __setitem__(self, name: str, value: np.ndarray) -> None:
        arrays, key = self._find(name)
        arrays[key] = value

    def __delitem__(self, name: str) -> None:
        arrays, key = self._find(name)
        del arrays[key]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _, _ in self._places())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def fill(own: Mapping[str, np.ndarray], given: Mapping[str, Any]) -> None:
    """Copy arrays into those of the same names, after checking that all fit.

    Raises ShapeError for a missing, unknown or wrongly shaped one, TinynetError for one without real numbers.
    """
    if not isinstance(given, Mapping):
        raise TinynetError(f"give the arrays as a dict by name, not as {type(given).__name__}")
    found = {}
    for name in {**own, **given}:
        if name not in given:
            raise ShapeError(f"the array {name} is missing")
        if name not in own:
            raise ShapeError(f"the array {name} belongs to no layer of this model")
        found[name] = _numbers(name, given[name])
        expected, shape = own[name].shape, found[name].shape
        if shape != expected:
            raise ShapeError(
                f"{name} has the shape {expected} in this model, but the array given has {shape}"
            )
    for name, array in found.items():
        own[name][...] = array


def _check_range(name: str, array: Any) -> None:
    """Raise TinynetError if a number is beyond float32; warn if one is NaN or infinite, as in a broken model."""
    numbers = _numbers(name, array)
    with np.errstate(over="ignore"):
        converted = numbers.astype(np.float32)
    wrong = np.argwhere(~np.isfinite(converted))
    if len(wrong):
        place = tuple(wrong[0].tolist())
        found = f"{name} takes finite float32 numbers, but is given {numbers[place]} at index {place}"
        if np.isfinite(numbers).all():
            raise TinynetError(found)
        warnings.warn(f"{found}: the model's output will not be finite", RuntimeWarning, stacklevel=3)


def _numbers(name: str, array: Any) -> np.ndarray:
    """The argument as an array of real numbers, none of them masked; raises TinynetError."""
    try:
        found = np.asarray(array)
    except ValueError:
        raise TinynetError(f"{name} takes an array, but is given rows that differ in length") from None
    if found.dtype.kind not in "fiu":
        raise TinynetError(f"{name} takes real numbers, but is given an array of {found.dtype}")
    if np.ma.is_masked(array):
        raise TinynetError(
            f"{name} takes real numbers, but some of the array given are masked; fill them first"
        )
    return found
