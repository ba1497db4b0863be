"""Rows of a table: `tinynet train TABLE.csv` with the column to predict, then `tinynet predict` with the model that this makes.

The columns of a table have no order and no neighbours, so the network is a plain one: dense layers, and beside them a linear
one, whose outputs are added ("wide and deep"; Cheng et al. 2016). On few rows it begins as the best linear model, with a deep
branch that says nothing yet, and learns what is left. What a network finds in few rows is partly chance, and so is the epoch that some
of them choose: several are trained, each of which leaves out other rows, and averaged (Breiman 1996).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.folders import stratified_split
from ..data.series.read import is_series
from ..data.tables.prepare import Preparation, learn
from ..data.tables.read import Table, as_numbers, is_table, read_table
from ..data.tables.target import Number, as_target_numbers, classes_of, is_number, number_of, with_target
from ..errors import DataError, Setting, UsageError, counted, did_you_mean, listed
from ..layers import Activation, Dense, Dropout, Parallel
from ..sequential import Sequential
from ..tasks.base import ROWS
from ..tasks.rows import NumberMeasures, measure_numbers
from ..training import AdamW, EarlyStopping, History, OneCycle
from .architectures import ARCHITECTURES
from .base import Choices, Plan, Recipe
from .scores import ACCURACY, MEAN_ERROR, Measure, Score

VALIDATION = 0.15
LEAST_ROWS = 10
MANY_ROWS = 5000
"""From this many rows on, the network is larger and needs no dropout."""
UNITS = {True: (128, 64), False: (64, 32)}
MEMBERS = {True: 1, False: 5}
"""Networks that are averaged."""
DROPOUT = {True: 0.0, False: 0.2}
BATCH_SIZE = (16, 256)
"""Smallest and largest; between them a twentieth of the rows."""
STEPS = 4000
EPOCHS = (20, 100)
PEAK_LEARNING_RATE = 3e-3
WEIGHT_DECAY = {True: 0.01, False: 0.5}
TELLS = 0.995
"""A column that alone gives the class of so many of the rows is named in a note: it may be the target by another name."""
SAME = 0.9995
"""Correlation from which a column and a target are taken for the same number."""
FEW_VALUES = 20
LINEAR_EPOCHS, LINEAR_LEARNING_RATE, LINEAR_WEIGHT_DECAY = 60, 1e-2, 0.1
"""Of logistic regression."""
LINEAR = "a linear model"
RIDGE = 1.0
"""Penalty on the squares of the weights in linear regression, so that columns that say the same share a weight."""


@dataclass
class RowsPlan(Plan):
    """A training on rows, for classes or, if `number` is set, a number."""

    number: Number | None = None
    true: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """The numbers of the validation rows, in their own unit."""
    linear: Linear | None = None
    """The linear model that the network is compared with; where rows are few, training begins with it."""
    rows: Split | None = None
    """All rows, as the first network and the others read them."""
    measured: NumberMeasures | None = None
    """Of numbers, what the first network reaches on the validation rows."""
    hidden: tuple[int, ...] | None = None
    """Units of the hidden layers; None: the usual ones."""
    networks: int = 1
    """How many the model is the mean of."""

    def fit(self, **settings: Any) -> History:
        """Train a network, which is measured on the validation rows, and others that leave out other rows; the model is their mean."""
        began, limit = time.monotonic(), settings.get("time_limit")
        history = super().fit(**settings)
        if self.number is not None:
            self.measured = self._measured()
        members = [self.model]
        while not history.stopped and len(members) < MEMBERS[len(self.x) >= MANY_ROWS]:
            left = limit and max(limit - (time.monotonic() - began), 1e-3)
            member, later = self._member(len(members), left)
            if later.stopped:
                break
            members.append(member)
        self.model, self.networks = average(members, self.hidden), len(members)
        return history

    def _member(self, index: int, time_limit: float | None) -> tuple[Sequential, History]:
        """Another network, of other training rows."""
        assert self.rows is not None
        seed, labels = self.settings["seed"] + index, self.model.labels
        x, y, xv, yv = self.rows.parts(seed)
        linear = linear_numbers(x, y) if self.number else linear_classes(x, y, len(labels or ()))
        model = network(linear, labels, len(x), seed, self.name, hidden=self.hidden)
        own = {**self.settings, "validation_data": (xv, yv), "seed": seed}
        return model, model.fit(x, y, **own, time_limit=time_limit, verbose=False)

    def record(self, best: dict[str, Any]) -> dict[str, Any]:
        """What the model file says about the data and the result."""
        if self.number is None:
            return {**super().record(best), "networks": self.networks}
        assert self.measured is not None
        return {
            "samples": len(self.x),
            "validation MAE": round(self.measured.mae, 6),
            "validation R²": round(self.measured.r2, 4),
            "networks": self.networks,
        }

    def _measured(self) -> NumberMeasures:
        outputs = self.model.answer(self.settings["validation_data"][0])[0]
        assert self.number is not None
        return measure_numbers(self.number.value(outputs), self.true)

    def result_line(self, best: dict[str, Any]) -> str:
        """The result in one sentence."""
        if self.number is None:
            return super().result_line(best)
        assert self.measured is not None
        return f"validation rows: {self.measured.line()}"

    def notes(self) -> list[str]:
        """Classes that are never predicted."""
        return super().notes() if self.number is None else []

    @property
    def measure(self) -> Measure:
        return ACCURACY if self.number is None else MEAN_ERROR

    def score(self, best: dict[str, Any]) -> Score:
        """Accuracy, or the mean error of numbers."""
        if self.number is None:
            return super().score(best)
        assert self.measured is not None
        return Score(self.measure, self.measured.mae)

    @cached_property
    def baselines(self) -> dict[str, float]:
        """A linear model, and the majority or the mean, learnt from the same rows and measured on the same."""
        x, y = self.settings["validation_data"]
        if self.number is None:
            assert self.linear is not None
            return {LINEAR: float((self.linear.answer(x).argmax(axis=1) == y).mean()), **super().baselines}
        values = self.number.value(self.y)
        linear = linear_numbers(self.x, values[:, None]).answer(x)[:, 0]
        answers = {LINEAR: linear, "always the mean": np.full(len(y), values.mean())}
        return {name: measure_numbers(each, self.true).mae for name, each in answers.items()}


class Split(NamedTuple):
    """Rows (n, inputs), what they are to say, and the classes that each part is to have its share of."""

    x: np.ndarray
    y: np.ndarray
    classes: np.ndarray

    def parts(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Rows and answers to train on, then those to validate on."""
        training, validation = stratified_split(self.classes, VALIDATION, seed)
        return self.x[training], self.y[training], self.x[validation], self.y[validation]


