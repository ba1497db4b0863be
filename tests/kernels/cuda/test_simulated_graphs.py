"""Launches that are recorded as a graph and repeated: here by one that keeps them in a list."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tinynet as tn
from kernels.cuda.simulator import simulator
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
        self.launches.append((kernel[blocks, threads], arguments))

    def complete(self) -> None:
        self.complete_yet = True

    def run(self) -> None:
        assert self.complete_yet
        for launch, arguments in self.launches:
            launch(*arguments)


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
    assert compiled.launches == launches + 1, "of all kernels only the copy of the output is launched"
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
