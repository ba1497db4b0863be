"""Clips on the command line: animations, folders of frames, and what is no clip."""

from __future__ import annotations

import json

import pytest
from test_commands import DIGIT, fails, run

from tests.clips import animation, clip, save_folder, save_frames
from tinynet.data.video.prepare import Preparation
from tinynet.recipes.video import network

KINDS = ["grow", "left", "right"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network that has learnt nothing, but watches."""
    made = network(Preparation(24, 24), KINDS, name="kinds")
    made.metadata.update(task="video", input=Preparation(24, 24).settings())
    path = tmp_path_factory.mktemp("model") / "kinds.npz"
    made.save(path)
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A GIF, a WebP and a folder of frames."""
    path = tmp_path_factory.mktemp("clips")
    (path / "a.gif").write_bytes(animation(clip("left", 1)))
    (path / "b.webp").write_bytes(animation(clip("right", 1), "WEBP"))
    save_frames(clip("grow", 1), path / "c")
    return path


def test_clips_are_named_each_in_its_line(model, clips):
    done = run("classify", clips / "a.gif", clips / "b.webp", clips / "c", "--model", model)
    assert done.returncode == 0, done.stderr
    assert [line.split(": ")[0] for line in done.stdout.decode().splitlines()] == [
        str(clips / name) for name in ("a.gif", "b.webp", "c")
    ]


def test_a_clip_as_json_and_from_stdin(model, clips):
    found = json.loads(run("classify", clips / "c", "--model", model, "--top", "3", "--json").stdout)
    assert (
        found["label"] in KINDS and [each["label"] for each in found["top"]] != [] and len(found["top"]) == 3
    )
    again = run("classify", "-", "--model", model, "--json", stdin=(clips / "a.gif").read_bytes())
    assert json.loads(again.stdout)["label"] in KINDS


def test_a_folder_of_clips_needs_recursive_and_folders_of_frames_are_one_clip_each(model, clips, tmp_path):
    fails(run("classify", clips, "--model", model), "is a folder; --recursive classifies the clips in it")
    done = run("classify", clips, "--model", model, "--recursive")
    assert done.stdout.count(b"%") == 3 and done.stderr == b"", done.stderr
    (tmp_path / "notes.txt").write_text("hello")
    done = run("classify", tmp_path, "--model", model, "--recursive")
    fails(done, "has no clips in it")


def test_what_is_no_clip_ends_in_a_sentence_and_others_are_answered(model, clips, tmp_path):
    (tmp_path / "holiday.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    done = run("classify", tmp_path / "holiday.mp4", clips / "a.gif", DIGIT, "--model", model, "--json")
    fails(
        done,
        "convert it first: ffmpeg -i",
        "has only one frame",
        "pictures are read by models such as digits",
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["label"] is None for each in found] == [True, False, True] and "error" in found[0]
    fails(run("classify", clips / "a.gif", "--model", model, "--all"), "--all does not apply", status=2)


def test_a_clip_given_to_digits_is_read_as_its_first_frame_and_that_is_said(clips):
    done = run("classify", clips / "a.gif")
    assert done.returncode == 0
    said = done.stderr.decode()
    assert "only the first frame is read; clips are read by models such as moving-digits" in said
    assert "--all" not in said
    fails(run("classify", clips / "c"), "is a folder; --recursive classifies the pictures in it")


def test_a_folder_is_learnt_measured_and_used_by_three_commands(tmp_path):
    save_folder(tmp_path / "ways", ("left", "right"), 6, side=24, colour=False)
    done = run("train", "ways", "--epochs", "1", "--device", "reference", "--units", "8", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == b"ways-cnn-gru.npz\n", done.stderr
    for words in (
        b"training a CNN, then a GRU",
        b"a linear model of the mean frame",
        b"tinynet classify CLIP.gif --model",
    ):
        assert words in done.stderr
    done = run("evaluate", "ways-cnn-gru.npz", "ways", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["samples"] == 12
    done = run("classify", "ways/left/1.gif", "ways/left/clip0", "--model", "ways-cnn-gru.npz", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.count(b"%") == 2
    assert run("info", "ways-cnn-gru.npz", cwd=tmp_path).returncode == 0
    fails(run("train", "ways", "--arch", "rnn", cwd=tmp_path), "clips are both")
    fails(run("evaluate", "digits", "moving-digits"), "digits does not read clips")
    fails(
        run("generate", "--seed", "a", "--model", "ways-cnn-gru.npz", cwd=tmp_path),
        "is for classify",
    )
