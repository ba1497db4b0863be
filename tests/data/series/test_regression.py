"""Trend and seasons by a discounted regression, held to the least squares that its docstring says."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.series.regression import coefficients, design, last_coefficients, ridge, season_of


@pytest.mark.parametrize("half_life", [5.0, np.inf])
def test_coefficients_after_each_time_are_weighted_least_squares(half_life):
    rng = np.random.default_rng(0)
    x = design(np.arange(300.0), [season_of(12.0)], True, 12.0)
    y, strength = rng.normal(size=(300, 2)), np.full(x.shape[1], 0.1)
    prior = rng.normal(size=(x.shape[1], 2))
    found = coefficients(y, x, half_life, strength, prior)
    for t in (0, 7, 255, 256, 299):
        weights = 0.5 ** ((t - np.arange(t + 1)) / half_life)
        left = (x[: t + 1].T * weights) @ x[: t + 1] + np.diag(strength)
        right = (x[: t + 1].T * weights) @ y[: t + 1] + strength[:, None] * prior
        np.testing.assert_allclose(found[t], np.linalg.solve(left, right), atol=1e-8)
    np.testing.assert_allclose(last_coefficients(y, x, half_life, strength, prior), found[-1], atol=1e-8)


def test_trend_and_season_are_found_and_go_on():
    places = np.arange(100.0)
    y = 3 + 0.5 * places + 4 * np.sin(2 * np.pi * places / 12)
    x = design(np.arange(124.0), [season_of(12.0)], True, 12.0)
    last = coefficients(y[:, None], x[:100], np.inf, ridge(x.shape[1], True))[-1]
    later = np.arange(100.0, 124)
    np.testing.assert_allclose(
        x[100:] @ last[:, 0], 3 + 0.5 * later + 4 * np.sin(2 * np.pi * later / 12), atol=0.02
    )


def test_a_season_has_harmonics_for_its_form():
    assert [season_of(p)[1] for p in (2.0, 4.0, 7.0, 12.0, 24.0, 168.0, 365.2425)] == [1, 2, 3, 6, 12, 24, 3]
