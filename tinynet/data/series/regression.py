"""Trend and seasons of a series, at each time from what came before it: a discounted regression on harmonics (Brown 1963).

At time t the coefficients c minimise sum_s d^(t-s) (y_s - x_s c)² + (c - c0)' R (c - c0) over s ≤ t, where x_s holds 1, the time, and
cos and sin of each season's harmonics, and d halves a value's weight every `half_life` steps. What is left, y - x c, is what a
network reads and forecasts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LEVEL, SLOPE, SEASON = 1e-8, 1e-6, 1e-2
"""The ridge of each coefficient: so small that it only decides what the values leave open."""
AT_ONCE = 256
"""Times whose equations are solved together."""
HARMONICS, YEAR_HARMONICS, WEEK_HARMONICS, SHORT = 12, 3, 24, 60
"""Of a season, at most; of a year in days or hours, which is round; of a week in hours, a season of more than SHORT steps."""

Season = tuple[float, int]
"""Its period in steps, and how many harmonics it has."""


def season_of(period: float) -> Season:
    """A period with as many harmonics as its form may need. A year in days is known by not being a whole number of them."""
    if period != round(period):
        return period, min(YEAR_HARMONICS, max(math.floor(period / 2), 1))
    most = WEEK_HARMONICS if period > SHORT and period % 7 == 0 else HARMONICS
    return period, max(min(math.floor(period / 2), most), 1)


def design(places: np.ndarray, seasons: Sequence[Season], slope: bool, unit: float) -> np.ndarray:
    """The rows x (n, q) at places (n,): 1, the time in units, cos and sin of the harmonics."""
    columns = [np.ones(len(places))]
    if slope:
        columns.append(places / unit)
    for period, harmonics in seasons:
        for k in range(1, harmonics + 1):
            angle = 2 * np.pi * k / period * places
            columns.append(np.cos(angle))
            if 2 * k != period:
                columns.append(np.sin(angle))
    return np.stack(columns, axis=1)


def ridge(width: int, slope: bool) -> np.ndarray:
    """The ridge of each of the coefficients, (q,)."""
    return np.array([LEVEL, *[SLOPE] * slope, *[SEASON] * (width - 1 - slope)])


def last_coefficients(
    y: np.ndarray, x: np.ndarray, half_life: float, strength: np.ndarray, prior: np.ndarray | None = None
) -> np.ndarray:
    """What `coefficients` gives after the last time, (q, c), without those before."""
    weighted = x * 0.5 ** (np.arange(len(x))[::-1, None] / half_life)
    pull = 0.0 if prior is None else strength[:, None] * prior
    return np.linalg.solve(weighted.T @ x + np.diag(strength), weighted.T @ y + pull)


def coefficients(
    y: np.ndarray, x: np.ndarray, half_life: float, strength: np.ndarray, prior: np.ndarray | None = None
) -> np.ndarray:
    """The coefficients after each time, (n, q, c), for values y (n, c) and rows x (n, q).

    half_life: in steps, inf to forget nothing; strength: the ridge (q,), which pulls towards the prior (q, c), by default 0.
    """
    (n, q), c = x.shape, y.shape[1]
    kept = 0.5 ** (1 / half_life)
    found, a, b = np.empty((n, q, c)), np.zeros((q, q)), np.zeros((q, c))
    pull = np.zeros((q, c)) if prior is None else strength[:, None] * prior
    left, right = np.empty((AT_ONCE, q, q)), np.empty((AT_ONCE, q, c))
    for start in range(0, n, AT_ONCE):
        end = min(start + AT_ONCE, n)
        for i in range(start, end):
            a *= kept
            a += x[i, :, None] * x[i]
            b *= kept
            b += x[i, :, None] * y[i]
            left[i - start], right[i - start] = a, b
        count = end - start
        found[start:end] = np.linalg.solve(left[:count] + np.diag(strength), right[:count] + pull)
    return found
