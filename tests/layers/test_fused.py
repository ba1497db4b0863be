"""Neighbouring layers taken as one step give what they give one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import close, randomise

import tinynet as tn
from tinynet.layers import Chain, Context, fused
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


def apart(net):
    """The chain, and those inside it, without any fused step."""
    inside = [layer for _, layer in net.walk()]
    for chain in (net, *inside, *(getattr(layer, "chain", None) for layer in inside)):
        if isinstance(chain, Chain):
            each = [
                Step(i, name, layer, (layer,)) for i, (name, layer) in enumerate(chain.children().items())
            ]
            vars(chain).update(steps=each, inference_steps=each)
    return net


def pictures(kind):
    norm, relu = tn.BatchNorm, lambda: tn.Activation("relu")
    inner = [
        tn.Conv2D(6, 3, padding="same"),
        norm(),
        relu(),
        tn.Conv2D(6, 3, padding="same", use_bias=False),
        norm(),
    ]
    layers = {
        "convolution": [tn.Conv2D(6, 3), norm(), relu()],
        "max-pooling": [tn.Conv2D(6, 3), norm(0.9, 0.1), relu(), tn.MaxPool2D(2)],
        "max-pooling without activation": [tn.Conv2D(6, 3), norm(), tn.MaxPool2D(2)],
        "mean-pooling": [tn.Conv2D(6, 3), norm(), tn.Activation("gelu"), tn.AvgPool2D(2)],
        "depthwise": [
            tn.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False),
            norm(),
            relu(),
            tn.MaxPool2D(2),
        ],
        "separable": [tn.SeparableConv2D(5, 3), norm(), tn.Activation("tanh")],
        "residual": [tn.Conv2D(6, 1), tn.Residual(inner), relu()],
        "parallel": [tn.Parallel([tn.Sequential(inner), tn.Sequential([tn.Conv2D(2, 1), norm()])])],
        "dense": [
            tn.Flatten(),
            tn.Dense(5, use_bias=False),
            norm(),
            relu(),
            tn.Dense(3),
            tn.Activation("softmax"),
        ],
        "twice": [tn.Conv2D(4, 3), norm(), norm(), relu(), relu()],
        "activation first": [tn.Conv2D(4, 3, activation="relu"), norm(), relu()],
    }
    return layers[kind]


PICTURES = [
    "convolution",
    "max-pooling",
    "max-pooling without activation",
    "mean-pooling",
    "depthwise",
    "separable",
]
PICTURES += ["residual", "parallel", "dense", "twice", "activation first"]


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("kind", PICTURES)
def test_batch_normalisation_is_folded_at_inference_and_gives_the_same(kind, device):
    tn.set_device(device)
    nets = [tn.Sequential(pictures(kind), (9, 8, 3)) for _ in range(2)]
    for net in nets:
        rng = np.random.default_rng(2)
        for _, layer in net.walk():
            if not layer.children():
                randomise(layer, rng, np.float32)
    x = np.random.default_rng(3).standard_normal((4, 9, 8, 3), np.float32)
    net, whole = nets[0], apart(nets[1])
    kernels = tn.kernels.device.backend()
    for gradients in (False, True):
        context = Context(kernels, gradients=gradients)
        close(net.forward(x, context)[0], whole.forward(x, context)[0], 1e-5)
    training = Context(kernels, training=True)
    (y, kept), (expected, saved) = net.forward(x, training), whole.forward(x, training)
    close(y, expected, 1e-5)
    dy = np.random.default_rng(4).standard_normal(y.shape).astype(np.float32)
    (dx, gradients), (dx_apart, gradients_apart) = (
        net.backward(dy, kept, training),
        whole.backward(dy, saved, training),
    )
    close(dx, dx_apart, 2e-5)
    assert gradients.keys() == gradients_apart.keys() == net.parameters.keys()
    for name, gradient in gradients.items():
        close(gradient, gradients_apart[name], 5e-5)


def test_folded_weights_follow_the_weights():
    net = tn.Sequential(pictures("residual"), (9, 8, 3))
    x = np.random.default_rng(3).standard_normal((4, 9, 8, 3), np.float32)
    for _ in range(20):  # until the call is replayed
        before = net.predict(x)
    net.layers[1].layers[1].statistics["moving_mean"] += 1
    changed = net.predict(x)
    assert np.abs(changed - before).max() > 0.1
    close(changed, apart(net).forward(x, Context(tn.kernels.device.backend(), gradients=False))[0], 1e-5)


def test_frozen_normalisation_is_not_folded_in_training_where_its_layer_learns():
    layers = [tn.Conv2D(4, 3), tn.BatchNorm()]
    layers[1].trainable = False
    net = tn.Sequential(layers, (6, 6, 2))
    assert [step.layer for step in net.steps] == layers
    assert len(net.inference_steps) == 1


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_normalisation_that_is_frozen_later_uses_its_moving_averages_in_training_though_a_relu_is_behind(
    device,
):
    tn.set_device(device)
    nets = [tn.Sequential([tn.BatchNorm(), tn.Activation("relu"), tn.Dense(2)], (3,), seed=1) for _ in "ab"]
    x, context = (
        np.random.default_rng(0).standard_normal((6, 3), np.float32),
        Context(tn.kernels.device.backend(), training=True),
    )
    found = []
    for net in (nets[0], apart(nets[1])):
        randomise(net.layers[0], np.random.default_rng(1), np.float32)
        net.layers[0].trainable = False
        before = net.layers[0].statistics["moving_mean"].copy()
        y, kept = net.forward(x, context)
        dx, gradients = net.backward(np.ones_like(y), kept, context)
        assert np.array_equal(before, net.layers[0].statistics["moving_mean"])
        found.append([y, dx, *gradients.values()])
    for one, other in zip(*found, strict=True):
        close(one, other, 1e-5)


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_behind_a_mask_normalisation_of_sequences_is_folded_too(device):
    tn.set_device(device)
    layers = [tn.Conv1D(3, 2, padding="same"), tn.BatchNorm(), tn.Activation("relu"), tn.MaxPool1D(2)]
    net, x = tn.Sequential(layers, (None, 2)), np.random.default_rng(0).standard_normal((2, 9, 2), np.float32)
    for layer in layers:
        randomise(layer, np.random.default_rng(1), np.float32)
    mask = np.array([[True] * 5 + [False] * 4, [True] * 9])
    context = Context(tn.kernels.device.backend(), gradients=False, mask=mask)
    y, kept = net.forward(x, context)
    expected, saved = apart(net).forward(x, context)
    close(y, expected, 1e-5)
    assert np.array_equal(kept.mask, saved.mask)
