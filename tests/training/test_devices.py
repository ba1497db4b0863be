"""On which device a training runs that leaves the choice to `auto`, and what it says of that. The GPU is NumPy under another name."""

from __future__ import annotations

import types
from typing import Any

import pytest
from tiny import equal, network, samples

import tinynet as tn
from tinynet.kernels import device, reference
from tinynet.kernels.device import Choice

X, Y = samples()
TAKEN = Choice("cuda", "it takes about 40 s on the GPU Orin, about 5 min on the processor", about_gpu=True)
LEFT = Choice("cpu", "it takes about 2 min on the GPU Orin, about 80 s on the processor", about_gpu=True)


@pytest.fixture
def rule(monkeypatch):
    """Have the rule say this of every training, and both other back ends be NumPy under their names."""

    def say(weighed):
        monkeypatch.setattr(device, "_weigh", lambda *work: weighed)

    for name in ("cpu", "cuda"):
        module = types.ModuleType(f"tinynet.kernels.{name}")
        vars(module).update({**vars(reference), "__name__": module.__name__})
        monkeypatch.setattr(device, f"load_{name}", lambda module=module: module)
        monkeypatch.setattr(device, f"{name}_problem", lambda: None)
    tn.set_device("auto")
    return say


class Seen(tn.training.Callback):
    """The device of each step; ends the training after so many."""

    def __init__(self, steps=10**6):
        self.devices, self.steps = [], steps

    def on_batch_end(self, training: Any):
        self.devices.append(training.device)
        if len(self.devices) == self.steps:
            training.stop("interrupted")


@pytest.mark.parametrize("weighed", [TAKEN, LEFT], ids=["taken", "left"])
def test_a_training_says_once_which_device_it_takes_where_there_is_a_gpu(rule, weighed, capsys):
    rule(weighed)
    seen = Seen()
    network().fit(X, Y, epochs=2, callbacks=[seen])
    assert set(seen.devices) == {weighed.device}
    said = capsys.readouterr().err
    assert said.count(f"note: training on the device {weighed.device}, since {weighed.reason}\n") == 1
    network().fit(X, Y, verbose=False)
    assert capsys.readouterr().err == ""


def test_without_a_gpu_nothing_is_said(rule, capsys):
    rule(None)
    network().fit(X, Y)
    assert capsys.readouterr().err == ""


def test_the_rule_is_told_all_operations_and_steps_of_a_training(monkeypatch, rule):
    given = []
    monkeypatch.setattr(device, "_weigh", lambda *work: given.append(work))
    net = network()
    net.fit(X, Y, epochs=3, batch_size=16, validation_split=0.2, time_limit=90, verbose=False)
    assert given == [(3 * net.operations(X) * 48 * 3, 9, 90)]


def test_a_training_resumes_on_the_device_that_it_began_on(rule, tmp_path):
    file, settings = tmp_path / "run.npz", {"epochs": 3, "batch_size": 16, "verbose": False}
    rule(TAKEN)
    whole = network()
    whole.fit(X, Y, **settings)
    network().fit(X, Y, checkpoint=file, callbacks=[Seen(5)], **settings)
    rule(LEFT)
    resumed, seen = network(), Seen()
    resumed.fit(X, Y, resume=file, callbacks=[seen], **settings)
    assert set(seen.devices) == {"cuda"} and equal(resumed.state(), whole.state())


def test_a_training_that_resumes_elsewhere_says_that_its_bits_will_differ(
    rule, tmp_path, capsys, monkeypatch
):
    file, settings = tmp_path / "run.npz", {"epochs": 3, "batch_size": 16, "verbose": False}
    rule(TAKEN)
    network().fit(X, Y, checkpoint=file, callbacks=[Seen(5)], **settings)
    told = f"note: {file} is of a training on the device cuda, which continues on cpu: its weights will not be those"
    monkeypatch.setattr(device, "cuda_problem", lambda: "its driver is gone")
    network().fit(X, Y, resume=file, **settings)
    assert capsys.readouterr().err.startswith(told)
    monkeypatch.setattr(device, "cuda_problem", lambda: None)
    tn.set_device("cpu")
    network().fit(X, Y, resume=file, **settings)
    assert capsys.readouterr().err.startswith(told)
