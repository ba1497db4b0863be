from __future__ import annotations

import numpy as np
import pytest
from helpers import check_layer

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import (
    AvgPool1D,
    AvgPool2D,
    Context,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    MaxPool1D,
    MaxPool2D,
)


def direct(layer, x):
    """Window after window, cut out of the picture itself: padding does not exist."""
    if layer.rank == 1:
        x = x[:, None]
    one = (1,) * (2 - layer.rank)
    axes = [
        list(_windows(x.shape[axis + 1], window, stride, layer.padding))
        for axis, (window, stride) in enumerate(zip(one + layer.pool_size, one + layer.strides, strict=True))
    ]
    pool = np.max if layer.largest else np.mean
    y = np.stack([np.stack([pool(x[:, r, c], axis=(1, 2)) for c in axes[1]], 1) for r in axes[0]], 1)
    return y if layer.rank == 2 else y[:, 0]


def _windows(size, window, stride, padding):
    if padding == "valid":
        return (slice(start, start + window) for start in range(0, size - window + 1, stride))
    starts = range(0, size, stride)
    before = max(starts[-1] + window - size, 0) // 2
    return (slice(max(start - before, 0), start - before + window) for start in starts)


@pytest.mark.parametrize("kind", [MaxPool2D, AvgPool2D])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("window", [1, 2, 3, (2, 3), (4, 1)])
@pytest.mark.parametrize("strides", [None, 1, 2, 5, (3, 1)])
def test_2d_pooling_is_its_equation(kind, window, strides, padding):
    layer = kind(window, strides, padding)
    check_layer(layer, (5, 7, 2), expected=lambda x: direct(layer, x))


@pytest.mark.parametrize("kind", [MaxPool1D, AvgPool1D])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("strides", [None, 1, 2, 4])
def test_1d_pooling_is_its_equation(kind, window, strides, padding):
    layer = kind(window, strides, padding)
    check_layer(layer, (7, 2), expected=lambda x: direct(layer, x))


@pytest.mark.parametrize("kind, pool", [(GlobalAveragePool2D, np.mean), (GlobalMaxPool2D, np.max)])
@pytest.mark.parametrize("shape", [(3, 4, 2), (1, 1, 3), (5, 1, 1)])
def test_global_pooling_takes_the_whole_picture(kind, pool, shape):
    check_layer(kind(), shape, expected=lambda x: pool(x, axis=(1, 2)), output_shape=shape[-1:])


MASK = np.array([[True, False, True, True], [False, True, False, False], [False] * 4])


@pytest.mark.parametrize("kind, pool", [(GlobalAveragePool1D, np.mean), (GlobalMaxPool1D, np.max)])
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_global_pooling_over_time_takes_the_real_steps_alone(kind, pool, mask):
    def expected(x):
        rows = [
            pool(one[real], axis=0) if real.any() else np.zeros(2) for one, real in zip(x, steps, strict=True)
        ]
        return np.array(rows)

    steps = np.ones((3, 4), bool) if mask is None else mask
    check_layer(kind(), (4, 2), batch=3, expected=expected, output_shape=(2,), mask=mask)


def test_a_sequence_may_be_as_long_as_it_likes_and_padding_changes_no_answer():
    for kind in (GlobalAveragePool1D, GlobalMaxPool1D):
        net = tn.Sequential([tn.Embedding(9, 3, mask_zero=True), kind(), tn.Dense(2)], (None,))
        short, long = net.predict(np.array([[4, 7]])), net.predict(np.array([[0, 4, 7, 0, 0, 0]]))
        np.testing.assert_allclose(short, long, atol=1e-6)


@pytest.mark.parametrize("kind", [GlobalAveragePool1D, GlobalMaxPool1D])
def test_nan_in_a_real_step_is_not_hidden(kind):
    x = np.zeros((2, 3, 1), np.float32)
    x[:, 1] = np.nan
    y, _ = kind().forward(x, Context(reference, mask=np.array([[True] * 3, [True, False, True]])))
    assert np.isnan(y[0, 0]) and y[1, 0] == 0


@pytest.mark.parametrize("kind", [GlobalAveragePool1D, GlobalMaxPool1D])
@pytest.mark.parametrize("input_shape", [(4,), (None, None), (2, 2, 3)])
def test_what_is_no_sequence_is_refused(kind, input_shape):
    with pytest.raises(ShapeError, match=r"takes .*\(steps, channels\).* but is given \("):
        kind().compute_output_shape(input_shape)


def test_the_stride_is_the_window_unless_given():
    assert MaxPool2D((2, 3)).compute_output_shape((5, 7, 1)) == (2, 2, 1)
    assert MaxPool2D(3, 2).compute_output_shape((8, 8, 1)) == (3, 3, 1)
    assert AvgPool2D(2, padding="same").compute_output_shape((5, 5, 1)) == (3, 3, 1)
    assert MaxPool1D().compute_output_shape((5, 1)) == (2, 1)


def test_among_equal_values_the_first_takes_the_gradient():
    layer = MaxPool2D(2)
    context = Context(reference, training=True)
    x = np.ones((1, 2, 4, 1))
    y, saved = layer.forward(x, context)
    dx, _ = layer.backward(np.full_like(y, 3.0), saved, context)
    assert dx[0, :, :, 0].tolist() == [[3, 0, 3, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("kind", [MaxPool2D, AvgPool2D])
def test_nan_in_a_window_is_not_hidden(kind):
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 1, 1] = np.nan
    y, _ = kind(2, padding="same").forward(x, Context(reference))
    assert np.isnan(y[0, 0, 0, 0]) and not np.isnan(y[0, 1:]).any()


@pytest.mark.parametrize("layer", [MaxPool2D(), AvgPool1D(), GlobalMaxPool2D(), GlobalAveragePool2D()])
@pytest.mark.parametrize("input_shape", [(4,), (None, None, 3), (2, None), (2, 2, 2, 2)])
def test_an_input_of_another_rank_or_an_open_size_is_refused_with_both_shapes(layer, input_shape):
    with pytest.raises(ShapeError, match=r"takes .*channels\).* but is given \("):
        layer.compute_output_shape(input_shape)


def test_an_input_smaller_than_the_window_is_refused():
    with pytest.raises(
        ShapeError, match=r"max_pool2d_1 takes .* at least \(3, 3\), but is given \(2, 5, 1\)"
    ):
        tn.Sequential([MaxPool2D(3)], (2, 5, 1))


@pytest.mark.parametrize(
    "settings", [{"pool_size": 0}, {"pool_size": (2,)}, {"strides": -1}, {"padding": "full"}]
)
def test_a_bad_setting_is_an_error_that_names_the_layer(settings):
    with pytest.raises(TinynetError, match=r"^avg_pool2d: "):
        AvgPool2D(**settings)
