"""Launches that are recorded as a graph and repeated: here by one that keeps them in a list."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from bench.roofline import BESIDE
from kernels.cuda.simulator import ORDERS, simulator
from kernels.cuda.test_simulated_training import NETWORKS as TRAINED
from tinynet.kernels import cuda as k
from tinynet.kernels.cuda import array, captured, memory
from tinynet.kernels.cuda.compiler import driver
from tinynet.kernels.cuda.compiler import kernel as compiled
from tinynet.kernels.replay import CALLS_BEFORE_CAPTURE

RNG = np.random.default_rng


class Listed:
    """What cuda.core's graphs do: launches are kept, with the memory that they are given, and done by `run`."""

    def __init__(self) -> None:
        self.launches: list[Any] = []
        self.complete_yet = False

    def launch(self, kernel: Any, blocks: Any, threads: int, arguments: list[Any]) -> None:
        assert not self.complete_yet
        self.launches.append((kernel, (blocks, threads, driver.compute_stream()), arguments))

    def complete(self) -> None:
        self.complete_yet = True

    def run(self) -> None:
        assert self.complete_yet
        for kernel, sizes, arguments in self.launches:
            kernel[sizes](*arguments)


@pytest.fixture(autouse=True)
def on_cuda(monkeypatch):
    monkeypatch.setattr(driver, "Graph", Listed)
    with simulator(pool=True):
        tn.set_device("cuda")
        yield
        tn.set_device("auto")


def convolution():
    layers = [tn.Conv2D(3, 3, activation="relu"), tn.MaxPool2D(2), tn.Flatten(), tn.Dense(4, "softmax")]
    return tn.Sequential(layers, (7, 6, 2)), RNG(0).random((2, 7, 6, 2), np.float32)


def block():
    inner = [tn.Conv2D(4, 3, padding="same"), tn.BatchNorm(), tn.Activation("gelu")]
    layers = [tn.Residual(inner), tn.GlobalAveragePool2D(), tn.Dense(3, "softmax")]
    return tn.Sequential(layers, (4, 4, 4)), RNG(0).random((1, 4, 4, 4), np.float32)


def recurrent():
    layers = [tn.Embedding(5, 3), tn.LSTM(4, return_sequences=True), tn.GRU(3), tn.Dense(5, "softmax")]
    return tn.Sequential(layers, (None,)), RNG(0).integers(0, 5, (2, 3))


NETWORKS = {"convolution": convolution, "block": block, "recurrent": recurrent}


def drawing() -> tn.Sequential:
    """Normalised, and with numbers left out anew in each step, one seed inside another."""
    inner = [tn.Dense(6), tn.BatchNorm(), tn.Activation("relu"), tn.Dropout(0.4)]
    body = [tn.Residual(inner), tn.Dropout(0.3), tn.Sequential([tn.Dropout(0.2), tn.Dense(4)])]
    return tn.Sequential([*body, tn.Dense(3, "softmax")], (6,))


def carrying() -> tn.Sequential:
    """Sequences in pieces."""
    layers = [
        tn.Embedding(9, 4),
        tn.LSTM(5, return_sequences=True, dropout=0.2),
        tn.GRU(4, return_sequences=True),
    ]
    return tn.Sequential([*layers, tn.Dense(9, "softmax")], (None,))


def padded() -> tn.Sequential:
    """Sequences whose steps do not all count."""
    return tn.Sequential([tn.Masking(), tn.GRU(3, return_sequences=True), tn.Dense(1)], (5, 2))


class Watch(tn.training.Callback):
    """What is captured after each step, and what that took: launches, uploads, downloads, allocations."""

    def __init__(self) -> None:
        self.captures: list[int] = []
        self.counts: list[tuple[int, ...]] = []

    def on_batch_end(self, training: Any) -> None:
        self.captures.append(len(training.replay.captures) if training.replay else 0)
        self.counts.append((compiled.launches, array.uploads, array.downloads, memory.allocations))


def captures(net: tn.Sequential) -> list[Any]:
    return net.replay.captures


def predict_often(net: tn.Sequential, x: np.ndarray) -> np.ndarray:
    return [net.predict(x) for _ in range(CALLS_BEFORE_CAPTURE + 2)][-1]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pass_is_repeated_as_one_graph_and_gives_the_same_bits(name):
    net, x = NETWORKS[name]()
    first = net.predict(x)
    assert np.array_equal(predict_often(net, x), first) and len(captures(net)) == 1
    other = x[::-1].copy()
    plain = tn.Sequential(net.layers, net.input_shape).predict(
        other
    )  # which has called too seldom to be captured
    launches, uploads = compiled.launches, array.uploads
    assert np.array_equal(net.predict(other), plain)
    assert compiled.launches == launches + 2, (
        "of all kernels only the copies of input and output are launched"
    )
    assert array.uploads == uploads + 1, "the input"


