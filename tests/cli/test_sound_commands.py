"""Sounds on the command line: clips, streams, and what is no .wav file."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from test_commands import DIGIT, ROOT, fails, run

from tests.sounds import KINDS, noise, wav, word
from tinynet.data.sounds.prepare import Preparation
from tinynet.recipes.sounds import network


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network that has learnt nothing, but hears."""
    made = network(Preparation(), list(KINDS), name="words")
    made.metadata.update(task="sound", input=Preparation().settings())
    path = tmp_path_factory.mktemp("model") / "words.npz"
    made.save(path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.wav"
    path.write_bytes(wav(word("rise"), 8000))
    return path


def raw(*kinds):
    pause = np.zeros(5000)
    samples = np.concatenate(
        [pause, *(part for i, kind in enumerate(kinds) for part in (word(kind, i), pause))]
    )
    return np.round(samples * 32767).astype("<i2").tobytes()


def test_a_clip_is_named_from_a_file_and_from_stdin(model, clip):
    done = run("classify", clip, "--model", model, "--top", "4", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and len(found["top"]) == 4 and found["label"] in KINDS
    again = run("classify", "-", "--model", model, stdin=clip.read_bytes())
    assert again.stdout.decode().startswith(f"-: {found['label']} (")


def test_silence_is_an_answer(model, tmp_path):
    (tmp_path / "still.wav").write_bytes(wav(noise(1, loudness=0.001)))
    done = run("classify", tmp_path / "still.wav", "--model", model)
    assert done.returncode == 0 and done.stdout.decode().rstrip().endswith("still.wav: silence")
    found = json.loads(run("classify", tmp_path / "still.wav", "--model", model, "--json").stdout)
    assert found["label"] is None and found["top"] == []


def test_other_sounds_and_other_files_end_in_a_sentence(model, clip, tmp_path):
    (tmp_path / "clip.mp3").write_bytes(b"ID3\4" + bytes(100))
    done = run("classify", tmp_path / "clip.mp3", clip, "--model", model)
    fails(done, "convert it first: ffmpeg -i", "clip.wav")
    assert b"clip.wav: " in done.stdout
    fails(run("classify", DIGIT, "--model", model), "is not a .wav file")
    fails(run("classify", clip), "is a sound", "spoken-digits")
    fails(run("classify", clip, "--model", model, "--all"), "--all does not apply", status=2)


def test_a_folder_of_sounds_is_classified(model, tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.wav").write_bytes(wav(word("fall", number)))
    (tmp_path / "notes.txt").write_text("hello")
    done = run("classify", tmp_path, "--recursive", "--model", model)
    assert done.stdout.count(b".wav: ") == 3 and b"not a sound" in done.stderr


def test_a_stream_is_answered_as_it_comes(model):
    command = [
        sys.executable,
        "-m",
        "tinynet",
        "classify",
        "-",
        "--stream",
        "--rate",
        "8000",
        "--model",
        str(model),
        "--json",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        for kind in ("rise", "hiss"):
            process.stdin.write(raw(kind))
            process.stdin.flush()
            found = json.loads(process.stdout.readline())  # before the stream is over
            assert found["file"] == "-" and found["label"] in KINDS and found["start"] < found["end"]
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(timeout=60) == 0


def test_a_stream_of_nothing_is_silence(model):
    done = run("classify", "-", "--stream", "--rate", "16000", "--model", model, stdin=bytes(64001))
    assert done.stdout == b"-: silence\n" and done.returncode == 0


def test_a_wav_file_is_not_taken_for_a_stream_of_raw_samples(model):
    done = run("classify", "-", "--stream", "--rate", "8000", "--model", model, stdin=wav(word("rise"), 8000))
    fails(done, "- is a .wav file, not raw samples; classify it without --stream")


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--stream"], "--stream needs --rate"), (["--rate", "8000"], "--rate needs --stream"), (["--stream", "--rate", "3"], "--rate is")],
)  # fmt: skip
def test_a_stream_says_its_rate(model, options, words):
    fails(run("classify", "-", "--model", model, *options, stdin=b""), words, status=2)


def test_a_folder_is_learnt_by_one_command(tmp_path):
    for kind in KINDS[:2]:
        (tmp_path / "words" / kind).mkdir(parents=True)
        for seed in range(6):
            (tmp_path / "words" / kind / f"{seed}.wav").write_bytes(wav(word(kind, seed)))
    done = run("train", "words", "--epochs", "1", "--device", "reference", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == b"words-cnn-gru.npz\n", done.stderr
    assert (
        b"training a CNN, then a GRU" in done.stderr and b"a linear model of the mean frames" in done.stderr
    )
    assert run("info", "words-cnn-gru.npz", cwd=tmp_path).returncode == 0
    done = run("evaluate", "words-cnn-gru.npz", "words", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["samples"] == 12
    fails(run("train", "words", "--arch", "rnn", cwd=tmp_path), "sound is both")
