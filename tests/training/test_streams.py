"""Training on sequences that come in pieces: the state goes from batch to batch."""

from __future__ import annotations

import numpy as np
import pytest
from test_fit import At, raise_ctrl_c
from tiny import equal

import tinynet as tn
from tinynet.data.text.characters import streams, windows
from tinynet.errors import TinynetError
from tinynet.layers.containers import Chain
from tinynet.training import AdamW, CosineDecay, WarmUp

IDS = np.random.default_rng(0).integers(0, 7, 401).astype(np.int32)
STREAMS, STEPS, WINDOWS = 4, 20, 5
X, Y = streams(IDS, STREAMS, STEPS)
STILL = tn.SGD(1e-30)
"""Changes nothing, so that losses can be compared."""


def attention(units, return_sequences):
    """A block of a transformer, which sees less than two pieces."""
    block = tn.Residual([tn.LayerNorm(), tn.MultiHeadAttention(3, units // 3, causal=True, window=33)])
    return tn.Sequential([tn.PositionEmbedding(35), block, tn.Dense(units)])


LAYERS = {"LSTM": tn.LSTM, "GRU": tn.GRU, "RNN": tn.RNN, "attention": attention}
each_layer = pytest.mark.parametrize("kind", LAYERS)


def network(kind="LSTM", seed=1, dropout=0.0, layers=None):
    body = layers or [LAYERS[kind](9, return_sequences=True), tn.Dropout(dropout)]
    return tn.Sequential(
        [tn.Embedding(7, 5), *body, tn.Dense(7, activation="softmax")],
        (None,),
        seed=seed,
    )


def shaken(net):
    """The same network with weights large enough that the past matters."""
    rng = np.random.default_rng(3)
    net.set_weights([rng.standard_normal(w.shape).astype(np.float32) for w in net.get_weights()])
    return net


@each_layer
def test_the_loss_of_the_pieces_is_that_of_the_whole(kind):
    net = shaken(network(kind))
    whole_x, whole_y = (
        part.reshape(WINDOWS, STREAMS, STEPS).swapaxes(0, 1).reshape(STREAMS, -1) for part in (X, Y)
    )
    whole = net.evaluate(whole_x, whole_y)["loss"]
    pieces = net.fit(X, Y, epochs=2, batch_size=STREAMS, stateful=True, optimizer=STILL).history["loss"]
    assert pieces == pytest.approx([whole, whole], rel=1e-5)  # and the second epoch begins from zeros again
    alone = net.fit(X, Y, batch_size=STREAMS, shuffle=False, optimizer=STILL).history["loss"][0]
    assert abs(alone - whole) > 1e-4


@each_layer
def test_sequences_that_all_begin_anew_are_trained_as_if_nothing_were_carried(kind):
    if kind == "attention":
        # NumPy may add a longer row, of which the rest is 0, in another order: on AMD's Zen 4 it does
        tn.set_device("cpu")
    anew, alone = network(kind), network(kind)
    anew.fit(X, Y, epochs=2, batch_size=STREAMS, stateful=True, reset_rate=1.0)
    alone.fit(X, Y, epochs=2, batch_size=STREAMS, shuffle=False)
    assert equal(anew.state(), alone.state())
    with pytest.raises(TinynetError, match="reset_rate must be a number of at least 0 and at most 1, not 2"):
        network(kind).fit(X, Y, stateful=True, batch_size=STREAMS, reset_rate=2)


SETTINGS = {
    "epochs": 3,
    "reset_rate": 0.4,
    "batch_size": STREAMS,
    "stateful": True,
    "optimizer": AdamW(WarmUp(CosineDecay(1e-2), 3), clip_norm=1.0),
    "validation_data": windows(IDS[:50], 16),
}


@each_layer
@pytest.mark.parametrize("step", [1, 5, 7])
def test_resuming_gives_the_bits_of_an_unbroken_training(kind, step, tmp_path):
    file = tmp_path / "run.npz"
    unbroken = network(kind, dropout=0.3)
    expected = unbroken.fit(X, Y, **SETTINGS)
    network(kind, dropout=0.3).fit(X, Y, **SETTINGS, checkpoint=file, callbacks=[At(step, raise_ctrl_c)])
    resumed = network(kind, seed=7, dropout=0.3)
    history = resumed.fit(X, Y, **SETTINGS, resume=file)
    assert equal(resumed.state(), unbroken.state())
    assert history.history["val_loss"] == expected.history["val_loss"]


def test_a_checkpoint_without_states_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    network().fit(X, Y, batch_size=STREAMS, checkpoint=file)
    with pytest.raises(TinynetError, match="stateful was False, now True"):
        network().fit(X, Y, batch_size=STREAMS, stateful=True, resume=file)


def test_streams_are_learnt():
    ids = np.tile(np.arange(7, dtype=np.int32), 60)
    x, y = streams(ids, 4, 20)
    history = network().fit(
        x, y, epochs=15, batch_size=4, stateful=True, optimizer=AdamW(2e-2, clip_norm=1.0)
    )
    assert history.history["loss"][-1] < 0.3


@pytest.mark.parametrize(
    ("layers", "count", "message"),
    [
        ([tn.Dense(3)], 20, "stateful needs a recurrent layer, which model does not have"),
        ([tn.LSTM(3, return_sequences=True, go_backwards=True)], 20, "lstm_1 does not"),
        ([tn.Bidirectional(tn.GRU(3, return_sequences=True))], 20, "bidirectional_1 does not"),
        (None, 18, "whole batches, but there are 18 samples for batches of 4"),
    ],
)
def test_what_cannot_carry_a_state(layers, count, message):
    with pytest.raises(TinynetError, match=message):
        network(layers=layers).fit(X[:count], Y[:count], batch_size=4, stateful=True)


def test_weights_of_steps_count_in_validation_and_evaluation():
    net, (x, y, weights) = shaken(network()), windows(IDS[:50], 16)
    first = net.evaluate(x[:3], y[:3])["loss"]
    last = net.evaluate(x[3:, :1], y[3:, :1])["loss"]
    measured = net.evaluate(x, y, sample_weight=weights)["loss"]
    assert measured == pytest.approx((48 * first + last) / 49, rel=1e-5)
    history = net.fit(X, Y, batch_size=STREAMS, optimizer=STILL, validation_data=(x, y, weights))
    assert history.history["val_loss"] == pytest.approx([measured], rel=1e-6)
    with pytest.raises(TinynetError, match="validation_data must be a pair"):
        net.fit(X, Y, validation_data=(x,))


def test_long_sequences_are_measured_in_batches_that_fit(monkeypatch):
    net, taken = network(), []
    forward = Chain.forward
    monkeypatch.setattr(
        Chain, "forward", lambda self, x, run: (taken.append(len(x)), forward(self, x, run))[1]
    )
    net.evaluate(np.zeros((20, 1000), np.int32), np.zeros((20, 1000), np.int64))
    assert taken == [8, 8, 4]