def test_weights_that_change_in_place_are_seen_and_others_are_captured_anew():
    net, x = convolution()
    predict_often(net, x)
    k.scale([net.layers[-1].parameters["kernel"]], 2.0)
    plain = tn.Sequential(net.layers, net.input_shape)
    assert np.array_equal(net.predict(x), plain.predict(x)) and len(captures(net)) == 1
    net.layers[0].parameters["bias"] = k.asarray(np.ones(3, np.float32))
    assert np.array_equal(net.predict(x), plain.predict(x)) and not captures(net)


def test_nothing_that_a_graph_writes_to_is_given_to_others():
    net, x = convolution()
    first = predict_often(net, x)
    (kept,) = captures(net)
    theirs = {argument.address for launch in (kept._inputs, kept._outputs) for argument in launch}
    theirs |= {lies for free in kept._kept[0].values() for lies, _ in free}
    others = [k.zeros(shape) for shape in [(2, 7, 6, 2), (2, 5, 4, 3), (2, 18), (2, 4), (32,)] * 3]
    assert len(theirs) > 4 and not theirs & {other.address for other in others}
    assert np.array_equal(net.predict(x), first)


def test_a_graph_allocates_nothing_once_it_is_made():
    net, x = block()
    predict_often(net, x)
    net.predict(x)
    before = memory.allocations
    net.predict(x)
    assert memory.allocations == before


def test_what_brings_numbers_to_the_host_is_not_captured():
    x = k.asarray(np.ones((2, 3), np.float32))
    assert captured.capture(lambda x: (k.asarray(2 * x.numpy()),), x) is None
    assert captured.capture(lambda x: (k.activation(x, "relu"),), x) is not None
    assert np.array_equal(k.activation(x, "tanh").numpy(), np.tanh(np.ones((2, 3), np.float32)))


def test_a_graph_that_does_not_give_the_same_is_not_used(monkeypatch):
    monkeypatch.setattr(Listed, "run", lambda self: None)
    x = k.asarray(np.ones((2, 3), np.float32))
    assert captured.capture(lambda x: (k.activation(x, "tanh"),), x) is None


def test_where_the_package_has_no_graphs_kernels_are_launched_as_before(monkeypatch):
    def none(self):
        raise ImportError("cuda.core")

    monkeypatch.setattr(Listed, "__init__", none)
    net, x = convolution()
    assert np.array_equal(net.predict(x), predict_often(net, x)) and not captures(net)


def test_other_threads_launch_while_one_records():
    x, inside = k.asarray(np.ones((2, 3), np.float32)), []

    def recorded(x):
        y = k.activation(x, "relu")
        if not inside or len(inside) == 1:
            with ThreadPoolExecutor(1) as pool:
                inside.append(pool.submit(lambda: k.activation(x, "tanh").numpy()).result())
        return (y,)

    assert captured.capture(recorded, x) is not None
    assert (
        all(np.array_equal(each, np.tanh(np.ones((2, 3), np.float32))) for each in inside)
        and len(inside) == 2
    )


def test_a_text_is_written_as_without_graphs(monkeypatch):
    layers = [tn.Embedding(3, 4), tn.GRU(5, return_sequences=True), tn.Dense(3, "softmax")]
    net = tn.Sequential(layers, (None,), vocabulary="abc")
    written = net.generate("a", 12, random_seed=1)
    assert captures(net), "a step of the network"
    tn.set_device("reference")
    assert net.generate("a", 12, random_seed=1) == written


TRAININGS = {name: TRAINED[name] for name in ("the digit CNN", "an LSTM", "a transformer")}
TRAININGS["with dropout"] = drawing, RNG(1).random((8, 6), np.float32), np.arange(8) % 3
STATEFUL = carrying, RNG(1).integers(0, 9, (8, 5)), RNG(2).integers(0, 9, (8, 5))


def trained(made: tuple, **settings: Any) -> tuple[list[np.ndarray], Watch]:
    """All numbers of a training of six steps, the last three of which are repeated as a graph."""
    make, x, y = made
    if not settings.get("stateful"):
        x, y = x[:6], y[:6]
    watch, net = Watch(), make()
    given = {"batch_size": 2, "ema": 0.9, "validation_data": (x[:2], y[:2]), **settings}
    history = net.fit(x, y, epochs=2, seed=3, verbose=False, callbacks=[watch], **given)
    measured = [row[name] for row in history.epochs for name in row if name != "seconds"]
    return [*net.get_weights(), np.array(measured)], watch


def without_graphs(monkeypatch: Any, *arguments: Any, **settings: Any) -> list[np.ndarray]:
    with monkeypatch.context() as patched:
        patched.setattr(k, "capture", lambda *given, **more: None)
        return trained(*arguments, **settings)[0]


