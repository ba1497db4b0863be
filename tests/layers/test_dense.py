from __future__ import annotations

import numpy as np
import pytest
from helpers import check_layer

from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import Dense
from tinynet.layers.base import ACTIVATIONS


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("input_shape", [(4,), (3, 4), (2, 2, 3), (1,)])
def test_dense_is_activation_of_x_times_kernel_plus_bias(activation, input_shape):
    def expected(x, kernel, bias):
        return reference.activation(np.einsum("...i,io->...o", x, kernel) + bias, activation)

    check_layer(Dense(5, activation), input_shape, expected=expected, output_shape=(*input_shape[:-1], 5))


@pytest.mark.parametrize("activation", ["linear", "relu", "gelu"])
def test_dense_without_bias_has_only_a_kernel(activation):
    layer = Dense(3, activation, use_bias=False)
    check_layer(layer, (4,), expected=lambda x, kernel: reference.activation(x @ kernel, activation))
    assert list(layer.parameters) == ["kernel"]


def test_one_sample_and_one_unit():
    check_layer(Dense(1, "sigmoid"), (1,), batch=1, output_shape=(1,))


def test_starting_values_are_glorot_uniform_and_zero():
    layer = Dense(30)
    layer.build((20,), np.random.default_rng(0))
    limit = np.sqrt(6 / 50)
    kernel = layer.parameters["kernel"]
    assert 0.98 * limit < np.abs(kernel).max() <= limit and abs(kernel.mean()) < 0.1 * limit
    assert not layer.parameters["bias"].any()


def test_a_sequence_of_any_length_keeps_its_length_open():
    assert Dense(5).compute_output_shape((None, 4)) == (None, 5)


@pytest.mark.parametrize("input_shape", [(), (None,)])
def test_an_open_number_of_features_is_refused_with_both_shapes(input_shape):
    with pytest.raises(ShapeError, match=r"dense takes .*features.*, but is given \("):
        Dense(5).compute_output_shape(input_shape)


@pytest.mark.parametrize(
    "settings",
    [
        {"units": 0},
        {"units": -1},
        {"units": 2.5},
        {"units": "3"},
        {"units": True},
        {"units": None},
        {"units": 3, "activation": "swish"},
        {"units": 3, "activation": 0},
        {"units": 3, "activation": ""},
        {"units": 3, "activation": ["relu"]},
        {"units": 3, "kernel_initializer": "random"},
        {"units": 3, "kernel_initializer": ["zeros"]},
        {"units": 3, "use_bias": "no"},
        {"units": 3, "use_bias": None},
    ],
)
def test_a_bad_setting_is_an_error_that_names_the_layer(settings):
    with pytest.raises(TinynetError, match=r"^dense"):
        Dense(**settings)


def test_no_activation_is_linear():
    assert Dense(3, None).activation == "linear"
