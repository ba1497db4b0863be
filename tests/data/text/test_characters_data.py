"""Text files, characters and ids, and the pieces in which a text is learnt and measured."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.text.characters import (
    decode,
    encode,
    read_text,
    streams,
    vocabulary_of,
    windows,
)
from tinynet.errors import DataError

MIXED = "Ἐν ἀρχῇ ἦν ὁ λόγος\n太初有道\n🙂🙃🦉\n"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_any_end_of_line_is_a_line_feed_and_a_byte_order_mark_is_none_of_the_text(tmp_path, mark):
    (tmp_path / "a.txt").write_bytes(mark + "one\r\ntwo\rthree\néλ🙂\n".encode())
    assert read_text(tmp_path / "a.txt") == "one\ntwo\nthree\néλ🙂\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.txt is empty; give a file that holds text"),
        (b"\xef\xbb\xbf", "a.txt is empty"),
        (b"\x89PNG\0\0\0", "a.txt is a binary file, not text"),
        ("Straße".encode("latin-1"), "a.txt is not UTF-8: its byte 5 is no character; convert it, .* LATIN1"),
        ("Straße".encode("utf-16"), "a.txt is not UTF-8: .* iconv -f UTF-16 -t"),
        ("Straße".encode("utf-32"), "a.txt is not UTF-8: .* iconv -f UTF-32 -t"),
        (b"\0\0\xfe\xff" + "Straße".encode("utf-32-be"), "a.txt is not UTF-8: .* iconv -f UTF-32 -t"),
    ],
)
def test_what_is_no_text_is_said_in_a_sentence(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_text(tmp_path / "a.txt")


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"b.txt does not exist; check the name"):
        read_text(tmp_path / "b.txt")
    with pytest.raises(DataError, match=r"cannot be read: it is a folder; give the name of a text file"):
        read_text(tmp_path)


def test_characters_are_code_points_and_come_back():
    vocabulary = vocabulary_of(MIXED)
    assert list(vocabulary) == sorted(set(MIXED)) and "🦉" in vocabulary
    ids = encode(MIXED, vocabulary)
    assert ids.dtype == np.int32 and len(ids) == len(MIXED)
    assert decode(ids, vocabulary) == MIXED
    assert decode(encode("cab", ["b", "c", "a"]), ["b", "c", "a"]) == "cab"
    assert encode("", vocabulary).shape == (0,)


def test_unknown_characters_are_shown_or_skipped():
    with pytest.raises(
        DataError, match=r"the poem has characters that the model does not know: '\\n', 'λ'; leave"
    ):
        encode("aλ\nλb", "ab", "the poem")
    with pytest.raises(DataError, match=r"'0', .* and 1 more"):
        encode("0123456789xyab", "yab")
    with pytest.raises(DataError, match=r"'\\udce9'"):
        encode("\udce9", "ab")
    assert encode("aλ\nλb", "ab", skip_unknown=True).tolist() == [0, 1]


@pytest.mark.parametrize(("held", "said"), [("aaaa", "only the character 'a'"), ("", "no character")])
def test_a_text_of_one_character_teaches_nothing(held, said):
    with pytest.raises(DataError, match=f"a.txt holds {said}, so there is nothing to learn"):
        vocabulary_of(held, "a.txt")


@pytest.mark.parametrize("length", [61, 62, 75, 100, 121])
def test_streams_go_on_from_batch_to_batch_and_cover_the_text(length):
    ids = np.arange(length, dtype=np.int32)
    x, y = streams(ids, batch_size=3, steps=20)
    assert x.shape == y.shape and len(x) % 3 == 0 and x.shape[1] == 20
    assert (y == x + 1).all()
    each = x.reshape(-1, 3, 20)
    assert (each[1:, :, 0] == each[:-1, :, -1] + 1).all()
    assert set(x.flat) == set(range(length - 1))
    assert x.size < length + 3 * 20


def test_one_stream_leaves_out_what_fills_no_window():
    x, _ = streams(np.arange(50), batch_size=1, steps=20)
    assert x.tolist() == [list(range(20)), list(range(20, 40))]


def test_a_text_shorter_than_a_batch_is_refused():
    streams(np.arange(61), 3, 20)
    with pytest.raises(
        DataError,
        match="takes 3 × 20 characters and one more, but the text to learn from has only 60: give a longer text or",
    ):
        streams(np.arange(60), 3, 20)


@pytest.mark.parametrize("length", [2, 9, 10, 11, 35])
def test_windows_count_each_character_once(length):
    ids = np.arange(length, dtype=np.int32)
    x, y, weights = windows(ids, 10)
    assert x.shape == y.shape == weights.shape and x.dtype == np.int32
    assert x[weights > 0].tolist() == list(range(length - 1))
    assert y[weights > 0].tolist() == list(range(1, length))


def test_nothing_follows_a_single_character():
    with pytest.raises(DataError, match="fewer than 2 characters"):
        windows(np.arange(1))
