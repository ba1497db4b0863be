from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest

from tests.sounds import form, riff, wav, word
from tinynet.data.sounds import wav as module
from tinynet.data.sounds.wav import read_length, read_wav
from tinynet.errors import SoundError

SOUND = word("rise")


@pytest.mark.parametrize(
    ("bits", "kind", "error"),
    [
        (8, "integer", 1e-2),
        (16, "integer", 1e-4),
        (24, "integer", 1e-6),
        (32, "integer", 1e-6),
        (32, "float", 1e-7),
        (64, "float", 1e-7),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_common_kind_is_read(bits, kind, error, channels):
    samples = np.repeat(SOUND[:, None], channels, axis=1)
    found = read_wav(wav(samples, 44100, bits, kind))
    assert found.rate == 44100 and found.samples.dtype == np.float32
    np.testing.assert_allclose(found.samples, SOUND, atol=error)


@pytest.mark.parametrize(("tag", "bits"), [(1, 16), (1, 24), (3, 32)])
def test_the_format_within_an_extensible_one_counts(tag, bits):
    plain = wav(SOUND, bits=bits, kind="float" if tag == 3 else "integer")
    data = plain[plain.index(b"data") + 8 :]
    found = read_wav(riff(data, form(8000, 1, bits, tag, extensible=True)))
    np.testing.assert_allclose(found.samples, SOUND, atol=1e-4)


def test_channels_that_cancel_each_other_are_not_silence():
    opposite = np.stack([SOUND, -SOUND], axis=1)
    assert np.abs(read_wav(wav(opposite)).samples).max() > 0.2
    one_sided = np.stack([SOUND, 0 * SOUND], axis=1)
    np.testing.assert_allclose(read_wav(wav(one_sided)).samples, SOUND / 2, atol=1e-4)


def chunk(name: bytes, content: bytes, size: int | None = None, pad: bool = True) -> bytes:
    length = len(content) if size is None else size
    return name + struct.pack("<I", length) + content + b"\0" * (pad and len(content) % 2)


@pytest.mark.parametrize(
    "settings",
    [
        {"data_size": 0},
        {"data_size": 0xFFFFFFFF},
        {"data_size": 0x7FFFFFF0},
        {"form_size": 0xFFFFFF00},
        {"form_size": 0},
        {"before": chunk(b"LIST", b"odd")},
        {"before": chunk(b"LIST", b"odd", pad=False)},
        {"before": chunk(b"LIST", b"lies", size=1 << 31)},
        {"before": chunk(b"LIST", b"lies", size=2)},
        {"before": chunk(b"fact", struct.pack("<I", 7))},
        {"after": chunk(b"LIST", b"at the end")},
    ],
    ids=str,
)
def test_no_length_is_believed_beyond_what_is_there(settings):
    found = read_wav(wav(SOUND, **settings)).samples
    np.testing.assert_allclose(found[: len(SOUND)], SOUND, atol=1e-4)
    assert len(found) == len(SOUND)


def test_a_file_without_samples_is_a_sound_without_samples():
    assert len(read_wav(wav(SOUND[:0])).samples) == 0
    assert len(read_wav(wav(SOUND[:0], after=chunk(b"LIST", b"late"))).samples) == 0


@pytest.mark.parametrize("lost", [1, 3, 1001])
def test_of_a_file_that_was_cut_off_all_whole_samples_are_read(lost):
    whole = wav(np.stack([SOUND, SOUND], axis=1))
    found = read_wav(whole[:-lost]).samples
    assert len(found) == len(SOUND) - -(-lost // 4)


def test_a_header_that_promises_four_gigabytes_costs_nothing(tmp_path):
    path = tmp_path / "big.wav"
    path.write_bytes(wav(SOUND, data_size=0xFFFFFFF0))
    tracemalloc.start()
    assert len(read_wav(path).samples) == len(SOUND)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_floats_that_are_no_numbers_are_silence():
    samples = np.array([0.5, np.nan, np.inf, -0.5])
    np.testing.assert_array_equal(read_wav(wav(samples, bits=32, kind="float")).samples, [0.5, 0, 0, -0.5])


def test_length_is_told_by_the_header():
    assert read_length(wav(SOUND, 16000)) == (16000, len(SOUND) / 16000)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"RIFF", "not a .wav file"),
        (b"hello, world", "not a .wav file"),
        (b"RIFF\0\0\0\0WAVE", "does not say how"),
        (b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd", "does not say how"),
        (b"RIFF\0\0\0\0WAVE" + chunk(b"fmt ", form(8000, 1, 16)), "no samples"),
        (wav(SOUND)[:22], "cut off"),
        (riff(b"abcd", form(8000, 0, 16)), "0 channels"),
        (riff(b"abcd", form(8000, 65535, 16)), "65535 channels"),
        (riff(b"abcd", form(0, 1, 16)), "a second has 0 samples"),
        (riff(b"abcd", form(4_000_000_000, 1, 16)), "which no recording has"),
        (riff(b"abcd", form(8000, 1, 0)), "not read"),
        (riff(b"abcd", form(8000, 1, 64)), "not read"),
        (riff(b"abcd", form(8000, 1, 8, tag=7)), "μ-law"),
        (riff(b"abcd", form(8000, 1, 16, tag=2)), "ffmpeg"),
        (riff(bytes(8000 * 301), form(8000, 1, 8)), "cut out what matters"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_answered_in_a_sentence(content, words):
    with pytest.raises(SoundError) as error:
        read_wav(content)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "start", "kind"),
    [("my clip.mp3", b"ID3\4", "MP3"), ("a.mp3", b"\xff\xfb\x90\0", "MP3"), ("a.flac", b"fLaC", "FLAC"), ("a.ogg", b"OggS", "Ogg"),
     ("a.m4a", b"\0\0\0\x20ftypM4A ", "M4A"), ("a.aiff", b"FORM\0\0\0\0AIFF", "AIFF"), ("a.wav", b"ID3\3", "MP3")],
)  # fmt: skip
def test_another_kind_of_file_is_answered_by_the_line_that_converts_it(tmp_path, name, start, kind):
    path = tmp_path / name
    path.write_bytes(start + bytes(100))
    with pytest.raises(SoundError) as error:
        read_wav(path)
    assert f"{kind} file; convert it first: ffmpeg -i " in str(error.value)
    assert ("'" in str(error.value)) == (" " in name)
    assert str(error.value).rstrip("'").endswith(".wav") and f"{path} {path}" not in str(error.value)


def test_what_is_missing_or_a_folder_is_told(tmp_path):
    with pytest.raises(SoundError, match="does not exist"):
        read_wav(tmp_path / "none.wav")
    with pytest.raises(SoundError, match="it is a folder"):
        read_wav(tmp_path)
    with pytest.raises(SoundError, match="NUL"):
        read_wav("a\0.wav")


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILE", 1000)
    path = tmp_path / "long.wav"
    path.write_bytes(wav(SOUND))
    with pytest.raises(SoundError, match="more than 1,000 bytes"):
        read_wav(path)


def test_damaged_files_end_in_a_sentence_or_in_samples():
    rng, whole = np.random.default_rng(0), bytearray(wav(SOUND[:200], before=chunk(b"LIST", b"names")))
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, 80, 3):
            damaged[place] = rng.integers(256)
        try:
            assert np.isfinite(read_wav(bytes(damaged)).samples).all()
        except SoundError as error:
            assert "\n" not in str(error)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bits", [32, 64])
def test_floats_beyond_all_bounds_are_cut_off(bits):
    found = read_wav(wav(np.array([0.5, 3e38, -3e38, np.inf, np.nan]), bits=bits, kind="float")).samples
    np.testing.assert_array_equal(found, np.float32([0.5, 2**31, -(2.0**31), 0, 0]))
