"""Losses: the labels that a loss takes, its value for a network's outputs, and the gradient.

A loss checks the labels once (`targets`), then turns each batch of outputs into a loss and a gradient by a kernel.
Outputs are (n, …, c): every position of a sequence or picture counts as one row, and `weights` (one number per row,
0 for a row that does not count) makes the mean a weighted one, `sum w loss / sum w`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, cast

import numpy as np

from ..checks import as_array, check_number
from ..errors import DataError, TinynetError
from ..settings import sealed

Shape = tuple[int | None, ...]


class Loss:
    """One loss. `activation` is the last activation that its kernel contains; `metric` is the figure shown beside it."""

    name: ClassVar[str]
    activation: ClassVar[str | None] = None
    metric: ClassVar[str] = "accuracy"
    metric_kernel: ClassVar[str]
    """The kernel that adds the metric of rows to a total."""

    def targets(self, y: Any, output_shape: Shape, samples: int) -> np.ndarray:
        """Labels as the kernel takes them; raises DataError if they do not fit an output of this shape."""
        raise NotImplementedError

    def labels(self, targets: np.ndarray) -> np.ndarray | None:
        """The class of each row, for class weights; None if the labels are not classes."""
        return None

    def __call__(
        self, kernels: ModuleType, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> tuple[Any, np.ndarray]:
        """The loss, which `float` brings to Python, and its gradient, shaped like the outputs (n, …, c); weights are flat, (m,)."""
        value, gradient = self.kernel(kernels, *as_rows(outputs, targets), weights)
        return value, gradient.reshape(outputs.shape)

    def kernel(self, k: ModuleType, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Any:
        """The kernel of the back end for this loss."""
        return getattr(k, self.name)(rows, targets, weights)

    def score(
        self,
        kernels: ModuleType,
        total: np.ndarray,
        outputs: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None,
    ) -> None:
        """Add the metric of each counted row (None: of all) to a total, () float64; its mean is what the history shows."""
        getattr(kernels, self.metric_kernel)(total, *as_rows(outputs, targets), counted)


@sealed
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """-log softmax(z)[label], fused with the softmax of the last layer; any other output is taken as the logits z.

    Labels: integer classes shaped like the output without its last axis, or rows of probabilities that sum to 1, such as
    one-hot rows; the loss is then the mean over the classes, weighted by the row. `label_smoothing` e takes from each row the
    part e and spreads it evenly over all classes (Szegedy et al. 2016). Metric: accuracy, of the most probable class.
    """

    label_smoothing: float = 0.0
    name = "cross_entropy"
    activation = "softmax"
    metric_kernel = "count_correct"

    def __post_init__(self) -> None:
        check_number("CrossEntropy", "label_smoothing", self.label_smoothing, below=1)

    def targets(self, y: Any, output_shape: Shape, samples: int) -> np.ndarray:
        if output_shape[-1] == 1:
            raise TinynetError(
                "cross_entropy needs one output per class, but the network has only one: "
                "use loss='binary_cross_entropy', or one output per class"
            )
        return class_labels(y, output_shape, samples)

    def labels(self, targets: np.ndarray) -> np.ndarray | None:
        return targets if targets.dtype.kind == "i" else None

    def kernel(self, k: ModuleType, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Any:
        if self.label_smoothing or targets.dtype.kind == "f":
            return k.soft_cross_entropy(rows, targets, weights, self.label_smoothing)
        return k.cross_entropy(rows, targets, weights)


@sealed
@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """-t log s(z) - (1-t) log(1-s(z)) for the sigmoid s, averaged over the outputs; fused with the last layer's sigmoid.

    Any other output is taken as the logit z, except a softmax, which is refused. Targets: numbers from 0 to 1 in
    the shape of the output, whose last axis may be missing where it is 1. Metric: accuracy at the threshold 0.5.
    """

    name = "binary_cross_entropy"
    activation = "sigmoid"
    metric_kernel = "count_correct_binary"

    def targets(self, y: Any, output_shape: Shape, samples: int) -> np.ndarray:
        values = real_targets(y, output_shape, samples, "binary_cross_entropy")
        wrong = np.argwhere((values < 0) | (values > 1))
        if len(wrong):
            found = values[tuple(wrong[0])]
            raise DataError(
                f"the label {found:g} at {_place(wrong[0])} is outside 0…1, which is what binary_cross_entropy expects"
            )
        return values

    def labels(self, targets: np.ndarray) -> np.ndarray | None:
        return (targets[..., 0] > 0.5).astype(np.int64) if targets.shape[-1] == 1 else None


class Regression(Loss):
    """Losses on numbers. Targets: the shape of the output, whose last axis may be missing if it is 1."""

    metric = "mae"
    metric_kernel = "sum_absolute_errors"

    def targets(self, y: Any, output_shape: Shape, samples: int) -> np.ndarray:
        return real_targets(y, output_shape, samples, self.name)


@sealed
@dataclass(frozen=True)
class MeanSquaredError(Regression):
    """(p - t)², averaged over the outputs. Metric: mean absolute error."""

    name = "mean_squared_error"


@sealed
@dataclass(frozen=True)
class MeanAbsoluteError(Regression):
    """|p - t|, averaged over the outputs. Metric: the same."""

    name = "mean_absolute_error"


@sealed
@dataclass(frozen=True)
class Huber(Regression):
    """e²/2 where |e| ≤ delta, else delta (|e| - delta/2), for e = p - t (Huber 1964). Metric: mean absolute error."""

    delta: float = 1.0
    name = "huber"

    def __post_init__(self) -> None:
        check_number("Huber", "delta", self.delta, above=0)

    def kernel(self, k: ModuleType, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> Any:
        return k.huber(rows, targets, weights, self.delta)


@dataclass(frozen=True)
class FunctionLoss(Loss):
    """A function of outputs p (m, c) and targets t (m, …), one row per sample or position, that returns the loss of each row,
    (m,), and its gradient with respect to p, (m, c). Training applies the weights and takes the mean over the batch.

    p is the network's output, its last activation included. Targets: any numbers, as many as there are rows. Metric: the loss
    without weights. Raises TinynetError if the function returns anything else.
    """

    function: Callable[[np.ndarray, np.ndarray], tuple[Any, Any]]
    metric = "mean_loss"

    @property
    def name(self) -> str:  # type: ignore[override]
        """The function's name."""
        return getattr(self.function, "__name__", type(self.function).__name__)

    def targets(self, y: Any, output_shape: Shape, samples: int) -> np.ndarray:
        y = as_array(y, "y")
        _check_length(y, samples)
        if y.dtype.kind not in "biuf":
            raise DataError(f"the labels are {_kind(y)}, but {self.name} needs numbers")
        _check_finite(y)
        if not _fits(y.shape[1 : len(output_shape)], output_shape[:-1]):
            raise DataError(
                f"labels of shape {_show(*y.shape)} do not fit the network's output {_show(samples, output_shape)}"
            )
        return np.ascontiguousarray(y, np.float32 if y.dtype.kind == "f" else np.int64)

    def __call__(
        self, kernels: ModuleType, outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> tuple[float, np.ndarray]:
        losses, gradient = self._by_row(kernels.asnumpy(outputs), kernels.asnumpy(targets))
        weights = kernels.asnumpy(weights)
        value = float((losses * weights.astype(np.float64)).sum())
        return value, np.ascontiguousarray((gradient * weights[:, None]).reshape(outputs.shape), np.float32)

    def score(
        self,
        kernels: ModuleType,
        total: np.ndarray,
        outputs: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None,
    ) -> None:
        losses, _ = self._by_row(kernels.asnumpy(outputs), kernels.asnumpy(targets))
        total[...] = float(total) + float((losses if counted is None else losses[counted]).sum())

    def _by_row(self, outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, targets = as_rows(outputs, targets)
        found = self.function(rows, targets)
        shapes = [np.shape(part) for part in found] if isinstance(found, tuple) else []
        if shapes != [rows.shape[:1], rows.shape]:
            raise TinynetError(
                f"{self.name} must return the loss of each row, shape {rows.shape[:1]}, and its gradient, "
                f"shape {rows.shape}, but returns {shapes or type(found).__name__}"
            )
        return np.asarray(found[0], np.float64), np.asarray(found[1])


LOSSES: dict[str, Loss] = {
    "cross_entropy": CrossEntropy(),
    "binary_cross_entropy": BinaryCrossEntropy(),
    "mse": MeanSquaredError(),
    "mae": MeanAbsoluteError(),
    "huber": Huber(),
    "mean_squared_error": MeanSquaredError(),
    "mean_absolute_error": MeanAbsoluteError(),
    # Keras's names; whether labels are classes or one-hot follows from their shape.
    "sparse_categorical_crossentropy": CrossEntropy(),
    "categorical_crossentropy": CrossEntropy(),
    "binary_crossentropy": BinaryCrossEntropy(),
}


def get_loss(loss: str | Loss | Callable, activation: str | None = None) -> Loss:
    """The loss of that name, or a function as a FunctionLoss.

    Raises TinynetError for an unknown name, with the list, and for a loss that does not fit the last activation.
    """
    chosen = loss if isinstance(loss, Loss) else LOSSES.get(loss) if isinstance(loss, str) else None
    if chosen is None and callable(loss) and not isinstance(loss, type):
        chosen = FunctionLoss(loss)
    if chosen is None:
        raise TinynetError(f"there is no loss {loss!r}; choose one of {', '.join(LOSSES)}")
    if chosen.name == "binary_cross_entropy" and activation == "softmax":
        raise TinynetError(
            "binary_cross_entropy takes a sigmoid output, but the network ends in a softmax: "
            "use loss='cross_entropy', or activation='sigmoid' in the last layer"
        )
    return chosen


def as_rows(outputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (n, …, c) as rows (m, c), and targets (n, …) or (n, …, c) as (m,) or (m, c)."""
    rows = outputs.reshape(-1, outputs.shape[-1])
    return rows, targets.reshape(len(rows), *targets.shape[outputs.ndim - 1 :])


def class_labels(y: Any, output_shape: Shape, samples: int) -> np.ndarray:
    """Integer classes (n, …) as int64, from classes or one-hot rows; raises DataError that says what was found and where.

    output_shape is the network's, without the batch axis: (…, c).
    """
    y, classes = as_array(y, "y"), cast(int, output_shape[-1])
    expected = f"integer classes 0…{classes - 1} of shape {_show(samples, output_shape[:-1])}"
    _check_length(y, samples)
    if y.dtype.kind not in "biuf":
        raise DataError(
            f"the labels are {_kind(y)}, but cross_entropy expects {expected}: number the classes first"
        )
    _check_finite(y)
    if _fits(y.shape[1:], output_shape):
        return _from_rows(y)
    if y.ndim == len(output_shape) + 1 and y.shape[-1] == 1:
        y = y[..., 0]
    if not _fits(y.shape[1:], output_shape[:-1]):
        raise DataError(
            f"labels of shape {_show(*y.shape)} do not fit the network's output {_show(samples, output_shape)}: "
            f"expected {expected}, or one-hot rows of shape {_show(samples, output_shape)}"
        )
    if y.dtype.kind == "f":
        raise DataError(
            f"the labels are {y.dtype}, but cross_entropy expects {expected}: convert with y.astype(int)"
        )
    return _in_range(y, classes)


def real_targets(y: Any, output_shape: Shape, samples: int, name: str) -> np.ndarray:
    """Targets as float32 in the shape of the output; raises DataError if they are not numbers or do not fit."""
    y = as_array(y, "y")
    _check_length(y, samples)
    if y.dtype.kind not in "biuf":
        raise DataError(f"the labels are {_kind(y)}, but {name} expects numbers")
    _check_finite(y)
    if output_shape[-1] == 1 and _fits(y.shape[1:], output_shape[:-1]):
        y = y[..., None]
    if not _fits(y.shape[1:], output_shape):
        raise DataError(
            f"labels of shape {_show(*y.shape)} do not fit the network's output: "
            f"{name} expects {_show(samples, output_shape)}"
        )
    return np.ascontiguousarray(y, np.float32)


def _in_range(y: np.ndarray, classes: int) -> np.ndarray:
    if y.size and not 0 <= y.min() <= y.max() < classes:
        place = np.argwhere((y < 0) | (y >= classes))[0]
        raise DataError(
            f"the label {y[tuple(place)]} at {_place(place)} is outside 0…{classes - 1}: "
            f"the network has {classes} outputs, one per class"
        )
    # A copy: kernels index by it unchecked, so it must not change after this check.
    return np.array(y, np.int64, order="C")


def _from_rows(y: np.ndarray) -> np.ndarray:
    """Classes (n, …) from one-hot rows; rows of probabilities stay as they are, float32."""
    wrong = np.argwhere((y.min(axis=-1, initial=0) < 0) | (abs(y.sum(axis=-1, dtype=np.float64) - 1) > 1e-3))
    if len(wrong):
        raise DataError(
            f"the labels at {_place(wrong[0])} are neither one-hot nor probabilities: cross_entropy expects rows that sum "
            "to 1, or integer classes"
        )
    if ((y == 0) | (y == 1)).all():
        return y.argmax(axis=-1).astype(np.int64)
    return np.ascontiguousarray(y, np.float32)


def numbered(y: Any, names: Sequence[str] | None, loss: Loss) -> Any:
    """Labels that are names of a network's classes as their numbers; others unchanged. Raises DataError for a name that
    the network does not know.
    """
    y = as_array(y, "y")
    if names is None or loss.metric != "accuracy" or y.dtype.kind not in "UO":
        return y
    known = {name: number for number, name in enumerate(names)}
    for place in np.ndindex(y.shape):
        if y[place] not in known:
            raise DataError(
                f"the label {y[place]!s:.60} at {_place(place)} is not one of the network's: {', '.join(names)}"
            )
    return np.array([known[name] for name in y.reshape(-1)], np.int64).reshape(y.shape)


def _check_length(y: np.ndarray, samples: int) -> None:
    found = len(y) if y.ndim else 1
    if found != samples:
        raise DataError(f"there are {samples} samples but {found} labels: each sample needs one label")


def _check_finite(y: np.ndarray) -> None:
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        place = np.argwhere(~np.isfinite(y))[0]
        raise DataError(f"the label at {_place(place)} is {y[tuple(place)]}: repair or remove such samples")


def _fits(shape: Shape, expected: Shape) -> bool:
    return len(shape) == len(expected) and all(e in (None, s) for s, e in zip(shape, expected, strict=True))


def _kind(y: np.ndarray) -> str:
    return "text" if y.dtype.kind in "US" else f"of type {y.dtype}"


def _place(index: np.ndarray) -> str:
    numbers = ", ".join(str(int(i)) for i in index)
    return f"index {numbers}" if len(index) == 1 else f"index ({numbers})"


def _show(*sizes: Any) -> str:
    flat = [item for size in sizes for item in (size if isinstance(size, tuple) else (size,))]
    return f"({', '.join('any' if i is None else str(i) for i in flat)}{',' if len(flat) == 1 else ''})"
