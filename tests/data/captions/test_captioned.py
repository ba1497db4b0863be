"""A folder of pictures with captions: what is read, and what is wrong with it, in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.captioned import box, write_folder
from tinynet.data.captions.folder import holds_captions, read_captioned
from tinynet.data.captions.words import LONGEST
from tinynet.data.pictures.samples import PictureReader
from tinynet.errors import DataError


def read(path):
    return read_captioned(path, PictureReader())


def write(path, *lines):
    """A folder of two pictures whose table has these lines."""
    for name in ("one.png", "two.png"):
        Image.fromarray(box("red", "left", len(name))).save(path / name)
    (path / "captions.tsv").write_text("\n".join(lines), "utf-8")
    return path


@pytest.mark.parametrize("header", [True, False])
def test_pictures_and_captions_are_read_with_and_without_a_header(tmp_path, header):
    write_folder(tmp_path, 2, header)
    found = read(tmp_path)
    assert holds_captions(tmp_path) and not holds_captions(tmp_path / "captions.tsv")
    assert found.x.shape == (8, 12, 20, 3) and found.x.dtype == np.uint8
    assert found.captions[:3] == ["a red box", "a red box", "a red box, far right"]
    np.testing.assert_array_equal(found.picture, np.arange(8))
    assert found.preparation["kind"] == "image" and not found.unreadable + found.warnings


def test_columns_may_stand_in_any_order_among_others(tmp_path):
    write(tmp_path, "Caption\tby\tFILE", 'a "red" box\tme\tone.png', "a box, and a box\tme\ttwo.png")
    assert read(tmp_path).captions == ['a "red" box', "a box, and a box"]


def test_a_picture_in_the_place_of_a_folder_is_told(tmp_path):
    write(tmp_path, "one.png\ta box")
    with pytest.raises(
        DataError,
        match=r"one.png is a file; give a folder of pictures and a table",
    ):
        read(tmp_path / "one.png")


def test_a_picture_is_one_however_its_name_is_written(tmp_path):
    found = read(write(tmp_path, "one.png\ta box", "./one.png\tsomething red", "two.png\tthe other"))
    assert len(found.x) == 2
    np.testing.assert_array_equal(found.picture, [0, 0, 1])


def test_a_picture_may_have_several_captions(tmp_path):
    found = read(write(tmp_path, "one.png\ta box", "two.png\tthe other", "one.png\tsomething red"))
    assert found.x.shape[0] == 2
    np.testing.assert_array_equal(found.picture, [0, 1, 0])
    assert found.by_picture() == [["a box", "something red"], ["the other"]]
    second = found.part(np.array([0]))
    assert second.captions == ["a box", "something red"] and len(second.x) == 1
    for seed in range(4):
        training, validation = found.split(0.15, seed)
        assert len(training.x) == len(validation.x) == 1
        assert not set(training.captions) & set(validation.captions)


def test_missing_and_damaged_pictures_are_told_and_left_out(tmp_path):
    write(tmp_path, "one.png\ta box", "gone.png\ta ghost", "two.png\tan ear", "one.png\ta red box")
    (tmp_path / "two.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    found = read(tmp_path)
    assert found.captions == ["a box", "a red box"] and len(found.unreadable) == 2
    assert "gone.png does not exist" in found.unreadable[0] and "two.png" in found.unreadable[1]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["one.png\t" + "word " * (LONGEST + 1)], f"one.png has {LONGEST + 1} words, more than {LONGEST}; shorten it"),
        (["file\tcaption", "one.png\t ."], "one.png has no caption"),
        (["file\tcaption", "\ta box"], "'a box' has no file"),
        (["name\tx\ty", "one.png\ta\tb"], "need a column file and a column caption"),
        (["file,caption", "one.png,a box"], "separated by a tab"),
        (["gone.png\ta ghost"], "none of the pictures of .*gone.png does not exist"),
        (["file\tcaption"], "captions.tsv names no picture; add a row for each"),
        ([], "captions.tsv"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_captions_is_refused(tmp_path, lines, words):
    with pytest.raises(DataError, match=words) as refused:
        read(write(tmp_path, *lines))
    assert "\n" not in str(refused.value)
