from __future__ import annotations

import naive
import numpy as np
import pytest
from helpers import check_layer

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import Context, Cropping1D, Dense, Embedding, EmbeddingBag, Masking, RepeatVector

IDS = np.array([[1, 0, 2, 2], [4, 4, 4, 0]])


def test_an_embedding_looks_its_ids_up():
    def expected(x, embeddings):
        return naive.embedding(x, embeddings)

    check_layer(Embedding(5, 3), (4,), x=IDS, expected=expected, output_shape=(4, 3))


def test_one_id_in_a_table_of_one():
    check_layer(Embedding(1, 1), (1,), x=np.zeros((1, 1), int), output_shape=(1, 1))


def test_a_bag_adds_up_the_rows_of_its_ids_and_none_for_padding():
    def expected(x, embeddings):
        return naive.embedding_bag(x, embeddings, 1.0)

    check_layer(EmbeddingBag(5, 3), (4,), x=IDS, expected=expected, output_shape=(3,))


def test_a_bag_leaves_out_ids_in_training_alone_and_keeps_the_mean():
    layer = EmbeddingBag(3, 1, dropout=0.25, embeddings_initializer="ones")
    check_layer(EmbeddingBag(5, 3, dropout=0.5), (4,), x=IDS)
    layer.build((None,), np.random.default_rng(0))
    ids = np.ones((50, 400), np.int32)
    assert np.all(layer.forward(ids, Context(reference))[0] == 400)
    trained, _ = layer.forward(ids, Context(reference, training=True, seed=1))
    assert trained.std() > 5 and abs(trained.mean() - 400) < 6


@pytest.mark.parametrize("settings", [{"input_dim": 0}, {"dropout": 1}, {"embeddings_initializer": "?"}])
def test_a_bag_names_a_bad_setting(settings):
    with pytest.raises(TinynetError, match=r"^embedding_bag: "):
        EmbeddingBag(**{"input_dim": 5, "output_dim": 3} | settings)


@pytest.mark.parametrize("given", [None, np.ones((2, 4), bool)])
def test_only_with_mask_zero_is_the_id_0_padding(given):
    context = Context(reference, mask=given)
    assert Embedding(5, 3).output_mask(IDS, None, context) is given
    assert np.array_equal(Embedding(5, 3, mask_zero=True).output_mask(IDS, None, context), IDS != 0)


def test_starting_values_are_those_of_keras():
    layer = Embedding(200, 10)
    layer.build((None,), np.random.default_rng(0))
    table = layer.parameters["embeddings"]
    assert table.shape == (200, 10) and table.dtype == np.float32
    assert 0.049 < table.max() <= 0.05 and -0.05 <= table.min() < -0.049


@pytest.mark.parametrize("shape", [(), (4, 3)])
def test_an_embedding_takes_rows_of_ids(shape):
    with pytest.raises(
        ShapeError, match=r"^embedding takes an input of shape \(steps,\) of ids, but is given"
    ):
        Embedding(5, 3).compute_output_shape(shape)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_ids_of_any_width_stay_whole_numbers(dtype):
    net = tn.Sequential([Embedding(5, 3)], (None,))
    y = net.predict(IDS.astype(dtype))
    assert np.array_equal(y, net.layers[0].parameters["embeddings"][IDS])
    found = net.check_input(np.asfortranarray(IDS.astype(dtype)))
    assert found.dtype == np.int32 and found.flags.c_contiguous


@pytest.mark.parametrize(
    "ids, pattern",
    [
        ([[1, 5]], r"^embedding_1 takes ids 0…4, but is given 5 at index \(0, 1\)"),
        ([[1, 2], [-1, 9]], r"^embedding_1 takes ids 0…4, but is given -1 at index \(1, 0\)"),
        (np.array([[2**63]], np.uint64), r"but is given 9223372036854775808 at index \(0, 0\)"),
        ([[1.0, 2.0]], "^embedding_1 takes ids, which are whole numbers, but is given float64"),
        ([[True]], "^embedding_1 takes ids, which are whole numbers, but is given bool"),
        (
            [1, 2],
            r"^embedding_1 takes a batch of shape \(any, any\), but is given \(2,\); .*x\[None\], \(1, 2\)",
        ),
        ([["a"]], "^model takes an array of numbers"),
        ([[1], [2, 3]], "^the input of model must be one array"),
    ],
)
def test_what_is_no_id_of_the_table_is_one_sentence(ids, pattern):
    net = tn.Sequential([Embedding(5, 3), tn.LSTM(2, return_sequences=True), tn.Dense(5, "softmax")], (None,))
    for call in (net.predict, lambda x: net.fit(x, IDS[: len(x), :2])):
        with pytest.raises(TinynetError, match=pattern):
            call(ids)


