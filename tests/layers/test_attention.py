"""Attention, positions and a network of both: equations, masks, pieces of a sequence, and what may not be."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from helpers import BACK_ENDS, back_end, check_layer, close, randomise

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import Context, Dense, LayerNorm, MultiHeadAttention, PositionEmbedding, Residual

MASKS = {
    "whole": None,
    "padded": np.arange(5) < np.array([[5], [2]]),
    "scattered": np.array([[False, True, True, False, True], [False] * 5]),
}
SETTINGS = [{}, {"causal": True}, {"causal": True, "window": 1}, {"causal": True, "window": 3}]
SETTINGS += [{"causal": True, "alibi": True}, {"causal": True, "window": 2, "alibi": True}]


def expected_attention(layer, mask):
    def expected(x, kernel, output_kernel, bias=0, output_bias=0):
        none = np.zeros((len(x), 0, 2 * layer.width)), np.zeros((len(x), 0))
        window = layer.window or 0
        settings = layer.num_heads, layer.causal, window, layer.alibi
        a, _ = naive.attention(x @ kernel + bias, *none, mask, *settings)
        return a @ output_kernel + output_bias

    return expected


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_each_step_takes_a_weighted_mean_of_what_it_sees(settings, mask):
    layer = MultiHeadAttention(2, 3, **settings)
    check_layer(layer, (5, 4), expected=expected_attention(layer, mask), output_shape=(5, 4), mask=mask)


@pytest.mark.parametrize(("heads", "key_dim", "steps"), [(1, 1, 1), (3, 1, 2), (1, 5, 1)])
def test_one_step_one_head_and_no_bias(heads, key_dim, steps):
    layer = MultiHeadAttention(heads, key_dim, use_bias=False)
    check_layer(layer, (steps, 2), batch=1, expected=expected_attention(layer, None))


@pytest.mark.parametrize("settings", SETTINGS[1:], ids=str)
def test_what_comes_later_changes_nothing(settings):
    layer, rng = MultiHeadAttention(2, 3, **settings), np.random.default_rng(0)
    layer.build((None, 4), rng)
    x = rng.standard_normal((1, 6, 4)).astype(np.float32)
    y, _ = layer.forward(x, Context(reference))
    x[:, 4:] += 1
    again, _ = layer.forward(x, Context(reference))
    assert np.array_equal(y[:, :4], again[:, :4]) and (y[:, 4:] != again[:, 4:]).all()


def test_a_step_sees_the_last_steps_of_its_window_and_none_before():
    layer, rng = MultiHeadAttention(1, 3, causal=True, window=3), np.random.default_rng(0)
    layer.build((None, 4), rng)
    x = rng.standard_normal((1, 6, 4)).astype(np.float32)
    y, _ = layer.forward(x, Context(reference))
    x[:, 1] += 1
    changed = (layer.forward(x, Context(reference))[0] != y).any(axis=(0, 2))
    assert changed.tolist() == [False, True, True, True, False, False]


@pytest.mark.parametrize("device", BACK_ENDS)
def test_in_a_padded_batch_each_sequence_is_what_it_is_alone(device):
    layer, rng = MultiHeadAttention(2, 3), np.random.default_rng(0)
    layer.build((None, 4), rng)
    x, kernels = rng.standard_normal((2, 9, 4)).astype(np.float32), back_end(device)
    y, _ = layer.forward(x, Context(kernels, mask=np.arange(9) < np.array([[9], [6]])))
    for row, length in enumerate((9, 6)):
        alone, _ = layer.forward(x[row : row + 1, :length], Context(kernels))
        close(y[row, :length], alone[0], 1e-6)


def test_where_all_is_masked_there_is_only_the_bias():
    layer, rng = MultiHeadAttention(2, 3), np.random.default_rng(0)
    layer.build((None, 4), rng)
    randomise(layer, rng, np.float32)
    y, _ = layer.forward(np.ones((1, 3, 4), np.float32), Context(reference, mask=np.zeros((1, 3), bool)))
    assert np.array_equal(y[0], np.tile(layer.parameters["output_bias"], (3, 1)))


@pytest.mark.parametrize(("steps", "length"), [(5, 5), (3, 8), (7, 2), (2, 1)])
def test_positions_are_added_and_begin_again(steps, length):
    def expected(x, embeddings):
        return x + embeddings[np.arange(steps) % length]

    check_layer(PositionEmbedding(length), (steps, 3), expected=expected, output_shape=(steps, 3))


def test_positions_go_on_where_a_piece_ended():
    layer, rng = PositionEmbedding(4), np.random.default_rng(0)
    layer.build((None, 2), rng)
    x = np.zeros((2, 3, 2), np.float32)
    y, saved = layer.forward(x, Context(reference, state=(np.array([[3], [2]], np.float32),)))
    table = layer.parameters["embeddings"]
    assert np.array_equal(y[0], table[[3, 0, 1]]) and np.array_equal(y[1], table[[2, 3, 0]])
    assert layer.final_state(saved)[0].tolist() == [[2], [1]]


# ---- networks ----


def transformer(window=4, steps=None):
    """Two blocks whose weights are large enough that what was read before decides."""
    block = Residual([LayerNorm(), MultiHeadAttention(2, 3, causal=True, window=window, alibi=window > 2)])
    layers = [
        PositionEmbedding(5),
        block,
        Residual([LayerNorm(), Dense(7, "gelu"), Dense(3)]),
        LayerNorm(),
        Dense(2),
    ]
    net, rng = tn.Sequential(layers, (steps, 3)), np.random.default_rng(3)
    for _, layer in net.walk():
        if not layer.children():
            randomise(layer, rng, np.float32)
    return net


@pytest.mark.parametrize("device", BACK_ENDS)
@pytest.mark.parametrize("window", [1, 2, 4, 30])
def test_step_by_step_gives_what_the_whole_sequence_gives(window, device):
    back_end(device)
    tn.set_device(device)
    net, state = transformer(window), None
    x = np.random.default_rng(1).standard_normal((3, 12, 3)).astype(np.float32)
    whole, final = net.predict(x, return_state=True)
    for t in range(12):
        y, state = net.step(x[:, t], state)
        close(y, whole[:, t], 2e-6)
    for name, arrays in {
        **state["residual_1"],
        "position_embedding_1": state["position_embedding_1"],
    }.items():
        expected = final["residual_1"][name] if name in final["residual_1"] else final[name]
        for found, exact in zip(arrays, expected, strict=True):
            close(found, exact, 2e-6)


@pytest.mark.parametrize("device", BACK_ENDS)
@pytest.mark.parametrize("cuts", [(3,), (1, 2, 6), (0, 4), (7,)])
def test_pieces_give_what_the_whole_gives(cuts, device):
    back_end(device)
    tn.set_device(device)
    net, state, outputs = transformer(), None, []
    x = np.random.default_rng(1).standard_normal((4, 7, 3)).astype(np.float32)
    for piece in np.split(x, cuts, axis=1):
        y, state = net.predict(piece, initial_state=state, return_state=True, batch_size=3)
        outputs.append(y)
    close(np.concatenate(outputs, axis=1), net.predict(x), 2e-6)


def test_a_masked_step_of_a_piece_is_seen_by_none_later():
    layer, rng = MultiHeadAttention(2, 3, causal=True, window=6), np.random.default_rng(0)
    layer.build((None, 4), rng)
    x, mask = rng.standard_normal((2, 6, 4)).astype(np.float32), rng.random((2, 6)) < 0.6
    whole, _ = layer.forward(x, Context(reference, mask=mask))
    _, kept = layer.forward(x[:, :4], Context(reference, mask=mask[:, :4], state=layer.zero_state(2)))
    state = layer.final_state(kept)
    end, _ = layer.forward(x[:, 4:], Context(reference, mask=mask[:, 4:], state=state))
    close(end, whole[:, 4:], 1e-6)


def test_a_stateful_training_learns_to_look_into_the_piece_before():
    """The label is the id two steps ago: for half of the steps that is in the window before."""
    streams = np.random.default_rng(0).integers(0, 2, (4, 160))
    before = np.concatenate([np.zeros((4, 2), int), streams[:, :-2]], axis=1)
    x, y = (a.reshape(4, 40, 4).transpose(1, 0, 2).reshape(160, 4) for a in (streams, before))
    table, positions = (
        tn.Embedding(2, 8, embeddings_initializer="he_normal"),
        PositionEmbedding(8, "he_normal"),
    )
    attention = Residual([MultiHeadAttention(2, 8, causal=True, window=8)])
    net = tn.Sequential([table, positions, attention, Dense(2, "softmax")], (None,))
    settings = {"batch_size": 4, "stateful": True, "shuffle": False, "optimizer": tn.Adam(0.01)}
    history = net.fit(x, y, epochs=25, verbose=False, **settings)
    assert history.epochs[-1]["loss"] < 0.1


def test_frozen_attention_is_not_trained():
    net = transformer()
    net.layers[1].trainable = False
    assert not any("multi_head" in name for name in net.trained())


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("device", BACK_ENDS)
def test_no_sequence_and_no_step(count, steps, device):
    back_end(device)
    tn.set_device(device)
    assert transformer().predict(np.zeros((count, steps, 3))).shape == (count, steps, 2)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_heads": 0},
        {"key_dim": 1.5},
        {"causal": 1},
        {"window": 0, "causal": True},
        {"kernel_initializer": "?"},
    ],
)
def test_a_bad_setting_of_attention_is_refused(settings):
    with pytest.raises(TinynetError, match=r"^multi_head_attention: "):
        MultiHeadAttention(**{"num_heads": 2, "key_dim": 3} | settings)


@pytest.mark.parametrize("settings", [{"window": 5}, {"alibi": True}])
def test_what_counts_steps_back_in_time_needs_attention_that_looks_back(settings):
    (name,) = settings
    with pytest.raises(TinynetError, match=rf"{name} counts steps back in time: set causal=True as well"):
        MultiHeadAttention(2, 3, **settings)


@pytest.mark.parametrize("settings", [{"sequence_length": 0}, {"embeddings_initializer": "?"}])
def test_a_bad_setting_of_positions_is_refused(settings):
    with pytest.raises(TinynetError, match=r"^position_embedding: "):
        PositionEmbedding(**{"sequence_length": 2} | settings)


@pytest.mark.parametrize("layer", [MultiHeadAttention(1, 1), PositionEmbedding(3)])
@pytest.mark.parametrize("shape", [(4,), (4, None), (2, 2, 2)])
def test_only_sequences_are_taken(layer, shape):
    with pytest.raises(ShapeError, match=r"takes an input of shape \(steps, features\)"):
        layer.compute_output_shape(shape)


@pytest.mark.parametrize("causal", [True, False])
def test_without_a_window_there_is_no_step(causal):
    layers = [PositionEmbedding(5), MultiHeadAttention(2, 3, causal=causal)]
    with pytest.raises(TinynetError, match=r"multi_head_attention_1 needs the whole sequence at once"):
        tn.Sequential(layers, (None, 3)).step(np.ones((1, 3)))
