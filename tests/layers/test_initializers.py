from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet.layers.initializers import INITIALIZERS, initialise

SHAPE = (3, 3, 16, 32)
FAN_IN, FAN_OUT = 9 * 16, 9 * 32
DEVIATIONS = {
    "glorot_uniform": np.sqrt(2 / (FAN_IN + FAN_OUT)),
    "he_normal": np.sqrt(2 / FAN_IN),
    "he_uniform": np.sqrt(2 / FAN_IN),
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_random_values_have_the_deviation_of_their_paper(name):
    values = initialise(name, SHAPE, np.random.default_rng(0))
    assert values.dtype == np.float32 and values.shape == SHAPE
    assert abs(values.mean()) < 0.05 * DEVIATIONS[name]
    assert abs(values.std() / DEVIATIONS[name] - 1) < 0.05


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (3, 3, 2, 4), (1, 6)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    values = initialise("orthogonal", shape, np.random.default_rng(0)).reshape(-1, shape[-1])
    product = values.T @ values if values.shape[0] >= values.shape[1] else values @ values.T
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-5)


@pytest.mark.parametrize("name, value", [("zeros", 0), ("ones", 1)])
def test_constants(name, value):
    assert (initialise(name, (2, 3), np.random.default_rng(0)) == value).all()


@pytest.mark.parametrize("name", INITIALIZERS)
def test_every_initialiser_is_a_setting_of_a_layer_and_follows_the_seed(name):
    first, again, other = (
        tn.Sequential([tn.Dense(4, kernel_initializer=name)], (3,), seed=seed).get_weights()[0]
        for seed in (7, 7, 8)
    )
    assert np.array_equal(first, again)
    assert np.array_equal(first, other) == (name in ("zeros", "ones"))
    assert first.dtype == np.float32 and first.flags.c_contiguous