class Rows(Recipe):
    """A wide and deep network for the columns of a table."""

    task = ROWS
    kind = "rows"
    holds = "rows of a table"
    options = frozenset({"target", "target_type", "drop"})

    def matches(self, data: str, choices: Choices) -> bool:
        """A .csv or .tsv file; the column to predict must be given."""
        return is_table(data)

    def plan(self, data: str, choices: Choices) -> RowsPlan:
        """The plan; rows without a target are left out, and so are uninformative columns, with a note each."""
        table = read_table(data)
        target, left_out = _chosen_columns(table, choices)
        rows, fields = with_target(table, target)
        if len(rows) < LEAST_ROWS:
            raise DataError(
                f"{data} has {counted(len(rows), 'row')} with {target}, too few to learn from; give at least {LEAST_ROWS}"
            )
        asked = choices.target_type
        numeric = asked == "number" or (asked is None and is_number(fields, table.decimal))
        labels = None if numeric else classes_of(fields, table.decimal, data, target)
        index = {label: i for i, label in enumerate(labels or [])}
        classes = np.array([index.get(each, 0) for each in fields])
        training, validation = stratified_split(classes, VALIDATION, choices.seed)
        names = [name for name in table.columns if name != target and name not in left_out]
        try:
            preparation, notes = learn(_part(rows, training), names)
        except DataError as error:
            if not is_series(data):
                raise
            raise DataError(*error.parts, "; to forecast a series, leave out ", Setting("target")) from None
        number, true, y = None, np.zeros(0), classes
        if numeric:
            number = number_of([fields[i] for i in training], table.decimal, data, target)
            values = as_target_numbers(fields, table.decimal, data, target)
            true, y = values[validation], number.scaled(values)
        split = Split(preparation.apply(rows), y, classes)
        x, y, *held_out = split.parts(choices.seed)
        linear = linear_numbers(x, y) if numeric else linear_classes(x, y, len(index))
        hidden = hidden_units(choices, len(x))
        name = f"{Path(data).stem}-{choices.arch}"
        model = network(linear, labels, len(x), choices.seed, name, hidden=hidden)
        _describe(model, target, preparation, number)
        if missing := len(table) - len(rows):
            notes.insert(0, f"left out {counted(missing, 'row')} without {target}")
        notes += (
            _same_numbers(rows, names, fields, target)
            if numeric
            else _tell_tales(rows, names, fields, target)
        )
        if asked is None and len(index) > 2 and np.isfinite(as_numbers([*index], table.decimal)).all():
            notes.append(
                f"the {len(index)} numbers in {target} are taken as classes; if they are amounts, let the target type be number"
            )
        learnt = "a number" if numeric else f"{len(index)} classes"
        reason = (
            f"{counted(len(rows), 'row')}, {counted(len(preparation.columns), 'column')}, {learnt} to predict: "
            f"training {ARCHITECTURES[choices.arch].title} with {model.parameter_count():,} parameters"
        )
        if (count := MEMBERS[len(x) >= MANY_ROWS]) > 1:
            reason += f", then {count - 1} more, each of which leaves out other rows; the model is their mean"
        settings = _settings(choices, len(x), (held_out[0], held_out[1]))
        own = {"number": number, "true": true, "linear": linear, "rows": split, "hidden": hidden}
        return RowsPlan(model.name, reason, model, x, y, settings, notes, **own)


