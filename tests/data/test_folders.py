from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from tinynet.data.folders import load_folder, stratified_split
from tinynet.data.pictures.samples import PictureReader
from tinynet.errors import DataError, TinynetError


def test_reads_classes_in_the_order_of_their_names(pets):
    data = load_folder(str(pets), PictureReader())
    assert data.labels == ["cat", "dog"]
    assert data.x.shape == (5, 20, 20, 1) and data.x.dtype == np.uint8
    assert data.y.tolist() == [0, 0, 1, 1, 1] and data.y.dtype == np.int64
    assert [str(file.relative_to(pets)) for file in data.files] == [
        os.path.join(*parts)
        for parts in (
            ("cat", "0.png"),
            ("cat", "1.png"),
            ("dog", "0.png"),
            ("dog", "1.png"),
            ("dog", "2.png"),
        )
    ]
    np.testing.assert_array_equal(data.x[3, :, :, 0], np.asarray(Image.open(pets / "dog" / "1.png")))
    assert data.skipped == 0 and data.warnings == []


def test_labels_of_a_model_give_their_own_numbers(pets):
    data = load_folder(pets, PictureReader(), labels=["dog", "eel", "cat"])
    assert data.labels == ["dog", "eel", "cat"] and data.y.tolist() == [2, 2, 0, 0, 0]
    with pytest.raises(DataError, match=r"dog is not one of this model's classes \(cat, eel\)"):
        load_folder(pets, PictureReader(), labels=["cat", "eel"])


def test_one_class_is_enough_to_evaluate(tmp_path, picture):
    picture(tmp_path / "cat" / "0.png")
    assert load_folder(tmp_path, PictureReader(), labels=["dog", "cat"]).y.tolist() == [1]


def test_hidden_files_and_files_that_are_no_pictures_are_counted(pets, picture):
    (pets / "cat" / "notes.txt").write_text("no picture")
    (pets / "cat" / ".hidden.png").write_text("hidden")
    (pets / "cat" / "deeper").mkdir()
    (pets / "README").write_text("no folder")
    (pets / ".git").mkdir()
    picture(pets / "dog" / "LOUD.PNG")
    data = load_folder(pets, PictureReader())
    assert data.skipped == 5 and len(data.x) == 6 and data.warnings == []


def test_pictures_that_cannot_be_read_are_named_and_skipped(pets):
    (pets / "cat" / "empty.png").write_bytes(b"")
    (pets / "dog" / "text.png").write_text("not a picture")
    whole = (pets / "dog" / "0.png").read_bytes()
    (pets / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    data = load_folder(pets, PictureReader())
    assert len(data.x) == 5
    assert len(data.unreadable) == 3 and data.warnings == []
    for name in ("empty.png", "cut.png", "text.png"):
        assert any(name in sentence for sentence in data.unreadable), name


def test_classes_without_pictures_are_left_out(pets):
    (pets / "ant").mkdir()
    data = load_folder(pets, PictureReader())
    assert data.labels == ["cat", "dog"]
    assert data.warnings == [f"{pets / 'ant'} has no picture that can be read"]


def build(folder, names, picture):
    for name in names:
        if name.endswith("/"):
            (folder / name).mkdir(parents=True)
        elif "broken" in name:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("broken")
        else:
            picture(folder / name)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "has no folders in it; put the pictures of each class into a folder named after it"),
        (["0.png", "1.png"], "has pictures but no folders in it"),
        (["cat/0.png"], "only cat has pictures that can be read; fill one folder per class"),
        (["cat/", "dog/"], "no folder in it has pictures that can be read .*cat has no picture"),
        (
            ["cat/0.png", "dog/broken.png"],
            "only cat has pictures that can be read .*broken.png is a text, not a picture",
        ),
        (["train/cat/0.png", "train/dog/0.png"], "lie deeper: give .*train$"),
    ],
)
def test_says_why_a_folder_cannot_be_learned_from(tmp_path, names, message, picture):
    build(tmp_path, names, picture)
    with pytest.raises(DataError, match=message) as caught:
        load_folder(tmp_path, PictureReader())
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_says_that_it_is_no_folder(tmp_path, picture):
    with pytest.raises(DataError, match=r"nowhere does not exist; give a folder"):
        load_folder(tmp_path / "nowhere", PictureReader())
    with pytest.raises(DataError, match=r"0.png is a file; give a folder"):
        load_folder(picture(tmp_path / "0.png"), PictureReader())


