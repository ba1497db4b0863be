from __future__ import annotations

import copy

import naive
import numpy as np
import pytest
from helpers import check_layer, close, numeric_gradient

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import GRU, LSTM, RNN, Bidirectional, Context, Dense, TimeDistributed

CELLS = [
    (RNN, {}),
    (RNN, {"activation": "relu"}),
    (LSTM, {}),
    (GRU, {}),
    (GRU, {"reset_after": False}),
]
each_cell = pytest.mark.parametrize("kind, settings", CELLS, ids=str)
MASKS = {
    "whole": None,
    "padded": np.arange(5) < np.array([[5], [2], [3]]),
    "scattered": np.array([[0, 1, 1, 0, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool),
}
each_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)


def states(layer, x, kernel, recurrent_kernel, bias=None, recurrent_bias=None, mask=None):
    """All states that the layer goes through from zeros, by the naive loops."""
    z = x @ kernel + (0 if bias is None else bias)
    start = np.zeros((len(x), layer.units))
    if isinstance(layer, RNN):
        return naive.rnn(z, recurrent_kernel, start, mask, layer.activation)
    if isinstance(layer, LSTM):
        return naive.lstm(z, recurrent_kernel, start, start, mask)[0]
    return naive.gru(z, recurrent_kernel, recurrent_bias, start, mask, layer.reset_after)[0]


def turned(x, mask):
    return naive.reverse_steps(x, mask)


# ---- values and gradients ----


@each_cell
@each_mask
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("go_backwards", [True, False])
def test_each_cell_is_its_equation(kind, settings, mask, return_sequences, go_backwards):
    layer = kind(4, **settings, return_sequences=return_sequences, go_backwards=go_backwards)

    def expected(x, **parameters):
        h = states(layer, turned(x, mask) if go_backwards else x, **parameters, mask=mask)
        return h[:, 1:] if return_sequences else h[:, -1]

    shape = (5, 4) if return_sequences else (4,)
    check_layer(layer, (5, 3), batch=3, expected=expected, output_shape=shape, mask=mask)


@each_cell
def test_without_bias_there_is_none(kind, settings):
    layer = kind(3, **settings, use_bias=False)
    check_layer(layer, (4, 2), expected=lambda x, **parameters: states(layer, x, **parameters)[:, -1])
    assert list(layer.parameters) == ["kernel", "recurrent_kernel"]


@each_cell
@pytest.mark.parametrize("go_backwards", [True, False])
def test_dropout_of_the_inputs(kind, settings, go_backwards):
    layer = kind(3, **settings, dropout=0.4, return_sequences=True, go_backwards=go_backwards)

    def expected(x, **parameters):
        x = reference.sequence_dropout(x, 0.4, 3)
        return states(layer, turned(x, None) if go_backwards else x, **parameters)[:, 1:]

    check_layer(layer, (4, 6), expected=expected)
    x = np.ones((2, 4, 6), np.float32)
    evaluated, _ = layer.forward(x, Context(reference))
    whole = copy.copy(layer)
    vars(whole)["dropout"] = 0.0
    assert np.array_equal(whole.forward(x, Context(reference, training=True))[0], evaluated)


@each_cell
@each_mask
def test_a_pass_from_a_given_state(kind, settings, mask):
    layer, rng = kind(4, **settings, return_sequences=True), np.random.default_rng(0)
    state = tuple(rng.standard_normal(zeros.shape) for zeros in layer.zero_state(3))
    check_layer(layer, (5, 3), batch=3, mask=mask, state=state)


@each_cell
def test_one_step_and_one_unit(kind, settings):
    check_layer(kind(1, **settings), (1, 1), batch=1, output_shape=(1,))


@each_cell
def test_gradients_through_fifty_steps(kind, settings):
    layer, rng = kind(4, **settings), np.random.default_rng(0)
    layer.build((50, 3), rng)
    layer.parameters.update({name: value.astype(np.float64) for name, value in layer.parameters.items()})
    x, context = rng.standard_normal((2, 50, 3)), Context(reference, training=True)
    y, saved = layer.forward(x, context)
    dx, gradients = layer.backward(np.ones_like(y), saved, context)
    for found, array in [(dx, x), *((gradients[name], value) for name, value in layer.parameters.items())]:
        close(found, numeric_gradient(lambda: float(layer.forward(x, context)[0].sum()), array), 1e-8)


@each_cell
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("mask", [MASKS["whole"], MASKS["scattered"]], ids=["whole", "scattered"])
def test_bidirectional_reads_both_ways(kind, settings, merge_mode, return_sequences, mask):
    layer = kind(2, **settings, return_sequences=return_sequences)

    def expected(x, **parameters):
        own = {
            way: {name[len(way) :]: value for name, value in parameters.items() if name.startswith(way)}
            for way in ("forward_", "backward_")
        }
        a = states(layer, x, **own["forward_"], mask=mask)
        b = states(layer, turned(x, mask), **own["backward_"], mask=mask)
        a, b = (a[:, 1:], turned(b[:, 1:], mask)) if return_sequences else (a[:, -1], b[:, -1])
        return naive.merge(a, b, merge_mode)

    units = 4 if merge_mode == "concat" else 2
    shape = (5, units) if return_sequences else (units,)
    wrapped = Bidirectional(layer, merge_mode)
    check_layer(wrapped, (5, 3), batch=3, expected=expected, output_shape=shape, mask=mask)


def test_bidirectional_drops_other_inputs_each_way():
    layer = Bidirectional(LSTM(2, dropout=0.5, return_sequences=True))
    check_layer(layer, (4, 3))
    for name, value in layer.layer.parameters.items():
        layer.parameters[f"backward_{name}"] = value
    # Over one step, with the same weights, only what was dropped can tell the ways apart.
    x = np.ones((1, 1, 3), np.float32)
    ahead, back = np.split(layer.forward(x, Context(reference))[0], 2, axis=2)
    assert np.array_equal(ahead, back)
    contexts = (Context(reference, training=True, seed=seed) for seed in range(9))
    halves = [np.split(layer.forward(x, context)[0], 2, axis=2) for context in contexts]
    assert any((ahead != back).any() for ahead, back in halves)


def test_bidirectional_starts_from_a_state_of_both():
    rng = np.random.default_rng(0)
    state = tuple(rng.standard_normal((2, 3)) for _ in range(4))
    layer = Bidirectional(LSTM(3))
    assert [zeros.shape for zeros in layer.zero_state(2)] == [(2, 3)] * 4
    check_layer(layer, (4, 2), state=state)


@pytest.mark.parametrize(
    "inner, shape",
    [
        (Dense(3, "tanh"), (4, 2)),
        (tn.Conv2D(2, 2), (3, 4, 4, 1)),
        (tn.BatchNorm(), (2, 3)),
        (GRU(2), (2, 3, 2)),
    ],
)
def test_time_distributed_is_the_layer_at_each_step(inner, shape):
    steps = shape[0]
    other = type(inner)(**inner.settings())

    def expected(x, **parameters):
        other.parameters.update(parameters)
        other.statistics.update(inner.statistics)
        flat = x.reshape(-1, *shape[1:])
        y, _ = other.forward(flat, Context(reference, training=True, seed=3))
        return y.reshape(len(x), steps, *y.shape[1:])

    mask = np.zeros((2, steps), bool)
    check_layer(TimeDistributed(inner), shape, expected=expected, mask=mask)


# ---- starting values and shapes ----


def test_starting_values_are_those_of_keras():
    layer = LSTM(20)
    layer.build((None, 30), np.random.default_rng(0))
    kernel, recurrent, bias = layer.parameters.values()
    limit = np.sqrt(6 / (30 + 80))
    assert kernel.shape == (30, 80) and 0.98 * limit < np.abs(kernel).max() <= limit
    close(recurrent @ recurrent.T, np.eye(20), 1e-5)
    assert bias.tolist() == [0] * 20 + [1] * 20 + [0] * 40
    plain = LSTM(20, unit_forget_bias=False)
    plain.build((None, 30), np.random.default_rng(0))
    assert not plain.parameters["bias"].any()


def test_the_two_of_a_bidirectional_start_differently():
    layer = Bidirectional(GRU(3))
    layer.build((None, 2), np.random.default_rng(0))
    assert list(layer.parameters) == [
        f"{way}_{name}"
        for way in ("forward", "backward")
        for name in ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    ]
    assert (layer.parameters["forward_kernel"] != layer.parameters["backward_kernel"]).any()


@each_cell
def test_shapes_and_work(kind, settings):
    layer = kind(4, **settings, return_sequences=True)
    assert layer.compute_output_shape((None, 3)) == (None, 4)
    assert kind(4, **settings).compute_output_shape((None, 3)) == (4,)
    assert layer.flops((6, 3)) == 6 * layer.flops((None, 3)) == 6 * 2 * 7 * 4 * layer.gates
    for shape in [(3,), (5, None), (4, 4, 1), ()]:
        with pytest.raises(
            ShapeError, match=r"takes an input of shape \(steps, features\).*, but is given \("
        ):
            layer.compute_output_shape(shape)


BAD = [
    {"units": 0},
    {"units": 2.5},
    {"units": "3"},
    {"units": 3, "use_bias": "no"},
    {"units": 3, "return_sequences": None},
    {"units": 3, "return_state": 1},
    {"units": 3, "go_backwards": "yes"},
    {"units": 3, "dropout": 1.0},
    {"units": 3, "dropout": True},
    {"units": 3, "kernel_initializer": "random"},
    {"units": 3, "recurrent_initializer": None},
]


@pytest.mark.parametrize("settings", BAD, ids=str)
@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_a_bad_setting_is_an_error_that_names_the_layer(kind, settings):
    with pytest.raises(TinynetError, match=rf"^{kind.__name__.lower()}: "):
        kind(**settings)


@pytest.mark.parametrize(
    "make, pattern",
    [
        (lambda: RNN(3, "sigmoid"), "^rnn: activation 'sigmoid' is unknown; choose one of tanh, relu"),
        (lambda: LSTM(3, unit_forget_bias=2), "^lstm: unit_forget_bias must be True or False"),
        (lambda: GRU(3, reset_after="yes"), "^gru: reset_after must be True or False"),
        (lambda: Bidirectional(Dense(3)), r"^bidirectional: layer must be an RNN, .*, not Dense\(units=3\)"),
        (lambda: Bidirectional(LSTM(3, go_backwards=True)), "^bidirectional: .* that goes forwards"),
        (lambda: Bidirectional(LSTM(3), "max"), "^bidirectional: merge_mode 'max' is unknown"),
        (lambda: Bidirectional("LSTM"), "^bidirectional: layer must be a layer .*, not 'LSTM'"),
        (lambda: TimeDistributed(3), "^time_distributed: layer must be a layer"),
        (
            lambda: TimeDistributed(tn.Embedding(3, 2)),
            "^time_distributed: layer must be a layer that takes numbers",
        ),
    ],
)
def test_other_bad_settings(make, pattern):
    with pytest.raises(TinynetError, match=pattern):
        make()


def test_a_layer_inside_stands_in_one_place_of_a_network():
    inner = LSTM(3)
    with pytest.raises(TinynetError, match="is used twice"):
        tn.Sequential([TimeDistributed(inner), Bidirectional(inner)], (4, 5, 2))
    alone, both = tn.Sequential([inner], (5, 2)), tn.Sequential([Bidirectional(inner)], (5, 2))
    assert both.parameters["bidirectional_1.forward_kernel"] is alone.parameters["lstm_1.kernel"]
    with pytest.raises(tn.errors.ShapeError, match=r"^bidirectional_1/lstm already belongs to a network"):
        tn.Sequential([Bidirectional(inner)], (5, 3))
