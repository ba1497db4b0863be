"""Which preparation suits a series: tried on held-out windows with a linear forecast, which is also where a network begins.

Each candidate is judged by blocked cross-validation: the windows are parted into blocks in the order of time, each block is forecast by
weights that are fitted to the others, but those whose times it shares (Bergmeir & Benítez 2012).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ...errors import DataError
from .calendar import MILLISECOND, MONTH, WEEKDAY, Calendar
from .prepare import LONGEST, Preparation, naive_error
from .read import SHORTEST, Series
from .regression import season_of

LOOKED_AT = 3000
"""Values at the end of a series on which candidates are tried."""
CYCLES = 2.5
"""Fewest cycles that a series must hold for a season to be tried."""
HALF_LIVES = (1, 2, 4, 8, None)
"""Half-lives to try of a value's weight in the regression, in units of the longest period; None: the weight stays the same."""
SMOOTHING = (0.0, 0.3, 1.0)
RIDGES = (0.01, 0.1, 1.0, 10.0, 1000.0)
"""Ridge penalties to try for the linear forecast, in units of the mean square of its inputs."""
BLOCKS = 5
FEWEST = 4
"""Windows to train on."""
MOST_INPUTS = 400
"""Values of a window, all columns together."""
BASE, UNIT = 12, 8
"""Steps that stand for the period where there is none, or a shorter one: for the windows to try (BASE) and for half-lives (UNIT)."""
LONG, SHORT = 1000, 2
"""From LONG values on, a window of twelve periods is tried too, with the settings that are best for the SHORT shortest windows."""
HORIZONS = {MONTH: {1: 12, 3: 8, 12: 6}, WEEKDAY: {1: 20}}
DAY_STEPS, LEAST_HORIZON, MOST_HORIZON = 30, 12, 96
QUANTILES = np.linspace(0, 1, 41)
FORGOTTEN = 0.5
"""Half-life of a held-out window's weight in the quantiles, as a fraction of all held-out windows."""
GROWS, LINK = (0.25, 0.75), 0.4
"""Powers of the level with which the spread grows: below, it is left; between, the square root is taken; above, the logarithm; and
the correlation from which that is believed."""
FOUND_AGAIN = 0.3
"""Least autocorrelation at which a period is tried that the calendar does not know."""


@dataclass(frozen=True)
class Start:
    """Where a network begins. kernel: the linear forecast, (window · c, horizon · c), of scaled windows; x, y: windows (n, window, c) and
    what they are to forecast (n, horizon · c), scaled; mase, naive, last: the mean error on held-out windows, of this, of the seasonal
    naive forecast and of the last value, each in units of the seasonal naive one within the series (MASE).
    """

    preparation: Preparation
    kernel: np.ndarray
    x: np.ndarray
    y: np.ndarray
    mase: float
    naive: float
    last: float


