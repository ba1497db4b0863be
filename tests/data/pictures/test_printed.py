"""Printed digits and letters: what is drawn, and how the recipe takes it."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.pictures.digit.mnist_form import centre_of_mass
from tinynet.data.pictures.digit.printed import (
    DIGITS,
    LETTERS,
    draw,
    printed_digits,
    printed_letters,
    strokes_of,
)
from tinynet.recipes.digits import DIGIT_TIMES, LETTER_TIMES, with_prints_and_scans

SHAPES = [
    (name, style) for shapes in (DIGITS, LETTERS) for name, styles in shapes.items() for style in styles
]


@pytest.mark.parametrize(("name", "style"), SHAPES)
def test_strokes_fill_their_box(name, style):
    points = np.concatenate([stroke.points for stroke in strokes_of(style)])
    assert points.min() > -0.06 and points.max() < 1.06
    assert points[:, 1].min() < 0.01 and points[:, 1].max() > 0.99


def test_a_pen_leaves_ink_between_0_and_1():
    rng = np.random.default_rng(0)
    for _, style in SHAPES:
        ink = draw(style, rng)
        assert ink.min() >= 0 and 0.9 < ink.max() <= 1
        assert 0.02 < ink.mean() < 0.6
        assert max(ink[0].max(), ink[-1].max(), ink[:, 0].max(), ink[:, -1].max()) == 0


def test_pictures_have_mnists_form_and_follow_from_the_seed():
    pictures, labels = printed_digits(2, np.random.default_rng(3))
    again, _ = printed_digits(2, np.random.default_rng(3))
    np.testing.assert_array_equal(pictures, again)
    assert pictures.shape == (2 * sum(map(len, DIGITS.values())), 28, 28, 1) and pictures.dtype == np.float32
    assert np.unique(labels).tolist() == list(range(10))
    for picture in pictures[..., 0]:
        assert np.abs(centre_of_mass(picture) - 14).max() <= 0.51
    assert not np.array_equal(pictures[0], pictures[1])


def test_letters_that_look_like_digits_are_left_out():
    assert not set(LETTERS) & set("BDIOQSZ")
    assert len(printed_letters(1, np.random.default_rng(0))) == sum(map(len, LETTERS.values()))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_recipe_adds_digits_letters_and_scans_with_their_labels(dtype):
    x, y = np.zeros((5, 28, 28, 1), dtype), np.arange(5)
    x[:, 5:20, 10:14] = np.iinfo(dtype).max if dtype == np.uint8 else 1
    more, labels = with_prints_and_scans(x, y)
    assert more.dtype == dtype and len(more) == len(labels)
    np.testing.assert_array_equal(more[:5], x)
    assert more.max() == (255 if dtype == np.uint8 else 1)
    digit, letter = ((more == picture).all((1, 2, 3)) for picture in (more[5], more[-6]))
    assert digit.sum() == DIGIT_TIMES and letter.sum() == LETTER_TIMES
    assert (labels[digit].max(axis=1) == 1).all() and (labels[letter] == np.float32(0.1)).all()
    np.testing.assert_array_equal(labels[:5].argmax(axis=1), y)
    assert sorted(labels[-5:].argmax(axis=1)) == list(y)
