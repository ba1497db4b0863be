"""How a series becomes the windows that a network reads, and how its output becomes a forecast; a model's file keeps these settings.

1. Where the spread grows with the level, values are replaced by their logarithm or square root: "even" values.
2. Trend and seasons (see `regression`) are subtracted, then the level, the smoothed last value of the window.
3. What is left, divided by a scale, is the window.
The network's output, times the scale, is added to level, trend and seasons over the horizon (Smyl 2020 forecasts in this order).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...errors import DataError, listed
from .calendar import Calendar
from .read import Series
from .regression import Season, coefficients, design, last_coefficients, ridge

KIND = "series"
LONGEST = 20_000
"""Values at the end of a series that are looked at; what lies before is forgotten."""
PRIOR = 0.25
"""Weight of the coefficients of training against a history that is too short to fit its own: as many values as this part of the
longest period."""


@dataclass(frozen=True)
class Preparation:
    """The settings.

    horizon: steps that are forecast at once; window: values that are read
    power: for each column 1 (as it is), 0.5 (square root) or 0 (logarithm, of at least `floor`)
    seasons: (period, harmonics) of each; slope: whether there is a trend
    unit: the longest period, or what stands for it
    half_life: steps in which a value's weight in the regression halves; None: never
    smoothing: of the level; 0: no level is subtracted
    begin: values before the first window of training; seen: values that were trained on
    naive: the period of the seasonal naive forecast
    scale: of each column; learnt: the last coefficients, (q, c)
    spread: quantiles of the errors on held-out windows, (p, horizon, c), in units of the scale
    """

    columns: tuple[str, ...]
    calendar: Calendar
    horizon: int
    window: int
    power: tuple[float, ...]
    seasons: tuple[Season, ...]
    unit: float
    half_life: float | None
    slope: bool
    smoothing: float
    begin: int
    naive: int
    floor: tuple[float, ...]
    scale: tuple[float, ...] = ()
    seen: int = 0
    learnt: list[list[float]] = field(default_factory=list)
    spread: list[list[list[float]]] = field(default_factory=list)

    # ---- values and back ----

    def even(self, values: np.ndarray) -> np.ndarray:
        """Values (n, c) whose spread does not grow with their level."""
        return np.stack(
            [_power(v, p, f) for v, p, f in zip(values.T, self.power, self.floor, strict=True)], axis=-1
        )

    def uneven(self, even: np.ndarray) -> np.ndarray:
        """The values (…, c) again."""
        columns = [_inverse(even[..., i], power) for i, power in enumerate(self.power)]
        return np.stack(columns, axis=-1)

    # ---- windows ----

    def rows(self, first: int, count: int) -> np.ndarray:
        """The rows of the regression for so many places from the first on."""
        return design(np.arange(first, first + count, dtype=float), self.seasons, self.slope, self.unit)

    def states(self, even: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The coefficients after each time, (n, q, c)."""
        return coefficients(even, rows, *self._memory(even))

    def _memory(self, even: np.ndarray) -> tuple[float, np.ndarray, np.ndarray | None]:
        """The half-life of a value's weight, the ridge and the prior for a history of such length."""
        strength, prior = ridge(self.rows(0, 1).shape[1], self.slope), None
        if len(even) < self.begin and self.learnt:
            strength = np.maximum(strength, PRIOR * self.unit * (np.arange(len(strength)) > 0))
            prior = np.array(self.learnt)
        return self.half_life or math.inf, strength, prior

    def cut(
        self, even: np.ndarray, first: int, origins: np.ndarray, states: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The window before each origin, unscaled (k, window, c), and level, trend and seasons after it, (k, horizon, c).

        even: values (n, c) from the place `first` on; origins: how many of them are known, `window` at least.
        """
        rows = self.rows(first, len(even) + self.horizon)
        if states is None and origins.tolist() == [len(even)]:
            states = last_coefficients(even, rows[: len(even)], *self._memory(even))[None]
        else:
            states = (self.states(even, rows[: len(even)]) if states is None else states)[origins - 1]
        before = sliding_window_view(rows, self.window, axis=0)[origins - self.window]
        after = sliding_window_view(rows, self.horizon, axis=0)[origins]
        known = sliding_window_view(even, self.window, axis=0)[origins - self.window].transpose(0, 2, 1)
        left = known - before.transpose(0, 2, 1) @ states
        level = smoothed(left, self.smoothing)
        return left - level, after.transpose(0, 2, 1) @ states + level

    def inputs(self, left: np.ndarray) -> np.ndarray:
        """Windows as the network takes them."""
        return np.ascontiguousarray(left / np.array(self.scale), np.float32)

    # ---- the file ----

    def as_json(self) -> dict[str, Any]:
        """As a model's file keeps it."""
        return {"kind": KIND, **asdict(self)}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Preparation:
        """As a model's file has it; raises DataError for what no training writes."""
        try:
            kept = {name: found[name] for name in cls.__dataclass_fields__}
            kept["columns"] = tuple(kept["columns"])
            for name in ("power", "floor", "scale"):
                kept[name] = tuple(map(float, kept[name]))
            for name in ("learnt", "spread"):
                kept[name] = np.array(kept[name], float).tolist()
            kept["seasons"] = tuple((float(period), int(harmonics)) for period, harmonics in kept["seasons"])
            kept["calendar"] = Calendar(**kept["calendar"])
            made = cls(**kept)
            made._check()
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            raise DataError(
                f"its preparation of a series cannot be used: {error}; train the model again"
            ) from None
        return made

    def _check(self) -> None:
        """Raise ValueError for settings that do not go together, or would take memory and time without end."""
        c, spread = len(self.columns), np.array(self.spread, float)
        if not all(isinstance(name, str) for name in self.columns):
            raise ValueError("its columns have no names")
        if not isinstance(self.slope, bool):
            raise ValueError("slope is neither true nor false")
        limits = {"horizon": 10_000, "window": 10_000, "naive": 1_000_000, "begin": LONGEST, "seen": 1 << 40}
        for name, most in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= most:
                raise ValueError(f"{name} is not a whole number between 1 and {most:,}")
        if (
            not all(period >= 2 and 0 < count <= period for period, count in self.seasons)
            or len(self.seasons) > 8
        ):
            raise ValueError("seasons are not periods and harmonics")
        if sum(count for _, count in self.seasons) > 200:
            raise ValueError("there are too many harmonics")
        if (
            (self.half_life is not None and not self.half_life > 0)
            or not 0 <= self.smoothing <= 1
            or not self.unit > 0
        ):
            raise ValueError("half_life, smoothing or unit is out of its range")
        if not (len(self.power) == len(self.floor) == len(self.scale) == c > 0) or spread.shape[1:] != (
            self.horizon,
            c,
        ):
            raise ValueError("it does not have a setting for each column")
        learnt = np.array(self.learnt, float)
        if learnt.shape != (self.rows(0, 1).shape[1], c) or not (
            np.isfinite(spread).all() and np.isfinite(learnt).all()
        ):
            raise ValueError("what it learnt does not fit")
        if not set(self.power) <= {0, 0.5, 1} or min(self.scale) <= 0:
            raise ValueError("power or scale is out of its range")

    def with_(self, **more: Any) -> Preparation:
        """The same with other settings."""
        return replace(self, **more)


def smoothed(left: np.ndarray, smoothing: float) -> np.ndarray:
    """The exponentially smoothed last value of windows (k, window, c), as (k, 1, c); 0 where smoothing is 0."""
    if not smoothing:
        return np.zeros_like(left[:, :1])
    weights = smoothing * (1 - smoothing) ** np.arange(left.shape[1])[::-1]
    weights[0] += 1 - weights.sum()
    return np.einsum("l,klc->kc", weights, left)[:, None]


def _power(values: np.ndarray, power: float, floor: float) -> np.ndarray:
    if power == 0:
        return np.log(np.maximum(values, floor))
    return np.sqrt(np.maximum(values, 0)) if power == 0.5 else values.astype(np.float64)


def _inverse(even: np.ndarray, power: float) -> np.ndarray:
    if power == 0:
        return np.exp(np.minimum(even, 700.0))
    return np.maximum(even, 0) ** 2 if power == 0.5 else even


def naive(values: np.ndarray, period: int, steps: int) -> np.ndarray:
    """The seasonal naive forecast (steps, c): each value is the one a period before it; with fewer values than a period, the last one."""
    period = period if len(values) >= period else 1
    last = values[-period:]
    return last[np.arange(steps) % period]


def naive_error(values: np.ndarray, period: int) -> np.ndarray:
    """The mean error of the seasonal naive forecast within a series, (c,), the unit of MASE; 1 where it never errs."""
    error = np.abs(values[period:] - values[:-period]).mean(axis=0)
    return np.where(error > 0, error, 1.0)


def columns_of(series: Series, names: Sequence[str]) -> np.ndarray:
    """The filled values (n, c) of the columns of those names, or of the only one; raises DataError where they are not there."""
    values = series.filled()
    if len(names) == len(series.columns) == 1:
        return values
    missing = [name for name in names if name not in series.columns]
    if missing:
        raise DataError(
            f"{series.name} has no column {missing[0]!r}, which the model forecasts; it has {listed(series.columns)}"
        )
    return values[:, [series.columns.index(name) for name in names]]
