from __future__ import annotations

import copy

import numpy as np
import pytest
from helpers import check_layer, close, randomise

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import AvgPool1D, Context, Conv1D, Conv2D, MaxPool1D
from tinynet.layers.base import ACTIVATIONS


def direct(layer, x, kernel, bias=0.0):
    """The equation of the docstring, written out: a picture in zeros, one output position after another."""
    rank = layer.rank
    if rank == 1:
        x, kernel = x[:, None], kernel[None]
    one = (1,) * (2 - rank)
    strides, dilation = one + layer.strides, one + layer.dilation_rate
    size, before = zip(
        *(_axis(x, kernel, axis, strides, dilation, layer.padding) for axis in (0, 1)), strict=True
    )
    y = np.zeros((len(x), *size, kernel.shape[-1]))
    for i, j, u, v in np.ndindex(*size, *kernel.shape[:2]):
        row, column = (
            i * strides[0] + u * dilation[0] - before[0],
            j * strides[1] + v * dilation[1] - before[1],
        )
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            y[:, i, j] += x[:, row, column] @ kernel[u, v]
    y = reference.activation(y + bias, layer.activation)
    return y if rank == 2 else y[:, 0]


def _axis(x, kernel, axis, strides, dilation, padding):
    size, reach = x.shape[axis + 1], dilation[axis] * (kernel.shape[axis] - 1) + 1
    if padding == "valid":
        return len(range(0, size - reach + 1, strides[axis])), 0
    out = len(range(0, size, strides[axis]))
    return out, max((out - 1) * strides[axis] + reach - size, 0) // 2


def check_conv(layer, input_shape, **more):
    check_layer(layer, input_shape, expected=lambda x, **p: direct(layer, x, **p), **more)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3, (1, 2), (3, 1)])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, (2, 3), (3, 1), (1, 4), 4])
def test_conv2d_is_its_equation(kernel_size, strides, padding):
    check_conv(Conv2D(2, kernel_size, strides, padding), (5, 6, 2), batch=1)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("dilation", [2, 3, (1, 2), (3, 1)])
@pytest.mark.parametrize("kernel_size", [2, 3, (1, 2)])
def test_conv2d_dilated(kernel_size, dilation, padding):
    check_conv(Conv2D(2, kernel_size, 1, padding, dilation), (7, 7, 1), batch=1)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_conv2d_strided_and_dilated_at_once(padding):
    check_conv(Conv2D(2, (2, 3), (2, 3), padding, (3, 2)), (7, 9, 2), batch=1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_conv2d_activations(activation):
    check_conv(Conv2D(3, 2, activation=activation), (3, 4, 2))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_conv1d_activations(activation):
    check_conv(Conv1D(3, 2, activation=activation), (4, 2))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("kernel_size, dilation", [(1, 1), (2, 1), (3, 1), (4, 1), (2, 3), (3, 2)])
def test_conv1d_is_its_equation(kernel_size, dilation, strides, padding):
    check_conv(Conv1D(2, kernel_size, strides, padding, dilation), (8, 2), batch=1)


@pytest.mark.parametrize(
    "layer, shape", [(Conv2D(2, 2, use_bias=False), (3, 3, 2)), (Conv1D(2, 2, use_bias=False), (4, 2))]
)
def test_without_bias_there_is_only_a_kernel(layer, shape):
    check_conv(layer, shape)
    assert list(layer.parameters) == ["kernel"]


def test_a_kernel_as_large_as_the_picture_and_larger_than_it_in_same():
    check_conv(Conv2D(2, (4, 3)), (4, 3, 2), output_shape=(1, 1, 2))
    check_conv(Conv2D(2, 5, padding="same"), (2, 3, 1), output_shape=(2, 3, 2))


def test_output_shapes_are_keras_s():
    assert Conv2D(8, 3).compute_output_shape((28, 28, 1)) == (26, 26, 8)
    assert Conv2D(8, 3, 2, "same").compute_output_shape((28, 27, 1)) == (14, 14, 8)
    assert Conv2D(8, 3, dilation_rate=2).compute_output_shape((28, 28, 1)) == (24, 24, 8)
    assert Conv1D(8, 5, 2).compute_output_shape((20, 3)) == (8, 8)


POOLS = [
    *[
        (kind, 2, strides, padding)
        for kind in ("MaxPool2D", "AvgPool2D")
        for strides in (2, 3, (1, 3))
        for padding in ("valid", "same")
    ],
    ("MaxPool2D", (3, 2), (4, 3), "valid"),
    ("MaxPool2D", (3, 1), None, "valid"),
    ("MaxPool2D", 1, 4, "same"),
    ("AvgPool2D", 3, 2, "same"),
]


@pytest.mark.parametrize("kind, window, strides, pool_padding", POOLS)
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3},
        {"kernel_size": (2, 4), "padding": "same"},
        {"kernel_size": 2, "strides": (2, 1)},
        {"kernel_size": 3, "padding": "same", "dilation_rate": 2},
        {"kernel_size": (3, 2), "padding": "same", "strides": 2},
    ],
)
def test_what_a_pooling_never_reads_is_left_out_without_a_trace(
    settings, kind, window, strides, pool_padding
):
    shape = (10, 9, 2)
    conv = Conv2D(3, **settings, activation="tanh")
    net = tn.Sequential([conv, getattr(tn, kind)(window, strides, pool_padding)], shape)
    check_trim(net, conv, shape)


