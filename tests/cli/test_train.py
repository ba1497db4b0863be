"""`tinynet train` when it is broken off, repeated, or has no room: nothing that was learnt is lost."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import click
import numpy as np
import pytest
from test_commands import ROOT, fails, run

import tinynet as tn
from tinynet.cli import train
from tinynet.cli.options import Duration

FAST = ("--device", "reference", "--arch", "gru", "--units", "4", "--batch-size", "4")
WORDS = "The owl and the pussycat went to sea in a beautiful pea-green boat.\n"


@pytest.fixture
def poem(tmp_path):
    path = tmp_path / "my poem.txt"
    path.write_text(WORDS * 30)
    return path


@pytest.fixture
def start(tmp_path):
    """Begin `tinynet train …` in a process of its own, which ends with the test."""
    processes = []

    def begin(*arguments, prefix=()):
        command = [*prefix, sys.executable, "-m", "tinynet", "train", *map(str, arguments)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        processes.append(subprocess.Popen(command, cwd=tmp_path, env=environment, **streams))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def until(process, words):
    """Read notes until one begins with the words."""
    for line in process.stderr:
        if line.startswith(words):
            return
    pytest.fail(f"it never said {words!r}")


def same(one, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip(tn.load(one).get_weights(), tn.load(other).get_weights(), strict=True)
    )


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has other signals")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_model_and_state_and_prints_the_line_that_continues(
    number, status, poem, tmp_path, start
):
    process = start(poem.name, *FAST, "--epochs", 300, "-o", "m.npz", "--force")
    until(process, "epoch 2/")
    process.send_signal(number)
    out, told = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "m.npz\n"), told
    line = next(line for line in told.splitlines() if line.startswith("to continue: "))
    command = shlex.split(line.removeprefix("to continue: "))
    assert command == ["tinynet", "train", "my poem.txt", *FAST, "--epochs", "300", "-o", "m.npz", "--resume"]
    assert tn.load(tmp_path / "m.npz").metadata["training"]["stopped"] == "interrupted"
    fails(run(*command[1:-1], cwd=tmp_path),
          "m.checkpoint.npz exists already: --resume continues it, --force replaces it, --output writes elsewhere")  # fmt: skip
    done = run(*command[1:], "--time-limit", "0.1", cwd=tmp_path)
    assert done.returncode == 0 and b"epoch 1/" not in done.stderr, done.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_comes_through_a_pipe_cannot_be_resumed_and_a_sentence_says_what_can(poem, tmp_path):
    for name in ("pipe", "m.checkpoint.npz"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "n.checkpoint.npz").touch()
    fails(run("train", "pipe", "-o", "n.npz", "--resume", cwd=tmp_path),
          "pipe is a pipe or a device; save its content as a file")  # fmt: skip
    fails(run("train", poem.name, "-o", "m.npz", "--resume", cwd=tmp_path),
          "cannot write m.checkpoint.npz: it is not a file that may be written; choose another place")  # fmt: skip


@pytest.mark.skipif(not shutil.which("nohup"), reason="there is no nohup")
def test_nohup_goes_on_when_the_terminal_closes(poem, tmp_path, start):
    process = start(poem.name, *FAST, "--epochs", 30, "-o", "m.npz", prefix=["nohup"])
    until(process, "epoch 2/")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0 and not (tmp_path / "m.checkpoint.npz").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows has other signals")
def test_a_killed_training_is_neither_replaced_nor_mixed_with_another_and_ends_the_same(
    poem, tmp_path, start
):
    settings = (poem.name, *FAST, "--epochs", 60)
    process = start(*settings, "-o", "m.npz")
    until(process, "epoch 4/")
    process.send_signal(signal.SIGSTOP)
    for more in ((), ("--resume",), ("--force",)):
        fails(run("train", *settings, "-o", "m.npz", *more, cwd=tmp_path),
              "another training is still writing m.checkpoint.npz: wait until it ends")  # fmt: skip
    process.kill()
    process.communicate()
    kept = (tmp_path / "m.checkpoint.npz").read_bytes()
    fails(run("train", *settings, "-o", "m.npz", cwd=tmp_path), "--resume continues it")
    for more, words in (
        (("--learning-rate", 0.1), "learning_rate was 0.003, now 0.1"),
        (("--epochs", 13), "epochs was 60, now 13"),
        (("--units", 5), "gru_1.units was 4, now 5"),
    ):
        fails(
            run("train", *settings, *more, "-o", "m.npz", "--resume", cwd=tmp_path), "another training", words
        )
    text = poem.read_text()
    for other in (text[::-1], text.upper()):
        poem.write_text(other)
        fails(run("train", *settings, "-o", "m.npz", "--resume", cwd=tmp_path), "the text has changed since")
    poem.write_text(text)
    assert (tmp_path / "m.checkpoint.npz").read_bytes() == kept
    assert run("train", *settings, "-o", "m.npz", "--resume", cwd=tmp_path).returncode == 0
    done = run("train", *settings, "-o", "whole.npz", cwd=tmp_path)
    assert same(tmp_path / "m.npz", tmp_path / "whole.npz")
    assert done.stderr.decode().splitlines()[-1] == "to use it: tinynet generate --model whole.npz"
    assert done.stderr.count(b"whole.npz") == 1 and not list(tmp_path.glob("*.checkpoint.npz*"))
    fails(
        run("train", *settings, "-o", "m.npz", cwd=tmp_path),
        "m.npz exists already: --force replaces it, --output writes",
    )


@pytest.mark.parametrize("name", ["h.csv", "h.png"])
def test_a_history_is_not_replaced_unless_asked_for(name, poem, tmp_path):
    (tmp_path / name).write_text("of another training")
    settings = ("train", poem, *FAST, "--epochs", 1, "-o", "m.npz", "--history", name)
    fails(
        run(*settings, cwd=tmp_path),
        f"{name} exists already: --force replaces it, --history writes elsewhere",
    )
    assert (tmp_path / name).read_text() == "of another training" and not (tmp_path / "m.npz").exists()
    assert run(*settings, "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / name).read_bytes()[:5] in (b"epoch", b"\x89PNG\r")


def test_the_file_says_how_it_was_trained(poem, tmp_path):
    run("train", poem, *FAST, "--epochs", 50, "-o", "m.npz", "--time-limit", "1e-9", cwd=tmp_path)
    record = tn.load(tmp_path / "m.npz").metadata["training"]
    expected = {"optimizer": "AdamW", "learning rate": 0.003, "batch size": 4, "augmentation": "none", "seed": 0,
                "tinynet": tn.__version__, "stopped": "time limit"}  # fmt: skip
    assert {name: record[name] for name in expected} == expected
    assert record["date"] == datetime.now(timezone.utc).date().isoformat()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders have other permissions on Windows")
def test_a_model_that_has_no_place_any_more_is_saved_elsewhere(poem, tmp_path, start):
    (tmp_path / "out").mkdir()
    process = start(poem.name, *FAST, "--epochs", 40, "-o", "out/m.npz")
    until(process, "epoch 2/")
    (tmp_path / "out").rename(tmp_path / "gone")  # at once: a checkpoint may be written meanwhile
    out, told = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in told
    assert told.count("training continues") == 1 and f"the model is in {out.strip()} instead" in told
    assert Path(out.strip()).parent == Path() and tn.load(tmp_path / out.strip()).vocabulary


def test_weights_that_half_precision_lacks_are_saved_whole(tmp_path):
    class Plan:
        model = tn.Sequential([tn.Dense(1)], (1,))

    Plan.model.set_weights([np.array([[1e5]]), np.array([0.1])])
    assert train._write(Plan, tmp_path / "m.npz") == (tmp_path / "m.npz", None)
    assert tn.load(tmp_path / "m.npz").get_weights()[0] == 1e5


def test_a_signal_while_the_model_is_saved_waits_for_it(poem, tmp_path):
    code = (
        "import os, signal, sys; from tinynet.cli import main, train\n"
        "real = train._write\n"
        "def write(*given):\n    os.kill(os.getpid(), signal.SIGTERM)\n    return real(*given)\n"
        f"train._write = write\nmain({['train', poem.name, *FAST, '--epochs', '1', '-o', 'm.npz']!r})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, timeout=60
    )
    assert done.returncode == 143 and tn.load(tmp_path / "m.npz").vocabulary, done.stderr


def test_times_are_read_as_people_write_them():
    times = {
        "90": 90,
        "90s": 90,
        "10m": 600,
        "1h": 3600,
        "1h30m": 5400,
        "1.5h": 5400,
        "1h 30m": 5400,
        "1H": 3600,
        "1e-9": 1e-9,
    }
    assert {text: Duration().convert(text, None, None) for text in times} == times
    for text in ("", "0", "-5", "nan", "inf", "1e999", "ten", "1d", "h", "1.2.3", "10m!", "m10"):
        with pytest.raises(click.BadParameter, match="is not a time above 0, such as 90"):
            Duration().convert(text, None, None)


def test_the_time_limit_does_not_count_compiling(monkeypatch):
    compiled = []
    monkeypatch.setattr("tinynet.kernels.device.compile_seconds", lambda: sum(compiled))

    class Compile(tn.training.Callback):
        def on_epoch_begin(self, training):
            if training.epoch == 0:
                began = time.monotonic()
                time.sleep(0.3)
                compiled.append(time.monotonic() - began)

    net = tn.Sequential([tn.Dense(2, activation="softmax")], (2,))
    tn.set_device("reference")
    history = net.fit(np.zeros((8, 2)), np.zeros(8, int), epochs=3, time_limit=0.25, callbacks=[Compile()])
    assert not history.stopped