def _describe(model: Sequential, target: str, preparation: Preparation, number: Number | None) -> None:
    """Set the model's metadata on its input and output."""
    found = {"kind": "table", "target": target, "columns": preparation.as_json()}
    model.metadata["input"] = {**found, **({"number": number.as_json()} if number else {})}
    names = ", ".join(column.name for column in preparation.columns)
    model.metadata["about"] = f"predicts {target} from {names}"[:80]


def hidden_units(choices: Choices, rows: int) -> tuple[int, ...]:
    """Those of the deep branch; further layers than usual are as small as the last."""
    usual = UNITS[rows >= MANY_ROWS]
    return tuple(choices.size(usual[min(i, len(usual) - 1)]) for i in range(choices.depth or len(usual)))


def network(
    linear: Linear,
    labels: list[str] | None,
    rows: int,
    seed: int,
    name: str,
    members: int = 1,
    hidden: Sequence[int] | None = None,
) -> Sequential:
    """A deep branch, or several, and a linear one, added; a softmax for classes.

    At first the deep one gives 0, and the other, unless there are many rows, is `linear`.
    """
    many, (features, outputs) = rows >= MANY_ROWS, linear.kernel.shape

    def deep() -> Sequential:
        layers: list = []
        for units in hidden or UNITS[many]:
            layers += [Dense(units, activation="relu"), *([Dropout(DROPOUT[many])] if DROPOUT[many] else [])]
        return Sequential([*layers, Dense(outputs, kernel_initializer="zeros")])

    branches = [*(deep() for _ in range(members)), Dense(outputs)]
    layers = [Parallel(branches, merge="add"), *([Activation("softmax")] if labels else [])]
    model = Sequential(layers, (features,), seed=seed, labels=labels, name=name)
    if not many:
        model.set_weights([*model.get_weights()[:-2], linear.kernel, linear.bias])
    return model


def average(members: Sequence[Sequential], hidden: Sequence[int] | None = None) -> Sequential:
    """The network whose outputs, before the softmax, are the mean of those of several: all their deep branches, and one linear one."""
    first = members[0]
    if len(members) == 1:
        return first
    weights = [member.get_weights() for member in members]
    deep = [[*own[:-4], *(array / len(members) for array in own[-4:-2])] for own in weights]
    linear = Linear(*(np.mean(arrays, axis=0) for arrays in zip(*(own[-2:] for own in weights), strict=True)))
    made = network(linear, first.labels, 0, 0, first.name, len(members), hidden)
    made.set_weights([*(array for own in deep for array in own), *linear])
    made.metadata.update(first.metadata)
    return made


