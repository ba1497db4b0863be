from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.captions.words import END, UNKNOWN, Vocabulary, join, split


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A three left of a shoe.", "a three left of a shoe"),
        ("  a   dog, that runs!", "a dog , that runs !"),
        ("Die STRAẞE …", "die straße …"),
        ("a t-shirt at 7.30", "a t-shirt at 7.30"),
        ("...", ""),
    ],
)
def test_a_caption_is_words_and_marks(caption, words):
    assert split(caption) == words.split()
    assert split(join(split(caption))) == split(caption)


def test_marks_follow_without_a_space():
    assert join(["a", "dog", ",", "that", "runs", "!"]) == "a dog, that runs!"


def test_the_words_before_and_the_words_to_write_are_one_step_apart():
    vocabulary = Vocabulary.learn(["a dog", "a cat and a dog"])
    assert vocabulary.words == ["", "?", "a", "dog", "and", "cat"]
    before, after = vocabulary.encode(["a dog", "a cat and a cow"])
    np.testing.assert_array_equal(before, [[2, 3, END, END, END], [2, 5, 4, 2, UNKNOWN]])
    np.testing.assert_array_equal(after, [[2, 3, END, END, END, END], [2, 5, 4, 2, UNKNOWN, END]])
    assert before.dtype == after.dtype == np.int32
    assert vocabulary.text([2, 3, END, 4]) == "a dog" and vocabulary.text([END]) == ""
