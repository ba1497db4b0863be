from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.sounds.augment import SPOKEN, SoundAugment, augment
from tinynet.data.sounds.prepare import frames_of, lengths_of, windows
from tinynet.errors import TinynetError
from tinynet.kernels import reference


@pytest.fixture
def steps() -> np.ndarray:
    frames = np.random.default_rng(0).uniform(0.2, 1, (6, 48, 20)).astype(np.float32)
    for row, length in zip(frames, (8, 16, 24, 32, 40, 44), strict=True):
        row[length:] = 0
    return windows(frames, 8)


def test_no_change_is_the_sound_itself_but_for_the_silence_after_all_of_them(steps):
    longer = np.concatenate([steps, np.zeros_like(steps)], axis=1)
    np.testing.assert_array_equal(augment(longer, SoundAugment(), reference, 0), steps)


def test_the_same_seed_makes_the_same_copies(steps):
    first, again, other = (augment(steps, SPOKEN, reference, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()
    assert first.dtype == np.float32 and np.isfinite(first).all() and first.min() >= 0


def test_speed_and_shift_change_lengths_within_their_bounds(steps):
    before = lengths_of(frames_of(steps))
    for seed in range(20):
        after = lengths_of(frames_of(augment(steps, SoundAugment(speed=0.2, shift=3), reference, seed)))
        assert (after <= np.ceil((before + 3) * 1.2) + 1).all()
        assert (after >= np.minimum((before - 3) / 1.2, before) - 1).all()


def test_what_comes_after_a_sound_stays_silent(steps):
    for settings in (SoundAugment(noise=0.9), SoundAugment(gain=0.9), SoundAugment(tilt=0.9)):
        found = frames_of(augment(steps, settings, reference, 0))
        np.testing.assert_array_equal(lengths_of(found), lengths_of(frames_of(steps)))
        assert (found[:, :44] != frames_of(steps)[:, :44]).any()


def test_noise_adds_power_and_takes_none(steps):
    quiet = np.minimum(steps, 0.05)
    found = frames_of(augment(quiet, SoundAugment(noise=0.8), reference, 0))
    assert (found >= frames_of(quiet)[:, : found.shape[1]] - 1e-6).all()
    assert found.max() > 0.5


def test_masks_silence_bands_and_frames(steps):
    found = frames_of(augment(steps, SoundAugment(mask=6), reference, 0))
    assert (found[-1, :40] == 0).all(axis=0).any() or (found[-1, :40] == 0).all(axis=1).any()
    share = (found[-1, :44] == 0).mean()
    assert 0 < share < 0.7


@pytest.mark.parametrize("name", ["shift", "speed", "pitch", "bands", "gain", "tilt", "noise", "mask"])
def test_an_amount_is_a_number_of_at_least_0(name):
    for wrong in (-1, float("nan"), "much"):
        with pytest.raises(TinynetError, match=name):
            SoundAugment(**{name: wrong})
