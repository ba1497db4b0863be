from __future__ import annotations

import numpy as np
import pytest

from tests.sounds import KINDS, noise, word
from tinynet.data.sounds.mel import decibels
from tinynet.data.sounds.speech import find_speech


def frames(samples: np.ndarray) -> np.ndarray:
    return decibels(samples, 8000, 40)


@pytest.mark.parametrize("colour", [0, 1, 2])
@pytest.mark.parametrize("loudness", [0.3, 0.01, 0.0003])
def test_steady_noise_of_any_colour_and_level_says_nothing(colour, loudness):
    for seed in range(5):
        assert find_speech(frames(noise(colour, loudness=loudness, seed=seed))) is None


@pytest.mark.parametrize(
    "samples",
    [np.zeros(8000), np.full(8000, 0.3), np.zeros(0), np.zeros(300), np.sin(np.arange(8000) * 0.04) * 0.2,
     np.random.default_rng(0).integers(-1, 2, 8000) / 32768],
    ids=["zeros", "constant", "empty", "short", "mains hum", "last bit"],
)  # fmt: skip
def test_silence_says_nothing(samples):
    assert find_speech(frames(samples)) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loudness", [0, 0.0003, 0.003])
def test_a_word_in_silence_is_found(kind, loudness):
    said = np.concatenate([np.zeros(4000), word(kind), np.zeros(8000)])
    samples = said + (noise(0, 3.0, loudness=loudness)[: len(said)] if loudness else 0)
    found = find_speech(frames(samples))
    assert found is not None
    start, end = 50, 50 + len(word(kind)) // 80
    assert start - 6 <= found.start <= start + 8
    assert end - 12 <= found.stop <= end + 6