def _settings(choices: Choices, rows: int, validation: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    batch_size = choices.batch_size or min(max(rows // 20, BATCH_SIZE[0]), BATCH_SIZE[1])
    epochs = min(max(STEPS * batch_size // rows, EPOCHS[0]), EPOCHS[1])
    rate, decay = choices.learning_rate or PEAK_LEARNING_RATE, WEIGHT_DECAY[rows >= MANY_ROWS]
    return {
        "epochs": choices.epochs or epochs,
        "batch_size": batch_size,
        "loss": "cross_entropy" if validation[1].ndim == 1 else "mse",
        "optimizer": AdamW(OneCycle(rate), weight_decay=decay),
        "validation_data": validation,
        "early_stopping": EarlyStopping("val_loss", patience=None),
        "seed": choices.seed,
    }


def _chosen_columns(table: Table, choices: Choices) -> tuple[str, set[str]]:
    """The target, and columns that are to be left out; raises UsageError for one that the table does not have."""
    left_out = {*(choices.drop or ())}
    columns = listed(table.columns)
    if choices.target is None:
        raise UsageError(
            f"which column of {table.name} should be predicted? Give ",
            Setting("target"),
            f": one of {columns}",
        )
    for name, setting in ((choices.target, "target"), *((name, "drop") for name in left_out)):
        if name not in table.columns:
            close = did_you_mean(name, table.columns)
            advice = close or f"its columns are {columns}"
            raise UsageError(Setting(setting), f" {name!r} is not a column of {table.name}; {advice}")
    if choices.target in left_out:
        raise UsageError(
            Setting("drop"), f" names {choices.target}, which is the column to predict; leave it out"
        )
    return choices.target, left_out


def _part(table: Table, indices: np.ndarray) -> Table:
    rows = [table.rows[i] for i in indices]
    return Table(table.name, table.columns, rows, table.delimiter, table.decimal)


def _tell_tales(table: Table, names: list[str], fields: list[str], target: str) -> list[str]:
    """A sentence for each column that tells the class alone, which may be the target by another name."""
    found = []
    if max(Counter(fields).values()) > TELLS * len(fields):
        return found
    for name in names:
        column = table.column(name)
        if len({*column}) <= FEW_VALUES:
            pairs = Counter(zip(column, fields, strict=True))
            told: dict[str, int] = {}
            for (value, _), count in pairs.items():
                told[value] = max(count, told.get(value, 0))
            if sum(told.values()) >= TELLS * len(fields):
                found.append(_tells(name, target))
    return found


def _same_numbers(table: Table, names: list[str], fields: list[str], target: str) -> list[str]:
    """A sentence for each column that correlates so closely with the number to predict that it may be the same."""
    y = as_target_numbers(fields, table.decimal, table.name, target)
    found = []
    for name in names:
        x = table.numbers(name)
        known = np.isfinite(x)
        varies = known.sum() > 2 and np.ptp(x[known]) and np.ptp(y[known])
        if varies and known.mean() > 0.5 and abs(np.corrcoef(x[known], y[known])[0, 1]) > SAME:
            found.append(_tells(name, target))
    return found


def _tells(name: str, target: str) -> str:
    return f"the column {name} alone tells {target}: if it is only known afterwards, drop it"


# ---- the linear model: where the network begins, and what it is compared with ----


class Linear(NamedTuple):
    """x kernel + bias: numbers, or of classes the logits. kernel: (inputs, outputs); bias: (outputs,)."""

    kernel: np.ndarray
    bias: np.ndarray

    def answer(self, x: np.ndarray) -> np.ndarray:
        """What it says of rows (n, inputs): (n, outputs)."""
        return x @ self.kernel + self.bias


def linear_classes(x: np.ndarray, y: np.ndarray, classes: int) -> Linear:
    """Multinomial logistic regression, learnt from rows x (n, inputs) and classes y (n,)."""
    layer = Dense(classes, activation="softmax", kernel_initializer="zeros")
    model = Sequential([layer], x.shape[1:])
    batch_size = min(max(len(x) // 20, BATCH_SIZE[0]), BATCH_SIZE[1])
    optimizer = AdamW(OneCycle(LINEAR_LEARNING_RATE), weight_decay=LINEAR_WEIGHT_DECAY)
    model.fit(x, y, epochs=LINEAR_EPOCHS, batch_size=batch_size, optimizer=optimizer, verbose=False)
    return Linear(*model.get_weights())


def linear_numbers(x: np.ndarray, y: np.ndarray) -> Linear:
    """Ridge regression, by its normal equations, from rows x (n, inputs) and numbers y (n, 1)."""
    middle, mean = x.mean(axis=0, dtype=np.float64), y.mean(axis=0, dtype=np.float64)
    centred = x - middle
    penalty = RIDGE * np.eye(x.shape[1])
    kernel = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (y - mean))
    return Linear(kernel.astype(np.float32), (mean - middle @ kernel).astype(np.float32))
