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

from tinynet.data.series.prepare import naive, naive_error
from tinynet.data.series.read import Series, read_series
from tinynet.recipes.base import Choices
from tinynet.recipes.series import plan_for
from tinynet.tasks.series import Forecast, Forecasting

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


def trained(series: Series, arch: str, epochs: bool = True) -> tuple[Forecasting, float]:
    """The forecasts of a network that is trained on a series, and the seconds that took; without epochs, of the linear start."""
    start = time.perf_counter()
    plan = plan_for(series, Choices(arch=arch), series.name)
    if epochs:
        plan.model.fit(plan.x, plan.y, **plan.settings, callbacks=plan.callbacks, verbose=False)
    return Forecasting(plan.model), time.perf_counter() - start


def backtest(series: Series, begin: int, horizon: int, period: int, most: int) -> Backtest:
    """The origins from `begin` on, at most so many, evenly apart."""
    values = series.filled()[:, 0]
    origins = np.arange(begin, len(values) - horizon + 1)
    origins = origins[np.unique(np.linspace(0, len(origins) - 1, most).astype(int))]
    return Backtest(values, origins, horizon, float(naive_error(values[:begin, None], period)[0]))


def row(series: Series, most: int) -> tuple[str, ...]:
    """The line of a series with one column."""
    begin = int(np.ceil(TRAINED * len(series)))
    known = replace(series, values=series.values[:begin])
    made = [trained(known, arch) for arch in ARCHITECTURES]
    tasks, seconds = (
        [*[task for task, _ in made], trained(known, "gru", epochs=False)[0]],
        max(s for _, s in made),
    )
    horizon, period = tasks[0].preparation.horizon, tasks[0].preparation.naive
    test = backtest(series, begin, horizon, period, most)

    def ahead(task: Forecasting, history: np.ndarray) -> Forecast:
        return task.answer(replace(series, values=history[:, None]), horizon)

    forecasts: list[Callable[[np.ndarray], np.ndarray]] = [
        *(lambda history, task=task: ahead(task, history).values[:, 0] for task in tasks),
        lambda history: ets(history, period, horizon),
        lambda history: naive(history[:, None], period, horizon)[:, 0],
        lambda history: drift(history, horizon),
        lambda history: naive(history[:, None], 1, horizon)[:, 0],
    ]
    inside = []
    for origin in test.origins:
        forecast = ahead(tasks[0], test.values[:origin])
        came = test.values[origin : origin + horizon, None]
        inside.append((forecast.lower <= came) & (came <= forecast.upper))
    errors = [f"{test.mase(forecast):.3f}" for forecast in forecasts]
    name = Path(series.name).stem.removeprefix("ts_")
    counts = str(horizon), str(len(test.origins))
    return (name, *counts, *errors, f"{100 * np.mean(inside):.1f} %", f"{seconds:.0f} s")


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
