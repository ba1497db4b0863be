"""Ctrl-C, SIGTERM, SIGHUP and kill -9: what a training has reached is never lost."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_fit import At, X, Y
from tiny import equal, network

import tinynet as tn
from tinynet.training import signals

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has other signals")
HERE = Path(__file__).parent
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_training_after_the_step_with_best_weights_and_checkpoint(number, tmp_path):
    before = [signal.getsignal(each) for each in ENDING]
    file, net, whole = tmp_path / "run.npz", network(), network()
    settings = {"epochs": 5, "batch_size": 10, "validation_split": 0.2}
    ring = At(11, lambda training: signal.raise_signal(number))
    history = net.fit(X, Y, **settings, checkpoint=file, callbacks=[ring])
    assert history.interrupted and history.signal == number and len(history.epochs) == 3
    assert [signal.getsignal(each) for each in ENDING] == before
    net.fit(X, Y, **settings, checkpoint=file, resume=file)
    whole.fit(X, Y, **settings)
    assert equal(net.state(), whole.state())


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("place", ["measure", "save"])
def test_a_signal_while_an_epoch_is_validated_or_kept_costs_nothing(number, place, tmp_path, monkeypatch):
    file, net, whole = tmp_path / "run.npz", network(), network()
    settings = {"epochs": 3, "validation_split": 0.2}
    real, calls = getattr(tn.training.loop, place), []

    def ring(*arguments):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(number)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(tn.training.loop, place, ring)
        assert net.fit(X, Y, **settings, checkpoint=file).interrupted
    net.fit(X, Y, **settings, checkpoint=file, resume=file)
    whole.fit(X, Y, **settings)
    assert equal(net.state(), whole.state())


def test_a_signal_after_the_last_step_breaks_nothing_off():
    net, whole = network(), network()
    history = net.fit(X, Y, epochs=2, callbacks=[At(4, lambda training: signal.raise_signal(signal.SIGTERM))])
    whole.fit(X, Y, epochs=2)
    assert (history.stopped, history.signal) == ("", signal.SIGTERM) and equal(net.state(), whole.state())


def test_ignored_signals_stay_ignored_and_a_programs_own_handlers_keep_their_work():
    heard = []
    for number, handler in (
        (signal.SIGHUP, signal.SIG_IGN),
        (signal.SIGTERM, lambda *given: heard.append(given)),
    ):
        before = signal.signal(number, handler)
        try:
            ring = At(2, lambda training, number=number: signal.raise_signal(number))
            assert not network().fit(X, Y, epochs=2, callbacks=[ring]).interrupted
            assert signal.getsignal(number) is handler
        finally:
            signal.signal(number, before)
    assert len(heard) == 1


def test_the_second_hangup_of_a_closing_terminal_belongs_to_the_first():
    def twice(training):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)

    assert network().fit(X, Y, callbacks=[At(1, twice)]).signal == signal.SIGHUP


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_the_program_at_once(number):
    code = (
        "import signal, time\nfrom tinynet.training.signals import first_signal\n"
        f"with first_signal(print):\n    signal.raise_signal({int(number)})\n    time.sleep({1.1 * signals.SECOND_HANGUP})\n"
        f"    signal.raise_signal({int(number)})\n    time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=30, cwd=HERE.parent.parent
    )
    assert done.returncode == -number


# ---- kill -9 ----

TRAINING = """
import os, sys
sys.path.insert(0, {tests!r})
from tiny import network, samples
import tinynet as tn
tn.set_device("reference")
net, file = network(), {file!r}
net.fit(*samples(), epochs=40, batch_size=4, optimizer=tn.AdamW(tn.OneCycle(1e-2)), validation_split=0.2, ema=0.9,
        augment=tn.Augment(shift=0.1), checkpoint=file, resume=file if os.path.exists(file) else None)
net.save({model!r})
"""


def killed(folder: Path, kills: int, seed: int) -> None:
    """Train in processes of which so many are killed at random, each going on where the one before was; compare the bits."""
    file, model = folder / "run.npz", folder / "model.npz"
    code, draw, spans = (
        TRAINING.format(tests=str(HERE), file=str(file), model=str(model)),
        random.Random(seed),
        [],
    )
    while len(spans) < kills:
        file.unlink(missing_ok=True)
        while len(spans) < kills:
            process = subprocess.Popen([sys.executable, "-c", code], cwd=HERE.parent.parent)
            wait_for(file, process)
            spans.append(draw.uniform(0, 0.3))
            time.sleep(spans[-1])
            process.kill()
            if process.wait() == 0:  # it was done before
                break
    subprocess.run([sys.executable, "-c", code], cwd=HERE.parent.parent, check=True)
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".npz") == ["model.npz", "run.npz"]
    broken = tn.load(model)
    file.unlink()
    subprocess.run([sys.executable, "-c", code], cwd=HERE.parent.parent, check=True)
    for one, other in zip(broken.get_weights(), tn.load(model).get_weights(), strict=True):
        assert np.array_equal(one, other)


def wait_for(file: Path, process: subprocess.Popen) -> None:
    """Until a checkpoint is written that was not there before, or the process has ended."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    while process.poll() is None and (not file.exists() or file.stat().st_mtime_ns == before):
        time.sleep(0.005)


def test_five_kills_change_no_bit(tmp_path):
    killed(tmp_path, 5, seed=0)


@pytest.mark.slow
def test_fifty_kills_change_no_bit(tmp_path):
    killed(tmp_path, 50, seed=1)
