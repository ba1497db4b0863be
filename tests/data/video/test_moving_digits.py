from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.datasets import load
from tinynet.data.pictures.mnist import Dataset
from tinynet.data.video.moving_digits import DIRECTIONS, LABELS, MovingDigits, moving
from tinynet.data.video.prepare import Preparation, lengths_of
from tinynet.errors import DataError


def digits(count):
    rng = np.random.default_rng(0)
    x = np.zeros((count, 28, 28, 1), np.uint8)
    x[:, 6:20, 8:18] = rng.integers(100, 256, (count, 14, 10, 1))
    return x, rng.integers(0, 10, count)


def centre(frames):
    """Where the ink is on a frame whose sides meet, as angles (t, 2)."""
    found = []
    for axis in (1, 2):
        turn = np.exp(2j * np.pi * np.arange(frames.shape[axis]) / frames.shape[axis])
        found.append(np.angle((frames.sum(axis=(3 - axis)) * turn).sum(axis=1)))
    return np.stack(found, axis=1)


def test_each_digit_goes_the_way_that_its_label_says():
    x, y = digits(60)
    clips = moving(x, y, seed=0)
    assert clips.x.shape == (60, 12, 32, 32, 1)
    for own, label, length in zip(clips.x[..., 0], clips.y, lengths_of_ink(clips.x), strict=True):
        _, way = LABELS[label].split()
        turned = np.diff(np.unwrap(centre(own[:length].astype(np.float32)), axis=0), axis=0).mean(axis=0)
        expected = np.array(DIRECTIONS[way])
        assert np.array_equal(np.sign(np.round(turned, 2)), expected), (LABELS[label], turned)
        assert 0.015 < np.abs(turned).max() / (2 * np.pi) < 0.11 and 6 <= length <= 12
    assert np.array_equal(clips.y // 4, y) and len(np.unique(clips.y % 4)) == 4


def lengths_of_ink(x):
    return x.any(axis=(2, 3, 4)).sum(axis=1)


def test_one_frame_says_nothing_of_which_way_along_its_axis():
    """A digit starts anywhere along its axis, and across it is whole, wherever that is."""
    x, y = digits(600)
    clips = moving(x, y, seed=0)
    first = np.exp(1j * centre(clips.x[:, 0, :, :, 0].astype(np.float32)))
    along = {way: np.abs(first[clips.y % 4 == way].mean(axis=0)) for way in range(4)}
    assert max(along[0][1], along[1][1], along[2][0], along[3][0]) < 0.2
    for one, other in ((0, 1), (2, 3)):
        assert np.abs(along[one] - along[other]).max() < 0.2


def test_the_same_seed_makes_the_same_clips_and_parts_share_no_digit():
    x, y = digits(50)
    made = MovingDigits(Dataset("digits", x, y, x[:10], y[:10], list("0123456789")))
    assert np.array_equal(made.training().x, made.training().x)
    assert not np.array_equal(made.training().x[:10], made.test().x[:10])
    assert len(made.test().y) == 10
    prepared = made.test().prepared(Preparation(ink=True))
    assert np.array_equal(lengths_of(prepared), lengths_of_ink(made.test().x)) and prepared.max() == 255


def test_it_is_made_of_the_digits_wherever_they_are(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"mnist\.npz"):
        load("moving-digits")
    x, y = digits(30)
    np.savez(tmp_path / "mnist.npz", x_train=x[..., 0], y_train=y, x_test=x[:9, :, :, 0], y_test=y[:9])
    assert load("moving-digits").test().x.shape[0] == 9
