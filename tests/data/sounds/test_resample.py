from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.sounds.resample import Resampler, resample, simple_ratio


def tone(frequency: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize(
    ("rate", "target"), [(44100, 8000), (8000, 44100), (48000, 16000), (11025, 8000), (22050, 16000)]
)
def test_a_tone_stays_that_tone(rate, target):
    found = resample(tone(440, rate), rate, target)
    expected = tone(440, target)
    assert len(found) == -(-int(rate * 0.5) * target // rate)
    inner = slice(400, 3000)
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-3)


def test_what_the_lower_rate_cannot_hold_is_cut_off():
    assert np.abs(resample(tone(5000, 44100), 44100, 8000)[300:-300]).max() < 1e-3
    assert np.abs(resample(tone(3500, 44100), 44100, 8000)[300:-300]).max() > 0.95


@pytest.mark.parametrize(("rate", "target"), [(44100, 8000), (8000, 16000), (16000, 11025), (8000, 8000)])
def test_pieces_give_what_the_whole_gives(rate, target):
    rng = np.random.default_rng(0)
    samples = rng.standard_normal(3000).astype(np.float32)
    stream, cuts = Resampler(rate, target), np.sort(rng.integers(0, 3000, 20))
    pieces = [stream(piece) for piece in np.split(samples, cuts)]
    pieces.append(stream(samples[:0], last=True))
    np.testing.assert_array_equal(np.concatenate(pieces), resample(samples, rate, target))


def test_it_is_the_sum_that_its_equation_says():
    samples = np.random.default_rng(0).standard_normal(60)
    found, machine = resample(samples, 3000, 2000), Resampler(3000, 2000)
    cutoff, reach = 0.95 * 2 / 3, machine.reach
    for m in range(len(found)):
        total = 0.0
        for k in range(60):
            distance = m * 1.5 - k
            if abs(distance) < reach:
                window = np.i0(8.0 * np.sqrt(1 - (distance / reach) ** 2)) / np.i0(8.0)
                total += samples[k] * cutoff * np.sinc(cutoff * distance) * window
        assert abs(found[m] - total) < 1e-4


def test_odd_rates_take_little_memory():
    assert simple_ratio(8000, 44100) == (80, 441)
    assert max(simple_ratio(8000, 383_999)) <= 1000 and max(simple_ratio(48_000, 7919)) <= 1000
    assert Resampler(383_999, 8000).phases.nbytes < 32 << 20
    assert len(resample(np.ones(1000, np.float32), 7919, 8000)) in (1010, 1011)


def test_nothing_stays_nothing():
    assert resample(np.empty(0, np.float32), 44100, 8000).shape == (0,)
