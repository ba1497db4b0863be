"""Forecast: a network reads the last window of a series and gives the steps that follow, all at once.

Beyond its horizon it continues from its own forecasts. Intervals come from the errors on held-out windows of the training, step by
step; beyond each horizon their squares add up, as those of independent errors do.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_count, check_number
from ..data.series.choose import QUANTILES
from ..data.series.prepare import LONGEST, Preparation, columns_of, naive, naive_error
from ..data.series.read import Series, read_series
from ..drawing import Chart, draw_charts
from ..errors import DataError, UsageError, counted
from ..files import atomic_write
from ..layers.inputs import check_finite_output
from ..network import Network
from ..terminal import significant
from .base import SERIES, Task, check_task, was_trained_on

LEVEL = 90.0
MOST_STEPS = 10_000
SHOWN, LEAST_SHOWN = 4, 60
"""Times the length of a forecast that a drawing shows of the series before it, and the least."""
TRUST, LOOKED_BACK, TINY = 10.0, 500, 1e-12
"""The width of intervals follows the errors after training: those of the last LOOKED_BACK values, against the held-out windows,
which count as much as TRUST horizons."""
CHARTS, SIZE = 6, (800, 320)
BACKTEST = 0.2
"""The part at the end of a series, from all of whose times a model is measured."""


@dataclass(frozen=True)
class Forecast:
    """What comes after a series. times: (steps,); values, lower, upper, naive: (steps, c), the last the seasonal naive forecast."""

    columns: list[str]
    times: list[str]
    values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    naive: np.ndarray
    delimiter: str = ","
    decimal: str = "."
    """Those of the series' own table, in which the forecast is printed."""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Time by time and column by column, as it is printed; several columns are named in `series`."""
        for i, time in enumerate(self.times):
            for j, column in enumerate(self.columns):
                named = {"series": column} if len(self.columns) > 1 else {}
                yield {
                    "time": time,
                    **named,
                    "forecast": float(self.values[i, j]),
                    "lower": float(self.lower[i, j]),
                    "upper": float(self.upper[i, j]),
                    "seasonal_naive": float(self.naive[i, j]),
                }


@dataclass
class History:
    """A series that a model is measured on."""

    series: Series
    remarks: Sequence[str] = ()
    unreadable: Sequence[str] = ()


