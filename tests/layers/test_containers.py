"""Layers made of several: their equations and gradients, names, files, freezing, and networks with several inputs."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import check_layer, close, randomise

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import Context
from tinynet.layers.containers import Chain

RNG = np.random.default_rng


def residual_network():
    block = [tn.Conv2D(6, 3, padding="same", strides=2), tn.BatchNorm(0.5), tn.Conv2D(6, 3, padding="same")]
    layers = [tn.Conv2D(4, 3, activation="relu"), tn.Residual(block), tn.GlobalAveragePool2D()]
    return tn.Sequential([*layers, tn.Dense(3, "softmax")], (10, 10, 1))


def inception_network():
    branches = [
        tn.Conv2D(2, 1, activation="relu"),
        tn.Sequential([tn.Conv2D(2, 1), tn.Conv2D(3, 3, padding="same", activation="relu")]),
        tn.Sequential([tn.MaxPool2D(3, strides=1, padding="same"), tn.Conv2D(2, 1)]),
    ]
    return tn.Sequential([tn.Parallel(branches), tn.Flatten(), tn.Dense(3, "softmax")], (6, 6, 2))


def two_input_network():
    picture = tn.Sequential([tn.Conv2D(3, 3, activation="relu"), tn.MaxPool2D(2), tn.Flatten()])
    both = tn.Parallel([picture, tn.Dense(4, "relu")])
    return tn.Sequential([both, tn.Dense(3, "softmax")], ((8, 8, 1), (5,)))


NETWORKS = {"residual": residual_network, "inception": inception_network, "two inputs": two_input_network}
each_network = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)


def samples(net, n=6):
    found = tuple(RNG(1).random((n, *shape)).astype(np.float32) for shape in net.inputs)
    return found if len(found) > 1 else found[0]


def shaken(net, dtype=np.float32):
    for _, layer in net.walk():
        if not layer.children():
            randomise(layer, RNG(2), dtype)
    return net


# ---- equations ----


def test_a_chain_is_its_layers_one_after_the_other():
    def expected(x, **p):
        hidden = np.tanh(x @ p["dense_1.kernel"] + p["dense_1.bias"])
        return hidden @ p["dense_2.kernel"] + p["dense_2.bias"]

    check_layer(Chain([tn.Dense(4, "tanh"), tn.Dense(2)]), (3,), expected=expected, output_shape=(2,))


def test_a_residual_adds_its_input():
    def expected(x, **p):
        return x + np.tanh(x @ p["dense_1.kernel"] + p["dense_1.bias"])

    check_layer(tn.Residual([tn.Dense(3, "tanh")]), (3,), expected=expected, output_shape=(3,))


def test_a_residual_projects_features_that_change_in_number():
    def expected(x, **p):
        return x @ p["dense_1.kernel"] + p["dense_1.bias"] + x @ p["projection.kernel"]

    layer = tn.Residual([tn.Dense(5)])
    check_layer(layer, (2, 3), expected=expected, output_shape=(2, 5))
    assert layer.projection.description() == "Dense(units=5, use_bias=False)"


@pytest.mark.parametrize("strides, shape", [(1, (5, 4, 2)), (2, (5, 4, 2)), ((2, 3), (7, 7, 1))])
def test_a_residual_projects_pictures(strides, shape):
    check_layer(tn.Residual([tn.Conv2D(3, 3, strides=strides, padding="same")]), shape)


@pytest.mark.parametrize("merge, function", [("add", np.add), ("mul", np.multiply)])
def test_parallel_layers_are_merged(merge, function):
    def expected(x, **p):
        branches = [x @ p[f"dense_{i}.kernel"] + p[f"dense_{i}.bias"] for i in (1, 2, 3)]
        return function(function(*branches[:2]), branches[2])

    check_layer(
        tn.Parallel([tn.Dense(4) for _ in range(3)], merge), (3,), expected=expected, output_shape=(4,)
    )


def test_parallel_layers_are_concatenated():
    def expected(x, **p):
        return np.concatenate([x @ p[f"dense_{i}.kernel"] + p[f"dense_{i}.bias"] for i in (1, 2, 3)], axis=-1)

    layer = tn.Parallel([tn.Dense(units) for units in (1, 4, 2)])
    check_layer(layer, (5, 3), expected=expected, output_shape=(5, 7))


def test_a_vector_becomes_the_first_time_step():
    picture = tn.Sequential([tn.Flatten(), tn.Dense(3)])

    def expected(x, **p):
        first = x.reshape(len(x), -1) @ p["sequential_1/dense_1.kernel"] + p["sequential_1/dense_1.bias"]
        rest = x @ p["dense_1.kernel"] + p["dense_1.bias"]
        return np.concatenate([first[:, None], rest], axis=1)

    check_layer(
        tn.Parallel([picture, tn.Dense(3)], "prepend"), (4, 2), expected=expected, output_shape=(5, 3)
    )


def test_a_sequence_becomes_the_first_time_steps():
    def expected(x, **p):
        first, rest = (x @ p[f"dense_{i}.kernel"] + p[f"dense_{i}.bias"] for i in (1, 2))
        return np.concatenate([first, rest], axis=1)

    layer = tn.Parallel([tn.Dense(3), tn.Dense(3)], "prepend")
    check_layer(layer, (4, 2), expected=expected, output_shape=(8, 3))


def test_steps_before_padded_ones_are_real():
    layers = [tn.Parallel([tn.Reshape((2, 3)), tn.Embedding(4, 3, mask_zero=True)], "prepend"), tn.GRU(3)]
    net = tn.Sequential(layers, ((6,), (None,)))
    x, ids = np.ones((2, 6), np.float32), np.array([[1, 2, 0], [0, 0, 0]])
    close(net.predict((x, ids))[:1], net.predict((x[:1], ids[:1, :2])), 1e-6)
    close(net.predict((x, ids))[1:], net.predict((x[1:], ids[1:, :0])), 1e-6)


def test_containers_stand_in_containers():
    inner = tn.Residual([tn.Parallel([tn.Dense(2), tn.Residual([tn.Dense(1)])]), tn.Dense(3)])
    check_layer(tn.Sequential([tn.TimeDistributed(inner), tn.LSTM(2)]), (3, 3), output_shape=(2,))


# ---- whole networks ----


@each_network
def test_gradients_of_a_whole_network(make):
    net = shaken(make(), np.float64)
    x, labels, weights = samples(net, 3), np.arange(3), np.full(3, 1 / 3)
    x = tuple(part.astype(float) for part in x) if isinstance(x, tuple) else x.astype(float)
    context, chain = Context(reference, training=True, input_gradient=False), net.logits
    y, kept = chain.forward(x, context)
    _, gradients = chain.backward(reference.cross_entropy(y, labels, weights)[1], kept, context)
    assert gradients.keys() == net.parameters.keys()
    for name, array in net.parameters.items():
        place = np.unravel_index(array.size // 2, array.shape)
        values = []
        for step in (1e-5, -2e-5):
            array[place] += step
            values.append(reference.cross_entropy(chain.forward(x, context)[0], labels, weights)[0])
        array[place] += 1e-5
        close(gradients[name][place], (values[0] - values[1]) / 2e-5, 1e-7)


@each_network
def test_a_tree_learns_and_comes_back_from_its_file(make, tmp_path):
    net = make()
    x, y = samples(net, 30), RNG(0).integers(0, 3, 30)
    before = net.evaluate(x, y)["loss"]
    net.fit(x, y, epochs=40, optimizer=tn.Adam(1e-2), validation_split=0.2, verbose=False)
    assert net.evaluate(x, y)["loss"] < before
    net.save(tmp_path / "tree.npz")
    back = tn.load(tmp_path / "tree.npz")
    assert np.array_equal(back.predict(x), net.predict(x)) and repr(back) == repr(net)
    assert list(back.state()) == list(net.state())


@each_network
@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_a_replayed_tree_answers_the_same(make, device):
    tn.set_device(device)
    net = make()
    x = samples(net, 1)
    first = net.predict(x)
    for _ in range(6):
        assert np.array_equal(net.predict(x), first)
    for array in net.parameters.values():
        array *= 2
    assert not np.array_equal(net.predict(x), first)


def test_names_are_counted_within_their_parent():
    net = inception_network()
    assert [path for path, _ in net.walk()][:5] == [
        "parallel_1",
        "parallel_1/conv2d_1",
        "parallel_1/sequential_1",
        "parallel_1/sequential_1/conv2d_1",
        "parallel_1/sequential_1/conv2d_2",
    ]
    assert "parallel_1/sequential_2/conv2d_1.kernel" in net.parameters


def test_errors_say_where_in_the_tree_a_layer_stands():
    branches = [tn.Sequential([tn.Dense(3), tn.Conv2D(2, 3)]), tn.Dense(2)]
    with pytest.raises(ShapeError, match=r"^parallel_1/sequential_1/conv2d_1 takes .* but is given \(3,\)$"):
        tn.Sequential([tn.Parallel(branches)], (4,))


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: tn.Residual([tn.Flatten()]),
            r"residual_1 cannot add its input of shape \(4, 4, 1\) to .* \(16,\)",
        ),
        (
            lambda: tn.Parallel([tn.Flatten(), tn.Conv2D(2, 3)]),
            "parallel_1 cannot concat outputs of the shapes",
        ),
        (lambda: tn.Parallel([tn.Conv2D(2, 3), tn.Conv2D(1, 3)], "add"), "parallel_1 cannot add outputs"),
        (lambda: tn.Parallel([tn.Flatten(), tn.Flatten()], "prepend"), "parallel_1 cannot prepend outputs"),
        (lambda: tn.Parallel([tn.Dense(2), tn.Dense(3)], "prepend"), "parallel_1 cannot prepend outputs"),
    ],
)
def test_shapes_that_do_not_fit_are_named(make, message):
    with pytest.raises(ShapeError, match=message):
        tn.Sequential([make()], (4, 4, 1))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: tn.Parallel([tn.Dense(1)]), "parallel takes at least two layers to concat, not 1"),
        (lambda: tn.Parallel([tn.Dense(1)] * 3, "prepend"), "parallel takes two layers to prepend, not 3"),
        (lambda: tn.Parallel([tn.Dense(1), tn.Dense(1)], "sum"), "parallel: merge 'sum' is unknown"),
        (lambda: tn.Residual(tn.Dense(1)), "Residual takes a list of layers"),
        (lambda: tn.Residual([tn.Embedding(3, 2)]), "residual adds its input to .*, and ids cannot be added"),
        (
            lambda: tn.Sequential([tn.Dense(2)], ((3,), (2,))),
            "has 2 shapes, .* but the first layer is not a Parallel",
        ),
        (
            lambda: two_input_network().step(np.ones((1, 5))),
            "model has 2 inputs, but step takes networks with one",
        ),
        (lambda: tn.Residual([tn.Dense(1), "relu"]), "a Residual is made of layers, not of 'relu'"),
        (lambda: tn.Sequential([tn.Dense(1), tn.Sequential([tn.Embedding(2, 2)])], (1,)), "takes ids"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(make, message):
    with pytest.raises(TinynetError, match=message):
        make()


# ---- several inputs ----


@pytest.mark.parametrize(
    "x, message",
    [
        (np.ones((2, 8, 8, 1)), "model takes a tuple of 2 arrays, one per branch"),
        ((np.ones((2, 8, 8, 1)),), "model takes a tuple of 2 arrays"),
        (
            (np.ones((2, 8, 8, 1)), np.ones((3, 5))),
            "same number of samples for each branch, but is given 2, 3",
        ),
        (
            (np.ones((2, 8, 8, 1)), np.ones((2, 4))),
            r"parallel_1, branch 2, takes a batch of shape \(any, 5\)",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_named(x, message):
    with pytest.raises(TinynetError, match=message):
        two_input_network().predict(x)


def test_a_branch_may_read_ids():
    words = tn.Sequential([tn.Embedding(9, 3), tn.LSTM(4)])
    net = tn.Sequential([tn.Parallel([words, tn.Dense(2)]), tn.Dense(2, "softmax")], ((None,), (3,)))
    x = RNG(0).integers(0, 9, (8, 5)), RNG(0).random((8, 3))
    net.fit(x, np.arange(8) % 2, epochs=2, verbose=False)
    assert net.predict(x).shape == (8, 2)
    with pytest.raises(TinynetError, match="takes ids 0…8, but is given 9"):
        net.predict((x[0] + 1, x[1]))


def test_batches_of_several_inputs_are_those_of_one():
    net = two_input_network()
    x = samples(net, 20)
    close(net.predict(x, batch_size=3), net.predict(x), 1e-6)


# ---- states ----


def test_states_are_nested_as_the_network_is():
    net = tn.Sequential([tn.Residual([tn.GRU(3, return_sequences=True)]), tn.LSTM(2)], (None, 3))
    x = RNG(0).random((2, 6, 3)).astype(np.float32)
    y, state = net.predict(x, return_state=True)
    assert [array.shape for array in state["residual_1"]["gru_1"]] == [(2, 3)] and len(state["lstm_1"]) == 2
    _, half = net.predict(x[:, :3], return_state=True)
    close(net.predict(x[:, 3:], initial_state=half), y, 1e-6)
    step = None
    for t in range(6):
        out, step = net.step(x[:, t], step)
    close(out, y, 1e-6)


# ---- freezing ----


@each_network
def test_frozen_layers_keep_every_bit(make):
    net = make()
    frozen = net.layers[0]
    frozen.trainable = False
    before = frozen.get_weights(), net.get_weights()
    x, y = samples(net, 20), np.arange(20) % 3
    net.fit(x, y, epochs=2, optimizer=tn.AdamW(1e-2, clip_norm=1.0), ema=0.9, verbose=False)
    assert all(np.array_equal(a, b) for a, b in zip(frozen.get_weights(), before[0], strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(net.get_weights(), before[1], strict=True))
    assert "(frozen)" in repr(net) and "of them frozen" in repr(net)


def test_no_gradient_is_computed_below_the_lowest_trained_layer():
    class Watch(tn.Dense):
        def backward(self, dy, saved, context):
            raise AssertionError("nobody asked for this gradient")

    net = tn.Sequential([Watch(3), Watch(4), tn.Dense(2, "softmax")], (3,))
    for layer in net.layers[:2]:
        layer.trainable = False
    net.fit(np.ones((4, 3)), np.arange(4) % 2, verbose=False)


def test_frozen_normalisation_uses_its_moving_averages():
    net = tn.Sequential([tn.BatchNorm(), tn.Dense(2, "softmax")], (3,))
    net.layers[0].trainable = False
    before = net.layers[0].get_weights()
    net.fit(RNG(0).random((8, 3)), np.arange(8) % 2, verbose=False)
    assert all(np.array_equal(a, b) for a, b in zip(net.layers[0].get_weights(), before, strict=True))
    layer = tn.BatchNorm()
    layer.trainable = False
    check_layer(layer, (3,))


def test_what_is_frozen_is_frozen_in_the_file(tmp_path):
    net = residual_network()
    net.layers[1].trainable = False
    net.save(tmp_path / "frozen.npz")
    back = tn.load(tmp_path / "frozen.npz")
    assert not back.layers[1].trainable and back.layers[0].trainable
    back.layers[1].trainable = True
    assert back.trained().keys() == back.parameters.keys()


def test_a_network_that_is_frozen_whole_cannot_be_trained():
    net = residual_network()
    net.trainable = False
    with pytest.raises(TinynetError, match="every layer of model is frozen; set trainable = True"):
        net.fit(samples(net), np.arange(6) % 3)


def test_layers_of_a_loaded_network_begin_another():
    base = tn.load("digits")
    body = base.layers[:-1]
    for layer in body:
        layer.trainable = False
    net = tn.Sequential([*body, tn.Dense(3, "softmax")], base.input_shape)
    assert net.layers[0].parameters["kernel"] is base.layers[0].parameters["kernel"]
    before = base.get_weights()
    net.fit(RNG(0).random((6, 28, 28, 1)), np.arange(6) % 3, verbose=False)
    assert all(np.array_equal(a, b) for a, b in zip(base.get_weights(), before, strict=True))


# ---- the file ----


def test_only_what_an_older_reader_does_not_know_is_written_as_version_2(tmp_path):
    for net, version in [(tn.Sequential([tn.Dense(2)], (3,)), 1), (residual_network(), 2)]:
        net.save(tmp_path / "net.npz")
        assert f'"version": {version}' in str(np.load(tmp_path / "net.npz")["config"])
