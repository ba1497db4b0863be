"""Series: `tinynet train SERIES.csv`, then `tinynet forecast` with the model that this makes.

A network reads a window of what trend and seasons leave, and gives all steps of the horizon at once. It has two branches, whose
outputs are added: a linear one, which starts as the least-squares forecast, and a recurrent one, which starts at zero and
learns what is not linear. A series is short, and what a network finds in it is partly chance: at the end three quarters of what
was learnt are taken back, which makes the forecast a mean of the first and the last one (Bates & Granger 1969 on such means).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.series.choose import Start, choose
from ..data.series.read import Series, is_series
from ..data.tables.read import is_table
from ..errors import DataError, Setting, counted, did_you_mean
from ..layers import Conv1D, Dense, Dropout, Flatten, Layer, Parallel
from ..sequential import Sequential
from ..tasks.base import SERIES
from ..tasks.series import Forecasting, ForecastMeasures, first_origin, series_of
from ..tasks.series import History as Measured
from ..training import AdamW, Callback, CosineDecay, History
from ..training.callbacks import TrainingView
from .architectures import ARCHITECTURES
from .base import RECURRENT, USUAL, Choices, Plan, Recipe
from .scores import MASE, WINDOWS_MASE, Measure, Score

UNITS, FILTERS, DROPOUT = 32, 16, 0.2
KERNEL_SIZES = (5, 3)
BATCH_SIZE = 32
WINDOWS, EPOCHS = 16_000, (8, 30)
"""Windows that a training reads, and the fewest and most times that it reads each."""
PEAK_LEARNING_RATE = 2e-3
CLIP_NORM = 1.0
KEPT = 0.25
"""Part that is kept of what training changed in the last layers, which start as the linear forecast."""


@dataclass
class SeriesPlan(Plan):
    """A training on a series. The error (MASE) is in units of the seasonal naive forecast's within the series."""

    start: Start = field(kw_only=True)
    series: Series = field(kw_only=True)
    choices: Choices = field(kw_only=True)
    held_out: HeldOut | None = None

    def fit(self, **settings: Any) -> History:
        """Train the model on all values, and another on the first ones, since only that one can be measured on the last."""
        history = super().fit(**settings)
        if not history.stopped:
            self.held_out = self._held_out(settings.get("time_limit"))
        return history

    def _held_out(self, time_limit: float | None) -> HeldOut | None:
        """What the same training on the first four fifths of the series reaches on the last; None where they are too short."""
        known = replace(self.series, values=self.series.values[: first_origin(len(self.series))])
        try:
            earlier = plan_for(known, replace(self.choices, drop=None), self.name)
            given = Measured(self.series)
            start = Forecasting(earlier.model).evaluate(given)
            history = Plan.fit(earlier, callbacks=earlier.callbacks, time_limit=time_limit, verbose=False)
            return None if history.stopped else HeldOut(Forecasting(earlier.model).evaluate(given), start)
        except DataError:
            return None

    def record(self, best: dict[str, Any]) -> dict[str, Any]:
        """What the model file says about the data and the result."""
        found = {"windows": len(self.x), "MASE on held-out windows, linear": round(self.start.mase, 4)}
        measured = {"MASE on the last fifth": round(self.held_out.network.mase, 4)} if self.held_out else {}
        return {**found, **measured}

    def result_line(self, best: dict[str, Any]) -> str:
        """What the training reaches on values that it has not seen."""
        if self.held_out is None:
            return f"mean absolute error {best['mae']:.3f} in training, in units of the windows' scale"
        found = self.held_out.network
        return (
            f"MASE {found.mase:.3f} on the last fifth of the values, and {100 * found.coverage:.0f} % of them inside the 90 % intervals, "
            "after the same training on the others"
        )

    @property
    def measure(self) -> Measure:
        """Errors on the last fifth of the values; of a series too short for that, on windows that were held out."""
        return WINDOWS_MASE if self.held_out is None else MASE

    def score(self, best: dict[str, Any]) -> Score:
        """The error on the last fifth, if there is one."""
        return Score(self.measure, math.nan if self.held_out is None else self.held_out.network.mase)

    @cached_property
    def baselines(self) -> dict[str, float]:
        """What errs how much on the same values: the linear forecast that training starts from, and two naive ones."""
        if self.held_out is None:
            errors = self.start.mase, self.start.naive, self.start.last
        else:
            found, linear = self.held_out
            errors = linear.mase, found.seasonal_naive, found.persistence
        return dict(
            zip(("the linear forecast it starts from", "seasonal naive", "last value"), errors, strict=True)
        )

    def notes(self) -> list[str]:
        """Nothing beside."""
        return []


class HeldOut(NamedTuple):
    """Errors on the last fifth of a series: of a network that was trained on what comes before, and of the linear forecast that it
    started from.
    """

    network: ForecastMeasures
    linear: ForecastMeasures


