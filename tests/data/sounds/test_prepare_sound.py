from __future__ import annotations

import numpy as np
import pytest

from tests.sounds import KINDS, noise, word
from tinynet.data.sounds.prepare import (
    Preparation,
    as_bytes,
    check_sound,
    frames_of,
    lengths_of,
    normalise,
    prepare,
    thirds,
    windows,
)
from tinynet.data.sounds.resample import resample
from tinynet.data.sounds.wav import Sound
from tinynet.errors import SoundError, TinynetError

PREPARATION = Preparation(mels=20, step=4)


def prepared(samples: np.ndarray, rate: int = 8000) -> np.ndarray:
    found = prepare(Sound(samples.astype(np.float32), rate), PREPARATION)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gain", [3.0, 0.1])
def test_loudness_does_not_matter(kind, gain):
    samples = word(kind)
    np.testing.assert_allclose(prepared(samples * gain), prepared(samples), atol=0.02)


def test_a_higher_rate_does_not_matter():
    samples = word("fall")
    found, expected = prepared(resample(samples, 8000, 44100), 44100), prepared(samples)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 0.05 and np.abs(found - expected).mean() < 0.002


def test_values_are_between_silence_and_the_loudest():
    found = prepared(word("rise"))
    assert found.dtype == np.float32 and found.shape[1:] == (8, 20, 1)
    assert found.min() >= 0 and found.max() <= 1
    assert as_bytes(found).max() <= 255 and ((as_bytes(found) > 0) == (found > 0)).all()


def test_nothing_said_is_nothing():
    assert prepare(Sound(noise(1).astype(np.float32), 8000), PREPARATION) is None
    assert prepare(Sound(np.zeros(10, np.float32), 44100), PREPARATION) is None
    assert prepare(Sound(np.zeros(0, np.float32), 8000), PREPARATION) is None


def test_level_is_that_of_the_loudest_so_far_in_pieces_too():
    frames = np.random.default_rng(0).uniform(-60, 0, (30, 5)).astype(np.float32)
    whole, level = normalise(frames)
    first, between = normalise(frames[:11])
    second, end = normalise(frames[11:], between)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    assert end == level
    assert normalise(frames[:0], -20.0)[1] == -20.0


def test_each_step_sees_its_own_frames_and_those_before():
    frames = np.random.default_rng(0).uniform(0.1, 1, (2, 10, 3)).astype(np.float32)
    steps = windows(frames, 4)
    assert steps.shape == (2, 3, 8, 3, 1)
    assert not steps[:, 0, :4].any()
    np.testing.assert_array_equal(steps[:, 0, 4:, :, 0], frames[:, :4])
    np.testing.assert_array_equal(steps[:, 1, :, :, 0], frames[:, :8])
    np.testing.assert_array_equal(frames_of(steps)[:, :10], frames)
    assert not frames_of(steps)[:, 10:].any()


def test_a_step_after_the_end_is_all_silence():
    frames = np.zeros((1, 12, 3), np.float32)
    frames[:, :4] = 1
    assert windows(frames, 4).any(axis=(2, 3, 4)).tolist() == [[True, False, False]]
    assert lengths_of(frames).tolist() == [4] and lengths_of(frames * 0).tolist() == [0]


def test_thirds_are_the_means_of_what_was_said():
    frames = np.zeros((1, 12, 2), np.float32)
    frames[0, :6] = np.array([1, 1, 2, 2, 3, 3])[:, None] * np.array([1, 10])
    np.testing.assert_allclose(thirds(windows(frames, 4)), [[1, 10, 2, 20, 3, 30]])


SAID = PREPARATION.settings()


@pytest.mark.parametrize(
    "settings",
    [None, {}, {"kind": "sound"}, {k: v for k, v in SAID.items() if k != "step"}, SAID | {"more": 1}, SAID | {"kind": "image"},
     SAID | {"rate": "8000"}, SAID | {"rate": 1e9}, SAID | {"mels": 10**9}, SAID | {"step": 0}, SAID | {"steady": 3}],
)  # fmt: skip
def test_a_file_that_says_nonsense_is_refused(settings):
    with pytest.raises(TinynetError):
        Preparation.from_settings(settings)


def test_what_settings_say_is_read_again():
    assert Preparation.from_settings(PREPARATION.settings()) == PREPARATION


def test_arrays_are_sounds_where_they_are_rows_of_numbers():
    np.testing.assert_allclose(check_sound(np.array([0, 16384], np.int16), 8000).samples, [0, 0.5], atol=1e-4)
    np.testing.assert_array_equal(check_sound(np.array([0.5, np.nan]), 8000).samples, [0.5, 0])
    for wrong in (np.zeros((2, 2)), np.array(["a"]), np.array([1j])):
        with pytest.raises(SoundError, match="array of samples"):
            check_sound(wrong, 8000)


@pytest.mark.filterwarnings("error")
def test_an_array_as_loud_as_no_sound_is_prepared_without_overflow():
    loud = 1e300 * word("rise")
    prepare(check_sound(loud, 8000), PREPARATION)
