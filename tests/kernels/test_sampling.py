"""Drawing from probabilities: what temperature, top-k and top-p leave, and how often each class comes."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.kernels.reference import sample

P = np.array([0.1, 0.4, 0.05, 0.25, 0.2], np.float32)
POINTS = (np.arange(10_000) + 0.5) / 10_000


def shares(p=P, temperature=1.0, top_k=0, top_p=1.0):
    """How much of [0, 1) stands for each class."""
    drawn = [sample(p, temperature, top_k, top_p, u) for u in POINTS]
    return np.bincount(drawn, minlength=len(p)) / len(POINTS)


def test_each_class_comes_as_often_as_its_probability_says():
    np.testing.assert_allclose(shares(), P, atol=2e-4)


@pytest.mark.parametrize("temperature", [0.3, 0.8, 2.0])
def test_temperature_is_a_power(temperature):
    expected = P ** (1 / temperature) / (P ** (1 / temperature)).sum()
    np.testing.assert_allclose(shares(temperature=temperature), expected, atol=2e-4)


def test_top_k_leaves_the_most_probable_and_top_p_the_fewest_that_are_enough():
    np.testing.assert_allclose(shares(top_k=2), [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0], atol=2e-4)
    np.testing.assert_allclose(shares(top_p=0.5), [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0], atol=2e-4)
    np.testing.assert_allclose(shares(top_p=0.7), [0, 0.4 / 0.85, 0, 0.25 / 0.85, 0.2 / 0.85], atol=2e-4)
    assert shares(top_p=1e-6).tolist() == [0, 1, 0, 0, 0]
    assert shares(top_k=99).tolist() == shares().tolist()


def test_temperature_0_and_top_k_1_are_the_most_probable_and_the_lowest_of_equals():
    tied = np.array([0.2, 0.4, 0.4], np.float32)
    for u in (0.0, 0.5, np.nextafter(1, 0)):
        assert (
            sample(tied, 0.0, 0, 1.0, u) == sample(tied, 1.0, 1, 1.0, u) == sample(tied, 1e9, 1, 1.0, u) == 1
        )


def test_what_has_no_probability_never_comes():
    p = np.array([0, 0.5, 0, 0.5, 0], np.float32)
    for temperature in (1e-3, 1.0, 1e6):
        drawn = {sample(p, temperature, 0, 1.0, u) for u in (0.0, 0.49, 0.51, np.nextafter(1, 0))}
        assert drawn <= {1, 3}