class SeriesRecipe(Recipe):
    """A table with a column of times and columns of numbers; "temperature", the daily minimum in Melbourne."""

    task = SERIES
    kind = "series"
    holds = "a series of numbers over time"
    options = frozenset({"drop"})

    def matches(self, data: str, choices: Choices) -> bool:
        """Times and numbers, and no column to predict from the others."""
        if data == "temperature":
            return True
        return is_table(data) and choices.target is None and (choices.task == SERIES or is_series(data))

    def plan(self, data: str, choices: Choices) -> SeriesPlan:
        """The training on the series in a file."""
        try:
            series = series_of(data)
        except DataError as error:
            if data == "temperature" or choices.task == SERIES:
                raise
            # a table of dates and numbers need not be a series
            raise DataError(
                *error.parts, "; to predict a column from the others, give ", Setting("target")
            ) from None
        return plan_for(series, choices, Path(data).stem)


def plan_for(series: Series, choices: Choices, stem: str) -> SeriesPlan:
    """The training on a series; raises DataError for one that is too short."""
    remarks = list(series.remarks)
    series = _without(series, choices.drop or ())
    start = choose(series)
    p, arch = start.preparation, choices.arch if choices.arch != "auto" else "gru"
    name = f"{stem}-{arch}"
    model = network(arch, start, choices, name=name, seed=choices.seed)
    model.metadata["about"] = (
        f"forecasts {', '.join(series.columns)}, {p.horizon} steps of {p.calendar.step()} at once"
    )
    model.metadata.update(task=SERIES, input=p.as_json())
    seasons = " and ".join(f"{period:g}" for period, _ in p.seasons)
    reason = (
        f"{len(series):,} values {p.calendar.step()} apart, {f'with a season of {seasons} steps' if seasons else 'without a season'}: "
        f"training {ARCHITECTURES[arch].title} with {model.parameter_count():,} parameters beside a linear forecast, "
        f"{counted(p.horizon, 'step')} ahead"
    )
    epochs = choices.epochs or int(np.clip(WINDOWS // len(start.x), *EPOCHS))
    settings = {
        "epochs": epochs,
        "batch_size": choices.batch_size or BATCH_SIZE,
        "loss": "mae",
        "optimizer": AdamW(CosineDecay(choices.learning_rate or PEAK_LEARNING_RATE), clip_norm=CLIP_NORM),
        "seed": choices.seed,
    }
    callbacks: list[Callback] = [KeepPart(model)]
    return SeriesPlan(
        name,
        reason,
        model,
        start.x,
        start.y,
        settings,
        remarks,
        callbacks=callbacks,
        start=start,
        series=series,
        choices=choices,
    )


def _without(series: Series, drop: tuple[str, ...]) -> Series:
    """The series without some columns; raises DataError for one that it does not have."""
    for name in drop:
        if name not in series.columns:
            close = did_you_mean(name, series.columns)
            raise DataError(
                f"{series.name} has no column of numbers {name!r} to leave out{'; ' * bool(close)}{close}"
            )
    kept = [i for i, name in enumerate(series.columns) if name not in drop]
    if not kept:
        raise DataError(f"{series.name} has no column of numbers left; leave out fewer")
    columns = [series.columns[i] for i in kept]
    return replace(series, columns=columns, values=series.values[:, kept])


def network(arch: str, start: Start, choices: Choices = USUAL, **identity: Any) -> Sequential:
    """A linear branch that starts as the least-squares forecast, and a recurrent one that starts at zero."""
    window, outputs = start.x.shape[1:], start.y.shape[1]
    branch: list[Layer]
    if arch == "cnn":
        depth, filters = choices.depth or len(KERNEL_SIZES), choices.size(FILTERS)
        sizes = [min(KERNEL_SIZES[min(i, len(KERNEL_SIZES) - 1)], window[0]) for i in range(depth)]
        branch = [*(Conv1D(filters, size, padding="same", activation="relu") for size in sizes), Flatten()]
    else:
        branch = [RECURRENT[arch](choices.cell(UNITS))]
    linear, last = Dense(outputs), Dense(outputs)
    branches = [Sequential([Flatten(), linear]), Sequential([*branch, Dropout(DROPOUT), last])]
    model = Sequential([Parallel(branches, merge="add")], window, **identity)
    linear.parameters["kernel"][:], last.parameters["kernel"][:] = start.kernel, 0
    return model


class KeepPart(Callback):
    """At the end keeps a part of what the last layers of both branches learnt: the forecast is a mean of the first and the last."""

    def __init__(self, model: Sequential) -> None:
        self.first = {name: array.copy() for name, array in _outputs(model).items()}

    def on_train_end(self, training: TrainingView) -> None:
        """The model holds its final weights."""
        for name, array in _outputs(training.model).items():
            array += (1 - KEPT) * (self.first[name] - array)


def _outputs(model: Sequential) -> dict[str, np.ndarray]:
    """The arrays of the last dense layers, in which the forecast is linear."""
    return {name: array for name, array in model.state().items() if "/dense_1." in name}
