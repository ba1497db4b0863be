"""Are the forecasts better than those of exponential smoothing? A backtest over the last fifth of each series.

    python -m bench.series [--validation] [--origins N] [FILE.csv …]      by default the three series of $TINYNET_DATA

A network is trained once, on the first four fifths, and is then given the history up to each origin. Its peer, AutoETS of statsforecast
(Hyndman & Khandakar 2008), is chosen and fitted anew at each origin. MASE is the mean absolute error in units of the seasonal naive
forecast's within the first four fifths. With --validation the last fifth is left out and the fifth before it is forecast: settings are
chosen by that.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinynet.data.series.prepare import naive
from tinynet.data.series.read import Series, read_series
from tinynet.recipes.base import Choices
from tinynet.recipes.series import plan_for
from tinynet.tasks.series import Forecasting

FILES = ("ts_airline-passengers.csv", "ts_monthly-sunspots.csv", "ts_daily-min-temperatures.csv")
ARCHITECTURES = ("gru", "lstm", "cnn")
ORIGINS = 60
TRAINED = 0.8
LONGEST_SEASON = 24
"""Of exponential smoothing, which keeps a number for each step of it."""
HEAD = ("series", "steps", "origins", "tinynet gru", "lstm", "cnn", "linear start", "ETS", "seasonal naive", "drift", "last value",
        "90 % intervals hold", "training")  # fmt: skip


class Backtest(NamedTuple):
    """The numbers (n,), and the origins whose next `horizon` are forecast."""

    values: np.ndarray
    origins: np.ndarray
    horizon: int
    unit: float

    def mase(self, forecast: Callable[[np.ndarray], np.ndarray]) -> float:
        """Of a forecast that is given the history at each origin."""
        errors = [np.abs(forecast(self.values[:o]) - self.values[o : o + self.horizon]) for o in self.origins]
        return float(np.mean(errors)) / self.unit


def ets(history: np.ndarray, season: int, steps: int) -> np.ndarray:
    """Exponential smoothing, whose form and settings are chosen by AICc."""
    from statsforecast.models import AutoETS

    season = season if season <= LONGEST_SEASON else 1
    return AutoETS(season_length=season).forecast(y=history, h=steps)["mean"]


def drift(history: np.ndarray, steps: int) -> np.ndarray:
    """The straight line through the first and the last value."""
    return history[-1] + (history[-1] - history[0]) / (len(history) - 1) * np.arange(1, steps + 1)


def row(series: Series, most: int) -> tuple[str, ...]:
    """The line of a series with one column."""
    values = series.filled()[:, 0]
    begin = int(np.ceil(TRAINED * len(values)))
    known = replace(series, values=series.values[:begin])
    tasks, seconds, linear = [], 0.0, 0.0
    test = None
    for arch in ARCHITECTURES:
        start = time.perf_counter()
        plan = plan_for(known, Choices(arch=arch), series.name)
        plan.model.metadata["task"] = "series"
        task = Forecasting(plan.model)
        p = task.preparation
        if test is None:
            origins = np.arange(begin, len(values) - p.horizon + 1)
            origins = origins[np.unique(np.linspace(0, len(origins) - 1, most).astype(int))]
            unit = float(np.abs(values[p.naive : begin] - values[: begin - p.naive]).mean())
            test = Backtest(values, origins, p.horizon, unit)
            linear = test.mase(
                lambda history, task=task: _forecast(task, series, history, test.horizon).values[:, 0]
            )
        plan.model.fit(plan.x, plan.y, **plan.settings, callbacks=plan.callbacks, verbose=False)
        seconds = max(seconds, time.perf_counter() - start)
        tasks.append(Forecasting(plan.model))
    assert test is not None
    period, inside = tasks[0].preparation.naive, []
    found = []
    for task in tasks:
        found.append(
            test.mase(lambda history, task=task: _forecast(task, series, history, test.horizon).values[:, 0])
        )
    for origin in test.origins:
        forecast = _forecast(tasks[0], series, values[:origin], test.horizon)
        came = values[origin : origin + test.horizon, None]
        inside.append((forecast.lower <= came) & (came <= forecast.upper))
    peers = [
        test.mase(lambda history: ets(history, period, test.horizon)),
        test.mase(lambda history: naive(history[:, None], period, test.horizon)[:, 0]),
        test.mase(lambda history: drift(history, test.horizon)),
        test.mase(lambda history: naive(history[:, None], 1, test.horizon)[:, 0]),
    ]
    errors = [f"{each:.3f}" for each in (*found, linear, *peers)]
    name = Path(series.name).stem.removeprefix("ts_")
    return (
        name,
        str(test.horizon),
        str(len(test.origins)),
        *errors,
        f"{100 * np.mean(inside):.1f} %",
        f"{seconds:.0f} s",
    )


def _forecast(task: Forecasting, series: Series, history: np.ndarray, steps: int):
    return task.answer(replace(series, values=history[:, None]), steps)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*")
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--origins", type=int, default=ORIGINS)
    given = parser.parse_args()
    files = given.files or [Path(os.environ["TINYNET_DATA"], file) for file in FILES]
    print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
    for file in files:
        series = read_series(file)
        if given.validation:
            series = replace(series, values=series.values[: int(TRAINED * len(series))])
        print(f"| {' | '.join(row(series, given.origins))} |", flush=True)


if __name__ == "__main__":
    main()
