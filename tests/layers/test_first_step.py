"""Networks whose first time step has an input of its own: a picture, then words."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import close

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.training.losses import CrossEntropy
from tinynet.training.samples import prepare


def network(cell=tn.LSTM, keep_time=True):
    picture = tn.Sequential([tn.Conv2D(2, 3, activation="relu"), tn.Flatten(), tn.Dense(4)])
    layers = [
        tn.Parallel([picture, tn.Embedding(9, 4, mask_zero=True)], "prepend"),
        cell(5, return_sequences=keep_time),
        tn.Sequential([tn.Dense(9, activation="softmax")]),
    ]
    return tn.Sequential(layers, ((6, 6, 1), (None,)))


def inputs(n=3, steps=5):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 6, 6, 1)).astype(np.uint8), rng.integers(1, 9, (n, steps)).astype(
        np.int32
    )


@pytest.mark.parametrize("cell", [tn.LSTM, tn.GRU, tn.RNN])
@pytest.mark.parametrize("keep_time", [True, False])
@pytest.mark.parametrize("n", [3, 40])
def test_steps_after_the_first_input_are_those_of_the_whole_sequence(cell, keep_time, n):
    net = network(cell, keep_time)
    pictures, words = inputs(n)
    whole, end = net.predict((pictures, words), return_state=True)
    y, state = net.step(pictures)
    outputs = [y]
    for t in range(words.shape[1]):
        y, state = net.step(words[:, t], state)
        outputs.append(y)
    close(np.stack(outputs, axis=1) if keep_time else y, whole, 1e-6)
    for own, other in zip(
        state["lstm_1" if cell is tn.LSTM else f"{cell.__name__.lower()}_1"],
        next(iter(end.values())),
        strict=True,
    ):
        close(own, other, 1e-6)


@pytest.mark.parametrize("cell", [None, tn.GRU])
@pytest.mark.parametrize("n", [3, 40])
def test_steps_after_a_first_input_of_several_steps_are_those_of_the_whole_sequence(cell, n):
    """As in a network that reads the places of a picture and writes the first word after the last of them."""
    places = tn.Sequential([tn.Conv2D(4, 3, activation="relu"), tn.Reshape((16, 4))])
    layers = [
        tn.Parallel([places, tn.Embedding(9, 4, mask_zero=True)], "prepend"),
        tn.PositionEmbedding(25, "he_normal"),
        tn.Residual([tn.MultiHeadAttention(2, 3, causal=True, window=25)]),
        tn.Cropping1D((15, 0)),
        *([cell(5, return_sequences=True)] if cell else []),
        tn.Dense(9, activation="softmax"),
    ]
    net = tn.Sequential(layers, ((6, 6, 1), (None,)))
    pictures, words = inputs(n)
    whole = net.predict((pictures, words))
    assert whole.shape == (n, 6, 9)
    close(net.predict((pictures, words[:, :0])), whole[:, :1], 1e-6)
    assert net.predict((pictures[:0], words[:0])).shape == (0, 6, 9)
    y, state = net.step(pictures)
    outputs = [y]
    for t in range(words.shape[1]):
        y, state = net.step(words[:, t], state)
        outputs.append(y)
    close(np.stack(outputs, axis=1), whole, 1e-5)


def test_steps_follow_weights_that_change():
    net = network()
    pictures, words = inputs()
    net.step(pictures)
    net.fit((pictures, words), np.ones((3, 6), int), epochs=1, verbose=False)
    y, state = net.step(pictures)
    close(y, net.predict((pictures, words))[:, 0], 1e-6)
    close(net.step(words[:, 0], state)[0], net.predict((pictures, words))[:, 1], 1e-6)


def test_inputs_that_do_not_fit_a_step_are_named():
    net = network()
    pictures, words = inputs()
    _, state = net.step(pictures)
    with pytest.raises(ShapeError, match="takes a batch of shape"):
        net.step(words[:, 0])
    with pytest.raises(TinynetError, match="whole numbers"):
        net.step(np.ones(3), state)
    with pytest.raises(ShapeError, match="as the state of lstm_1"):
        net.step(words[:2, 0], state)
    with pytest.raises(TinynetError, match="a state is a dict such as `step` returns, not list"):
        net.step(words[:, 0], [])
    with pytest.raises(TinynetError, match="a state is a dict such as `step` returns, not int"):
        tn.Sequential([tn.Residual([tn.GRU(3, return_sequences=True)])], (None, 3)).step(
            np.ones((1, 3)), {"residual_1": 3}
        )
    for nothing in (2, None):
        with pytest.raises(TinynetError):
            net.step(nothing)
    close(net.step(pictures, {})[0], net.step(pictures)[0], 0)
    both = tn.Sequential([tn.Parallel([tn.Dense(2), tn.Dense(2)])], ((3,), (3,)))
    with pytest.raises(TinynetError, match="or with first time steps before the others; use predict"):
        both.step((np.ones((1, 3)), np.ones((1, 3))))
    backwards = tn.Sequential(
        [tn.Parallel([tn.Dense(4), tn.Dense(4)], "prepend"), tn.Bidirectional(tn.GRU(3))], ((3,), (None, 3))
    )
    with pytest.raises(TinynetError, match="needs the whole sequence"):
        backwards.step(np.ones((1, 3)))


def test_bytes_of_a_picture_beside_words_mean_0_to_1_and_stay_bytes_until_their_batch():
    net = network()
    pictures, words = inputs()
    close(net.predict((pictures, words)), net.predict((pictures / np.float32(255), words)), 1e-6)
    samples = prepare(net, CrossEntropy(), (pictures, words), np.ones((3, 6), int))
    assert samples.x[0].dtype == np.uint8 and samples.x[1].dtype == np.int32
    batch = samples.take(slice(2))
    assert batch.x[0].dtype == np.float32 and batch.x[0].max() <= 1
    words[0, 0] = 99  # after the check, without effect
    assert samples.x[1].max() < 9


def test_words_beyond_the_table_are_refused_before_training():
    net = network()
    pictures, words = inputs()
    with pytest.raises(TinynetError, match="takes ids 0…8, but is given 9"):
        net.fit((pictures, words + 1), np.ones((3, 6), int), verbose=False)
