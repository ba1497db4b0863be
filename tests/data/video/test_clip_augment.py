from __future__ import annotations

import numpy as np
import pytest

from tests.clips import animation, clip
from tinynet.data.video.augment import CLIPS, MOVING, ClipAugment
from tinynet.data.video.prepare import Preparation, frames_of, lengths_of, pairs, prepare_all
from tinynet.data.video.read import read_clip
from tinynet.errors import TinynetError
from tinynet.kernels import reference


@pytest.fixture(scope="module")
def batch():
    kinds = ("left", "right", "up", "down", "grow", "blink")
    clips = [read_clip(animation(clip(kind, seed)), 16) for kind in kinds for seed in range(3)]
    return prepare_all(clips, Preparation(24, 24, "colour")).astype(np.float32) / 255


@pytest.mark.parametrize("settings", [CLIPS, MOVING])
def test_changed_clips_stay_clips(batch, settings):
    found = settings.apply(batch, reference, 3)
    assert (
        found.dtype == np.float32 and found.shape[1] <= batch.shape[1] and found.shape[2:] == batch.shape[2:]
    )
    lengths = lengths_of(found)
    for own, length in zip(found, lengths, strict=True):
        assert length >= 2 and own[:length].min() > 0 and own.max() <= 1 and not own[length:].any()
    assert lengths.max() == found.shape[1]
    assert np.array_equal(found, settings.apply(batch, reference, 3))
    assert not np.array_equal(found, settings.apply(batch, reference, 4)[:, : found.shape[1]])


def test_no_change_leaves_out_what_follows_the_longest(batch):
    padded = np.pad(batch, ((0, 0), (0, 3), (0, 0), (0, 0), (0, 0)))
    assert np.array_equal(ClipAugment().apply(padded, reference, 0), batch)


def test_all_frames_of_a_clip_are_changed_alike(batch):
    still = np.repeat(batch[:, :1], 5, axis=1)
    found = frames_of(ClipAugment(shift=0.2, rotate=20, scale=0.2).apply(still, reference, 0))
    assert np.array_equal(found, np.repeat(found[:, :1], 5, axis=1)) and not np.array_equal(
        found, frames_of(still)
    )


def test_what_comes_in_has_the_colour_of_the_border(batch):
    found = ClipAugment(shift=0.5).apply(batch[:3], reference, 1)
    assert np.abs(found[0, 0].mean(axis=(0, 1)) - batch[0, 0].mean(axis=(0, 1))).max() < 0.25
    assert found[0, 0].min() > 0.01


def test_time_never_runs_backwards():
    numbered = np.arange(1, 13, dtype=np.float32).reshape(1, 12, 1, 1, 1) / 255
    clips = pairs(np.broadcast_to(numbered, (50, 12, 4, 4, 1)))
    found = np.round(255 * ClipAugment(cut=0.5, speed=1.0).apply(clips, reference, 0)[:, :, 0, 0, 0]).astype(
        int
    )
    for row in found:
        own = row[row > 0]
        assert (np.diff(own) >= 0).all() and own.max() <= 12
    lengths = (found > 0).sum(axis=1)
    assert lengths.min() < 6 and lengths.max() > 10


@pytest.mark.parametrize(
    "settings", [{"shift": -1}, {"cut": 1.0}, {"shear": 90}, {"speed": np.nan}, {"flip": 1}, {"shfit": 1}]
)
def test_amounts_that_make_no_sense_are_refused(settings):
    with pytest.raises(TinynetError):
        ClipAugment(**settings)
