from __future__ import annotations

import numpy as np
import pytest

from tests.sounds import noise
from tinynet.data.sounds.mel import Framer, bands, decibels, loudness, sizes, transform_size


@pytest.mark.parametrize(("rate", "frequency"), [(8000, 200), (8000, 1000), (8000, 3000), (16000, 6000)])
def test_a_tone_is_loudest_in_its_band(rate, frequency):
    samples = np.sin(2 * np.pi * frequency * np.arange(rate) / rate)
    frames = decibels(samples, rate, 40)
    bins = np.arange(transform_size(rate) // 2 + 1) * rate / transform_size(rate)
    weights = bands(rate, 40)
    centre = bins @ weights / weights.sum(axis=0)
    nearest = np.abs(centre - frequency).argmin()
    assert abs(int(frames[5].argmax()) - int(nearest)) <= 1
    assert abs(loudness(frames)[5]) < 0.5


def test_frames_are_what_their_equation_says():
    samples, (frame, hop) = noise(0, 0.1), sizes(8000)
    n = transform_size(8000)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(frame) + 1) / (frame + 1))
    for t, found in enumerate(decibels(samples, 8000, 12)):
        piece = np.pad(samples[t * hop : t * hop + frame] * window, (0, n - frame))
        power = [abs(sum(piece * np.exp(-2j * np.pi * k * np.arange(n) / n))) ** 2 for k in range(n // 2 + 1)]
        expected = 10 * np.log10(np.array(power) * 4 / (n * (window**2).sum()) @ bands(8000, 12) + 1e-12)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_no_band_is_without_a_bin():
    for rate, mels in ((8000, 40), (16000, 40), (44100, 80), (4000, 26)):
        assert (bands(rate, mels).sum(axis=0) > 0).all()


def test_pieces_give_what_the_whole_gives():
    samples = noise(1, 1.0).astype(np.float32)
    framer = Framer(8000, 20)
    cuts = np.sort(np.random.default_rng(0).integers(0, len(samples), 30))
    pieces = [framer(piece) for piece in np.split(samples, cuts)]
    np.testing.assert_array_equal(np.concatenate(pieces), decibels(samples, 8000, 20))


def test_less_than_a_frame_is_none():
    assert decibels(np.ones(199, np.float32), 8000, 40).shape == (0, 40)
    assert decibels(np.ones(200, np.float32), 8000, 40).shape == (1, 40)
