from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import DataError, ShapeError, TinynetError
from tinynet.layers.inputs import as_samples

RNG = np.random.default_rng(0)


def last_step(*input_shape: int | None) -> tn.Sequential:
    return tn.Sequential([tn.LSTM(4), tn.Dense(2, "softmax")], input_shape)


# ---- what a number means ----


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.float16, np.float64])
def test_rows_of_a_table_mean_the_same_whatever_their_type(dtype):
    rows, labels = RNG.integers(0, 10, (40, 3)), RNG.integers(0, 2, 40)
    nets = [tn.Sequential([tn.Dense(2, "softmax")], (3,)) for _ in range(2)]
    for net, x in zip(nets, (rows.tolist(), rows.astype(dtype)), strict=True):
        net.fit(x, labels)
    for use in (lambda net, x: net.predict(x), lambda net, x: list(net.evaluate(x, labels).values())):
        assert np.array_equal(use(nets[0], rows.astype(np.float32)), use(nets[1], rows.astype(dtype)))


def test_steps_of_a_stream_mean_what_the_whole_sequence_means():
    net, x = last_step(None, 3), RNG.integers(0, 10, (2, 5, 3), np.uint8)
    state = None
    for t in range(5):
        y, state = net.step(x[:, t], state)
    np.testing.assert_allclose(y, net.predict(x.astype(float)), atol=1e-6)


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (tn.Sequential([tn.Flatten(), tn.Dense(2, "softmax")], (6, 6, 1)), (5, 6, 6, 1)),
        (tn.Sequential([tn.RNN(3), tn.Dense(2, "softmax")], (6, 6), metadata={"input": {}}), (5, 6, 6)),
        (tn.Sequential([tn.RNN(3), tn.Dense(2, "softmax")], (6, 6), metadata={"input": {}}), (5, 6, 6, 1)),
    ],
)
def test_bytes_of_pictures_are_parts_of_255(net, shape):
    x, y = RNG.integers(0, 256, shape, np.uint8), np.arange(5) % 2
    scaled = x.astype(np.float32) / np.float32(255)
    assert np.array_equal(net.predict(x), net.predict(scaled))
    assert net.evaluate(x, y) == net.evaluate(scaled, y)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_whole_numbers_are_taken_piece_by_piece(dtype, tmp_path):
    np.save(tmp_path / "x.npy", RNG.integers(0, 256, (20_000, 20, 20, 1)).astype(dtype))
    x, y = np.load(tmp_path / "x.npy", mmap_mode="r"), np.zeros(20_000, int)
    net = tn.Sequential([tn.Flatten(), tn.Dense(2, "softmax")], (20, 20, 1))
    for use in (lambda: net.predict(x), lambda: net.evaluate(x, y), lambda: net.fit(x, y, batch_size=500)):
        tracemalloc.start()
        use()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < x.size  # a copy as float32 takes four times that


# ---- what an array stands for ----


@pytest.mark.parametrize(
    ("shape", "expected", "found"),
    [
        ((20, 12), (None, 1), (20, 12, 1)),
        ((20, 12), (12, 1), (20, 12, 1)),
        ((1, 1), (None, 1), (1, 1, 1)),
        ((7,), (1,), (7, 1)),
        ((1,), (1,), (1, 1)),
        ((5, 8, 9), (None, None, 1), (5, 8, 9, 1)),
        ((5, 8, 9), (8, 9, 1), (5, 8, 9, 1)),
        ((5, 8, 9, 1), (8, 9), (5, 8, 9)),
        ((0, 12), (None, 1), (0, 12, 1)),
    ],
)
def test_a_missing_last_axis_is_added_where_only_that_can_be_meant(shape, expected, found):
    assert as_samples(np.zeros(shape), expected, "net").shape == found


