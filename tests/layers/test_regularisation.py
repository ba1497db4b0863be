from __future__ import annotations

import numpy as np
import pytest
from helpers import check_layer

from tinynet.errors import TinynetError
from tinynet.kernels import reference
from tinynet.layers import Context, Dropout


@pytest.mark.parametrize("rate", [0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("shape", [(7,), (2, 3, 2)])
def test_dropout_drops_the_same_values_forward_and_backward(rate, shape):
    check_layer(Dropout(rate), shape, output_shape=shape)


def test_dropout_keeps_the_mean_and_drops_about_its_rate():
    x = np.ones((100, 100), np.float32)
    y, _ = Dropout(0.3).forward(x, Context(reference, training=True, seed=1))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs(y.mean() - 1) < 0.03


def test_dropout_follows_the_seed_and_sleeps_outside_training():
    x = np.ones((1, 64), np.float32)
    first, again, other = (
        Dropout(0.5).forward(x, Context(reference, training=True, seed=seed))[0] for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(Dropout(0.5).forward(x, Context(reference))[0], x)


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, np.nan, "half", None, True])
def test_a_rate_outside_the_range_is_refused(rate):
    with pytest.raises(TinynetError, match=r"^dropout: rate must be"):
        Dropout(rate)
