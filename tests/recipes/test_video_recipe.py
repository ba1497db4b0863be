from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.clips import animation, clip, save_folder, save_frames
from tinynet import recipes
from tinynet.data.video.augment import CLIPS, ClipAugment
from tinynet.errors import DataError, TinynetError
from tinynet.recipes import video
from tinynet.recipes.base import Choices
from tinynet.recipes.video import Video, linear


@pytest.fixture
def folder(tmp_path):
    return save_folder(tmp_path / "ways", ("left", "grow"), 8, colour=False)


def recipe_of(path):
    return type(recipes.find(str(path), Choices())).__name__


def test_what_the_files_of_a_folder_hold_decides_what_it_is(folder, tmp_path):
    assert recipe_of(folder) == "Video"
    for name, save in {
        "stills": lambda path, i: Image.new("L", (8, 8), i).save(path / f"{i}.png"),
        "gifs of one frame": lambda path, i: (path / f"{i}.gif").write_bytes(animation(clip("left", i)[:1])),
    }.items():
        for kind in "ab":
            (tmp_path / name / kind).mkdir(parents=True)
            for number in range(3):
                save(tmp_path / name / kind, number)
        assert recipe_of(tmp_path / name) == "Folder"
    assert recipe_of(tmp_path / "nowhere") == "NoneType"
    assert recipe_of(folder / "grow" / "1.gif") == "NoneType"


def test_a_few_pictures_among_clips_and_clips_among_pictures_change_nothing(folder, tmp_path):
    Image.new("L", (8, 8)).save(folder / "left" / "cover.png")
    assert recipe_of(folder) == "Video"
    for kind in "ab":
        for number in range(5):
            (tmp_path / "p" / kind).mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8)).save(tmp_path / "p" / kind / f"{number}.png")
    save_frames(clip("left"), tmp_path / "p" / "a" / "thumbnails")
    (tmp_path / "p" / "a" / "moving.gif").write_bytes(animation(clip("left")))
    assert recipe_of(tmp_path / "p") == "Folder"


def test_pictures_in_the_parts_of_a_data_set_are_no_clips(tmp_path):
    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            save_frames([Image.new("L", (8, 8), i) for i in range(4)], tmp_path / part / kind)
    with pytest.raises(DataError, match=r"the classes of .* lie deeper: give .*train"):
        recipes.plan(str(tmp_path), Choices())


@pytest.mark.parametrize("kinds", [("left", "grow"), ("up", "down")])
def test_clips_in_the_parts_of_a_data_set_lie_deeper(kinds, tmp_path):
    """Both where they are files and where they are folders of frames."""
    for part, first in (("train", 0), ("test", 20)):
        for number in range(first, first + 3):
            for kind in kinds:
                place = tmp_path / part / kind
                if "left" in kinds:
                    place.mkdir(parents=True, exist_ok=True)
                    (place / f"{number}.gif").write_bytes(animation(clip(kind, number)))
                else:
                    save_frames(clip(kind, number), place / f"clip{number}")
    with pytest.raises(DataError, match=r"the classes of .* lie deeper: give .*train"):
        recipes.plan(str(tmp_path), Choices())
    assert recipe_of(tmp_path) == "Video"


def test_a_folder_of_animations_can_be_trained_on_as_pictures(folder):
    assert type(recipes.find(str(folder), Choices(task="pictures"))).__name__ == "Folder"
    assert isinstance(recipes.find(str(folder), Choices(task="video")), Video)


def test_the_plan_says_how_clips_are_prepared(folder):
    made = recipes.plan(str(folder), Choices())
    assert made.name == "ways-cnn-gru" and "a CNN, then a GRU" in made.reason
    assert made.x.dtype == np.uint8 and made.x.shape[2:] == (40, 40, 2) and made.x.shape[1] <= 16
    assert made.model.metadata["input"] == {
        "kind": "video", "height": 40, "width": 40, "colours": "grey", "frames": 16, "ink": False,
    }  # fmt: skip
    assert made.model.metadata["task"] == "video" and made.model.labels == ["grow", "left"]
    assert made.settings["augment"] == CLIPS and not CLIPS.flip
    assert recipes.plan(str(folder), Choices(augment=False)).settings["augment"] == ClipAugment()


def test_size_and_colours_follow_the_clips(tmp_path):
    for number, kind in enumerate("ab"):
        for seed in range(3):
            frames = [Image.new("RGB", (200, 100), (90 * number, 9 * t, seed)) for t in range(4)]
            save_frames(frames, tmp_path / kind / f"clip{seed}")
    made = recipes.plan(str(tmp_path), Choices())
    assert made.model.input_shape == (None, 20, 40, 6)


def test_an_lstm_can_be_asked_for_and_a_plain_cnn_cannot(folder):
    assert recipes.plan(str(folder), Choices(arch="cnn-lstm", units=5)).name == "ways-cnn-lstm"
    with pytest.raises(TinynetError, match="clips are both"):
        recipes.plan(str(folder), Choices(arch="cnn"))


def test_what_is_odd_is_told(folder):
    (folder / "left" / "video.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    (folder / "left" / "cut.gif").write_bytes(animation(clip("left"))[:300])
    (folder / "left" / "one.gif").write_bytes(animation(clip("left")[:1]))
    (folder / "left" / "plain.gif").write_bytes(
        animation([Image.new("L", (9, 9))] * 2 + [Image.new("L", (9, 8))])
    )
    (folder / "grow" / "notes.txt").write_text("hello")
    save_frames([Image.new("L", (9, 9), 30)] * 3, folder / "grow" / "still")
    warnings = "\n".join(recipes.plan(str(folder), Choices()).warnings)
    for words in (
        "convert it first: ffmpeg -i", "cut.gif is damaged or cut off", "one.gif has only one frame", "skipped 1 file or folder",
        "nothing is to be seen in",
    ):  # fmt: skip
        assert words in warnings


def test_a_folder_of_videos_is_answered_by_the_line_that_converts_them(tmp_path):
    for kind in "ab":
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    with pytest.raises(DataError, match="ffmpeg -i"):
        recipes.plan(str(tmp_path), Choices())


def test_a_linear_model_of_the_mean_frame_knows_what_stands_still(folder):
    made = recipes.plan(str(folder), Choices())
    assert linear(made.x, made.y, made.x).shape == made.y.shape
    still = np.repeat(made.x[:, :1], 3, axis=1) // 2 + (100 * made.y[:, None, None, None, None]).astype(
        np.uint8
    )
    assert (linear(still, made.y, still) == made.y).mean() > 0.9


def test_moving_digits_are_planned_from_the_digits(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (300, 28, 28), np.uint8), rng.integers(0, 10, 300)
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    monkeypatch.setattr(video, "EACH_STYLE", 1)
    made = recipes.plan("moving-digits", Choices())
    assert len(made.x) == 300 + 32  # printed digits beside handwritten ones
    assert made.model.output_shape == (40,) and made.model.labels[29] == "7 right"
    assert made.model.metadata["input"]["ink"] is True
