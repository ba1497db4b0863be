"""Texts as words, terms and ids."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.text.words import (
    MOST_CHARACTERS,
    PADDING,
    UNKNOWN,
    Vocabulary,
    log_count_ratios,
    split,
    terms,
)
from tinynet.errors import DataError

TEXTS = ["a funny film", "a funny plot , not good", "not good at all", "a film at last"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("A MOVING, funny film!", "a moving , funny film !"),
        (
            "It doesn't work; I can't, won't and cannot wait.",
            "it does n't work ; i ca n't , wo n't and can n't wait .",
        ),
        ("the film's cast, they’re good", "the film 's cast , they 're good"),
        ("sooooo good", "soo good"),
        ("4,5 stars: 10/10", "4 , 5 stars : 10 / 10"),
        ("well-made … naïve", "well - made . . . naïve"),
        ("o'clock", "o 'clock"),
        ("'quoted'", "' quoted '"),
        (" \t\n ", ""),
    ],
)
def test_a_text_is_split_into_words_as_people_read_it(text, words):
    assert split(text) == words.split()


def test_what_comes_behind_a_limit_is_not_read():
    assert len(split("a " * MOST_CHARACTERS)) == MOST_CHARACTERS // 2
    assert len(split("x" * (3 * MOST_CHARACTERS))) == 1


def test_terms_are_words_pairs_and_pieces():
    assert list(terms(["oh", "so", "good"])) == [
        *("oh", "so", "good", "oh so", "so good", "oh _ good"),
        *("#<go", "#goo", "#ood", "#od>", "#<goo", "#good", "#ood>", "#<good", "#good>"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("it isn't a great film, but good", "it is n't not_a not_great not_film , but good"),
        ("never dull and not slow", "never not_dull not_and not not_slow"),
        ("no complaints! great", "no not_complaints ! great"),
        ("great, isn't it", "great , is n't not_it"),
    ],
)
def test_what_a_negation_reaches_is_another_word_in_the_bag(text, words):
    given = split(text)
    assert list(terms(given))[: len(given)] == words.split()


def test_a_negated_word_has_no_pieces():
    assert not any(term.startswith("#") for term in terms(["not", "very", "good"]))


def test_a_vocabulary_has_what_stands_in_several_texts_the_most_frequent_words_first():
    vocabulary = Vocabulary.learn([split(text) for text in TEXTS])
    assert list(vocabulary.terms[:3]) == ["", "?", "a"] and vocabulary.words == 6
    assert set(vocabulary.terms[3:8]) == {"at", "film", "funny", "good", "not"}
    assert {"a funny", "not good"} <= set(vocabulary.terms[8:]) and "plot" not in vocabulary.terms


def test_a_text_becomes_its_words_in_order_and_a_bag_of_its_terms():
    vocabulary = Vocabulary(["", "?", "very", "good", "very good", "#ood"], 2)
    order, bags = vocabulary.encode([["very", "good", "plot"], ["good"], []])
    assert order.tolist() == [[2, 3, UNKNOWN], [3, PADDING, PADDING], [PADDING] * 3]
    assert bags.tolist() == [[2, 3, 4, 5], [3, 5, PADDING, PADDING], [PADDING] * 4]
    assert order.dtype == bags.dtype == np.int32


def test_a_pair_is_no_word_even_where_a_text_writes_one_like_it():
    vocabulary = Vocabulary(["", "?", "a", "b c"], 1)
    assert vocabulary.encode([["b c", "?", ""]])[0].tolist() == [[UNKNOWN] * 3]


def test_texts_that_share_no_word_are_refused():
    with pytest.raises(DataError, match=r"^no word of poems\.tsv stands in two texts"):
        Vocabulary.learn([["a"], ["b"]], "poems.tsv")


def test_log_count_ratios_are_those_of_naive_bayes():
    bags, y = np.array([[2, 3], [2, 0], [3, 0]]), np.array([0, 0, 1])
    ratios = log_count_ratios(bags, y, 2, 4)
    shares = np.array([[1, 1, 3, 2], [1, 1, 1, 2]]) / [[7], [5]]
    expected = np.log(shares[0] / shares[1])
    np.testing.assert_allclose((ratios[:, 0] - ratios[:, 1])[1:], expected[1:], rtol=1e-6)
    assert not ratios[PADDING].any() and abs(ratios.sum(axis=1)).max() < 1e-6
