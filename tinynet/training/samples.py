"""Samples, targets and weights, checked once before training and handed out in batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from ..checks import as_array, show_shape
from ..errors import DataError, TinynetError
from ..layers.inputs import each, first_of, is_bytes
from ..network import Network
from .losses import Loss, numbered

PICTURES = 4
"""Axes of a batch of pictures."""


class Batch(NamedTuple):
    """One batch; its rows are the positions of all its samples."""

    x: Any
    targets: np.ndarray
    rows: int
    weights: np.ndarray | None
    """Weight of each row, (m,) float64; None: all the same."""

    @property
    def total(self) -> float:
        """Weight of the batch in the mean of the epoch."""
        return self.rows if self.weights is None else float(self.weights.sum())

    @property
    def shares(self) -> np.ndarray:
        """Weight of each row in the mean of the batch, (m,) float32; they sum to 1, or all are 0."""
        if self.weights is None:
            return np.full(self.rows, 1 / (self.rows or 1), np.float32)
        return (self.weights / (self.total or 1)).astype(np.float32)

    @property
    def counted(self) -> np.ndarray | None:
        """Which rows have a weight above 0; None: all."""
        return None if self.weights is None else self.weights > 0

    def within(self, mask: np.ndarray | None) -> Batch:
        """The batch with only the steps (n, t) of a mask counted; None: all."""
        if mask is None:
            return self
        real = np.repeat(mask.reshape(-1), self.rows // (mask.size or 1)).astype(np.float64)
        return self._replace(weights=real if self.weights is None else real * self.weights)


@dataclass(frozen=True)
class Samples:
    """x (n, …), or a tuple of such arrays, as the network takes them (integers are converted per batch); targets as the loss takes them.

    weights are shaped like the labels, and none is above 1; None: all count the same.
    """

    x: Any
    targets: np.ndarray
    weights: np.ndarray | None
    row_size: int
    """How many of the `targets` belong to one row."""
    numbers: Callable[[Any], Any]
    """Turns a batch of x into what the network takes."""

    def __len__(self) -> int:
        return len(first_of(self.x))

    @property
    def rows_each(self) -> int:
        """The number of rows per sample: 1, or the positions of a sequence or picture."""
        return self.targets.size // (self.row_size * len(self) or 1)

    def take(self, index: np.ndarray | slice) -> Batch:
        """The samples at these indices."""
        targets = self.targets[index]
        weights = None if self.weights is None else self.weights[index].reshape(-1)
        x = self.numbers(each(lambda array: array[index], self.x))
        return Batch(x, targets, targets.size // self.row_size, weights)

    def split(self, fraction: float) -> tuple[Samples, Samples]:
        """The first samples, and the last `fraction` of the samples."""
        first = len(self) - max(1, round(len(self) * fraction))
        if first < 1:
            raise DataError(f"validation_split={fraction} of {len(self)} samples leaves none to train on")
        parts = self.part(slice(first)), self.part(slice(first, None))
        for part, purpose in zip(parts, ("train", "validate"), strict=True):
            if part.weights is not None and not part.weights.any():
                raise DataError(
                    f"validation_split={fraction} leaves only samples of weight 0 to {purpose} on: "
                    "shuffle samples and weights together, or give validation_data"
                )
        return parts

    def part(self, part: slice) -> Samples:
        """A subset of the samples."""
        weights = None if self.weights is None else self.weights[part]
        x = each(lambda array: array[part], self.x)
        return replace(self, x=x, targets=self.targets[part], weights=weights)


def prepare(
    model: Network, loss: Loss, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
) -> Samples:
    """Check samples and labels against the network and the loss.

    Raises ShapeError or DataError, saying what was found and what is expected: a wrong shape or length, NaN or
    infinity, labels outside the range.
    """
    x = model.check_samples(x)
    x = _early(model, x)
    n = len(first_of(x))
    if not n:
        raise DataError("there are no samples: x has length 0")
    each(check_finite, x)
    output_shape = model.compute_output_shape(each(lambda array: array.shape[1:], x))
    targets = loss.targets(numbered(y, model.labels, loss), output_shape, n)
    shape = targets.shape[: len(output_shape)]
    if 0 in shape:
        given = show_shape(first_of(x).shape)
        raise DataError(f"there is nothing to learn from: x of shape {given} has no steps")
    weights = _sample_weights(sample_weight, shape)
    if class_weight is not None:
        factor = _class_weights(class_weight, loss.labels(targets), model, loss)
        weights = factor if weights is None else _scaled(weights * factor)
    if weights is not None and not weights.any():
        raise DataError(
            "every sample has the weight 0, so there is nothing to learn; give some a weight above 0"
        )
    return Samples(x, targets, weights, targets.size // math.prod(shape), model.numbers)


def _early(model: Network, x: Any) -> Any:
    """x as it is kept: ids checked, numbers as float32; what is neither, such as bytes of pictures, is converted per batch."""
    if not isinstance(x, tuple):
        taken = model.numbers(x) if x.dtype.kind == "f" or model.takes_ids else x
        return np.copy(taken) if model.takes_ids else taken
    # kernels index by ids unchecked, so they must not change after this check
    waits = [is_bytes(part) and part.ndim == PICTURES for part in x]
    taken = model.numbers(tuple(part[:0] if wait else part for part, wait in zip(x, waits, strict=True)))
    return tuple(part if wait else np.copy(own) for part, own, wait in zip(x, taken, waits, strict=True))


def check_finite(x: np.ndarray) -> None:
    """Raise DataError for the first NaN or infinity in samples (n, …)."""
    if x.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        # a sum is one quick pass and shows both
        if math.isfinite(x.sum(dtype=np.float32)):
            return
    for index, sample in enumerate(x):
        if not np.isfinite(sample).all():
            found = "NaN" if np.isnan(sample).any() else "infinity"
            raise DataError(f"the sample at index {index} holds {found}: repair or remove such samples")


def _sample_weights(sample_weight: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    if sample_weight is None:
        return None
    weights = as_array(sample_weight, "sample_weight")
    if weights.dtype.kind not in "biuf" or weights.shape not in (shape, shape[:1]):
        raise DataError(
            f"sample_weight must hold one number per sample, shape {shape[:1]}, "
            f"but is {weights.dtype} of shape {weights.shape}"
        )
    weights = _check_weights("sample_weight", weights)
    missing = len(shape) - weights.ndim
    return np.ascontiguousarray(np.broadcast_to(weights.reshape(weights.shape + (1,) * missing), shape))


def _class_weights(class_weight: Any, labels: np.ndarray | None, model: Network, loss: Loss) -> np.ndarray:
    if labels is None:
        raise TinynetError(
            f"class_weight needs labels that are classes, which {loss.name} does not use; give sample_weight"
        )
    classes = max(model.output_shape[-1], 2)
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(labels.reshape(-1), minlength=classes)
        return _scaled(1 / np.maximum(counts, 1))[labels]
    if not isinstance(class_weight, (Mapping, list, tuple, np.ndarray)):
        raise TinynetError(
            f"class_weight must be 'balanced' or a dict such as {{0: 1.0, 1: 2.5}}, not {class_weight!r}"
        )
    if not isinstance(class_weight, Mapping):
        found = as_array(class_weight, "class_weight").tolist()
        if not isinstance(found, list) or len(found) != classes:
            raise TinynetError(
                f"class_weight must have one weight for each of the {classes} classes, not {class_weight!r}; "
                "a dict may leave some out"
            )
        class_weight = dict(enumerate(found))
    table = np.ones(classes)
    for label, weight in class_weight.items():
        table[_class_index(label, classes, model.labels)] = _class_weight(label, weight)
    return _check_weights("class_weight", table)[labels]


def _class_index(label: Any, classes: int, names: Sequence[str] | None) -> int:
    if isinstance(label, str) and names and label in names:
        return names.index(label)
    if isinstance(label, bool) or not isinstance(label, (int, np.integer)) or not 0 <= label < classes:
        known = f"0…{classes - 1}" + (f" or {', '.join(names)}" if names else "")
        raise TinynetError(f"class_weight names the class {label!r}, but the classes are {known}")
    return int(label)


def _class_weight(label: Any, weight: Any) -> float:
    if isinstance(weight, bool) or not isinstance(weight, Real):
        raise TinynetError(
            f"class_weight gives the class {label!r} the weight {weight!r}, which is not a number"
        )
    try:
        return float(weight)
    except OverflowError:
        return math.inf


def _check_weights(name: str, weights: np.ndarray) -> np.ndarray:
    """Weights as `_scaled` returns them; raises DataError if they are invalid."""
    with np.errstate(over="ignore"):
        weights = weights.astype(np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise DataError(f"{name} must hold finite numbers of at least 0, and not only zeros")
    return _scaled(weights)


def _scaled(weights: np.ndarray) -> np.ndarray:
    """Weights times a power of two, so that the largest is from 0.5 to 1: only their ratios count, and no sum overflows."""
    _, exponent = np.frexp(weights.max(initial=0))
    return np.ldexp(weights, -exponent)
