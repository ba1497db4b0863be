from __future__ import annotations

import numpy as np
import pytest

from tests.sounds import noise, word
from tinynet.data.sounds.prepare import Preparation, frames_of, prepare
from tinynet.data.sounds.resample import resample
from tinynet.data.sounds.stream import LONGEST, End, SpeechStream
from tinynet.data.sounds.wav import Sound

PREPARATION = Preparation(mels=20, step=4)


def raw(samples: np.ndarray) -> bytes:
    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def said(*kinds: str, pause: float = 0.6, background: float = 0.0) -> np.ndarray:
    """Words between pauses."""
    silence = np.zeros(int(8000 * pause))
    samples = np.concatenate(
        [silence, *(part for i, kind in enumerate(kinds) for part in (word(kind, i), silence))]
    )
    return samples + (noise(1, len(samples) / 8000, loudness=background) if background else 0)


def events(content: bytes, rate: int = 8000, piece: int = 1000) -> list:
    stream = SpeechStream(rate, PREPARATION)
    found = [e for i in range(0, len(content), piece) for e in stream(content[i : i + piece])]
    return found + list(stream(b"", last=True))


def ends(found: list) -> list[End]:
    return [event for event in found if isinstance(event, End)]


@pytest.mark.parametrize("background", [0.0, 0.0003, 0.003])
def test_each_word_has_its_end(background):
    found = events(raw(said("rise", "hiss", "fall", background=background)))
    assert len(ends(found)) == 3
    times = [0.6, 0.6 + len(word("rise", 0)) / 8000 + 0.6]
    for end, start in zip(ends(found), times, strict=False):
        assert start - 0.15 < end.start < start + 0.1
        assert end.end > end.start + 0.2
    assert sum(event.is_first for event in found if not isinstance(event, End)) == 3


@pytest.mark.parametrize("piece", [1, 2, 7, 801, 1 << 20])
def test_pieces_of_any_size_give_the_same(piece):
    content = raw(said("rise", "hum", background=0.001))
    content = content[:9001] if piece < 7 else content
    expected, found = events(content), events(content, piece=piece)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one[0], other[0])


@pytest.mark.parametrize("kind", ["rise", "fall", "hiss"])
def test_steps_are_those_of_the_clip(kind):
    found = events(raw(said(kind)))
    steps = np.concatenate([event.x for event in found if not isinstance(event, End)])
    clip = prepare(Sound(said(kind).astype(np.float32), 8000), PREPARATION)
    ours, whole = frames_of(steps[None])[0], frames_of(clip[None])[0]
    # where a word begins is noticed a little later in a stream, and told from more frames before
    fit = min(np.abs(ours[shift : shift + 20] - whole[4:24]).mean() for shift in range(12))
    assert fit < 0.01


def test_other_rates_are_heard():
    samples = said("rise", "fall")
    found = events(raw(resample(samples, 8000, 44100)), rate=44100)
    assert len(ends(found)) == 2
    assert abs(ends(found)[1].start - ends(events(raw(samples)))[1].start) < 0.03


def test_steps_come_while_a_word_is_still_said():
    samples = said("rise")
    middle = int(8000 * 0.6) + len(word("rise", 0)) // 2
    stream = SpeechStream(8000, PREPARATION)
    assert len(list(stream(raw(samples[:middle])))) >= 2


def test_a_word_is_over_soon_after_it():
    samples = said("fall", pause=2.0)
    stream, over = SpeechStream(8000, PREPARATION), 2.0 + len(word("fall", 0)) / 8000
    before = list(stream(raw(samples[: int(8000 * (over + 0.4))])))
    assert len(ends(before)) == 1


@pytest.mark.parametrize(
    "samples", [np.zeros(16000), noise(0, 6), noise(1, 6), noise(2, 6, loudness=0.003), np.zeros(10), np.zeros(0)],
    ids=["zeros", "white", "pink", "brown", "short", "empty"],
)  # fmt: skip
def test_silence_and_steady_noise_have_no_words(samples):
    assert not ends(events(raw(samples)))


def test_a_fan_that_is_turned_on_becomes_silence():
    fan = np.concatenate([np.zeros(8000), noise(0, 8, loudness=0.01)])
    at = 6 * 8000
    fan[at : at + len(word("rise"))] += word("rise")
    found = ends(events(raw(fan)))
    assert [abs(end.start - 6) < 0.2 for end in found] == [True]


def test_a_click_is_no_word():
    click = np.zeros(16000)
    click[8000:8010] = 0.5
    assert not ends(events(raw(click)))


def test_what_never_pauses_is_answered_in_pieces():
    swelling = np.concatenate([np.zeros(4000), *(word("hum", i) for i in range(25))])
    found = ends(events(raw(swelling)))
    assert len(found) >= 2
    assert all(end.end - end.start <= LONGEST / 100 + 0.01 for end in found)


def test_a_stream_that_begins_just_before_a_word_or_ends_within_it_has_that_word():
    assert len(ends(events(raw(said("rise")[4400:])))) == 1
    assert len(ends(events(raw(said("rise")[: 4800 + 2400])))) == 1