@dataclass(frozen=True)
class ForecastMeasures:
    """Errors of forecasts over all origins of a backtest. mase: the mean absolute error in units of the seasonal naive one before
    the first origin (Hyndman & Koehler 2006); coverage: part of the values inside intervals of 90 %.
    """

    mase: float
    seasonal_naive: float
    persistence: float
    mae: float
    coverage: float
    origins: int
    horizon: int
    period: int

    def as_json(self) -> dict[str, Any]:
        """All of it, as programs read it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Forecasting(Task[History, ForecastMeasures]):
    """A network that continues a series of numbers over time."""

    name = SERIES

    def __init__(self, *models: Network) -> None:
        super().__init__(*models)
        if len(models) > 1:
            raise UsageError(
                "several models can be averaged where they name classes or predict rows of a table, but not for series; give one"
            )
        check_task(self.model, SERIES)
        try:
            self.preparation = p = Preparation.from_json(self.model.metadata["input"])
        except DataError as error:
            raise DataError(f"{self.model.name}: {error}") from None
        c = len(p.columns)
        if (self.model.input_shape, self.model.output_shape) != ((p.window, c), (p.horizon * c,)):
            raise UsageError(
                f"{self.model.name} does not fit the windows that its file describes; train it again on its series"
            )

    def answer(self, given: Series, steps: int = 12, level: float = LEVEL) -> Forecast:
        """The steps that follow a series, with intervals that hold `level` per cent of what comes.

        The series may be longer than the one that was trained on, or another with the same step. Raises DataError for one
        with other steps or columns, or with fewer values than a window.
        """
        steps = check_count("forecast", "steps", steps)
        if steps > MOST_STEPS:
            raise DataError(f"{steps:,} steps are more than {MOST_STEPS:,}; ask for fewer")
        check_number("forecast", "level", level, above=0, below=100)
        values, first = self._history(given)
        p, ahead = self.preparation, []
        known, missed = p.even(values), np.zeros((2, 1, len(p.columns)))
        spread = self._spread(level) * self._width(known, first)
        while len(ahead) * p.horizon < steps:
            mean = self._ahead(known, first, np.array([len(known)]))[0]
            offset = np.sign(spread) * np.sqrt(missed**2 + spread**2)
            ahead.append(p.uneven(np.stack([mean, *(mean + offset)])))
            missed = offset[:, -1:]
            first += max(len(known) + len(mean) - LONGEST, 0)
            known = np.concatenate([known, mean])[-LONGEST:]
        found = np.concatenate(ahead, axis=1)[:, :steps]
        times = [given.calendar.time(len(given) + i) for i in range(steps)]
        lower, upper = np.sort(found[1:], axis=0)
        plain = naive(values, p.naive, steps)
        marks = given.delimiter, given.decimal
        return Forecast(list(p.columns), times, found[0], lower, upper, plain, *marks)

    def read(self, data: str) -> History:
        """A file, or "temperature"."""
        series = series_of(data)
        remarks = [f"note: {remark}" for remark in series.remarks]
        if was_trained_on(self.model, data):
            remarks.append("note: it was trained on this series, so this is too optimistic")
        return History(series, remarks)

    def evaluate(self, data: History) -> ForecastMeasures:
        """The errors of the forecasts from all times of the last fifth, as far as the horizon or the end."""
        p, series = self.preparation, data.series
        values, first = self._history(series)
        n = len(values)
        begin = max(first_origin(n), p.window, p.naive + 1)
        origins = np.arange(begin, n)
        if not len(origins):
            raise DataError(
                f"{series.name} is too short to measure on: it has {n} values; give more than {begin}"
            )
        even = p.even(values)
        mean = self._ahead(even, first, origins)
        later = origins >= p.seen - first
        widths = self._widths(even, mean[later], origins[later])[origins][:, None, None]
        low, high = (p.uneven(mean + offset * widths) for offset in self._spread(LEVEL))
        came = _after(values, origins, p.horizon)
        known = np.isfinite(came)
        unit = naive_error(values[:begin], p.naive)

        def error(forecast: np.ndarray) -> float:
            return float((np.abs(forecast - came) / unit)[known].mean())

        plain = [np.stack([naive(values[:o], period, p.horizon) for o in origins]) for period in (p.naive, 1)]
        inside = (low <= came) & (came <= high)
        forecast = p.uneven(mean)
        return ForecastMeasures(
            mase=error(forecast),
            seasonal_naive=error(plain[0]),
            persistence=error(plain[1]),
            mae=float(np.abs(forecast - came)[known].mean()),
            coverage=float(inside[known].mean()),
            origins=len(origins),
            horizon=p.horizon,
            period=p.naive,
        )

    def show(self, found: Forecast | ForecastMeasures) -> Iterator[str]:
        """A forecast as a table like the series' own, line by line; measures in two lines."""
        if isinstance(found, Forecast):
            rows = found.rows()
            for number, row in enumerate(rows):
                if not number:
                    yield found.delimiter.join(row)
                yield found.delimiter.join(_written(value, found) for value in row.values())
            return
        yield f"MASE {found.mase:.3f}, seasonal naive {found.seasonal_naive:.3f}, last value {found.persistence:.3f}"
        yield (
            f"mean absolute error {significant(found.mae, 4)}; {100 * found.coverage:.1f} % of the values inside the {LEVEL:.0f} % "
            f"intervals ({counted(found.origins, 'origin')}, up to {counted(found.horizon, 'step')} ahead)"
        )

    def draw(self, path: str | os.PathLike, series: Series, found: Forecast) -> None:
        """Write a PNG with the end of a series and its forecast, a chart for each of the first columns; raises TinynetError where it
        cannot be written.
        """
        values = columns_of(series, found.columns)[-max(SHOWN * len(found.times), LEAST_SHOWN) :]
        n, first = len(values), len(series) - len(values)
        x, blank = range(first, first + n + len(found.times)), [math.nan]

        def after(forecast: np.ndarray, column: int) -> list[float]:
            return [*blank * (n - 1), values[-1, column], *forecast[:, column]]

        charts = []
        for i, column in enumerate(found.columns[:CHARTS]):
            lines = {
                "series": [*values[:, i], *blank * len(found.times)],
                "forecast": after(found.values, i),
                "seasonal naive": after(found.naive, i),
            }
            band = after(found.lower, i), after(found.upper, i)
            charts.append(Chart(column, "", x, lines, band=band, x_name=_named(series), size=SIZE))
        drawing = draw_charts(charts)
        with atomic_write(path) as file:
            drawing.save(file, "PNG")

    def _history(self, series: Series) -> tuple[np.ndarray, int]:
        """The values (n, c) that the model goes on from, and the place of the first on its own grid."""
        p = self.preparation
        values = columns_of(series, p.columns)
        try:
            first = p.calendar.place_of(series.calendar)
        except ValueError as error:
            raise DataError(
                f"{series.name} does not fit {self.model.name}: {error}, and the model's {p.calendar.step()} apart; "
                "give such a series, or train on this one"
            ) from None
        if len(values) < p.window:
            raise DataError(
                f"{series.name} has {len(values)} values, but {self.model.name} reads the last {p.window}; give more"
            )
        dropped = max(len(values) - LONGEST, 0)
        return values[dropped:], first + dropped

    def _ahead(self, even: np.ndarray, first: int, origins: np.ndarray) -> np.ndarray:
        """The forecasts (k, horizon, c) from each origin, in even values."""
        p = self.preparation
        left, base = p.cut(even, first, origins)
        outputs = self.model.answer(p.inputs(left))[0]
        check_finite_output(self.model.name, outputs)
        return base + outputs.reshape(base.shape) * np.array(p.scale)

    def _width(self, even: np.ndarray, first: int) -> float:
        """The factor by which intervals are wider than in training, from the errors on values that came after it."""
        begin = max(self.preparation.seen - first, self.preparation.window, len(even) - LOOKED_BACK)
        if begin >= len(even):
            return 1.0
        origins = np.arange(begin, len(even))
        return float(self._widths(even, self._ahead(even, first, origins), origins)[-1])

    def _widths(self, even: np.ndarray, mean: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """That factor after each number of values, (n + 1,), from the forecasts (k, horizon, c) at all origins since training."""
        p = self.preparation
        spread = np.array(p.spread)
        usual = np.abs(spread[1:] + spread[:-1]).mean(axis=0) / 2 * np.array(p.scale)
        missed = (np.abs(_after(even, origins, p.horizon) - mean) / np.maximum(usual, TINY)).mean(axis=-1)
        known, when = np.isfinite(missed), origins[:, None] + np.arange(1, p.horizon + 1)
        found = [np.bincount(when[known], weights, len(even) + 1) for weights in (missed[known], None)]
        sums, counts = (np.cumsum(each) / p.horizon for each in found)
        return (TRUST + sums) / (TRUST + counts)

    def _spread(self, level: float) -> np.ndarray:
        """How far below and above its forecast the interval of a level reaches, (2, horizon, c), in even values."""
        p, spread = self.preparation, np.array(self.preparation.spread)
        tails = [(1 - level / 100) / 2, (1 + level / 100) / 2]
        at = [
            [np.interp(tails, QUANTILES, column) for column in step.T] for step in spread.transpose(1, 0, 2)
        ]
        return np.moveaxis(np.array(at), -1, 0) * np.array(p.scale)


def _after(values: np.ndarray, origins: np.ndarray, horizon: int) -> np.ndarray:
    """What came after each origin, (k, horizon, c), NaN where it is not known yet."""
    came = np.concatenate([values, np.full((horizon, values.shape[1]), np.nan)])
    return came[origins[:, None] + np.arange(horizon)]


TASK = Forecasting


def first_origin(n: int) -> int:
    """How many of n values come before the last fifth."""
    return math.ceil((1 - BACKTEST) * n)


def series_of(data: str) -> Series:
    """The series that DATA stands for: "temperature", or what is in the file of that name."""
    if data == "temperature":
        from ..data.datasets import load

        return load(data)
    return read_series(data)


def _named(series: Series) -> Callable[[float], str]:
    """The names of the places of a series."""
    return lambda place: series.calendar.time(round(place))


def _written(value: Any, found: Forecast) -> str:
    """A field of the table: six digits of a number, quotes round a text that needs them."""
    if isinstance(value, float):
        return significant(value, 6).replace(".", found.decimal)
    return '"' + value.replace('"', '""') + '"' if set(value) & {found.delimiter, '"', "\n", "\r"} else value