def test_an_id_of_a_stream_outside_the_table_is_refused():
    net = tn.Sequential([Embedding(5, 3), tn.LSTM(2)], (None,))
    with pytest.raises(TinynetError, match=r"^embedding_1 takes ids 0…4, but is given 7 at index \(1,\)"):
        net.step([1, 7])
    with pytest.raises(
        ShapeError, match=r"^embedding_1 takes one time step of ids of shape \(n,\), but is given \(1, 1\)"
    ):
        net.step([[1]])


def test_only_the_first_layer_takes_ids():
    with pytest.raises(
        TinynetError, match=r"^embedding_1 takes ids, which no layer outputs; make it the first layer"
    ):
        tn.Sequential([tn.Flatten(), Embedding(5, 3)], (4,))


def test_a_table_learns():
    net = tn.Sequential([Embedding(6, 2), tn.Flatten(), tn.Dense(2, "softmax")], (1,))
    ids = np.arange(6).repeat(20)[:, None]
    history = net.fit(ids, ids[:, 0] % 2, epochs=30, optimizer=tn.Adam(0.05))
    assert history.epochs[-1]["accuracy"] == 1


@pytest.mark.parametrize("value", [0.0, -1])
def test_masking_leaves_out_steps_that_hold_nothing_but_the_value(value):
    x = np.random.default_rng(0).uniform(0.1, 1, (2, 4, 3))
    x[0, 2:], x[1, 1], x[1, 2, 0] = value, value, value
    real = np.array([[1, 1, 0, 0], [1, 0, 1, 1]], bool)
    layer = Masking(value)
    y, saved = layer.forward(x, Context(reference))
    assert np.array_equal(layer.output_mask(x, saved, Context(reference)), real)
    assert np.array_equal(y, np.where(real[..., None], x, 0))
    dx, gradients = layer.backward(np.ones_like(x), saved, Context(reference))
    assert np.array_equal(dx, np.broadcast_to(real[..., None], x.shape)) and gradients == {}


def test_masking_of_whole_sequences():
    check_layer(Masking(), (4, 3), expected=lambda x: x, output_shape=(4, 3))


def test_repeat_vector_says_it_again():
    check_layer(RepeatVector(4), (3,), expected=lambda x: np.stack([x] * 4, axis=1), output_shape=(4, 3))


@pytest.mark.parametrize("cropping, kept", [(1, (1, 4)), ((2, 0), (2, 5)), ((0, 3), (0, 2)), (0, (0, 5))])
def test_cropping_leaves_out_the_first_and_the_last_steps(cropping, kept):
    def expected(x):
        return x[:, slice(*kept)]

    check_layer(Cropping1D(cropping), (5, 3), expected=expected, output_shape=(kept[1] - kept[0], 3))


def test_cropping_crops_the_mask():
    mask = np.array([[True, False, True, True], [False, True, False, False]])
    context = Context(reference, mask=mask)
    found = Cropping1D((1, 2)).output_mask(np.zeros((2, 4, 3)), None, context)
    assert np.array_equal(found, mask[:, 1:2])


def test_an_input_that_is_too_short_to_be_cropped_is_refused_even_if_its_length_was_open():
    assert Cropping1D((3, 0)).compute_output_shape((None, 2)) == (None, 2)
    net = tn.Sequential([Cropping1D((3, 0)), Dense(2)], (None, 4))
    assert net.predict(np.zeros((1, 4, 4))).shape == (1, 1, 2)
    with pytest.raises(ShapeError, match=r"steps more than 3, but is given \(3, 4\)"):
        net.predict(np.zeros((1, 3, 4)))


@pytest.mark.parametrize(
    "make, pattern",
    [
        (lambda: Embedding(0, 3), "^embedding: input_dim must be a whole number"),
        (lambda: Embedding(3, None), "^embedding: output_dim must be a whole number"),
        (lambda: Embedding(3, 3, 1), "^embedding: mask_zero must be True or False"),
        (
            lambda: Embedding(3, 3, embeddings_initializer="normal"),
            "^embedding: embeddings_initializer 'normal'",
        ),
        (lambda: Masking("0"), "^masking: mask_value must be a finite number, not '0'"),
        (lambda: Masking(float("nan")), "^masking: mask_value must be a finite number"),
        (lambda: Masking(True), "^masking: mask_value must be a finite number"),
        (lambda: RepeatVector(0), "^repeat_vector: n must be a whole number of at least 1"),
        (lambda: Cropping1D(-1), "^cropping1d: cropping must be a whole number of at least 0, not -1"),
        (lambda: Cropping1D((1, 2, 3)), "^cropping1d: cropping must be one number or 2 numbers"),
        (lambda: Cropping1D().compute_output_shape((2, 3)), "steps more than 2, but is given"),
        (
            lambda: Masking().compute_output_shape((3,)),
            r"^masking takes an input of shape \(steps, features\)",
        ),
        (
            lambda: RepeatVector(2).compute_output_shape((3, 2)),
            r"^repeat_vector takes an input of shape \(features,\)",
        ),
    ],
)
def test_a_bad_setting_is_an_error_that_names_the_layer(make, pattern):
    with pytest.raises(TinynetError, match=pattern):
        make()
