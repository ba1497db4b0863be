"""Captions on the command line: one sentence per picture, a folder that is learnt by one command, and what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from test_commands import DIGIT, fails, run

from tests.captioned import box, write_folder
from tinynet.data.captions.words import END, Vocabulary
from tinynet.recipes.captions import network


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network that has learnt nothing, but writes."""
    made = network((12, 20, 3), Vocabulary.learn(["a red box", "a blue one"]), name="boxes")
    made.metadata.update(task="caption", input={"kind": "image"})
    made.layers[-1].parameters["bias"][END] = -9
    path = tmp_path_factory.mktemp("model") / "boxes.npz"
    made.save(path)
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "box.png"
    Image.fromarray(box("red", "left")).save(path)
    return path


def test_pictures_are_described_from_files_and_from_stdin(model, picture, tmp_path):
    Image.fromarray(np.full((9, 9), 99, np.uint8)).save(tmp_path / "plain.png")
    done = run("caption", picture, tmp_path / "plain.png", "--model", model, "--json")
    first, second = map(json.loads, done.stdout.splitlines())
    assert done.returncode == 0 and set(first) == {"file", "caption", "probability"}
    assert first["file"] == str(picture) and 0 <= first["probability"] < 1
    assert second == {"file": str(tmp_path / "plain.png"), "caption": None, "probability": None}
    again = run("caption", "-", "--model", model, "--beams", "3", stdin=picture.read_bytes())
    assert again.stdout.decode().startswith(f"-: {first['caption']} (")


def test_a_clip_is_described_by_its_first_frame_and_that_is_said(model, tmp_path):
    first, *others = [Image.fromarray(box(colour, "left")) for colour in ("red", "blue")]
    first.save(tmp_path / "clip.gif", save_all=True, append_images=others)
    done = run("caption", tmp_path / "clip.gif", "--model", model)
    assert done.returncode == 0 and b"clip.gif: only the first frame is read" in done.stderr


def test_one_bad_file_among_several_stops_no_other(model, picture, tmp_path):
    (tmp_path / "text.png").write_text("this is no picture")
    files = (picture, tmp_path / "text.png", tmp_path / "gone.png", picture)
    done = run("caption", *files, "--model", model, "--json")
    fails(done, "text.png", "gone.png does not exist")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["file"] for each in found] == list(map(str, files))
    assert [each["caption"] is None for each in found] == [False, True, True, False]
    assert "does not exist" in found[2]["error"] and len(done.stderr.splitlines()) == 2


def test_a_model_for_something_else_names_its_verb(model, picture):
    fails(
        run("caption", picture, "--model", "digits"), "digits does not describe pictures", "is for classify"
    )
    fails(run("classify", picture, "--model", model), "is for caption")
    fails(run("generate", "--model", model), "is for caption")
    fails(run("caption", picture, "--model", "nosuch"), "no model 'nosuch'")
    fails(run("caption", picture, "--model", model, "--beams", "0"), status=2)
    fails(run("evaluate", model, "digits"), "is for caption")


def test_a_folder_is_learnt_by_one_command(tmp_path):
    (tmp_path / "boxes").mkdir()
    write_folder(tmp_path / "boxes", 3)
    table = tmp_path / "boxes" / "captions.tsv"
    table.write_text(table.read_text() + "gone.png\ta ghost\n")
    done = run("train", "boxes", "--epochs", "2", "--device", "reference", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == b"boxes-cnn-gru.npz\n", done.stderr
    for words in (
        b"gone.png does not exist",
        b"training a CNN, then a GRU",
        b"always 'a",
        b"tinynet caption",
    ):
        assert words in done.stderr
    fails(run("evaluate", "boxes-cnn-gru.npz", "boxes", "--json", cwd=tmp_path), "gone.png", "too optimistic")
    table.write_text("one.png\t" + "word " * 99)
    fails(run("train", "boxes", "--force", cwd=tmp_path), "99 words, more than 50; shorten it")
    fails(run("train", "boxes", "--arch", "mlp", cwd=tmp_path), "a caption is both")
    fails(run("train", "boxes", "--units", "8", "--target", "x", cwd=tmp_path), "--target", status=2)
    fails(run("caption", DIGIT, "--model", "boxes-cnn-gru.npz", "--model", "digits", cwd=tmp_path), "digits")
