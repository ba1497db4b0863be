"""Which preparation a series gets, and that it is the inverse of itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinynet.data.series.calendar import Calendar
from tinynet.data.series.choose import choose
from tinynet.data.series.prepare import Preparation, naive, smoothed
from tinynet.data.series.read import Series
from tinynet.errors import DataError

MONTHLY = Calendar("month", 1, 0, 1, "{Y}-{m:02}")
YEARLY = Calendar("month", 12, 0, 1, "{Y}")


def series(values, calendar=MONTHLY):
    values = np.array(values, float)
    values = values[:, None] if values.ndim == 1 else values
    return Series("drawn", [f"v{i}" for i in range(values.shape[1])], calendar, values)


def seasonal(n, noise=0.1, seed=0):
    places = np.arange(n)
    return 10 + 3 * np.sin(2 * np.pi * places / 12) + np.random.default_rng(seed).normal(0, noise, n)


def test_a_season_is_found_from_the_data():
    assert choose(series(seasonal(120))).preparation.seasons == ((12.0, 6),)
    noise = np.random.default_rng(1).normal(0, 1, 240)
    assert choose(series(noise)).mase < 0.85  # the mean of noise errs less than its last value


def test_a_period_that_no_calendar_knows_is_found():
    places = np.arange(110)
    values = 50 + 20 * np.sin(2 * np.pi * places / 10) + np.random.default_rng(2).normal(0, 2, 110)
    p = choose(series(values, YEARLY)).preparation
    assert p.naive == 10


def test_a_spread_that_grows_with_the_level_is_made_even():
    places, rng = np.arange(144), np.random.default_rng(3)
    grown = np.exp(4 + places / 72 + 0.2 * np.sin(2 * np.pi * places / 12) + rng.normal(0, 0.03, 144))
    assert choose(series(grown)).preparation.power == (0.0,)
    assert choose(series(grown - 300)).preparation.power == (1.0,)


def test_the_linear_start_beats_the_naive_forecasts_where_there_is_something_to_learn():
    start = choose(series(seasonal(150, 0.5)))
    assert start.mase < start.naive < start.last
    assert start.x.shape[1:] == (start.preparation.window, 1)
    assert start.kernel.shape == (start.preparation.window, start.preparation.horizon)


def test_windows_and_bases_add_up_to_the_series():
    values = np.stack([seasonal(100), np.exp(seasonal(100) / 5)], axis=1)
    p = choose(series(values)).preparation
    even, origins = p.even(values), np.array([60, 80])
    left, base = p.cut(even, 0, origins)
    assert left.shape == (2, p.window, 2) and base.shape == (2, p.horizon, 2)
    rows, states = p.rows(0, 100), p.states(even, p.rows(0, 100))
    level = smoothed(even[60 - p.window : 60][None] - rows[60 - p.window : 60] @ states[59], p.smoothing)[0]
    np.testing.assert_allclose(
        left[0] + level + rows[60 - p.window : 60] @ states[59], even[60 - p.window : 60]
    )
    np.testing.assert_allclose(p.uneven(even), values)


def test_what_comes_after_an_origin_changes_nothing_before_it():
    values = seasonal(100)[:, None]
    p = choose(series(values)).preparation
    other = values.copy()
    other[60:] += 100
    for one, two in zip(
        p.cut(p.even(values), 0, np.array([60])), p.cut(p.even(other), 0, np.array([60])), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_a_short_history_goes_on_with_the_seasons_that_were_learnt():
    values = seasonal(240, 0.05)
    p = choose(series(values)).preparation
    short = p.cut(p.even(values[120 : 120 + p.window, None]), 120, np.array([p.window]))[1][0, :, 0]
    later = np.arange(120 + p.window, 120 + p.window + p.horizon)
    assert np.abs(short - (10 + 3 * np.sin(2 * np.pi * later / 12))).max() < 1


def test_a_preparation_survives_its_file():
    p = choose(series(seasonal(60))).preparation
    assert Preparation.from_json(json.loads(json.dumps(p.as_json()))) == p


@pytest.mark.parametrize(
    "change",
    [
        {"horizon": 0}, {"window": 10**9}, {"window": "long"}, {"power": [3]}, {"scale": []}, {"scale": [0]}, {"seasons": [[12, 10**6]]},
        {"learnt": []}, {"spread": [[1], [1, 2]]}, {"calendar": None}, {"columns": [1]}, {"half_life": -1}, {"naive": None},
    ],
)  # fmt: skip
def test_a_preparation_of_strangers_is_checked(change):
    found = choose(series(seasonal(60))).preparation.as_json()
    with pytest.raises(DataError, match="cannot be used"):
        Preparation.from_json({**found, **change})


@pytest.mark.parametrize(
    "values", [np.ones(30), -seasonal(40), np.zeros(24), np.arange(8.0), np.r_[np.zeros(30), 1e6]]
)
def test_odd_series_get_a_preparation(values):
    start = choose(series(values))
    assert np.isfinite(start.kernel).all() and np.isfinite(start.x).all() and np.isfinite(start.y).all()


def test_a_series_too_short_says_what_it_needs():
    with pytest.raises(DataError, match="too short"):
        choose(series(np.arange(3.0)))


def test_the_seasonal_naive_forecast_repeats_the_last_season():
    values = np.arange(10.0)[:, None]
    assert naive(values, 4, 6)[:, 0].tolist() == [6, 7, 8, 9, 6, 7]
    assert naive(values, 40, 2)[:, 0].tolist() == [9, 9]
