"""The definition of every kernel, held to loops and central differences that share nothing with it."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest
from helpers import check_operation, close, numeric_gradient

from tinynet.kernels import reference as k

GEOMETRIES = [
    # strides, pads, dilation; negative pads crop
    ((1, 1), ((0, 0), (0, 0)), (1, 1)),
    ((2, 1), ((1, 0), (0, 2)), (1, 1)),
    ((1, 1), ((0, -1), (0, -2)), (1, 1)),
    ((2, 2), ((1, -2), (2, -1)), (1, 1)),
    ((1, 2), ((-1, 0), (-1, 1)), (2, 1)),
    ((3, 3), ((2, 2), (3, 3)), (2, 3)),
    ((1, 1), ((0, -3), (0, 0)), (1, 1)),
]


def pixel(x, row, column):
    """The value of a padded picture at a position of the whole one: zeros around it."""
    inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
    return x[:, row, column] if inside else np.zeros((len(x), x.shape[3]), x.dtype)


def positions(size, window, stride, pads, dilation=1):
    """Where each window starts along one axis, counted in the picture itself."""
    last = size + pads[1] - dilation * (window - 1) - 1
    return list(range(-pads[0], last + 1, stride))


def naive_conv2d(x, kernel, bias, strides, pads, dilation):
    rows = positions(x.shape[1], kernel.shape[0], strides[0], pads[0], dilation[0])
    columns = positions(x.shape[2], kernel.shape[1], strides[1], pads[1], dilation[1])
    y = np.zeros((len(x), len(rows), len(columns), kernel.shape[3]))
    for (i, row), (j, column) in _pairs(rows, columns):
        for u, v in np.ndindex(*kernel.shape[:2]):
            y[:, i, j] += pixel(x, row + u * dilation[0], column + v * dilation[1]) @ kernel[u, v]
    return y + bias


def _pairs(rows, columns):
    return [(row, column) for row in enumerate(rows) for column in enumerate(columns)]


@pytest.mark.parametrize("strides, pads, dilation", GEOMETRIES)
@pytest.mark.parametrize("window", [(1, 1), (2, 3), (3, 2)])
def test_conv2d_and_its_gradients(window, strides, pads, dilation):
    rng = np.random.default_rng(0)
    x, kernel, bias = (rng.standard_normal(shape) for shape in ((2, 6, 7, 2), (*window, 2, 3), (3,)))
    expected = naive_conv2d(x, kernel, bias, strides, pads, dilation)
    geometry = (strides, pads, dilation)

    def backward(dy, _):
        return {
            "x": k.conv2d_input_gradient(dy, kernel, x.shape, *geometry),
            "kernel": k.conv2d_kernel_gradient(x, dy, kernel.shape, *geometry),
            "bias": k.bias_gradient(dy),
        }

    check_operation(
        lambda: (k.conv2d(x, kernel, bias, *geometry), None),
        backward,
        {"x": x, "kernel": kernel, "bias": bias},
        shape=expected.shape,
        expected=expected,
    )


def test_rows_that_are_cropped_are_never_read():
    x = np.ones((1, 5, 5, 1))
    x[:, 4], x[:, :, 3:] = np.nan, np.nan
    pads = ((0, -1), (0, -2))
    y = k.conv2d(x, np.ones((2, 2, 1, 1)), None, (1, 1), pads, (1, 1))
    assert y.shape == (1, 3, 2, 1) and (y == 4).all()
    dkernel = k.conv2d_kernel_gradient(x, y, (2, 2, 1, 1), (1, 1), pads, (1, 1))
    dx = k.conv2d_input_gradient(y, np.ones((2, 2, 1, 1)), x.shape, (1, 1), pads, (1, 1))
    assert np.isfinite(dkernel).all() and not dx[:, 4].any() and not dx[:, :, 3:].any()


@pytest.mark.parametrize("activation", k.FUSED)
def test_a_fused_activation_is_the_activation_of_the_sum(activation):
    rng = np.random.default_rng(0)
    x, kernel, bias = (rng.standard_normal(shape) for shape in ((4, 3), (3, 5), (5,)))
    close(k.dense(x, kernel, bias, activation), k.activation(x @ kernel + bias, activation), 1e-14)
    picture, window = x.reshape(1, 2, 2, 3), kernel.reshape(1, 1, 3, 5)
    y = k.conv2d(picture, window, bias, (1, 1), ((0, 0), (0, 0)), (1, 1), activation)
    close(y.reshape(4, 5), k.dense(x, kernel, bias, activation), 1e-14)


POOL_GEOMETRIES = [
    ((2, 2), (2, 2), ((0, 0), (0, 0))),
    ((3, 2), (1, 2), ((1, 1), (0, 1))),
    ((1, 1), (2, 3), ((0, 0), (0, 0))),
    ((2, 3), (3, 4), ((0, 1), (1, 1))),
    ((6, 7), (6, 7), ((0, 0), (0, 0))),
]


@pytest.mark.parametrize("window, strides, pads", POOL_GEOMETRIES)
@pytest.mark.parametrize("kind, reduce", [("max", np.max), ("avg", np.mean)])
def test_pooling_and_its_gradient(kind, reduce, window, strides, pads):
    x = np.random.default_rng(0).standard_normal((2, 6, 7, 2))
    rows, columns = (positions(x.shape[axis + 1], window[axis], strides[axis], pads[axis]) for axis in (0, 1))
    expected = np.zeros((2, len(rows), len(columns), 2))
    for (i, row), (j, column) in _pairs(rows, columns):
        inside = x[:, max(row, 0) : row + window[0], max(column, 0) : column + window[1]]
        expected[:, i, j] = reduce(inside, axis=(1, 2))
    geometry = (window, strides, pads)

    def forward():
        y = getattr(k, f"{kind}_pool2d")(x, *geometry)
        return y, y

    def backward(dy, y):
        if kind == "max":
            return {"x": k.max_pool2d_gradient(dy, x, y, *geometry)}
        return {"x": k.avg_pool2d_gradient(dy, x.shape, *geometry)}

    check_operation(forward, backward, {"x": x}, shape=expected.shape, expected=expected)


def test_negative_values_beat_the_padding():
    y = k.max_pool2d(np.full((1, 2, 2, 1), -5.0), (3, 3), (1, 1), ((1, 1), (1, 1)))
    assert (y == -5).all()


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pooling_keeps_the_type(kind, dtype):
    x, geometry = np.ones((1, 4, 4, 1), dtype), ((3, 3), (2, 2), ((0, 1), (0, 1)))
    y = getattr(k, f"{kind}_pool2d")(x, *geometry)
    rest = (x, y) if kind == "max" else (x.shape,)
    assert y.dtype == getattr(k, f"{kind}_pool2d_gradient")(y, *rest, *geometry).dtype == dtype


def test_batch_norm_is_stable_far_from_zero():
    x = (np.random.default_rng(0).standard_normal((1000, 2)) + 1e4).astype(np.float32)
    mean, variance = k.batch_norm_statistics(x, None)
    close(variance, x.astype(np.float64).var(axis=0), 1e-3)
    assert mean.dtype == variance.dtype == np.float32


# ---- sequences ----


def recurrent_case(gates, mask_kind):
    """z, U, h0 and c0 of three sequences of six steps and three units, and a mask."""
    rng = np.random.default_rng(gates)
    shapes = {"z": (3, 6, 3 * gates), "recurrent": (3, 3 * gates), "h0": (3, 3), "c0": (3, 3)}
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    return arrays, {
        "whole": None,
        "padded": np.arange(6) < np.array([[6], [2], [4]]),
        "scattered": rng.random((3, 6)) < 0.6,
        "nothing": np.zeros((3, 6), bool),
    }[mask_kind]


def product_gradient(h, dr):
    return np.einsum("ntk,ntj->kj", h[:, :-1], dr)


each_mask = pytest.mark.parametrize("mask_kind", ["whole", "padded", "scattered", "nothing"])


@each_mask
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_rnn_and_its_gradient(activation, mask_kind):
    arrays, mask = recurrent_case(1, mask_kind)
    del arrays["c0"]

    def forward():
        h = k.rnn(*arrays.values(), mask, activation)
        return h, h

    def backward(dh, h):
        dz, dh0 = k.rnn_gradient(dh, h, arrays["recurrent"], mask, activation)
        return {"z": dz, "recurrent": product_gradient(h, dz), "h0": dh0}

    expected = naive.rnn(*arrays.values(), mask, activation)
    check_operation(forward, backward, arrays, shape=(3, 7, 3), expected=expected)


@each_mask
def test_lstm_and_its_gradient(mask_kind):
    arrays, mask = recurrent_case(4, mask_kind)

    def forward():
        h, c, gates = k.lstm(*arrays.values(), mask)
        return np.concatenate((h, c[:, -1:]), axis=1), (h, c, gates)

    def backward(dy, saved):
        dz, dh0, dc0 = k.lstm_gradient(dy[:, :-1], dy[:, -1], *saved, arrays["recurrent"], mask)
        return {"z": dz, "recurrent": product_gradient(saved[0], dz), "h0": dh0, "c0": dc0}

    h, c, gates = naive.lstm(*arrays.values(), mask)
    expected = np.concatenate((h, c[:, -1:]), axis=1)
    check_operation(forward, backward, arrays, shape=(3, 8, 3), expected=expected)
    for found, exact in zip(k.lstm(*arrays.values(), mask), (h, c, gates), strict=True):
        close(found, exact, 1e-12)


@each_mask
@pytest.mark.parametrize("bias, reset_after", [(True, True), (False, True), (False, False)])
def test_gru_and_its_gradient(bias, reset_after, mask_kind):
    arrays, mask = recurrent_case(3, mask_kind)
    del arrays["c0"]
    if bias:
        arrays["bias"] = np.random.default_rng(9).standard_normal(9)

    def call(kernels):
        z, recurrent, h0, *more = arrays.values()
        return kernels.gru(z, recurrent, *(more or [None]), h0, mask, reset_after)

    def forward():
        h, gates, inner = call(k)
        return h, (h, gates, inner)

    def backward(dh, saved):
        h, _, inner = saved
        dz, dr, dh0 = k.gru_gradient(dh, *saved, arrays["recurrent"], mask, reset_after)
        drecurrent = product_gradient(h, dr)
        if not reset_after:
            drecurrent[:, 6:] = np.einsum("ntk,ntj->kj", inner, dr[..., 6:])
        found = {"z": dz, "recurrent": drecurrent, "h0": dh0}
        return {**found, "bias": dr.sum((0, 1))} if bias else found

    check_operation(forward, backward, arrays, shape=(3, 7, 3), expected=call(naive)[0])
    for found, exact in zip(call(k), call(naive), strict=True):
        close(found, exact, 1e-12)


def test_a_gradient_through_time_reaches_the_first_of_fifty_steps():
    rng = np.random.default_rng(2)
    z, recurrent, h0, c0 = (
        rng.standard_normal(shape) * 0.7 for shape in ((1, 50, 8), (2, 8), (1, 2), (1, 2))
    )

    def loss():
        return float(k.lstm(z, recurrent, h0, c0, None)[0][:, -1].sum())

    saved = k.lstm(z, recurrent, h0, c0, None)
    dh = k.crop_steps_gradient(np.ones((1, 1, 2)), 50, 0)
    dz, dh0, dc0 = k.lstm_gradient(dh, np.zeros((1, 2)), *saved, recurrent, None)
    for found, array in ((dz, z), (dh0, h0), (dc0, c0), (product_gradient(saved[0], dz), recurrent)):
        exact = numeric_gradient(loss, array)
        assert np.abs(found - exact).max() < 1e-8


@pytest.mark.parametrize("mask_kind", ["whole", "scattered"])
@pytest.mark.parametrize("rest", [(False, 0, False), (True, 0, False), (True, 3, True)])
def test_attention_to_the_past_and_its_gradient(rest, mask_kind):
    rng, mask = np.random.default_rng(0), None if mask_kind == "whole" else np.eye(2, 4, dtype=bool)
    z, past, real = (
        rng.standard_normal((2, 4, 18)),
        rng.standard_normal((2, 3, 12)),
        np.array([[0, 1, 1], [0, 0, 0]]),
    )
    call = z, past, real, mask

    def backward(dy, sums):
        return {"z": k.attention_gradient(dy, *call, sums, 2, *rest)}

    expected, _ = naive.attention(*call, 2, *rest)
    check_operation(
        lambda: k.attention(*call, 2, *rest), backward, {"z": z}, shape=(2, 4, 6), expected=expected
    )


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave"])
def test_merge_and_its_gradient(mode):
    rng = np.random.default_rng(0)
    arrays = {"a": rng.standard_normal((2, 3, 4)), "b": rng.standard_normal((2, 3, 4))}
    check_operation(
        lambda: (k.merge(*arrays.values(), mode), None),
        lambda dy, _: dict(zip(arrays, k.merge_gradient(dy, *arrays.values(), mode), strict=True)),
        arrays,
        shape=(2, 3, 8 if mode == "concat" else 4),
        expected=naive.merge(*arrays.values(), mode),
    )


def test_a_table_that_is_read_twice_gets_both_gradients():
    ids, table = np.array([[1, 1, 0], [3, 1, 0]]), np.random.default_rng(0).standard_normal((4, 2))
    check_operation(
        lambda: (k.embedding(ids, table), None),
        lambda dy, _: {"table": k.embedding_gradient(dy, ids, 4)},
        {"table": table},
        shape=(2, 3, 2),
        expected=naive.embedding(ids, table),
    )


def test_dropout_of_a_sequence_drops_the_same_features_at_each_step():
    y = k.sequence_dropout(np.ones((5, 7, 40)), 0.5, 3)
    assert (y == y[:, :1]).all() and set(np.unique(y)) == {0, 2}
    assert 0.3 < (y[:, 0] > 0).mean() < 0.7 and (y[0, 0] != y[1, 0]).any()


# ---- dropout: the same bits everywhere ----


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32 + 5, 123456789])
@pytest.mark.parametrize("rate", [0.0, 0.3, 0.999])
def test_dropout_keeps_what_its_hash_says(seed, rate):
    y = k.dropout(np.ones(50, np.float32), rate, seed)
    start = naive.murmur(seed % 2**32)
    kept = [naive.murmur((index + start) % 2**32) >= int(rate * 2**32) for index in range(50)]
    assert (y > 0).tolist() == kept
    assert y.dtype == np.float32 and set(y[y > 0]) <= {np.float32(1 / (1 - rate))}


def test_a_seed_may_come_from_an_array():
    seed = k.seed_from(np.array([2**32 - 5], np.int64))
    assert k.dropout(np.ones(50), 0.5, seed * 3 + 1).tobytes() == k.dropout(np.ones(50), 0.5, -14).tobytes()


def test_dropout_drops_independently_of_position_and_seed():
    masks = np.array([k.dropout(np.ones(4096), 0.5, seed) > 0 for seed in range(8)])
    assert abs(masks.mean() - 0.5) < 0.02
    assert np.abs(np.corrcoef(masks) - np.eye(8)).max() < 0.07
    assert abs(np.corrcoef(masks[0, :-1], masks[0, 1:])[0, 1]) < 0.07


# ---- losses ----


WEIGHTS = np.array([0.1, 0.5, 0.0, 0.4])


@pytest.mark.parametrize(
    "loss, targets, more",
    [
        (k.cross_entropy, np.array([0, 2, 1, 1]), ()),
        (k.binary_cross_entropy, np.random.default_rng(1).random((4, 3)), ()),
        (k.mean_squared_error, np.random.default_rng(1).random((4, 3)), ()),
        (k.mean_absolute_error, np.random.default_rng(1).random((4, 3)), ()),
        (k.huber, np.random.default_rng(1).random((4, 3)), (0.7,)),
    ],
)
def test_the_gradient_of_each_loss(loss, targets, more):
    x = np.random.default_rng(0).standard_normal((4, 3)) * 2
    value, gradient = loss(x, targets, WEIGHTS, *more)
    assert type(value) is float and gradient.dtype == np.float64
    close(gradient, numeric_gradient(lambda: loss(x, targets, WEIGHTS, *more)[0], x), 1e-8)
    single = loss(
        x.astype(np.float32),
        targets.astype(np.int64 if targets.ndim == 1 else np.float32),
        WEIGHTS.astype(np.float32),
        *more,
    )
    assert single[1].dtype == np.float32 and abs(single[0] - value) < 1e-5


def test_cross_entropy_of_extreme_logits():
    logits = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0]], np.float32)
    loss, gradient = k.cross_entropy(logits, np.array([0, 0]), np.array([0.5, 0.5], np.float32))
    assert loss == 1e4 and gradient.tolist() == [[0, 0, 0], [-0.5, 0.5, 0]]


def test_binary_cross_entropy_of_extreme_logits():
    logits = np.array([[1e4, -1e4]], np.float32)
    loss, gradient = k.binary_cross_entropy(logits, np.array([[1, 1]], np.float32), np.ones(1, np.float32))
    assert loss == 5e3 and gradient.tolist() == [[0, -0.5]]


@pytest.mark.parametrize("loss", [k.cross_entropy, k.binary_cross_entropy])
def test_nan_logits_are_not_hidden(loss):
    targets = np.array([0]) if loss is k.cross_entropy else np.zeros((1, 2))
    assert math.isnan(loss(np.array([[np.nan, 1.0]]), targets, np.ones(1))[0])
