"""Fitting pictures into models, as their files say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinynet.data.pictures.pixels import resize
from tinynet.data.pictures.prepare import prepare, prepare_image, prepare_noted
from tinynet.errors import ImageError


def picture(height: int = 20, width: int = 30) -> np.ndarray:
    """Smooth colours, different in every corner: uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 * y / height, 255 * x / width, 255 - 128 * y / height], axis=-1).astype(np.uint8)


def test_resize_is_antialiased_and_keeps_equal_sizes():
    checks = np.indices((64, 64)).sum(0).astype(np.float32) % 2
    np.testing.assert_allclose(resize(checks, 8, 8)[1:-1, 1:-1], 0.5, atol=0.02)
    assert resize(checks, 64, 64) is checks
    assert resize(picture().astype(np.float32), 7, 9).shape == (7, 9, 3)


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28), (28, 28, 3), (40, 10, 3)])
def test_prepare_image_fits_any_picture(shape):
    for source in (picture(), picture(100, 37), picture(1, 1), picture()[..., :1]):
        result = prepare_image(source.astype(np.float32) / 255, shape)
        assert result.shape == shape and result.dtype == np.float32
        assert result.min() >= 0 and result.max() <= 1 and result.flags.c_contiguous


def test_prepare_image_keeps_the_aspect_on_the_colour_of_the_border():
    image = np.full((10, 40, 3), 0.25, np.float32)
    image[2:8, 5:35] = 1
    result = prepare_image(image, (40, 40, 3))
    np.testing.assert_allclose(result[:14], 0.25, atol=0.01)
    assert result[20, 20].min() > 0.99


def test_prepare_image_leaves_what_fits():
    image = np.random.default_rng(0).random((28, 28, 1)).astype(np.float32)
    image[0] = image[-1] = image[:, 0] = image[:, -1] = 0
    for settings in ({}, {"background": "dark"}, {"background": "dark", "trim": True}):
        np.testing.assert_array_equal(prepare_image(image, (28, 28, 1), **settings), image)


def test_prepare_image_turns_a_light_background_dark():
    shirt = np.full((300, 200, 3), 0.95, np.float32)
    shirt[100:200, 60:140] = 0.3
    plain = prepare_image(shirt, (28, 28, 1), background="dark")
    assert plain[0].max() < 0.1 and plain[14, 14, 0] > 0.6
    cut = prepare_image(shirt, (28, 28, 1), background="dark", trim=True)
    assert (cut > 0.3).any(axis=1).sum() == 28
    light = prepare_image(1 - shirt, (28, 28, 1), background="light")
    np.testing.assert_allclose(light, 1 - plain, atol=1e-6)


def test_prepare_image_takes_transparent_as_white():
    layers = np.zeros((8, 8, 4), np.float32)
    assert prepare_image(layers, (8, 8, 3)).min() == 1


def test_prepare_follows_a_spec_that_is_json():
    spec = json.loads(json.dumps({"kind": "image", "background": "dark", "trim": True}))
    assert prepare(np.ones((9, 9, 3), np.float32), spec, (28, 28, 1)).max() == 0
    blank = prepare_noted(np.ones((50, 50, 3), np.float32), {"kind": "digit"}, (28, 28, 1))
    assert blank.pixels is None and blank.note is None


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ({"kind": "sound"}, (28, 28, 1)),
        ({}, (28, 28, 1)),
        ({"kind": "digit", "size": 3}, (28, 28, 1)),
        ({"kind": "digit"}, (32, 32, 3)),
        ({"kind": "image", "colour": "red"}, (28, 28, 1)),
        ({"kind": "image", "background": "red"}, (28, 28, 1)),
        ({"kind": "image"}, (28, 28, 2)),
        ({"kind": "image"}, (None, 4)),
    ],
)
def test_prepare_refuses_what_it_does_not_know(spec, shape):
    with pytest.raises(ImageError):
        prepare(np.ones((50, 50, 3), np.float32), spec, shape)
