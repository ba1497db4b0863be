"""Neighbouring layers taken as one step give what they give one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import close, randomise

import tinynet as tn
from tinynet.layers import Context, fused
from tinynet.layers.fused import EmbeddingAndRecurrent, Step

CELLS = {
    "rnn": lambda **settings: tn.RNN(5, **settings),
    "lstm": lambda **settings: tn.LSTM(5, **settings),
    "lstm-without-bias": lambda **settings: tn.LSTM(5, use_bias=False, **settings),
    "gru": lambda **settings: tn.GRU(5, **settings),
    "gru-reset-before": lambda **settings: tn.GRU(5, reset_after=False, **settings),
}
CHARACTERS = 7


def network(cell, sequences=True):
    layers = [tn.Embedding(CHARACTERS, 4), CELLS[cell](return_sequences=sequences), tn.Dense(3)]
    net = tn.Sequential(layers, (None,))
    rng = np.random.default_rng(1)
    for layer in net.layers:
        randomise(layer, rng, np.float32)
    return net


def passes(net, ids, dy, context):
    y, saved = net.forward(ids, context)
    return y, net.final_state(saved), net.backward(dy, saved, context)[1]


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("steps", [1, 6], ids=["fewer ids than rows", "more ids than rows"])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_an_embedding_and_a_recurrent_layer_give_the_same_as_one_step_and_as_two(
    cell, sequences, steps, masked, device, monkeypatch
):
    tn.set_device(device)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, CHARACTERS, (3, steps)).astype(np.int32)
    dy = rng.standard_normal((3, steps, 3) if sequences else (3, 3)).astype(np.float32)
    mask = np.arange(steps) < [[steps], [max(steps - 2, 1)], [1]] if masked else None
    context = Context(tn.kernels.device.backend(), training=True, mask=mask)
    net = network(cell, sequences)
    assert any(isinstance(step.layer, EmbeddingAndRecurrent) for step in net.steps)
    y, state, gradients = passes(net, ids, dy, context)
    apart = [Step(i, name, layer, (layer,)) for i, (name, layer) in enumerate(net.children().items())]
    monkeypatch.setattr(net, "steps", apart)
    y2, state2, gradients2 = passes(net, ids, dy, context)
    if device == "cpu":
        np.testing.assert_array_equal(y, y2)
    close(y, y2, 1e-6)
    assert gradients.keys() == gradients2.keys() == net.parameters.keys()
    for name, gradient in gradients2.items():
        close(gradients[name], gradient, 1e-5)
    (one,), (other,) = state.values(), state2.values()
    assert state.keys() == state2.keys()
    for a, b in zip(one, other, strict=True):
        close(a, b, 1e-6)


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [tn.Embedding(CHARACTERS, 4, mask_zero=True), tn.LSTM(5)],
        lambda: [tn.Embedding(CHARACTERS, 4), tn.LSTM(5, dropout=0.5)],
        lambda: [tn.Embedding(CHARACTERS, 4), tn.LSTM(5, go_backwards=True)],
        lambda: [tn.Embedding(CHARACTERS, 4), tn.Dropout(0.5), tn.LSTM(5)],
        lambda: [tn.Embedding(CHARACTERS, 4), tn.Bidirectional(tn.LSTM(5))],
    ],
    ids=["masking", "dropout inside", "backwards", "dropout between", "bidirectional"],
)
def test_embedding_is_not_fused_unless_plain(layers):
    made = layers()
    assert [step.layer for step in fused.fuse({str(i): layer for i, layer in enumerate(made)})] == made
