from __future__ import annotations

import numpy as np
import pytest
from helpers import check_layer, close, randomise

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import Context, Conv2D, DepthwiseConv2D, SeparableConv2D
from tinynet.layers.base import ACTIVATIONS


def by_channel(layer, x, depthwise_kernel):
    """Each channel through a Conv2D of its own."""
    settings = {name: getattr(layer, name) for name in ("kernel_size", "strides", "padding", "dilation_rate")}
    alone, outputs = Conv2D(depthwise_kernel.shape[-1], use_bias=False, **settings), []
    for c in range(x.shape[-1]):
        alone.parameters["kernel"] = depthwise_kernel[:, :, c : c + 1]
        outputs.append(alone.forward(x[..., c : c + 1], Context(reference))[0])
    return np.concatenate(outputs, axis=-1)


def depthwise(layer):
    def expected(x, depthwise_kernel, bias=0.0):
        return reference.activation(by_channel(layer, x, depthwise_kernel) + bias, layer.activation)

    return expected


def separable(layer):
    def expected(x, depthwise_kernel, pointwise_kernel, bias=0.0):
        z = by_channel(layer, x, depthwise_kernel) @ pointwise_kernel[0, 0]
        return reference.activation(z + bias, layer.activation)

    return expected


SETTINGS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "strides": 2, "padding": "same"},
    {"kernel_size": 3, "strides": (1, 3), "depth_multiplier": 2},
    {"kernel_size": (3, 2), "dilation_rate": 2, "padding": "same", "depth_multiplier": 3},
    {"kernel_size": 1, "use_bias": False},
    {"kernel_size": 5, "padding": "same", "use_bias": False},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_depthwise_convolution_convolves_each_channel_alone(settings):
    layer = DepthwiseConv2D(**settings)
    check_layer(layer, (7, 6, 2), batch=1, expected=depthwise(layer))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_separable_convolution_is_a_depthwise_and_a_pointwise_one(settings):
    layer = SeparableConv2D(3, **settings)
    check_layer(layer, (7, 6, 2), batch=1, expected=separable(layer))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    alone, both = DepthwiseConv2D(2, activation=activation), SeparableConv2D(3, 2, activation=activation)
    check_layer(alone, (3, 4, 2), expected=depthwise(alone))
    check_layer(both, (3, 4, 2), expected=separable(both))


def test_arrays_have_keras_s_names_order_and_shapes():
    net = tn.Sequential(
        [DepthwiseConv2D(3, depth_multiplier=2), SeparableConv2D(5, (1, 2), depth_multiplier=3)], (6, 6, 4)
    )
    assert {name: value.shape for name, value in net.state().items()} == {
        "depthwise_conv2d_1.depthwise_kernel": (3, 3, 4, 2),
        "depthwise_conv2d_1.bias": (8,),
        "separable_conv2d_1.depthwise_kernel": (1, 2, 8, 3),
        "separable_conv2d_1.pointwise_kernel": (1, 1, 24, 5),
        "separable_conv2d_1.bias": (5,),
    }
    assert (net.shapes[1], net.shapes[2]) == ((4, 4, 8), (4, 3, 5))


def test_operations_are_counted_of_both_parts():
    assert DepthwiseConv2D(3, padding="same").flops((8, 8, 16)) == 2 * 64 * 16 * 9
    assert SeparableConv2D(32, 3, padding="same").flops((8, 8, 16)) == 2 * 64 * (16 * 9 + 16 * 32)


@pytest.mark.parametrize("make", [lambda: DepthwiseConv2D(3, 2, "same"), lambda: SeparableConv2D(4, 3)])
@pytest.mark.parametrize("pool", [tn.MaxPool2D(2), tn.AvgPool2D(2)])
def test_what_a_pooling_does_not_read_is_left_out_without_a_trace(make, pool):
    conv, rng = make(), np.random.default_rng(0)
    net = tn.Sequential([conv, pool], (11, 9, 3))
    randomise(conv, rng)
    x, context = rng.standard_normal((2, 11, 9, 3)), Context(reference)
    z, kept = conv.forward(x, context)
    expected, pooled = pool.forward(z, context)
    y, saved = net.forward(x, context)
    close(y, expected, 1e-12)
    dx, gradients = conv.backward(pool.backward(np.cos(y), pooled, context)[0], kept, context)
    found, own = net.backward(np.cos(y), saved, context)
    close(found, dx, 1e-12)
    for name, gradient in gradients.items():
        close(own[f"{conv.kind}_1.{name}"], gradient, 1e-12)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: DepthwiseConv2D(3, depth_multiplier=0), "depthwise_conv2d: depth_multiplier"),
        (lambda: DepthwiseConv2D(3, depthwise_initializer="big"), "depthwise_conv2d: depthwise_initializer"),
        (lambda: SeparableConv2D(0, 3), "separable_conv2d: filters"),
        (lambda: SeparableConv2D(2, 3, pointwise_initializer="big"), "pointwise_initializer"),
        (lambda: SeparableConv2D(2, 3, padding="full"), "separable_conv2d: padding"),
    ],
)
def test_a_bad_setting_is_an_error_that_names_the_layer(make, message):
    with pytest.raises(TinynetError, match=message):
        make()


@pytest.mark.parametrize("layer", [DepthwiseConv2D(3), SeparableConv2D(2, 3)])
@pytest.mark.parametrize("shape", [(5,), (2, 9, 1), (None, 9, 1)])
def test_an_input_that_does_not_fit_is_refused_with_both_shapes(layer, shape):
    with pytest.raises(ShapeError, match=r"_conv2d takes an input of shape \(height, .* but is given \("):
        layer.compute_output_shape(shape)