def choose(series: Series) -> Start:
    """The preparation, of many, whose linear forecast errs least on held-out windows; raises DataError for a series too short for any."""
    values = series.filled()[-LONGEST:]
    n = len(values)
    calendar = series.calendar
    horizon = max(min(_horizon(calendar), n // 5), 1)
    looked = values[-LOOKED_AT:]
    windows = _windows(looked, calendar)
    tried = [_best(candidate, looked, windows[:SHORT]) for candidate in _candidates(series, looked, horizon)]
    best = min((each for each in tried if each), key=lambda each: each[0], default=None)
    if best is None:
        raise DataError(
            f"{series.name} is too short to learn from: it has {n} values; give at least {SHORTEST}"
        )
    for window in windows[SHORT:]:
        best = min(best, _best(best[1], looked, [window]) or best, key=lambda each: each[0])
    return _start(best[1], best[2], values, n_before=len(series) - n)


def _horizon(calendar: Calendar) -> int:
    """Steps that are forecast at once: about a season."""
    if calendar.unit in HORIZONS:
        return HORIZONS[calendar.unit].get(int(calendar.every), LEAST_HORIZON)
    day = calendar.periods()[:1] if calendar.unit == MILLISECOND else []
    if not day or day[0] == 7:
        return DAY_STEPS if day else LEAST_HORIZON
    return int(min(max(day[0], LEAST_HORIZON), MOST_HORIZON)) if day[0] < 7 * 24 * 60 else LEAST_HORIZON


def _candidates(series: Series, values: np.ndarray, horizon: int) -> Iterator[Preparation]:
    """The preparations to try, apart from window and smoothing."""
    n, c = values.shape
    known = [period for period in series.calendar.periods()] or _found(values)
    periods = [period for period in known if n >= CYCLES * period]
    sets = {tuple(periods), *((period,) for period in periods), ()}
    power = tuple(_power_of(column, int(known[0]) if known else 1) for column in values.T)
    floor = tuple(
        float(column[column > 0].min(initial=math.inf)) / 2 if p == 0 else 0.0
        for column, p in zip(values.T, power, strict=True)
    )
    naive = min((round(period) for period in periods), key=lambda p: _seasonal_error(values, p), default=1)
    for seasons in sorted(sets, key=len, reverse=True):
        unit = max([*seasons, max(known[0] if known else 1, UNIT) if not seasons else 0])
        for half_life, slope in itertools.product(HALF_LIVES, (False, True)):
            yield Preparation(
                columns=tuple(series.columns), calendar=series.calendar, horizon=horizon, window=1, power=power,
                seasons=tuple(map(season_of, seasons)), unit=unit, half_life=half_life and half_life * unit, slope=slope,
                smoothing=0.0, begin=min(round(2 * unit), n // 3), naive=naive, floor=floor, scale=(1.0,) * c,
            )  # fmt: skip


def _windows(values: np.ndarray, calendar: Calendar) -> list[int]:
    """Lengths of windows to try: half a period, two, and twelve."""
    n, c = values.shape
    base = max([BASE, *map(round, calendar.periods()[:1])])
    sizes = [base // 2, 2 * base, *[12 * base] * (n >= LONG)]
    return sorted({max(min(size, n // 4, MOST_INPUTS // c), 1) for size in sizes})


def _found(values: np.ndarray) -> list[float]:
    """The period after which a series is most like itself, where the calendar knows none; [] where it is not."""
    x = np.diff(values.mean(axis=1))
    x = x - x.mean()
    n = len(x)
    power = np.abs(np.fft.rfft(x, 2 * n)) ** 2
    again = np.fft.irfft(power)[: n // 3] / max(float((x * x).sum()), 1e-300)
    again = again * n / np.maximum(n - np.arange(len(again)), 1)
    peaks = [i for i in range(2, len(again) - 1) if again[i] >= max(again[i - 1], again[i + 1], FOUND_AGAIN)]
    return [float(max(peaks, key=lambda i: again[i]))] if peaks else []


def _power_of(column: np.ndarray, period: int) -> float:
    """The power that makes the spread of a column the same at every level (Guerrero 1993): 1, 0.5 or 0."""
    size = max(period, 4) if period > 1 else max(len(column) // 12, 4)
    count = len(column) // size
    if column.min() < 0 or count < 4:
        return 1.0
    blocks = column[len(column) - count * size :].reshape(count, size)
    level, spread = blocks.mean(axis=1), np.abs(np.diff(blocks, axis=1)).mean(axis=1)
    usable = (level > 0) & (spread > 0)
    x, y = np.log(level[usable]), np.log(spread[usable])
    if usable.sum() < 4 or x.std() < 0.1 or y.std() == 0 or np.corrcoef(x, y)[0, 1] < LINK:
        return 1.0
    grows = np.cov(x, y)[0, 1] / x.var(ddof=1)
    if grows < GROWS[0]:
        return 1.0
    return 0.0 if grows > GROWS[1] and column.min() > 0 else 0.5


def _seasonal_error(values: np.ndarray, period: int) -> float:
    """The mean error of the value a period before, over all columns in units of their own spread."""
    return float((np.abs(values[period:] - values[:-period]) / _spread(values)).mean())


def _spread(values: np.ndarray) -> np.ndarray:
    spread = values.std(axis=0)
    return np.where(spread > 0, spread, 1.0)


# ---- held-out windows ----


@dataclass(frozen=True)
class _Windows:
    """Windows of a series: what was left (n, window · c), what came (n, horizon · c) beyond `base` (n, horizon, c), and the values that
    came (n, horizon, c).
    """

    left: np.ndarray
    beyond: np.ndarray
    base: np.ndarray
    came: np.ndarray


def _cut(
    p: Preparation, values: np.ndarray, even: np.ndarray, states: np.ndarray, first: int = 0
) -> _Windows:
    origins = np.arange(p.begin, len(values) - p.horizon + 1)
    left, base = p.cut(even, first, origins, states)
    after = [sliding_window_view(v, p.horizon, axis=0)[origins].transpose(0, 2, 1) for v in (even, values)]
    return _Windows(left.reshape(len(left), -1), (after[0] - base).reshape(len(base), -1), base, after[1])


def _solve(square: np.ndarray, product: np.ndarray, strengths: tuple[float, ...]) -> np.ndarray:
    """The linear forecast with each ridge, (r, window · c, horizon · c), from X'X and X'Y."""
    mean = float(np.trace(square)) / len(square)
    ridges = np.array(strengths)[:, None, None] * mean + 1e-9
    return np.linalg.solve(square + ridges * np.eye(len(square)), product)


def _held_out(
    windows: _Windows, horizon: int, strengths: tuple[float, ...]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(windows to judge, the linear forecasts that were fitted to the others), block by block.

    The blocks follow each other in time; the first is not judged. Fitted is what shares no time with the block.
    """
    x, y = windows.left, windows.beyond
    count, square, product = len(x), x.T @ x, x.T @ y
    for block in np.array_split(np.arange(count), min(BLOCKS, max(count // 2, 2)))[1:]:
        near = slice(max(block[0] - horizon + 1, 0), min(block[-1] + horizon, count))
        if len(block) and count - (near.stop - near.start) >= 2:
            yield block, _solve(square - x[near].T @ x[near], product - x[near].T @ y[near], strengths)


def _best(p: Preparation, values: np.ndarray, windows: list[int]) -> tuple[float, Preparation, float] | None:
    """(error on held-out windows, preparation with the best of the windows and of SMOOTHING, ridge); None without enough windows."""
    even, spread = p.even(values), _spread(values)
    states, found = p.states(even, p.rows(0, len(even))), []
    for window, smoothing in itertools.product(windows, SMOOTHING):
        tried = p.with_(window=window, begin=max(window, p.begin), smoothing=smoothing)
        if len(values) - p.horizon - tried.begin + 1 < FEWEST:
            continue
        cut = _cut(tried, values, even, states)
        total, count = np.zeros(len(RIDGES)), 0
        for block, kernels in _held_out(cut, p.horizon, RIDGES):
            count += len(block)
            for i, kernel in enumerate(kernels):
                total[i] += np.sum(np.abs(_forecast(p, cut, block, kernel) - cut.came[block]) / spread)
        if count:
            found += [(e / count, tried, r) for e, r in zip(total, RIDGES, strict=True) if math.isfinite(e)]
    return min(found, key=lambda each: each[0], default=None)


def _forecast(p: Preparation, windows: _Windows, block: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    base = windows.base[block]
    return p.uneven(base + (windows.left[block] @ kernel).reshape(base.shape))


def _start(p: Preparation, strength: float, values: np.ndarray, n_before: int) -> Start:
    """The chosen preparation, fitted to all windows; what held-out ones missed by is kept as its spread."""
    even = p.even(values)
    states = p.states(even, p.rows(n_before, len(even)))
    windows = _cut(p, values, even, states, n_before)
    c, n = values.shape[1], len(windows.left)
    shape = n, p.horizon, c
    scale = np.abs(windows.beyond.reshape(shape)).mean(axis=(0, 1))
    scale = np.where(scale > 0, scale, 1.0)
    missed, errors, blocks = [], [], []
    for block, (kernel,) in _held_out(windows, p.horizon, (strength,)):
        missed.append(
            (windows.beyond[block] - windows.left[block] @ kernel).reshape(-1, p.horizon, c) / scale
        )
        errors.append(np.abs(_forecast(p, windows, block, kernel) - windows.came[block]))
        blocks.append(block)
    unit = naive_error(values, p.naive)
    origins = p.begin + np.concatenate(blocks)
    lagged = {period: _lagged(values, origins, period, p.horizon) for period in {p.naive, 1}}
    came = windows.came[np.concatenate(blocks)]
    plain = {period: float((np.abs(guess - came) / unit).mean()) for period, guess in lagged.items()}
    (kernel,) = _solve(windows.left.T @ windows.left, windows.left.T @ windows.beyond, (strength,))
    scaled = np.tile(scale, p.window), np.tile(scale, p.horizon)
    p = p.with_(
        scale=tuple(map(float, scale)),
        learnt=states[-1].tolist(),
        spread=_quantiles(np.concatenate(missed)).round(4).tolist(),
        seen=n_before + len(values),
    )
    return Start(
        p,
        kernel * scaled[0][:, None] / scaled[1],
        p.inputs(windows.left.reshape(n, p.window, c)),
        (windows.beyond / scaled[1]).astype(np.float32),
        float((np.concatenate(errors) / unit).mean()),
        plain[p.naive],
        plain[1],
    )


def _quantiles(missed: np.ndarray) -> np.ndarray:
    """Quantiles (p, horizon, c) of what windows in the order of time missed by, later ones counting more."""
    n = len(missed)
    order = np.argsort(missed, axis=0)
    weights = 0.5 ** ((n - 1 - np.arange(n)) / (FORGOTTEN * n))[order]
    at = (np.cumsum(weights, axis=0) - weights / 2) / weights.sum(axis=0)
    missed = np.take_along_axis(missed, order, axis=0)
    places = np.ndindex(missed.shape[1:])
    columns = [np.interp(QUANTILES, at[:, i, j], missed[:, i, j]) for i, j in places]
    return np.stack(columns, axis=-1).reshape(-1, *missed.shape[1:])


def _lagged(values: np.ndarray, origins: np.ndarray, period: int, horizon: int) -> np.ndarray:
    """The seasonal naive forecasts (k, horizon, c) after so many values each."""
    steps = np.arange(horizon) % period - period
    return values[np.maximum(origins[:, None] + steps, 0)]
