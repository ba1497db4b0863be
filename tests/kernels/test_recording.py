"""Chains of kernels that are repeated without Python in between."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinynet as tn
from tinynet import kernels

pytest.importorskip("numba")

from tinynet.kernels import cpu
from tinynet.kernels.cpu import launch, recording
from tinynet.layers import Run
from tinynet.model import CALLS_BEFORE_RECORDING, MOST_RECORDINGS

RUN = Run(cpu)


@pytest.fixture(autouse=True)
def on_cpu():
    kernels.set_device("cpu")
    yield
    kernels.set_device("auto")


NETWORKS = {
    "digits": lambda: tn.Sequential(
        [tn.Conv2D(8, 3, activation="relu"), tn.MaxPool2D(2), tn.Flatten(), tn.Dense(20, activation="tanh"),
         tn.Dense(5, activation="softmax")], (10, 10, 1)),
    "normalised": lambda: tn.Sequential([tn.Dense(7), tn.BatchNorm(), tn.Activation("gelu"), tn.Dropout(0.5)], (5,)),
    "padded": lambda: tn.Sequential(
        [tn.Conv2D(4, 3, padding="same", activation="sigmoid"), tn.AvgPool2D(2), tn.GlobalMaxPool2D()], (6, 6, 2)),
    "sequence": lambda: tn.Sequential(
        [tn.Conv1D(4, 3, activation="leaky_relu"), tn.MaxPool1D(2), tn.AvgPool1D(2), tn.Reshape((-1,)), tn.Dense(3)], (14, 3)),
    "pooled": lambda: tn.Sequential([tn.MaxPool2D(2), tn.GlobalAveragePool2D(), tn.Activation("softmax")], (4, 4, 3)),
}  # fmt: skip


def inputs(net: tn.Sequential, count: int = 1) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, *net.input_shape), np.float32)


def predict_often(net: tn.Sequential, x: np.ndarray) -> np.ndarray:
    """The prediction at a call that a recording answers, where there is one."""
    return [net.predict(x) for _ in range(CALLS_BEFORE_RECORDING + 3)][-1]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("count", [1, 3])
def test_what_is_repeated_is_what_the_layers_compute(name, count):
    net = NETWORKS[name]()
    x = inputs(net, count)
    predict_often(net, x)
    for value in (x, -2 * x, x + 1):
        assert net.predict(value).tobytes() == net._infer_from(value, RUN, False)[0].tobytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_change_in_place_are_seen(name):
    net = NETWORKS[name]()
    x = inputs(net)
    predict_often(net, x)
    for array in net.state().values():
        array += np.abs(np.random.default_rng(1).standard_normal(array.shape, np.float32))
    assert net.predict(x).tobytes() == net._infer_from(x, RUN, False)[0].tobytes()


def test_arrays_that_are_replaced_are_seen():
    net = NETWORKS["digits"]()
    x = inputs(net)
    predict_often(net, x)
    net.layers[0].parameters["kernel"] = net.layers[0].parameters["kernel"] + 1
    assert net.predict(x).tobytes() == net._infer_from(x, RUN, False)[0].tobytes()


@pytest.mark.parametrize("name", ["digits", "normalised", "pooled"])
def test_small_networks_are_recorded(name):
    net = NETWORKS[name]()
    predict_often(net, inputs(net))
    assert any(isinstance(found, recording.Recording) for found, _ in net._recordings.values())


def test_a_result_stays_the_callers_own():
    net = NETWORKS["digits"]()
    x = inputs(net)
    first = predict_often(net, x)
    kept = first.copy()
    net.predict(-x)
    assert np.array_equal(first, kept)


def test_work_that_numpy_does_in_between_is_never_repeated_wrongly():
    assert (
        recording.record(lambda x: (np.sin(cpu.activation(x, "relu")),), np.ones((1, 4), np.float32)) is None
    )
    assert (
        recording.record(lambda x: (cpu.activation(np.sin(x), "relu"),), np.ones((1, 4), np.float32)) is None
    )


def test_large_work_is_left_to_the_threads(monkeypatch):
    monkeypatch.setattr(launch, "SMALL_WORK", 10)
    assert recording.record(lambda x: (cpu.activation(x, "relu"),), np.ones((1, 400), np.float32)) is None


def test_threads_that_share_a_network_get_their_own_results():
    net = NETWORKS["digits"]()
    predict_often(net, inputs(net))
    xs = [inputs(net) * factor for factor in (1, -1, 2, 3)]
    expected = [net._infer_from(x, RUN, False)[0] for x in xs]

    def right(x, y):
        return sum(net.predict(x).tobytes() == y.tobytes() for _ in range(300))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(right, xs, expected)) == [300] * 4


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_network_with_recordings_can_be_copied(copied):
    net = NETWORKS["digits"]()
    x = inputs(net)
    y = predict_often(net, x)
    assert np.array_equal(predict_often(copied(net), x), y)


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_a_stream_goes_on_from_its_state_when_its_steps_are_repeated(cell):
    recurrent = getattr(tn, cell)(9, return_sequences=True)
    net = tn.Sequential(
        [tn.Embedding(7, 5), recurrent, tn.Dropout(0.5), tn.Dense(7, activation="softmax")], (None,)
    )
    ids = np.random.default_rng(2).integers(0, 7, 30)
    state, outputs = None, []
    for index in ids:
        y, state = net.step([index], state)
        outputs.append(y[0])
    assert any(isinstance(found, recording.Recording) for found, _ in net._recordings.values())
    whole, final = net.predict(ids[None], return_state=True)
    assert np.array_equal(np.stack(outputs), whole[0])
    for name, arrays in state.items():
        assert all(np.array_equal(a, b) for a, b in zip(arrays, final[name], strict=True))


def test_ids_that_are_padding_are_never_recorded():
    net = tn.Sequential([tn.Embedding(5, 3, mask_zero=True), tn.LSTM(4)], (None,))
    predict_often(net, np.array([[1, 2, 3]]))
    y = net.predict(np.array([[1, 2, 0]]))
    assert np.array_equal(y, net.predict(np.array([[1, 2]])))


def test_many_shapes_do_not_pile_up():
    net = tn.Sequential([tn.Dense(3)], (None, 2))
    for steps in range(1, 3 * MOST_RECORDINGS):
        net.predict(np.ones((1, steps, 2)))
    assert 0 < len(net._recordings) <= MOST_RECORDINGS + 1


# ---- what NumPy did between kernels must never be repeated ----

BETWEEN = {
    "no weights yet": (lambda: tn.Sequential([tn.LSTM(8), tn.Dense(3)], (5, 4), seed=None), lambda x: x, 2),
    "a batch of NaN": (lambda: tn.Sequential([tn.LSTM(8), tn.Dense(3)], (5, 4)), lambda x: x * np.nan, 2),
    "the same id everywhere": (
        lambda: tn.Sequential([tn.Embedding(50, 8), tn.LSTM(8), tn.Dense(3)], (5,)), lambda x: np.zeros(x.shape, int), 2),
    "a saturated softmax": (
        lambda: tn.Sequential([tn.Conv2D(4, 3, padding="same", activation="relu"), tn.MaxPool2D(2), tn.Flatten(),
                               tn.Dense(3, activation="softmax")], (8, 8, 1), seed=1), lambda x: abs(x) * 1e5, 1),
    "a unit that never fires": (
        lambda: tn.Sequential([tn.Conv2D(4, 3, padding="same"), tn.Flatten(), tn.Dense(3), tn.Dense(1, activation="relu")],
                              (8, 8, 1), seed=1), lambda x: x * 0 - 1e4, 1),
    "a copy of a part of the weights": (
        lambda: tn.Sequential([tn.GRU(5, reset_after=False)], (3, 4)), lambda x: x, 8),
}  # fmt: skip


@pytest.mark.parametrize("name", BETWEEN)
def test_a_trial_that_proves_nothing_makes_no_recording_that_is_wrong_for_ever_after(name):
    build, blinding, count = BETWEEN[name]
    net = build()
    x = inputs(net, count)
    predict_often(net, blinding(x))
    rng = np.random.default_rng(3)
    net.set_weights([w + rng.standard_normal(w.shape, np.float32) for w in net.get_weights()])
    x = rng.integers(0, 50, x.shape) if net.takes_ids else x
    expected = net._infer_from(net.check_input(x), RUN, False)[0]
    for _ in range(3):
        np.testing.assert_array_equal(net.predict(x), expected)


def test_weights_that_kernels_cannot_read_in_place_are_never_frozen():
    for convert in (np.asfortranarray, lambda a: a.astype(np.float64)):
        net = tn.Sequential([tn.GRU(5)], (3, 4))
        net.layers[0].parameters["recurrent_kernel"] = convert(net.layers[0].parameters["recurrent_kernel"])
        x = inputs(net)
        predict_often(net, x)
        net.set_weights([w * 2 for w in net.get_weights()])
        np.testing.assert_array_equal(net.predict(x), net._infer_from(x, RUN, False)[0])


def test_an_array_that_is_gone_lends_its_id_to_no_other():
    net = tn.Sequential([tn.Dense(8)], (4,))
    many = np.random.default_rng(0).standard_normal((40, 8), np.float32)
    net.layers[0].parameters["kernel"] = many[:4]
    x = inputs(net)
    predict_often(net, x)
    for i in range(1, 9):
        del net.layers[0].parameters["kernel"]
        net.layers[0].parameters["kernel"] = many[4 * i : 4 * i + 4]
        np.testing.assert_array_equal(net.predict(x), net._infer_from(x, RUN, False)[0])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("cell", [tn.RNN, tn.LSTM, tn.GRU])
def test_recurrent_networks_are_recorded(cell, count):
    net = tn.Sequential([cell(6, return_sequences=True), cell(5), tn.Dense(3)], (4, 2))
    predict_often(net, inputs(net, count))
    assert any(isinstance(found, recording.Recording) for found, _ in net._recordings.values())


def test_an_array_that_another_thread_puts_in_place_meanwhile_keeps_its_values():
    weights = [np.full((1, 4), factor, np.float32) for factor in (2, 3)]
    calls = []

    def function(x):
        calls.append(x)
        return (cpu.merge(x, weights[len(calls) > 1], "mul"),)

    assert recording.record(function, np.ones((1, 4), np.float32)) is None
    assert [w[0, 0] for w in weights] == [2, 3]
