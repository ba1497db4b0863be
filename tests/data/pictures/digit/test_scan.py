"""Small scans of one digit, cut tightly: read as they are, whatever their polarity, and made of digits to learn from."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tests.photographs import resized
from tinynet.data.pictures.digit.find_digit import prepare_digit
from tinynet.data.pictures.digit.scan import as_scans, tight_scan
from tinynet.data.pictures.read import read_image

DIGIT = "tests/pictures/digit.png"


def three():
    """A handwritten 3, 28×28, ink bright."""
    return prepare_digit(read_image(DIGIT)).pixels


def tight(side, threshold=None):
    """That 3 reduced to a square that it fills, grey or of two tones."""
    digit = three()
    rows, columns = np.flatnonzero(digit.max(1) > 0.2), np.flatnonzero(digit.max(0) > 0.2)
    small = np.clip(resized(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], side, side), 0, 1)
    return small if threshold is None else (small > threshold).astype(np.float32)


@pytest.mark.parametrize("side", [14, 16, 20])
@pytest.mark.parametrize("threshold", [None, 0.3, 0.6])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_digit_that_fills_a_small_picture_is_read(side, threshold, inverted):
    scan = tight(side, threshold)
    ranking = tn.load("digits").classify(1 - scan if inverted else scan)
    assert ranking and ranking[0][0] == "3"


def test_polarity_is_what_the_rim_shows():
    scan = tight(16, 0.5)[..., None]
    np.testing.assert_array_equal(tight_scan(scan), tight_scan(1 - scan))


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((16, 16, 1)),
        np.ones((16, 16, 1)),
        np.full((16, 16, 1), 0.5),
        np.linspace(0, 1, 256).reshape(16, 16, 1),
        tight(8)[..., None],
        tight(40)[..., None],
    ],
    ids=["black", "white", "grey", "fading", "too small", "too large"],
)
def test_what_is_no_small_scan_is_left_to_the_search(picture):
    assert tight_scan(picture.astype(np.float32)) is None


def test_scans_to_learn_from_are_drawn_by_the_generator_and_have_the_form_of_mnist():
    digits = np.repeat(three()[None], 12, axis=0)
    first, again = (as_scans(digits, np.random.default_rng(seed)) for seed in (1, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape == digits.shape and first.dtype == np.float32 and first.min() >= 0 and first.max() <= 1
    assert len(np.unique(first, axis=0)) > 3  # stretched or not, of two tones or grey
    widths = [np.ptp(np.flatnonzero(scan.max(0) > 0.3)) for scan in first]
    assert max(widths) >= min(widths) + 3
