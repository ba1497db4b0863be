"""Pictures of a folder: one size for all of them, colour where any has it, prepared as the model's file will say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tinynet.data.folders import load_folder
from tinynet.data.pictures.prepare import prepare
from tinynet.data.pictures.read import read_image
from tinynet.data.pictures.samples import PictureReader


def test_the_preparation_does_the_same_to_one_picture(pets, picture):
    picture(pets / "cat" / "wide.jpg", (90, 31), "RGB")
    picture(pets / "dog" / "large.png", (300, 400), "RGB")
    data = load_folder(pets, PictureReader())
    spec = json.loads(json.dumps(data.preparation))
    for row, file in zip(data.x, data.files, strict=True):
        again = prepare(read_image(file), spec, data.x.shape[1:])
        np.testing.assert_array_equal(row, np.round(255 * again))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_colour_in_one_picture_makes_all_colour(pets, mode, picture):
    path = picture(pets / "cat" / "red.png", mode="RGB")
    if mode != "RGB":
        Image.open(path).convert(mode).save(path.with_suffix(".tif"))
        path.unlink()
    data = load_folder(pets, PictureReader())
    assert data.x.shape == (6, 20, 20, 3)
    assert (data.x[0] == data.x[0, :, :, :1]).all()


def test_grey_pictures_in_colour_files_are_grey(pets, picture):
    for number in range(3):
        path = pets / "cat" / f"{number}.png"
        picture(path)
        Image.open(path).convert("RGB").save(path)
    assert load_folder(pets, PictureReader()).x.shape == (6, 20, 20, 1)


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
def test_the_common_size_is_the_median_within_64(tmp_path, sizes, shape, picture):
    for number, size in enumerate(sizes):
        picture(tmp_path / "ab"[number % 2] / f"{number}.png", size)
    assert load_folder(tmp_path, PictureReader()).x.shape[1:3] == shape


def test_the_size_counts_the_right_way_up(tmp_path, picture):
    turned = Image.Exif()
    turned[0x0112] = 6
    for name in "ab":
        picture(tmp_path / name / "0.jpg", (20, 30), exif=turned)
    assert load_folder(tmp_path, PictureReader()).x.shape == (2, 20, 30, 1)


def test_the_shape_can_be_asked_for(pets, picture):
    assert load_folder(pets, PictureReader(input_shape=(8, 9, 3))).x.shape == (5, 8, 9, 3)
    assert load_folder(pets, PictureReader(long_side=10)).x.shape == (5, 10, 10, 1)
    picture(pets / "cat" / "red.png", mode="RGB")
    assert load_folder(pets, PictureReader(input_shape=(8, 9, 1))).x.shape == (6, 8, 9, 1)


def test_a_preparation_that_finds_nothing_is_named(pets, picture):
    for name in ("0", "1"):
        picture(pets / name / "blank.png", (60, 60), value=255)
        pixels = np.full((60, 60), 255, np.uint8)
        pixels[10:50, 28:33] = 0
        Image.fromarray(pixels).save(pets / name / "one.png")
    for name in ("cat", "dog"):
        for file in (pets / name).iterdir():
            file.unlink()
        (pets / name).rmdir()
    data = load_folder(pets, PictureReader((28, 28, 1), {"kind": "digit"}), labels=list("0123456789"))
    assert data.x.shape == (2, 28, 28, 1) and data.y.tolist() == [0, 1]
    assert data.blank.tolist() == [0, 1]  # the classes of the pictures in which nothing was found
