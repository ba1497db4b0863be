"""Drawing from probabilities: what temperature, top-k and top-p leave, and how often each class comes."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.kernels import device, reference

sample = reference.sample
P = np.array([0.1, 0.4, 0.05, 0.25, 0.2], np.float32)
POINTS = (np.arange(10_000) + 0.5) / 10_000


@pytest.fixture(params=["reference", "cpu"], autouse=True)
def each_back_end(request, monkeypatch):
    if request.param == "cpu":
        pytest.importorskip("numba")
        device.set_device("cpu")
        monkeypatch.setitem(globals(), "sample", device.backend().sample)


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


def distributions(rng, count):
    """Probabilities of all kinds: peaked, flat, with ties, with zeros, of one class alone."""
    for _ in range(count):
        classes = int(rng.choice([1, 2, 3, 9, 65, 300]))
        z = rng.standard_normal(classes) * rng.choice([0, 0.1, 1, 5, 40])
        kind = rng.choice(["plain", "tied", "holes", "one"])
        p = np.exp((np.round(z) if kind == "tied" else z) - z.max())
        if kind == "holes":
            p[1:][rng.random(classes - 1) < 0.5] = 0
        elif kind == "one":
            p = np.eye(classes)[rng.integers(classes)]
        yield (p / p.sum()).astype(np.float32)


def settings(rng, classes):
    """Of all kinds too: tiny and huge temperatures, top-k around the number of classes, any top-p, the ends of [0, 1)."""
    temperature = rng.choice([0, 1, 0.8, 0.5, 2, 1e-3, 1e-310, 1e6, 1e300])
    top_k, top_p = rng.choice([0, 0, 1, 2, 5, classes, classes + 7]), rng.choice([1, 1, 0.9, 0.5, 1e-9])
    u = rng.choice([0, np.nextafter(1, 0), rng.random(), rng.random(), rng.integers(0, 8) / 8])
    return float(temperature), int(top_k), float(top_p), float(u)


def test_the_class_is_that_of_the_reference():
    """But for u within 1e-12 of where two classes meet: there the last bit of a power decides."""
    rng = np.random.default_rng(0)
    for p in distributions(rng, 5000):
        *chosen, u = settings(rng, len(p))
        places = np.argsort(np.argsort(-p, kind="stable"))
        with np.errstate(over="ignore"):
            least, same, most = (
                places[reference.sample(p, *chosen, np.clip(u + d, 0, np.nextafter(1, 0)))]
                for d in (-1e-12, 0, 1e-12)
            )
        drawn = places[sample(p, *chosen, u)]
        assert drawn == same or least <= drawn <= most, (p, chosen, u)
