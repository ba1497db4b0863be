from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from tinynet.data.folders import load_folder, stratified_split
from tinynet.data.pictures.prepare import prepare
from tinynet.data.pictures.read import read_image
from tinynet.errors import DataError


def picture(path, size=(20, 20), mode="L", value=None, seed=0, **options):
    """A picture of noise, or of one value, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0], *([3] if mode == "RGB" else []))
    pixels = rng.integers(0, 256, shape, np.uint8) if value is None else np.full(shape, value, np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def pets(tmp_path):
    for number in range(3):
        picture(tmp_path / "dog" / f"{number}.png", seed=number)
    for number in range(2):
        picture(tmp_path / "cat" / f"{number}.png", seed=number + 9)
    return tmp_path


def test_reads_classes_in_the_order_of_their_names(pets):
    data = load_folder(str(pets))
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


def test_the_preparation_does_the_same_to_one_picture(pets):
    picture(pets / "cat" / "wide.jpg", (90, 31), "RGB")
    picture(pets / "dog" / "large.png", (300, 400), "RGB")
    data = load_folder(pets)
    spec = json.loads(json.dumps(data.preparation))
    for row, file in zip(data.x, data.files, strict=True):
        again = prepare(read_image(file), spec, data.x.shape[1:])
        np.testing.assert_array_equal(row, np.round(255 * again))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_colour_in_one_picture_makes_all_colour(pets, mode):
    path = picture(pets / "cat" / "red.png", mode="RGB")
    if mode != "RGB":
        Image.open(path).convert(mode).save(path.with_suffix(".tif"))
        path.unlink()
    data = load_folder(pets)
    assert data.x.shape == (6, 20, 20, 3)
    assert (data.x[0] == data.x[0, :, :, :1]).all()


def test_grey_pictures_in_colour_files_are_grey(pets):
    for number in range(3):
        path = pets / "cat" / f"{number}.png"
        picture(path)
        Image.open(path).convert("RGB").save(path)
    assert load_folder(pets).x.shape == (6, 20, 20, 1)


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ([(20, 30)] * 4, (30, 20)),
        ([(20, 30), (40, 50), (40, 50), (4000, 10)], (40, 40)),
        ([(400, 300)] * 4, (48, 64)),
        ([(300, 3)] * 4, (1, 64)),
        ([(1, 1)] * 4, (1, 1)),
    ],
)
def test_the_common_size_is_the_median_within_64(tmp_path, sizes, shape):
    for number, size in enumerate(sizes):
        picture(tmp_path / "ab"[number % 2] / f"{number}.png", size)
    assert load_folder(tmp_path).x.shape[1:3] == shape


def test_the_size_counts_the_right_way_up(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    for name in "ab":
        picture(tmp_path / name / "0.jpg", (20, 30), exif=turned)
    assert load_folder(tmp_path).x.shape == (2, 20, 30, 1)


def test_the_shape_can_be_asked_for(pets):
    assert load_folder(pets, input_shape=(8, 9, 3)).x.shape == (5, 8, 9, 3)
    assert load_folder(pets, long_side=10).x.shape == (5, 10, 10, 1)
    picture(pets / "cat" / "red.png", mode="RGB")
    assert load_folder(pets, input_shape=(8, 9, 1)).x.shape == (6, 8, 9, 1)


def test_labels_of_a_model_give_their_own_numbers(pets):
    data = load_folder(pets, labels=["dog", "eel", "cat"])
    assert data.labels == ["dog", "eel", "cat"] and data.y.tolist() == [2, 2, 0, 0, 0]
    with pytest.raises(DataError, match=r"dog is not one of this model's classes \(cat, eel\)"):
        load_folder(pets, labels=["cat", "eel"])


def test_one_class_is_enough_to_evaluate(tmp_path):
    picture(tmp_path / "cat" / "0.png")
    assert load_folder(tmp_path, labels=["dog", "cat"]).y.tolist() == [1]


def test_hidden_files_and_files_that_are_no_pictures_are_counted(pets):
    (pets / "cat" / "notes.txt").write_text("no picture")
    (pets / "cat" / ".hidden.png").write_text("hidden")
    (pets / "cat" / "deeper").mkdir()
    (pets / "README").write_text("no folder")
    (pets / ".git").mkdir()
    picture(pets / "dog" / "LOUD.PNG")
    data = load_folder(pets)
    assert data.skipped == 5 and len(data.x) == 6 and data.warnings == []


def test_pictures_that_cannot_be_read_are_named_and_skipped(pets):
    (pets / "cat" / "empty.png").write_bytes(b"")
    (pets / "dog" / "text.png").write_text("not a picture")
    whole = (pets / "dog" / "0.png").read_bytes()
    (pets / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    data = load_folder(pets)
    assert len(data.x) == 5
    assert len(data.unreadable) == 3 and data.warnings == []
    for name in ("empty.png", "cut.png", "text.png"):
        assert any(name in sentence for sentence in data.unreadable), name


def test_classes_without_pictures_are_left_out(pets):
    (pets / "ant").mkdir()
    data = load_folder(pets)
    assert data.labels == ["cat", "dog"]
    assert data.warnings == [f"{pets / 'ant'} has no picture that can be read"]


def test_a_preparation_that_finds_nothing_is_named(pets):
    for name in ("0", "1"):
        picture(pets / name / "blank.png", (60, 60), value=255)
        pixels = np.full((60, 60), 255, np.uint8)
        pixels[10:50, 28:33] = 0
        Image.fromarray(pixels).save(pets / name / "one.png")
    for name in ("cat", "dog"):
        for file in (pets / name).iterdir():
            file.unlink()
        (pets / name).rmdir()
    data = load_folder(
        pets, input_shape=(28, 28, 1), preparation={"kind": "digit"}, labels=list("0123456789")
    )
    assert data.x.shape == (2, 28, 28, 1) and data.y.tolist() == [0, 1]
    assert data.blank.tolist() == [0, 1]  # the classes of the pictures in which nothing was found


def build(folder, names):
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
            "only cat has pictures that can be read .*broken.png is not a picture",
        ),
        (["train/cat/0.png", "train/dog/0.png"], "lie deeper: give .*train$"),
    ],
)
def test_says_why_a_folder_cannot_be_learned_from(tmp_path, names, message):
    build(tmp_path, names)
    with pytest.raises(DataError, match=message) as caught:
        load_folder(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_says_that_it_is_no_folder(tmp_path):
    with pytest.raises(DataError, match=r"nowhere does not exist; give a folder"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"0.png is a file; give a folder"):
        load_folder(picture(tmp_path / "0.png"))


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
        ([0, 0, 1, 1], 0.0, "between 0 and 1, not 0.0"),
        ([0, 0, 1, 1], 1.0, "between 0 and 1, not 1.0"),
        ([0, 1], 0.1, "2 samples are too few"),
        ([0, 1], 0.9, "2 samples are too few"),
    ],
)
def test_refuses_a_split_that_leaves_nothing(y, fraction, message):
    with pytest.raises(DataError, match=message):
        stratified_split(np.array(y), fraction, 0)
