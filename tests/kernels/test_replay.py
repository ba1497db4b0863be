"""Chains of kernels that are replayed without Python in between, and what must never be."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinynet as tn
from tinynet.kernels import device, reference
from tinynet.kernels.replay import CALLS_BEFORE_CAPTURE, MOST_CAPTURES, Replay

pytest.importorskip("numba")

from kernels.cases import Case, all_cases, normal
from tinynet.kernels import cpu
from tinynet.kernels.cpu.captured import capture
from tinynet.kernels.cpu.compiler import launch


@pytest.fixture(autouse=True)
def on_cpu():
    device.set_device("cpu")
    yield
    device.set_device("auto")


NETWORKS = {
    "digits": lambda: tn.Sequential(
        [tn.Conv2D(8, 3, activation="relu"), tn.MaxPool2D(2), tn.Flatten(), tn.Dense(20, activation="tanh"),
         tn.Dense(5, activation="softmax")], (10, 10, 1)),
    "normalised": lambda: tn.Sequential([tn.Dense(7), tn.BatchNorm(), tn.Activation("gelu"), tn.Dropout(0.5)], (5,)),
    "padded": lambda: tn.Sequential(
        [tn.Conv2D(4, 3, padding="same", activation="sigmoid"), tn.MaxPool2D(3, 2, padding="same"), tn.Conv2D(3, 2, padding="same"),
         tn.AvgPool2D(2), tn.GlobalMaxPool2D()], (7, 6, 2)),
    "sequence": lambda: tn.Sequential(
        [tn.Conv1D(4, 3, activation="leaky_relu"), tn.MaxPool1D(2), tn.AvgPool1D(2), tn.Reshape((-1,)), tn.Dense(3)], (14, 3)),
    "pooled": lambda: tn.Sequential([tn.MaxPool2D(2), tn.GlobalAveragePool2D(), tn.Activation("softmax")], (4, 4, 3)),
    "masked": lambda: tn.Sequential([tn.Masking(), tn.GRU(6), tn.Dense(2)], (5, 3)),
    "both ways": lambda: tn.Sequential([tn.Bidirectional(tn.LSTM(5, return_sequences=True)), tn.GRU(4, reset_after=False)], (6, 3)),
    "repeated": lambda: tn.Sequential([tn.Dense(4), tn.RepeatVector(3), tn.RNN(5, go_backwards=True)], (3,)),
    "at each step": lambda: tn.Sequential(
        [tn.TimeDistributed(tn.Conv2D(3, 3, padding="same", activation="relu")), tn.TimeDistributed(tn.Flatten()), tn.LSTM(4)],
        (3, 4, 4, 1)),
    "branches": lambda: tn.Sequential(
        [tn.Parallel([tn.Sequential([tn.Conv2D(3, 1)]), tn.Sequential([tn.Conv2D(2, 3, padding="same", activation="relu")])]),
         tn.Residual([tn.Conv2D(5, 3, padding="same")]), tn.Flatten(), tn.Dense(3)], (5, 5, 2)),
}  # fmt: skip


def inputs(net: tn.Sequential, count: int = 1) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, *net.input_shape), np.float32)


def predict_often(net: tn.Sequential, x: np.ndarray) -> np.ndarray:
    """The prediction at a call that a capture answers, where there is one."""
    return [net.predict(x) for _ in range(CALLS_BEFORE_CAPTURE + 3)][-1]


def computed(net: tn.Sequential, x: np.ndarray) -> np.ndarray:
    """What the layers give."""
    return net._outputs(cpu, net.check_input(x))[0]


def captures(net: tn.Sequential) -> list:
    return net.replay.captures


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("count", [1, 3, 9])
def test_every_kind_of_network_is_replayed_and_gives_what_its_layers_compute(name, count):
    net = NETWORKS[name]()
    x = inputs(net, count)
    predict_often(net, x)
    assert captures(net)
    with_padding = x.copy()
    with_padding[:, -1] = 0
    for value in (x, -2 * x, x + 1, with_padding):
        assert net.predict(value).tobytes() == computed(net, value).tobytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_change_in_place_are_seen(name):
    net = NETWORKS[name]()
    x = inputs(net)
    predict_often(net, x)
    for array in net.state().values():
        array += np.abs(np.random.default_rng(1).standard_normal(array.shape, np.float32))
    assert net.predict(x).tobytes() == computed(net, x).tobytes()


def test_arrays_that_are_replaced_are_seen():
    net = NETWORKS["digits"]()
    x = inputs(net)
    predict_often(net, x)
    net.layers[0].parameters["kernel"] = net.layers[0].parameters["kernel"] + 1
    assert net.predict(x).tobytes() == computed(net, x).tobytes()


def test_a_result_stays_the_callers_own():
    net = NETWORKS["digits"]()
    x = inputs(net)
    first = predict_often(net, x)
    kept = first.copy()
    net.predict(-x)
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("name", ["digits", "padded", "both ways"])
def test_large_work_is_replayed_on_threads_with_the_same_bits(name, monkeypatch):
    monkeypatch.setattr(launch, "SMALL_WORK", -1)
    before = launch.get_threads()
    net, other = NETWORKS[name](), NETWORKS[name]()
    x = inputs(net, 3)
    try:
        launch.set_threads(2)
        on_two = predict_often(net, x)
        (captured,) = captures(net)
        assert captured._workers == 2
        launch.set_threads(1)
        assert net.predict(x).tobytes() == on_two.tobytes() == predict_often(other, x).tobytes()
    finally:
        launch.set_threads(before)


def test_threads_that_share_a_network_get_their_own_results():
    net = NETWORKS["digits"]()
    predict_often(net, inputs(net))
    xs = [inputs(net) * factor for factor in (1, -1, 2, 3)]
    expected = [computed(net, x) for x in xs]

    def right(x, y):
        return sum(net.predict(x).tobytes() == y.tobytes() for _ in range(300))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(right, xs, expected)) == [300] * 4


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_network_with_captures_can_be_copied(copied):
    net = NETWORKS["digits"]()
    x = inputs(net)
    y = predict_often(net, x)
    other = copied(net)
    assert not captures(other)
    assert np.array_equal(predict_often(other, x), y)
    other.layers[0].parameters["kernel"][...] = 0
    assert np.array_equal(net.predict(x), y)
    assert other.predict(x).tobytes() == computed(other, x).tobytes()


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_a_stream_goes_on_from_its_state_when_its_steps_are_replayed(cell):
    recurrent = getattr(tn, cell)(9, return_sequences=True)
    net = tn.Sequential(
        [tn.Embedding(7, 5), recurrent, tn.Dropout(0.5), tn.Dense(7, activation="softmax")], (None,)
    )
    ids = np.random.default_rng(2).integers(0, 7, 30)
    state, outputs = None, []
    for index in ids:
        y, state = net.step([index], state)
        outputs.append(y[0])
    assert captures(net)
    whole, final = net.predict(ids[None], return_state=True)
    assert np.array_equal(np.stack(outputs), whole[0])
    for name, arrays in state.items():
        assert all(np.array_equal(a, b) for a, b in zip(arrays, final[name], strict=True))


def test_ids_that_are_padding_are_replayed_too():
    net = tn.Sequential([tn.Embedding(5, 3, mask_zero=True), tn.LSTM(4)], (None,))
    predict_often(net, np.array([[1, 2, 3]]))
    assert captures(net)
    y = net.predict(np.array([[1, 2, 0]]))
    assert np.array_equal(y, net.predict(np.array([[1, 2]])))


def test_many_shapes_do_not_pile_up():
    net = tn.Sequential([tn.Dense(3)], (None, 2))
    for steps in range(1, 3 * MOST_CAPTURES):
        net.predict(np.ones((1, steps, 2)))
    assert 0 < len(net.replay._entries) <= MOST_CAPTURES


# ---- what is not replayed ----

X = normal(2, 4, 6)
ZEROS = np.zeros((2, 4, 6), np.float32)
TABLE = normal(5, 6)
KEPT = np.zeros((2, 4), bool)
SHORT = np.ones((2, 3), bool)
ROOM = np.zeros((2, 4, 6), np.float32)
IDS = np.zeros((2, 4), np.int32)


def _into_a_kept_array(x):
    ROOM[...] = np.abs(x)
    return cpu.activation(ROOM, "relu")


def _into_a_kept_mask(x):
    KEPT[...] = (x > 5).any(axis=2)
    return cpu.keep_steps(x, KEPT)


def _changed_in_place(x):
    y = cpu.activation(x, "relu")
    y[y > 1e4] = 7
    return cpu.activation(y, "tanh")


def _changed_behind(x):
    y = cpu.activation(x, "relu")
    np.minimum(y, 1e4, out=y)
    return y


def _input_changed(x):
    np.maximum(x, -1e4, out=x)
    return cpu.activation(x, "relu")


def _another_number(x):
    return cpu.step_mask(x, float(np.abs(x).max() > 100))


def _another_kernel(x):
    return cpu.activation(x, "relu" if np.abs(x).max() < 100 else "tanh")


def _another_place(x):
    y = cpu.activation(x, "relu")
    return cpu.activation(y[int(y[0, 0, 0] > 100)], "tanh")


def _as_often_as_it_says(x):
    y = cpu.activation(x, "relu")
    while y.max() > 100:
        y = cpu.activation(y, "tanh")
    return y


def _partly_written(x):
    y = np.abs(x)
    cpu.blend([y[0]], [x[0]], 1.0)
    return cpu.activation(y, "relu")


# what NumPy does between kernels, and an input on which that changes nothing
BETWEEN = {
    "before": (lambda x: cpu.activation(np.abs(x), "relu"), abs(X)),
    "behind": (lambda x: np.minimum(cpu.activation(x, "relu"), 1e4), X),
    "a mask where all is zero": (lambda x: cpu.keep_steps(x, (x != 0).any(axis=2)), ZEROS),
    "a mask that leaves nothing out": (lambda x: cpu.keep_steps(x, (x < 100).all(axis=2)), X),
    "a mask of a sequence of zeros": (lambda x: cpu.reverse_steps(x, x[..., 0] > 3), ZEROS),
    "what a mask is made of": (lambda x: cpu.keep_steps(x, cpu.step_mask(np.abs(x), 0.0)), X),
    "a factor of zero": (lambda x: cpu.merge(x, np.abs(x), "mul"), ZEROS),
    "ids": (lambda x: cpu.embedding((x[..., 0] > 100).astype(np.int32), TABLE), X),
    "ids from a kernel": (lambda x: cpu.embedding(cpu.step_mask(x, 0.0).astype(np.int32), TABLE), X),
    "places": (lambda x: cpu.activation(x[(x[:, 0, 0] > 100).astype(int)], "relu"), X),
    "a kept array": (_into_a_kept_array, X),
    "a kept mask": (_into_a_kept_mask, X),
    "in place": (_changed_in_place, X),
    "in place behind": (_changed_behind, X),
    "in the input": (_input_changed, X),
    "a number": (_another_number, X),
    "a kernel": (_another_kernel, X),
    "a place": (_another_place, X),
    "how often": (_as_often_as_it_says, X),
    "only in part": (_partly_written, abs(X)),
    "a copy": (lambda x: cpu.activation(np.ascontiguousarray(cpu.activation(x, "relu")[:, ::-1]), "tanh"), ZEROS),
    "a clipped row": (lambda x: cpu.dense(np.minimum(cpu.sum_steps(x), 50), TABLE.T.copy(), None), ZEROS),
    "nothing but NumPy": (lambda x: np.abs(x), abs(X)),
}  # fmt: skip


@pytest.mark.parametrize("name", BETWEEN)
def test_what_numpy_does_between_kernels_is_never_replayed(name):
    function, x = BETWEEN[name]
    assert capture(lambda x: (function(x),), x.copy()) is None


ALLOWED = {
    "views": lambda x: cpu.activation(cpu.activation(x, "relu")[1].reshape(-1, 3), "tanh"),
    "a mask from a kernel": lambda x: cpu.keep_steps(x, cpu.step_mask(x, 0.0)),
    "weights": lambda x: cpu.merge(x, X, "mul"),
    "zeros": lambda x: cpu.merge(cpu.zeros(x.shape), x, "sum"),
    "masks of kernels": lambda x: cpu.keep_steps(
        x, cpu.intersect_masks(cpu.step_mask(x, 0.0), cpu.prepend_steps(SHORT, 1))
    ),
    "a mask that is always there": lambda x: cpu.keep_steps(x, KEPT),
    "room": lambda x: cpu.activation(x, "softmax")[:, 1:],
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_kernels_make_of_arrays_that_are_there_is_replayed(name):
    captured = capture(lambda x: (ALLOWED[name](x),), X.copy())
    for x in (X, 3 * X, ZEROS):
        assert captured(x)[0].tobytes() == np.ascontiguousarray(ALLOWED[name](x)).tobytes()


NUMBERS = {
    "cross_entropy",
    "binary_cross_entropy",
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "sample",
}
NUMBERS |= {"sum_of_squares", "soft_cross_entropy", "argmax"}
"""Kernels that return a number, or whole ones."""
MADE = {
    "asarray",
    "asnumpy",
    "prefetch",
    "zeros",
    "intersect_masks",
    "prepend_steps",
    "every_step",
    "drop_ids",
}
IN_PLACE = {"sgd", "rmsprop", "adam", "scale", "blend"}
IN_PLACE |= {"count_correct", "count_correct_binary", "sum_absolute_errors"}


def smallest_cases() -> list[Case]:
    """For each kernel the case with the fewest numbers that is not empty."""
    found = {}
    for case in sorted(
        all_cases(), key=lambda c: -sum(a.size for a in c.arguments if isinstance(a, np.ndarray))
    ):
        given = [a for a in case.arguments if isinstance(a, np.ndarray)]
        made = getattr(reference, case.name)(*copy.deepcopy(case.arguments))
        made = [a for a in (made if isinstance(made, tuple) else (made,)) if isinstance(a, np.ndarray)]
        if all(array.size for array in (*given, *made)):
            found[case.name] = case
    return [case for name, case in found.items() if name not in NUMBERS | IN_PLACE | MADE]


@pytest.mark.parametrize("case", smallest_cases(), ids=lambda case: case.name)
def test_each_kernel_that_returns_arrays_can_be_replayed(case):
    floats = [i for i, a in enumerate(case.arguments) if isinstance(a, np.ndarray) and a.dtype == np.float32]

    def function(*given):
        arguments = list(case.arguments)
        for i, array in zip(floats, given, strict=True):
            arguments[i] = array
        made = getattr(cpu, case.name)(*arguments)
        return tuple(a for a in (made if isinstance(made, tuple) else (made,)) if a is not None)

    given = [case.arguments[i] for i in floats]
    captured = capture(function, *given)
    assert captured is not None
    for a, b in zip(captured(*given), function(*given), strict=True):
        assert a.tobytes() == np.ascontiguousarray(b).tobytes()


def test_a_function_is_called_while_another_thread_replays_and_on_the_reference_always():
    calls = []

    def function(k, x):
        calls.append(k)
        return (k.activation(x, "relu"),)

    replay = Replay(function, lambda: [])
    for _ in range(CALLS_BEFORE_CAPTURE + 5):
        replay(reference, X)
    assert len(calls) == CALLS_BEFORE_CAPTURE + 5
    for _ in range(CALLS_BEFORE_CAPTURE + 5):
        replay(cpu, X)
    calls.clear()
    replay(cpu, X)
    assert not calls
    (entry,) = [entry for entry in replay._entries.values() if entry.captured is not None]
    with entry.captured._busy:
        replay(cpu, X)
    assert calls == [cpu]


def test_other_types_of_inputs_are_captured_apart():
    replay = Replay(lambda k, ids: (k.embedding(ids, TABLE),), lambda: [TABLE])
    for kind in (np.int32, np.int64, np.int32):
        for _ in range(CALLS_BEFORE_CAPTURE + 2):
            (y,) = replay(cpu, np.array([[1, 4]], kind))
            assert np.array_equal(y, TABLE[[[1, 4]]])


# ---- captures that an input proves nothing about ----

BLIND = {
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
    "a part of the weights": (
        lambda: tn.Sequential([tn.GRU(5, reset_after=False)], (3, 4)), lambda x: x, 8),
}  # fmt: skip


@pytest.mark.parametrize("name", BLIND)
def test_a_trial_that_proves_nothing_makes_no_capture_that_is_wrong_for_ever_after(name):
    build, blinding, count = BLIND[name]
    net = build()
    x = inputs(net, count)
    predict_often(net, blinding(x))
    rng = np.random.default_rng(3)
    net.set_weights([w + rng.standard_normal(w.shape, np.float32) for w in net.get_weights()])
    x = rng.integers(0, 50, x.shape) if net.takes_ids else x
    expected = computed(net, x)
    for _ in range(3):
        np.testing.assert_array_equal(net.predict(x), expected)


def test_weights_that_kernels_cannot_read_in_place_are_never_frozen():
    for convert in (np.asfortranarray, lambda a: a.astype(np.float64)):
        net = tn.Sequential([tn.GRU(5)], (3, 4))
        net.layers[0].parameters["recurrent_kernel"] = convert(net.layers[0].parameters["recurrent_kernel"])
        x = inputs(net)
        predict_often(net, x)
        net.set_weights([w * 2 for w in net.get_weights()])
        np.testing.assert_array_equal(net.predict(x), computed(net, x))


def test_an_array_that_is_gone_lends_its_id_to_no_other():
    net = tn.Sequential([tn.Dense(8)], (4,))
    many = np.random.default_rng(0).standard_normal((40, 8), np.float32)
    net.layers[0].parameters["kernel"] = many[:4]
    x = inputs(net)
    predict_often(net, x)
    for i in range(1, 9):
        del net.layers[0].parameters["kernel"]
        net.layers[0].parameters["kernel"] = many[4 * i : 4 * i + 4]
        np.testing.assert_array_equal(net.predict(x), computed(net, x))


def test_an_array_that_another_thread_puts_in_place_meanwhile_keeps_its_values():
    weights = [np.full((1, 4), factor, np.float32) for factor in (2, 3)]
    calls = []

    def function(x):
        calls.append(x)
        return (cpu.merge(x, weights[len(calls) > 1], "mul"),)

    assert capture(function, np.ones((1, 4), np.float32)) is None
    assert [w[0, 0] for w in weights] == [2, 3]


# ---- writing ----


@pytest.mark.parametrize("cell", [tn.RNN, tn.LSTM, tn.GRU])
def test_characters_are_drawn_in_one_loop_as_one_by_one(cell):
    net = tn.Sequential(
        [tn.Embedding(9, 4), cell(8, return_sequences=True), tn.Dense(9, activation="softmax")], (None,)
    )
    settings, points = (0.8, 5, 0.9), np.random.default_rng(0).random(20)
    state = net.zero_state(1)
    states = [array for part in state.values() for array in part]
    assert net.replay.iterate(cpu, 3, states, settings, points) is None
    drawn, ends = net.replay.iterate(cpu, 3, states, settings, points)
    index = 3
    for point, found in zip(points, drawn, strict=True):
        last = [array for part in state.values() for array in part]
        y, state = net.step([index], state)
        index = cpu.sample(y[0], *settings, point)
        assert index == found
    assert all(
        np.array_equal(a, b) for a, b in zip(ends, [a for p in state.values() for a in p], strict=True)
    )
    assert any(not np.array_equal(a, b) for a, b in zip(ends, last, strict=True))


def test_states_that_grow_are_not_iterated():
    replay = Replay(
        lambda k, ids, h: (k.embedding(ids, TABLE)[:, 0], k.merge(h, h, "concat")), lambda: [TABLE]
    )
    for _ in range(3):
        assert replay.iterate(cpu, 0, [normal(1, 3)], (1.0, 0, 1.0), np.zeros(2)) is None