@pytest.mark.parametrize("pool_padding", ["valid", "same"])
@pytest.mark.parametrize("window, strides", [(2, 2), (3, 2), (2, 3), (3, 4), (1, 4)])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_what_a_pooling_of_a_sequence_never_reads_is_left_out_without_a_trace(
    padding, window, strides, pool_padding
):
    conv = Conv1D(3, 4, padding=padding, dilation_rate=2)
    net = tn.Sequential([conv, tn.AvgPool1D(window, strides, pool_padding)], (15, 2))
    check_trim(net, conv, (15, 2))


def check_trim(net, conv, shape):
    """Outputs and all gradients, with what the pooling leaves unread computed and not computed, layer by layer and as the network does."""
    rng = np.random.default_rng(1)
    randomise(conv, rng)
    x, context = rng.standard_normal((2, *shape)), Context(reference, training=True)
    pooling, results = net.layers[1], []
    cropped = copy.copy(conv)
    vars(cropped)["crop"] = pooling.part_read
    for own in (conv, cropped):
        convolved, kept = own.forward(x, context)
        y, pool_kept = pooling.forward(convolved, context)
        dy = np.cos(np.arange(y.size)).reshape(y.shape)
        dx, gradients = own.backward(pooling.backward(dy, pool_kept, context)[0], kept, context)
        results.append({"y": y, "dx": dx, **gradients})
    y, saved = net.forward(x, context)
    assert convolved.shape[1:-1] == pooling.part_read(conv.spatial_output(shape[:-1])), (
        "no more is computed than is read"
    )
    close(net.forward(x, context._replace(gradients=False))[0], y, 1e-12)
    _, gradients = net.backward(dy, saved, context)
    results.append({"y": y, **{name.split(".")[1]: value for name, value in gradients.items()}})
    for result in results[1:]:
        for name, value in result.items():
            close(value, results[0][name], 1e-12)


def test_the_digit_network_leaves_out_the_eleventh_row():
    net = tn.Sequential([tn.Conv2D(4, 3), tn.MaxPool2D(2)], (13, 13, 2))
    assert net.flops() == 2 * 10 * 10 * 4 * 2 * 9 + net.layers[1].flops((11, 11, 4))
    assert net.layers[0].flops((13, 13, 2)) == 2 * 11 * 11 * 4 * 2 * 9


@pytest.mark.parametrize("layer", [Conv2D(2, 3), Conv1D(2, 3)])
@pytest.mark.parametrize("input_shape", [(), (3,), (2, 2, 2, 2), (3, None), (None, 5, 1)])
def test_an_input_of_another_rank_or_an_open_size_is_refused_with_both_shapes(layer, input_shape):
    with pytest.raises(ShapeError, match=r"^conv\dd takes .*channels\).* but is given \("):
        layer.compute_output_shape(input_shape)