@pytest.mark.parametrize(
    ("shape", "expected", "hints"),
    [
        ((12, 1), (12, 1), ["x[None], (1, 12, 1)"]),
        ((12, 1), (None, 1), ["x[..., None], (12, 1, 1)", "x[None], (1, 12, 1)"]),
        ((8, 9, 1), (None, None, 1), ["x[..., None], (8, 9, 1, 1)", "x[None], (1, 8, 9, 1)"]),
        ((8, 9, 3), (8, 9, 3), ["x[None], (1, 8, 9, 3)"]),
        ((8, 9), (8, 9, 1), ["x[None, ..., None], (1, 8, 9, 1)"]),
        ((12,), (None, 1), ["x[None, ..., None], (1, 12, 1)"]),
        ((12,), (None,), ["x[None], (1, 12)"]),
        ((20, 12), (None, 3), []),
        ((5,), (4,), []),
        ((), (4,), []),
        ((), (1,), ["x[None, ..., None], (1, 1)"]),
    ],
)
def test_every_reading_that_an_error_names_is_one_that_fits(shape, expected, hints):
    with pytest.raises(ShapeError) as caught:
        as_samples(np.zeros(shape), expected, "net")
    found = str(caught.value).split("; ")[1:]
    assert len(found) == len(hints) and all(map(str.endswith, found, hints))
    for hint in hints:
        code = hint[: hint.index("]") + 1]
        as_samples(eval(code, {"x": np.zeros(shape)}), expected, "net")


def test_masked_values_are_refused_and_a_mask_of_nothing_is_none():
    net, x = tn.Sequential([tn.Dense(2, "softmax")], (2,)), np.ones((3, 2))
    masked, whole = np.ma.masked_array(x, [[0, 1], [0, 0], [0, 0]]), np.ma.masked_array(x, False)
    y = np.array([0, 1, 0])
    for use in (net.predict, lambda x: net.fit(x, y), lambda x: net.evaluate(x, y)):
        with pytest.raises(DataError, match="the input of model has masked values"):
            use(masked)
    with pytest.raises(DataError, match="y has masked values"):
        net.fit(x, np.ma.masked_array(y, [1, 0, 0]))
    with pytest.raises(DataError, match="sample_weight has masked values"):
        net.fit(x, y, sample_weight=np.ma.masked_array([1.0, 1, 1], [1, 0, 0]))
    assert np.array_equal(net.predict(whole), net.predict(x))


# ---- what is given back ----


@pytest.mark.parametrize(
    "layers",
    [
        [tn.Dropout(0.5)],
        [tn.Activation("linear")],
        [tn.Reshape((1, 6))],
        [tn.Flatten(), tn.Reshape((6,)), tn.Dropout(0.1)],
        [],
    ],
)
@pytest.mark.parametrize("count", [1, 4, 0])
def test_the_output_is_never_the_memory_of_the_input(layers, count):
    x = np.ones((count, 6), np.float32)
    net = tn.Sequential(layers, (6,))
    for _ in range(6):  # the last ones may come from a recording
        y = net.predict(x)
        assert not np.shares_memory(y, x) and np.array_equal(y.reshape(x.shape), x)


def test_the_state_that_comes_back_is_not_the_one_that_was_given():
    for net in (last_step(None, 3), tn.Sequential([tn.Masking(), tn.GRU(4)], (None, 3))):
        for steps in (0, 2):
            x = np.zeros((2, steps, 3), np.float32)
            _, state = net.predict(x, return_state=True)
            _, after = net.predict(x, initial_state=state, return_state=True)
            for name in state:
                for old, new in zip(state[name], after[name], strict=True):
                    assert not np.shares_memory(old, new)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_with_broken_weights_names_nothing(value):
    net = tn.Sequential(
        [tn.Flatten(), tn.Dense(2, "softmax")], (4, 4, 1), metadata={"input": {"kind": "image"}}
    )
    net.set_weights([np.full_like(w, value) for w in net.get_weights()])
    with np.errstate(invalid="ignore"):
        assert np.isnan(net.predict(np.ones((1, 4, 4, 1)))).all()
        with pytest.raises(TinynetError, match="does not compute finite numbers"):
            net.rank(net.predict(np.ones((1, 4, 4, 1)))[0])