class Lines:
    """A reader of another kind: the numbers in the first line of text files, 0 where there are fewer."""

    sample, preparation = "text", {"kind": "numbers"}

    def is_sample(self, path):
        return path.suffix == ".txt"

    def empty(self, files):
        return np.zeros((len(files), max(len(file.read_text().split()) for file in files)), np.float32)

    def read(self, file, shape):
        numbers = file.read_text().split()
        if any(not number.isdigit() for number in numbers):
            raise DataError(f"{file} holds words")
        return (
            np.pad([float(number) for number in numbers], (0, shape[0] - len(numbers))) if numbers else None
        )

    def finish(self, x, path):
        return x / 2, [f"{path} was halved"]


def test_a_wing_may_bring_its_own_reader(tmp_path):
    for name, content in {"a/0": "2 4 6", "a/1": "", "b/0": "8", "b/1": "words", "b/2": "9"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.txt").write_text(content)
    (tmp_path / "b" / "0.png").touch()
    data = load_folder(tmp_path, Lines())
    assert data.x.tolist() == [[1, 2, 3], [4, 0, 0], [4.5, 0, 0]] and data.x.dtype == np.float32
    assert data.y.tolist() == [0, 1, 1] and data.blank.tolist() == [0]
    assert data.unreadable == [f"{tmp_path / 'b' / '1.txt'} holds words"]
    assert data.preparation == {"kind": "numbers"}
    assert data.notes("F") == [
        "skipped 1 file or folder in F: hidden, or not a text",
        f"{tmp_path} was halved",
    ]
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "0.txt").write_text("")
    data = load_folder(tmp_path, Lines())
    assert data.labels == ["a", "b"] and data.blank.tolist() == [0]
    assert data.warnings == [f"nothing is found in any text of {tmp_path / 'c'}", f"{tmp_path} was halved"]
    (tmp_path / "a" / "0.txt").unlink()
    (tmp_path / "a" / "1.txt").unlink()
    with pytest.raises(DataError, match=r"only b has texts that can be read \(.*words\)"):
        load_folder(tmp_path, Lines())


def test_a_split_takes_its_part_of_every_class():
    y = np.repeat([0, 1, 2, 3], [50, 30, 2, 1])
    training, validation = stratified_split(y, 0.2, seed=4)
    assert np.bincount(y[validation], minlength=4).tolist() == [10, 6, 1, 0]
    assert sorted([*training, *validation]) == list(range(len(y)))
    assert (np.diff(training) > 0).all() and (np.diff(validation) > 0).all()


def test_a_split_follows_from_its_seed():
    y = np.repeat([0, 1], 20)
    assert stratified_split(y, 0.3, 1)[1].tolist() == stratified_split(y, 0.3, 1)[1].tolist()
    assert stratified_split(y, 0.3, 1)[1].tolist() != stratified_split(y, 0.3, 2)[1].tolist()


@pytest.mark.parametrize(
    ("y", "fraction", "message"),
    [
        ([0, 0, 1, 1], 0.0, "fraction must be a number above 0 and below 1, not 0.0"),
        ([0, 0, 1, 1], 1.0, "fraction must be a number above 0 and below 1, not 1.0"),
        ([0, 1], 0.1, "no class has two samples"),
        ([0, 1], 0.9, "no class has two samples"),
    ],
)
def test_refuses_a_split_that_leaves_nothing(y, fraction, message):
    with pytest.raises(TinynetError, match=message):
        stratified_split(np.array(y), fraction, 0)