def assert_same_bits(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_step_is_repeated_as_one_graph_and_gives_the_same_bits(name, monkeypatch):
    numbers, watch = trained(TRAININGS[name])
    assert watch.captures[-1] == 1
    assert_same_bits(numbers, without_graphs(monkeypatch, TRAININGS[name]))


def test_the_state_that_training_carries_on_goes_from_graph_to_graph(monkeypatch):
    settings = {"stateful": True, "reset_rate": 0.3, "validation_data": None}
    numbers, watch = trained(STATEFUL, **settings)
    assert watch.captures[-1] == 1
    assert_same_bits(numbers, without_graphs(monkeypatch, STATEFUL, **settings))


def test_a_repeated_step_launches_next_to_nothing_and_brings_the_loss_alone_to_the_host():
    make, x, y = TRAINED["the digit CNN"]
    watch = Watch()
    make().fit(
        np.concatenate([x] * 4), np.concatenate([y] * 4), batch_size=4, verbose=False, callbacks=[watch]
    )
    plain, *_, repeated, _ = np.diff(watch.counts, axis=0)  # the last step fetches no other batch
    assert repeated.tolist() == [BESIDE, 3, 1, 0], (
        "four inputs and the optimizer; batch, labels, seed; the loss"
    )
    assert plain[0] > 20


def test_a_batch_that_comes_while_a_graph_runs_changes_no_bit():
    expected = trained(TRAININGS["with dropout"])[0]
    for streams in ORDERS:
        with simulator(pool=True, streams=streams):
            memory.release()
            assert_same_bits(trained(TRAININGS["with dropout"])[0], expected)


def test_a_step_that_needs_the_host_is_launched_as_before(monkeypatch):
    make, x, y = TRAININGS["with dropout"]
    made, settings = (make, x, y), {"metrics": [lambda y, outputs: float(outputs.mean())]}
    numbers, watch = trained(made, **settings)
    assert not any(watch.captures)
    assert_same_bits(numbers, without_graphs(monkeypatch, made, **settings))

    def squares(outputs, targets):
        return ((outputs - targets) ** 2).sum(axis=1), 2 * (outputs - targets)

    dense = (lambda: tn.Sequential([tn.Dense(3, "softmax")], (6,))), x
    assert not any(trained((*dense, np.eye(3, dtype=np.float32)[y]), loss=squares)[1].captures)
    assert not any(trained((*dense, y), class_weight={0: 0.5, 1: 1.0, 2: 1.0})[1].captures)
    sequences = [TRAINED["masked sequences both ways"][1][..., part] for part in ([0, 1], [0])]
    assert not any(trained((padded, *sequences), loss="mse")[1].captures)


class Change(tn.training.Callback):
    """Does something to a training after its fourth step, the first that is repeated."""

    def __init__(self, change: Any) -> None:
        self.change, self.steps = change, 0

    def on_batch_end(self, training: Any) -> None:
        self.steps += 1
        if self.steps == CALLS_BEFORE_CAPTURE + 1:
            self.change(training)


def freeze(training: Any) -> None:
    training.model.layers[1].trainable = False


def smooth(training: Any) -> None:
    training.loss = tn.training.CrossEntropy(label_smoothing=0.4)


def slow(training: Any) -> None:
    training.learning_rate = 1e-4


@pytest.mark.parametrize("change", [freeze, smooth, slow])
def test_what_a_callback_changes_counts_in_steps_that_are_repeated_too(change, monkeypatch):
    x, y = RNG(1).random((16, 6), np.float32), np.arange(16) % 3

    def weights() -> list[np.ndarray]:
        net = tn.Sequential([tn.Dense(6), tn.BatchNorm(), tn.Dense(3, "softmax")], (6,))
        net.fit(x, y, epochs=2, batch_size=2, verbose=False, callbacks=[Change(change)])
        return net.get_weights()

    repeated = weights()
    monkeypatch.setattr(k, "capture", lambda *given, **more: None)
    assert_same_bits(repeated, weights())


def test_a_graph_gives_up_its_memory_where_there_is_none_left(monkeypatch):
    net, x = convolution()
    first = predict_often(net, x)
    (made,) = captures(net)
    full, device_array = [True], driver.cuda.device_array

    def once(size, dtype):
        if full.pop() if full else False:
            raise MemoryError
        return device_array(size, dtype)

    with monkeypatch.context() as patched:
        patched.setattr(driver.cuda, "device_array", once)
        assert k.zeros((12_345,)).numpy().shape == (12_345,)
    assert made(k.asarray(x)) is None and not made._kept
    assert np.array_equal(net.predict(x), first)


def test_a_step_that_takes_much_memory_is_launched_as_before(monkeypatch):
    monkeypatch.setattr(captured, "LARGEST", 100)
    numbers, watch = trained(TRAININGS["with dropout"])
    assert not any(watch.captures)
    assert_same_bits(numbers, without_graphs(monkeypatch, TRAININGS["with dropout"]))


def test_a_graph_of_a_step_that_does_not_give_the_same_is_not_used_and_leaves_no_trace(monkeypatch):
    monkeypatch.setattr(Listed, "run", lambda self: None)
    numbers, watch = trained(TRAININGS["with dropout"])
    assert not any(watch.captures)
    assert_same_bits(numbers, without_graphs(monkeypatch, TRAININGS["with dropout"]))
