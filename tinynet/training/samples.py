"""Samples, targets and weights, checked once before training and handed out in batches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DataError, TinynetError
from ..layers.base import as_floats
from .losses import Loss

if TYPE_CHECKING:
    from ..model import Sequential


class Batch(NamedTuple):
    """One batch; its rows are the positions of all its samples."""

    x: np.ndarray
    targets: np.ndarray
    weights: np.ndarray
    """What each row counts in the mean, (m,) float32; they sum to 1."""
    total: float
    """What the batch counts in the mean of the epoch."""
    counted: np.ndarray | None
    """Which rows have a weight above 0; None: all."""

    def within(self, mask: np.ndarray | None) -> Batch:
        """The batch where only the steps (n, t) of a mask count; None: all."""
        if mask is None:
            return self
        real = np.repeat(mask.reshape(-1), len(self.weights) // mask.size) if mask.size else mask.reshape(-1)
        weights = self.weights * real
        share = float(weights.sum(dtype=np.float64))
        weights = weights / np.float32(share) if share > 0 else weights
        counted = real if self.counted is None else real & self.counted
        return self._replace(weights=weights, total=self.total * share, counted=counted)


@dataclass(frozen=True)
class Samples:
    """x (n, …) float32, or bytes until a batch of them is taken; targets as the loss takes them.

    weights are shaped like the labels; None: all count the same.
    """

    x: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    row_size: int
    """Numbers of `targets` that belong to one row."""

    def __len__(self) -> int:
        return len(self.x)

    @property
    def rows_each(self) -> int:
        """Rows of one sample: 1, or the positions of a sequence or picture."""
        return self.targets.size // (self.row_size * len(self) or 1)

    def take(self, index: np.ndarray | slice) -> Batch:
        """The samples of these indices."""
        x, targets = self.x[index], self.targets[index]
        if x.dtype == np.uint8:
            x = as_floats(x)
        if self.weights is None:
            rows = targets.size // self.row_size
            return Batch(x, targets, np.full(rows, 1 / rows, np.float32), rows, None)
        weights = self.weights[index].reshape(-1)
        total = float(weights.sum(dtype=np.float64))
        shares = weights / np.float32(total) if total > 0 else np.zeros_like(weights)
        return Batch(x, targets, shares, total, weights > 0)

    def split(self, fraction: float) -> tuple[Samples, Samples]:
        """The first samples, and the last `fraction` of them."""
        first = len(self) - max(1, round(len(self) * fraction))
        if first < 1:
            raise DataError(f"validation_split={fraction} of {len(self)} samples leaves none to train on")
        return self._part(slice(first)), self._part(slice(first, None))

    def _part(self, part: slice) -> Samples:
        weights = None if self.weights is None else self.weights[part]
        return Samples(self.x[part], self.targets[part], weights, self.row_size)


def prepare(
    model: Sequential, loss: Loss, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
) -> Samples:
    """Check samples and labels against the network and the loss.

    Raises ShapeError or DataError, saying what was found and what is expected: a wrong shape or length, NaN or
    infinity, labels outside the range.
    """
    x = model.check_samples(x)
    if x.dtype != np.uint8 or model.takes_ids:
        x = model.check_input(x)
    if model.takes_ids:
        x = x.copy()  # kernels find a place by ids, so nobody may change them after this check
    if not len(x):
        raise DataError("there are no samples: x has length 0")
    check_finite(x)
    targets = loss.targets(y, model.compute_output_shape(x.shape[1:]), len(x))
    labels = loss.labels(targets)
    rows = labels if labels is not None else targets[..., 0]
    weights = _sample_weights(sample_weight, rows.shape)
    if class_weight is not None:
        classes = max(model.output_shape[-1], 2)
        factor = _class_weights(class_weight, labels, classes, loss)
        weights = factor if weights is None else weights * factor
    return Samples(x, targets, weights, targets.size // rows.size)


def check_finite(x: np.ndarray) -> None:
    """Raise DataError for the first NaN or infinity in samples (n, …)."""
    if x.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        # a sum is one quick pass and hides neither
        if math.isfinite(x.sum(dtype=np.float32)):
            return
    for index, sample in enumerate(x):
        if not np.isfinite(sample).all():
            found = "NaN" if np.isnan(sample).any() else "infinity"
            raise DataError(f"the sample at index {index} holds {found}: repair or remove such samples")


def _sample_weights(sample_weight: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight)
    if weights.dtype.kind not in "biuf" or weights.shape not in (shape, shape[:1]):
        raise DataError(
            f"sample_weight must hold one number a sample, shape {shape[:1]}, "
            f"but is {weights.dtype} of shape {weights.shape}"
        )
    weights = weights.astype(np.float32)
    _check_weights("sample_weight", weights)
    missing = len(shape) - weights.ndim
    return np.ascontiguousarray(np.broadcast_to(weights.reshape(weights.shape + (1,) * missing), shape))


def _class_weights(class_weight: Any, labels: np.ndarray | None, classes: int, loss: Loss) -> np.ndarray:
    if labels is None:
        raise TinynetError(
            f"class_weight needs labels that are classes, which {loss.name} has not; give sample_weight"
        )
    table = np.ones(classes, np.float32)
    if not isinstance(class_weight, (Mapping, list, tuple, np.ndarray)):
        raise TinynetError(f"class_weight must be a dict such as {{0: 1.0, 1: 2.5}}, not {class_weight!r}")
    pairs = class_weight.items() if isinstance(class_weight, Mapping) else enumerate(class_weight)
    for label, weight in pairs:
        if isinstance(weight, bool) or not isinstance(weight, (int, float, np.number)):
            raise TinynetError(
                f"class_weight gives the class {label!r} the weight {weight!r}, which is no number"
            )
        if isinstance(label, bool) or not isinstance(label, (int, np.integer)) or not 0 <= label < classes:
            raise TinynetError(f"class_weight names the class {label!r}, but the classes are 0…{classes - 1}")
        table[label] = weight
    _check_weights("class_weight", table)
    return table[labels]


def _check_weights(name: str, weights: np.ndarray) -> None:
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise DataError(f"{name} must hold finite numbers of at least 0, and not only zeros")