def test_an_input_smaller_than_the_kernel_is_refused_with_the_least_size():
    with pytest.raises(ShapeError, match=r"at least \(5, 3\), but is given \(4, 9, 1\)"):
        Conv2D(2, (3, 2), dilation_rate=(2, 2)).compute_output_shape((4, 9, 1))


@pytest.mark.parametrize(
    "settings",
    [
        {"filters": 0},
        {"kernel_size": 0},
        {"kernel_size": (3,)},
        {"kernel_size": (3, 3, 3)},
        {"kernel_size": "3"},
        {"kernel_size": (3, 2.5)},
        {"strides": 0},
        {"strides": (1, -1)},
        {"dilation_rate": 0},
        {"padding": "full"},
        {"padding": ["same"]},
        {"activation": "swish"},
        {"use_bias": 2},
    ],
)
def test_a_bad_setting_is_an_error_that_names_the_layer(settings):
    with pytest.raises(TinynetError, match=r"^conv2d: "):
        Conv2D(**{"filters": 2, "kernel_size": 3, **settings})


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "layer",
    [lambda p: Conv1D(3, 3, padding=p), lambda p: MaxPool1D(2, padding=p), lambda p: AvgPool1D(3, 2)],
)
def test_a_mask_of_padding_leaves_what_the_sequence_alone_would_give(layer, padding):
    rng = np.random.default_rng(3)
    inner = layer(padding)
    net = tn.Sequential(
        [tn.Masking(), tn.Dense(4, "relu"), inner, tn.GRU(5, return_sequences=True)], (None, 2), seed=1
    )
    alone = rng.random((1, 7, 2), np.float32) + 0.1
    padded = np.concatenate([alone, np.zeros((1, 4, 2), np.float32)], axis=1)
    steps = inner.compute_output_shape((7, 4))[0]
    close(net.predict(padded)[:, :steps], net.predict(alone), 1e-6)


@pytest.mark.parametrize(
    "layer", [Conv1D(3, 2, 2, "same"), Conv1D(2, 3), MaxPool1D(2), AvgPool1D(2, padding="same")]
)
def test_gradients_behind_a_mask(layer):
    mask = np.array([[True] * 6, [True] * 4 + [False] * 2, [False] * 6])
    check_layer(layer, (6, 2), batch=3, mask=mask)


def test_a_convolution_and_its_pooling_behind_a_mask_are_what_they_are_one_by_one():
    mask = np.array([[True] * 5 + [False] * 4, [True] * 9])
    x = np.random.default_rng(0).standard_normal((2, 9, 2))
    conv, pool = Conv1D(3, 3, padding="same", activation="relu"), MaxPool1D(2, padding="same")
    chain = tn.Sequential([conv, pool], (None, 2))
    context = Context(reference, mask=mask)
    z, saved = conv.forward(x, context)
    told = context._replace(mask=conv.output_mask(x, saved, context))
    expected, pooled = pool.forward(z, told)
    y, kept = chain.forward(x, context)
    assert np.array_equal(y, expected) and np.array_equal(kept.mask, pool.output_mask(z, pooled, told))
    dy = np.ones_like(y)
    dx, _ = chain.backward(dy, kept, context)
    assert np.array_equal(dx, conv.backward(pool.backward(dy, pooled, told)[0], saved, context)[0])


def test_a_sequence_of_any_length_is_convolved_and_one_that_is_too_short_is_refused():
    net = tn.Sequential([Conv1D(3, 3), MaxPool1D(2)], (None, 2))
    assert net.predict(np.ones((1, 6, 2))).shape == (1, 2, 3) and net.predict(np.ones((1, 11, 2))).shape == (
        1,
        4,
        3,
    )
    with pytest.raises(ShapeError, match=r"conv1d_1 takes .* of at least \(3,\), but is given \(2, 2\)"):
        net.predict(np.ones((1, 2, 2)))
