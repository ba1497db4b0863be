"""Networks of recurrent layers: masks, states that go from piece to piece, training."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import close, randomise

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import GRU, LSTM, RNN, Bidirectional, Context, Dense, Dropout, TimeDistributed

# ---- masks ----


def ragged(lengths, features=3, seed=0):
    """Sequences of these lengths with no zero in them, alone and padded with zeros into one batch."""
    rng = np.random.default_rng(seed)
    alone = [rng.uniform(0.1, 1, (length, features)).astype(np.float32) for length in lengths]
    batch = np.zeros((len(lengths), max(lengths), features), np.float32)
    for row, sequence in zip(batch, alone, strict=True):
        row[: len(sequence)] = sequence
    return alone, batch


STACKS = {
    "rnn": lambda **last: [RNN(4, return_sequences=True), RNN(3, "relu", **last)],
    "lstm": lambda **last: [LSTM(4, return_sequences=True), Dropout(0.5), LSTM(3, **last)],
    "gru": lambda **last: [
        GRU(4, return_sequences=True),
        Dense(5, "tanh"),
        GRU(3, reset_after=False, **last),
    ],
    "backwards": lambda **last: [LSTM(4, return_sequences=True, go_backwards=True), GRU(3, **last)],
    "bidirectional": lambda **last: [
        Bidirectional(LSTM(4, return_sequences=True)),
        Bidirectional(GRU(3, **last)),
    ],
    "distributed": lambda **last: [TimeDistributed(Dense(4, "relu")), LSTM(3, **last)],
}
each_stack = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)


def shaken(net, seed=0):
    """The network with weights that are not zero anywhere, still float32."""
    rng = np.random.default_rng(seed)
    net.set_weights([rng.uniform(-0.7, 0.7, value.shape) for value in net.get_weights()])
    return net


@each_stack
@pytest.mark.parametrize("return_sequences", [True, False])
def test_in_a_padded_batch_each_sequence_is_what_it_is_alone(stack, return_sequences):
    net = shaken(tn.Sequential([tn.Masking(), *stack(return_sequences=return_sequences)], (None, 3)))
    alone, batch = ragged([5, 2, 7, 1])
    together = net.predict(batch)
    for sequence, found in zip(alone, together, strict=True):
        expected = net.predict(sequence[None])[0]
        close(found[: len(expected)] if return_sequences else found, expected, 1e-6)


@each_stack
def test_padding_has_no_gradient_and_changes_none(stack):
    net = shaken(tn.Sequential([tn.Masking(), *stack()], (None, 3)))
    alone, batch = ragged([5, 2, 7])
    context, chain = Context(reference), net.logits
    y, saved = chain.forward(batch, context)
    _, together = chain.backward(np.ones_like(y), saved, context)
    apart = [
        chain.backward(np.ones_like(y[:1]), chain.forward(one[None], context)[1], context)[1] for one in alone
    ]
    for name, gradient in together.items():
        close(gradient, sum(one[name] for one in apart), 1e-5)


def test_a_mask_ends_with_time():
    rest = [LSTM(4), Dense(6), tn.RepeatVector(3), LSTM(2, return_sequences=True)]
    net = tn.Sequential([tn.Masking(), LSTM(4, return_sequences=True), *rest], (None, 3))
    _, batch = ragged([5, 2])
    _, saved = net.forward(batch, Context(reference))
    masks = [told.mask for _, told in saved.steps]
    assert masks[0] is None and np.array_equal(masks[1], [[1] * 5, [1, 1, 0, 0, 0]])
    assert masks[2] is masks[1] and masks[3:] == [None] * 3
    assert saved.mask is None


def test_a_convolution_passes_on_the_mask_of_the_windows_that_end_in_the_sequence():
    net = tn.Sequential([tn.Masking(), tn.Conv1D(2, 2), LSTM(2)], (5, 3))
    _, saved = net.forward(ragged([5, 2])[1], Context(reference))
    masks = [told.mask for _, told in saved.steps]
    np.testing.assert_array_equal(masks[2], [[True] * 4, [True, False, False, False]])


def test_a_mask_may_come_with_the_run():
    net = shaken(tn.Sequential([LSTM(3, return_sequences=True), GRU(2)], (None, 3)))
    alone, batch = ragged([5, 2])
    mask = batch.any(axis=2)
    y, saved = net.forward(batch, Context(reference, mask=mask))
    close(y[1:], net.predict(alone[1][None]), 1e-6)
    assert saved.mask is None


# ---- states ----


each_stream = pytest.mark.parametrize(
    "stack", [STACKS[name] for name in ("rnn", "lstm", "gru", "distributed")]
)


@each_stream
@pytest.mark.parametrize("cuts", [(3,), (1, 2, 6), (0, 4), (7,)])
def test_pieces_give_what_the_whole_gives(stack, cuts):
    net = shaken(tn.Sequential(stack(return_sequences=True), (None, 3)))
    x, state = np.random.default_rng(1).random((4, 7, 3)), None
    outputs = []
    for piece in np.split(x, cuts, axis=1):
        y, state = net.predict(piece, initial_state=state, return_state=True, batch_size=3)
        outputs.append(y)
    whole, final = net.predict(x, return_state=True)
    close(np.concatenate(outputs, axis=1), whole, 1e-6)
    close_states(state, final)


def close_states(state, expected):
    assert state.keys() == expected.keys()
    for name, arrays in expected.items():
        assert isinstance(state[name], tuple) and len(state[name]) == len(arrays)
        for found, exact in zip(state[name], arrays, strict=True):
            close(found, exact, 1e-6)


@each_stream
@pytest.mark.parametrize("return_sequences", [True, False])
def test_a_stream_gives_what_the_whole_gives(stack, return_sequences):
    net = shaken(tn.Sequential([*stack(return_sequences=return_sequences), Dense(2)], (None, 3)))
    x, state = np.random.default_rng(1).random((4, 6, 3)).astype(np.float32), None
    whole, final = net.predict(x, return_state=True)
    for t in range(6):
        y, state = net.step(x[:, t], state)
        assert y.shape == (4, 2) and y.dtype == np.float32
        if return_sequences:
            close(y, whole[:, t], 1e-6)
    close(y, whole[:, -1] if return_sequences else whole, 1e-6)
    close_states(state, final)


def test_a_stream_of_ids():
    net = tn.Sequential([tn.Embedding(9, 4), LSTM(5, return_sequences=True), Dense(9, "softmax")], (None,))
    ids, state = np.random.default_rng(0).integers(0, 9, (3, 6)), None
    whole = net.predict(ids)
    for t in range(6):
        y, state = net.step(ids[:, t], state)
        close(y, whole[:, t], 1e-6)
    assert [array.shape for array in state["lstm_1"]] == [(3, 5), (3, 5)]
    y, _ = net.step([4])
    close(y, net.predict([[4]])[:, 0], 1e-7)


def test_a_stream_of_a_fixed_length_may_be_longer():
    net = tn.Sequential([GRU(3)], (2, 4))
    x, state = np.random.default_rng(0).random((1, 5, 4)), None
    for t in range(5):
        y, state = net.step(x[:, t], state)
    close(y, state["gru_1"][0], 1e-7)


def test_padding_in_a_stream_leaves_the_state():
    net = shaken(tn.Sequential([tn.Embedding(5, 3, mask_zero=True), LSTM(4)], (None,)))
    y, state = net.step([1, 2])
    again, later = net.step([0, 3], state)
    assert np.array_equal(again[0], y[0]) and (again[1] != y[1]).any()
    assert np.array_equal(later["lstm_1"][1][0], state["lstm_1"][1][0])


def test_training_goes_on_from_a_state():
    net = shaken(tn.Sequential([LSTM(4, return_sequences=True), Dense(2)], (None, 3)))
    x = np.random.default_rng(0).random((2, 6, 3)).astype(np.float32)
    context = Context(reference, training=True)
    whole, saved = net.forward(x, context)
    first, kept = net.forward(x[:, :4], context)
    second, last = net.forward(x[:, 4:], Context(reference, training=True, state=net.final_state(kept)))
    close(np.concatenate((first, second), axis=1), whole, 1e-6)
    close_states(net.final_state(last), net.final_state(saved))
    assert net.backward(np.ones_like(second), last, context)[1].keys() == net.parameters.keys()


def test_a_layer_may_ask_for_its_state_and_any_state_can_be_had():
    net = tn.Sequential([Bidirectional(LSTM(3, return_state=True)), Dense(2, "softmax")], (None, 3))
    x = np.random.default_rng(0).random((4, 5, 3))
    y, state = net.predict(x, batch_size=3)
    assert y.shape == (4, 2) and [array.shape for array in state["bidirectional_1"]] == [(4, 3)] * 4
    _, whole = net.predict(x)
    close_states(state, whole)
    again, _ = net.predict(x, initial_state={})
    assert net.evaluate(x, again.argmax(axis=1)).keys() == {"loss", "accuracy"}
    assert tn.Sequential([Dense(2)], (3,)).predict(np.ones((1, 3)), return_state=True)[1] == {}


@pytest.mark.parametrize("layer", [GRU, RNN])
def test_a_state_of_one_array_needs_no_tuple_around_it(layer):
    net = tn.Sequential([layer(3)], (None, 2))
    name, rng = next(iter(net.children())), np.random.default_rng(0)
    x, state = rng.random((2, 4, 2)), rng.random((2, 3))
    assert (
        net.predict(x, initial_state={name: state}) == net.predict(x, initial_state={name: (state,)})
    ).all()
    assert (net.step(x[:, 0], {name: state})[0] == net.step(x[:, 0], {name: (state,)})[0]).all()


def test_a_state_that_does_not_fit_is_named():
    net = tn.Sequential([LSTM(3)], (None, 2))
    x, right = np.ones((2, 4, 2)), np.zeros((2, 3))
    for state, pattern in [
        ({"gru_1": (right,)}, "^model has a state for lstm_1, but is given one for 'gru_1'"),
        ((right, right), "^a state is a dict such as `step` returns, not tuple"),
        (
            {"lstm_1": (right,)},
            r"^give a tuple of arrays of shapes \[\(2, 3\), \(2, 3\)\] as the state of lstm_1, not \[\(2, 3\)\]",
        ),
        ({"lstm_1": right}, r"^give a tuple of arrays of shapes \[\(2, 3\), \(2, 3\)\] .*, not \[\(2, 3\)\]"),
        ({"lstm_1": (right, right[:1])}, r", not \[\(2, 3\), \(1, 3\)\]"),
    ]:
        with pytest.raises(TinynetError, match=pattern):
            net.predict(x, initial_state=state)
        with pytest.raises(TinynetError, match=pattern):
            net.step(x[:, 0], state)


@pytest.mark.parametrize(
    "layers, pattern",
    [
        ([Dense(3)], "^model has no recurrent layer"),
        ([Bidirectional(LSTM(3))], "^bidirectional_1 needs the whole sequence at once"),
        ([LSTM(3, go_backwards=True)], "^lstm_1 needs the whole sequence at once"),
        ([tn.Conv1D(3, 2), LSTM(3)], "^conv1d_1 needs the whole sequence at once"),
    ],
)
def test_what_cannot_go_step_by_step_says_so(layers, pattern):
    with pytest.raises(TinynetError, match=pattern):
        tn.Sequential(layers, (4, 2)).step(np.ones((1, 2)))


@pytest.mark.parametrize("x", [np.ones(2), np.ones((1, 3)), np.ones((1, 1, 2)), 1.0])
def test_a_step_of_another_shape_is_refused(x):
    with pytest.raises(ShapeError, match=r"^lstm_1 takes one time step of shape \(any, 2\), but is given \("):
        tn.Sequential([LSTM(3)], (None, 2)).step(x)


@pytest.mark.parametrize("count, steps", [(0, 4), (2, 0), (0, 0), (1, 1)])
@each_stack
def test_no_sequence_and_no_step(stack, count, steps):
    net = tn.Sequential([tn.Masking(), *stack(return_sequences=True)], (None, 3))
    y, state = net.predict(np.zeros((count, steps, 3)), return_state=True)
    assert y.shape == (count, steps, net.output_shape[-1])
    assert all(array.shape[0] == count for arrays in state.values() for array in arrays)


# ---- training ----


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_rows_of_pictures_can_be_learnt(kind):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    x = (rng.random((120, 28, 28)) * 60).astype(np.uint8)
    x[np.arange(120), 5 + 8 * y] = 255
    net = tn.Sequential([kind(16), Dense(3, "softmax")], (28, 28), metadata={"input": {"kind": "image"}})
    history = net.fit(x, y, epochs=12, batch_size=20, optimizer=tn.Adam(0.01))
    assert history.epochs[-1]["accuracy"] > 0.9


@pytest.mark.parametrize(
    "last", [Dense(5, "softmax"), TimeDistributed(Dense(5, "softmax"))], ids=["dense", "distributed"]
)
def test_the_id_before_can_be_learnt(last):
    ids = np.random.default_rng(0).integers(1, 5, (100, 9))
    labels = np.roll(ids, 1, axis=1)
    labels[:, 0] = 0
    layers = [tn.Embedding(5, 8), LSTM(16, return_sequences=True), last]
    net = tn.Sequential(layers, (None,))
    assert net.logits_activation == "softmax"
    history = net.fit(ids, labels, epochs=25, batch_size=20, optimizer=tn.Adam(0.02))
    assert history.epochs[-1]["accuracy"] > 0.95


def test_padding_counts_in_no_loss_and_no_metric():
    net = tn.Sequential(
        [tn.Embedding(5, 3, mask_zero=True), GRU(4, return_sequences=True), Dense(5, "softmax")], (None,)
    )
    ids = np.array([[1, 2, 3, 4], [2, 0, 0, 0], [4, 3, 0, 0]])
    probabilities = net.predict(ids)
    real = ids > 0
    picked = np.take_along_axis(probabilities, ids[..., None], 2)[..., 0]
    found = net.evaluate(ids, ids)
    assert abs(found["loss"] + np.log(picked[real]).mean()) < 1e-6
    assert abs(found["accuracy"] - (probabilities.argmax(2) == ids)[real].mean()) < 1e-6
    before, other = net.get_weights(), np.where(real, ids, 1)
    weighted = net.fit(ids, ids, sample_weight=np.array([0.0, 2.0, 1.0])).epochs[0]
    expected = (2 * np.log(picked[1, 0]) + np.log(picked[2, :2]).sum()) / 4
    assert abs(weighted["loss"] + expected) < 1e-6
    net.set_weights(before)
    net.fit(ids, ids, epochs=1, shuffle=False, seed=1)
    first = net.get_weights()
    net.set_weights(before)
    net.fit(ids, other, epochs=1, shuffle=False, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(first, net.get_weights(), strict=True))


def test_labels_of_another_length_are_refused():
    net = tn.Sequential([tn.Embedding(5, 3), LSTM(4, return_sequences=True), Dense(5, "softmax")], (None,))
    with pytest.raises(TinynetError, match=r"labels of shape \(3, 6\) do not fit"):
        net.fit(np.ones((3, 7), int), np.ones((3, 6), int))


# ---- the rest ----


def test_the_work_of_an_open_length_is_that_of_what_comes():
    net = tn.Sequential(
        [tn.Embedding(5, 3), LSTM(4, return_sequences=True), TimeDistributed(Dense(2))], (None,)
    )
    assert net.flops() == 2 * 7 * 16 + 2 * 4 * 2
    assert net.flops((10,)) == 10 * net.flops()
    assert net.compute_output_shape((10,)) == (10, 2)


def test_a_network_of_all_of_them_is_summarised_and_keeps_its_weights():
    layers = [
        tn.Masking(),
        Bidirectional(GRU(3, return_sequences=True)),
        TimeDistributed(Dense(4)),
        RNN(2),
        tn.RepeatVector(3),
        LSTM(2),
    ]
    net, lines = tn.Sequential(layers, (None, 2)), []
    net.summary(print_fn=lines.append)
    assert " ".join(lines[2].split()) == (
        "bidirectional_1 Bidirectional(layer=GRU(units=3, return_sequences=True)) (any, 6) 126"
    )
    shaken(net)
    assert net.parameter_count() == sum(value.size for value in net.get_weights())
    assert net.layers[1].layer.parameters["kernel"] is net.parameters["bidirectional_1.forward_kernel"]
    assert "time_distributed_1.bias" in net.parameters


def test_joined_parameters_can_be_replaced_but_not_added():
    layer = Bidirectional(RNN(2))
    layer.build((3, 2), np.random.default_rng(0))
    randomise(layer, np.random.default_rng(0))
    assert layer.layer.parameters["kernel"].dtype == np.float64
    with pytest.raises(KeyError):
        layer.parameters["sideways_kernel"] = np.ones(2)
    assert "kernel" not in layer.parameters and len(layer.parameters) == 6


@pytest.mark.parametrize("between", [[], [tn.Dropout(0.5)]])
def test_a_stack_says_which_layer_must_return_its_sequence(between):
    with pytest.raises(
        ShapeError,
        match=r"^lstm_2 needs a sequence, but lstm_1 gives only its last step \(8,\): set return_sequences=True on lstm_1$",
    ):
        tn.Sequential([tn.LSTM(8), *between, tn.LSTM(4)], (None, 3))
    with pytest.raises(ShapeError, match=r"^sequential_1/gru_1 needs a sequence, but bidirectional_1 gives"):
        tn.Sequential([tn.Sequential([tn.Bidirectional(tn.GRU(2)), tn.GRU(2)])], (None, 3))
    with pytest.raises(ShapeError, match=r"^conv2d_1 takes an input of shape"):
        tn.Sequential([tn.LSTM(8), tn.Conv2D(2, 3)], (None, 3))
