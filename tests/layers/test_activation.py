from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import check_layer

from tinynet.errors import TinynetError
from tinynet.kernels import reference
from tinynet.layers import Activation, Context
from tinynet.layers.base import ACTIVATIONS

EQUATIONS = {
    "linear": lambda z: z,
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: z if z >= 0 else 0.2 * z,
    "elu": lambda z: z if z >= 0 else math.expm1(z),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "gelu": lambda z: z * 0.5 * (1 + math.erf(z / math.sqrt(2))),
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "tanh": math.tanh,
}


@pytest.mark.parametrize("name", EQUATIONS)
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 2, 2)])
def test_each_activation_is_its_equation(name, shape):
    expected = np.vectorize(EQUATIONS[name], otypes=[float])
    x = np.random.default_rng(2).standard_normal((3, *shape)) * 3
    check_layer(Activation(name), shape, expected=expected, output_shape=shape, x=x)


@pytest.mark.parametrize("shape", [(5,), (2, 3), (1,)])
def test_softmax_makes_the_last_axis_sum_to_one(shape):
    def expected(x):
        return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)

    check_layer(Activation("softmax"), shape, expected=expected, output_shape=shape)


def test_every_activation_is_tested():
    assert {*EQUATIONS, "softmax"} == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_large_inputs_neither_overflow_nor_warn(name):
    z = np.array([[-1e4, -100, -20, 0, 20, 100, 1e4]], np.float32)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y, saved = Activation(name).forward(z, Context(reference))
        dz, _ = Activation(name).backward(np.ones_like(z), saved, Context(reference))
    assert np.isfinite(y).all() and np.isfinite(dz).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_stays_nan(name):
    y, _ = Activation(name).forward(np.array([[np.nan]], np.float32), Context(reference))
    assert np.isnan(y).all()


def test_an_unknown_name_is_an_error_with_the_list():
    with pytest.raises(TinynetError, match=r"^activation: activation 'swish' is unknown; .*relu"):
        Activation("swish")
