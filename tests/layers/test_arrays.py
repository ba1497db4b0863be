"""Weights taken out of layers and networks, and put into them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import close

import tinynet as tn
from tinynet.errors import TinynetError
from tinynet.kernels import reference
from tinynet.layers import Context


def test_weights_go_layer_by_layer_in_the_order_of_keras():
    net = tn.Sequential([tn.Dense(3), tn.BatchNorm(), tn.Dense(3), tn.BatchNorm()], (2,), seed=1)
    kinds = [name.rpartition(".")[2] for name in net.state()]
    assert kinds == ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"] * 2
    gamma, beta, mean, variance = np.float32([[1, 2, 3], [0.1, 0.2, 0.3], [5, 1, 2], [0.5, 4, 9]])
    net.layers[1].set_weights([gamma, beta, mean, variance])
    x = np.random.default_rng(0).standard_normal((4, 3))
    expected = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    close(net.layers[1].forward(x, Context(reference))[0], expected, 1e-6)
    arrays = [array for layer in net.layers for array in layer.get_weights()]
    assert all(np.array_equal(a, b) for a, b in zip(arrays, net.get_weights(), strict=True))


def test_the_weights_of_a_keras_gru_are_brought_over_as_the_docstring_says():
    rng, units = np.random.default_rng(4), 3
    keras = [rng.standard_normal(shape) for shape in ((2, 9), (units, 9), (2, 9))]
    kernel, recurrent_kernel, bias = keras
    ours = [
        np.concatenate([r, z, n], -1)
        for z, r, n in (np.split(array, 3, -1) for array in (kernel, recurrent_kernel, *bias))
    ]
    net = tn.Sequential([tn.GRU(units)], (5, 2))
    net.set_weights(ours)
    x, h = rng.standard_normal((4, 5, 2)), np.zeros((4, units))
    for t in range(5):  # keras.layers.GRU with reset_after, its default
        given, met = x[:, t] @ kernel + bias[0], h @ recurrent_kernel + bias[1]
        (xz, xr, xn), (hz, hr, hn) = np.split(given, 3, -1), np.split(met, 3, -1)
        z, r = 1 / (1 + np.exp(-(xz + hz))), 1 / (1 + np.exp(-(xr + hr)))
        h = z * h + (1 - z) * np.tanh(xn + r * hn)
    close(net.predict(x), h, 1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1, 1e39]], r"is given 1e\+39 at index \(0, 1\)"),
        ([["1", "2"]], r"kernel takes real numbers, but is given an array of <U1"),
        ([[1j, 2]], "is given an array of complex128"),
        ([[None, 2]], "is given an array of object"),
        ([[True, False]], "is given an array of bool"),
        ([[1, 2], [3]], "is given rows that differ in length"),
        (np.ma.masked_array([[1, 2]], [[True, False]]), "are masked"),
    ],
)
def test_weights_that_are_no_real_numbers_change_nothing(given, message):
    net = tn.Sequential([tn.Dense(2)], (1,))
    before = net.get_weights()
    with pytest.raises(TinynetError, match=message):
        net.set_weights([given, [5, 5]])
    with pytest.raises(TinynetError, match=message):
        net.layers[0].set_weights([given, [5, 5]])
    assert all(np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True))


@pytest.mark.parametrize("weights", [None, 3, "ab", {"dense_1.kernel": [[1, 2]], "dense_1.bias": [1, 2]}])
def test_weights_that_are_no_list_are_answered(weights):
    with pytest.raises(TinynetError, match="give the weights as a list of arrays, not as"):
        tn.Sequential([tn.Dense(2)], (1,)).set_weights(weights)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_never_taken_silently(value):
    net = tn.Sequential([tn.Dense(2)], (1,))
    message = rf"^dense_1\.kernel takes finite float32 numbers, but is given {value} at index \(0, 1\)"
    with pytest.warns(RuntimeWarning, match=message) as caught:
        net.set_weights([[[1, value]], [5, 5]])
    assert caught[0].filename == __file__
