"""Predict a column of a table: a network reads one row after the other and names a class or a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.tables.prepare import Preparation
from ..data.tables.read import Table, read_table
from ..data.tables.target import Number, as_target_numbers, with_target
from ..errors import DataError, UsageError, counted, listed, shown
from ..layers.inputs import check_finite_output
from ..network import Network
from ..terminal import significant
from .base import ROWS, Task, check_task, was_trained_on
from .classes import ClassMeasures, LabelledSamples, measure_classes, percent

COLUMN = "prediction"
"""Name of the column of predictions."""


@dataclass
class LabelledRows:
    """Rows that models are measured on. xs: for each model, as it reads them; y: classes by index, or numbers, (n,)."""

    xs: Sequence[np.ndarray]
    y: np.ndarray
    remarks: Sequence[str] = ()
    unreadable: Sequence[str] = ()


@dataclass(frozen=True)
class NumberMeasures:
    """Errors of predicted numbers, in the target's own unit; r2 is the share of its variance that is explained."""

    mae: float
    rmse: float
    r2: float
    samples: int

    def as_json(self) -> dict[str, Any]:
        """All measures as JSON values."""
        return {"mae": self.mae, "rmse": self.rmse, "r2": self.r2, "samples": self.samples}

    def line(self) -> str:
        """All measures in one line."""
        errors = f"mean absolute error {significant(self.mae, 4)}, root mean square error {significant(self.rmse, 4)}"
        return f"{errors}, R² {round(self.r2, 3) + 0.0:.3f} ({counted(self.samples, 'row')})"


@dataclass(frozen=True)
class Prediction:
    """The prediction for a row, as the table would write it, and for a class its probability."""

    value: str
    probability: float | None = None


class Rows(Task[LabelledRows, "ClassMeasures | NumberMeasures"]):
    """Networks that predict one column of a table from the others, each from the columns that its own file lists; several vote."""

    name = ROWS

    def __init__(self, *models: Network) -> None:
        super().__init__(*models)
        self.preparations, self.numbers = [], []
        for model in models:
            check_task(model, ROWS)
            spec = model.metadata["input"]
            preparation = Preparation.from_json(spec.get("columns"), model.name)
            self.preparations.append(preparation)
            self.numbers.append(None if model.labels else Number.from_json(spec.get("number"), model.name))
            shapes = (preparation.size,), (len(model.labels) if model.labels else 1,)
            if not isinstance(spec.get("target"), str) or (model.input_shape, model.output_shape) != shapes:
                raise UsageError(
                    f"{model.name} does not fit the columns that its file lists; train it again on its table"
                )
        self.number, self.target = self.numbers[0], self.model.metadata["input"]["target"]
        for model in models:
            if (other := model.metadata["input"]["target"]) != self.target:
                raise UsageError(
                    f"the models {self.model.name} and {model.name} predict {self.target} and {other} and cannot be averaged"
                )

    def predict(self, given: Table) -> list[Prediction]:
        """The predictions for the rows of a table, in order; a target column in it is ignored."""
        xs = self._inputs(given)
        if not len(given):
            return []
        outputs = self._outputs(xs)
        if self.number is not None:
            return [Prediction(self.number.written(v, given.decimal)) for v in outputs]
        labels = self.model.labels or []
        return [Prediction(labels[row.argmax()], float(row.max())) for row in outputs]

    def _inputs(self, given: Table) -> list[np.ndarray]:
        return [preparation.apply(given) for preparation in self.preparations]

    def _outputs(self, xs: Sequence[np.ndarray]) -> np.ndarray:
        """The mean of the models' probabilities (n, classes), or of their numbers (n,)."""
        votes = []
        for model, x, number in zip(self.models, xs, self.numbers, strict=True):
            outputs = model.answer(x)[0]
            check_finite_output(model.name, outputs)
            votes.append(outputs if number is None else number.value(outputs))
        return np.mean(votes, axis=0) if len(votes) > 1 else votes[0]

    def notes(self, given: Table) -> list[str]:
        """Notes on a table to predict, each once."""
        return [
            *dict.fromkeys(note for preparation in self.preparations for note in preparation.notes(given))
        ]

    def read(self, data: str) -> LabelledRows:
        """The rows of a table that have a target, which must be a class that the model knows, or a number."""
        table = read_table(data)
        rows, fields = with_target(table, self.target)
        remarks = [f"note: {note}" for note in self.notes(rows)]
        if left_out := len(table) - len(rows):
            remarks.append(f"note: left out {counted(left_out, 'row')} without {self.target}")
        if any(was_trained_on(model, data) for model in self.models):
            remarks.append("note: it was trained on some of these rows, so this is too optimistic")
        return LabelledRows(self._inputs(rows), self._targets(rows, fields), remarks)

    def _targets(self, table: Table, fields: list[str]) -> np.ndarray:
        if self.number is not None:
            return as_target_numbers(fields, table.decimal, table.name, self.target)
        index = {label: i for i, label in enumerate(self.model.labels or [])}
        unknown = sorted({*fields} - index.keys())
        if unknown:
            raise DataError(
                f"{shown(unknown[0])} in the column {self.target} of {table.name} is not one of this model's classes ({listed([*index])})"
            )
        return np.array([index[each] for each in fields], np.int64)

    def evaluate(self, data: LabelledRows) -> ClassMeasures | NumberMeasures:
        """Accuracy and confusion matrix, or the errors of numbers."""
        if self.number is None:
            return measure_classes(self.models, LabelledSamples(data.xs, data.y, data.y[:0]), "row")
        return measure_numbers(self._outputs(data.xs), data.y)

    def show(self, found: ClassMeasures | NumberMeasures | list[Prediction]) -> Iterator[str]:
        """Measures, or one line per prediction."""
        if isinstance(found, ClassMeasures):
            yield from found.lines()
        elif isinstance(found, NumberMeasures):
            yield found.line()
        else:
            for each in found:
                yield (
                    each.value if each.probability is None else f"{each.value} ({percent(each.probability)})"
                )


TASK = Rows


def measure_numbers(predicted: np.ndarray, true: np.ndarray) -> NumberMeasures:
    """The errors of predicted numbers (n,)."""
    error = predicted - true
    total = float(((true - true.mean()) ** 2).sum())
    r2 = 1 - float((error**2).sum()) / total if total else 0.0
    return NumberMeasures(float(np.abs(error).mean()), float(np.sqrt((error**2).mean())), r2, len(true))
