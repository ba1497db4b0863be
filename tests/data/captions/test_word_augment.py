"""Words before that are replaced by others while a network learns to describe pictures."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet.data.captions.words import END
from tinynet.errors import TinynetError
from tinynet.kernels import reference

WORDS = np.array([[2, 3, 4, 5, END], [6, 7, END, END, END]] * 200, np.int32)


def changed(amount: float, seed: int = 0) -> np.ndarray:
    return tn.WordAugment(amount).apply(WORDS, reference, seed)


def test_words_are_replaced_by_words_of_the_batch_and_the_end_stays():
    words = changed(0.5)
    assert words.dtype == WORDS.dtype and (words[WORDS == END] == END).all()
    assert set(np.unique(words)) == set(np.unique(WORDS)) and not np.shares_memory(words, WORDS)
    share = (words != WORDS)[WORDS != END].mean()
    assert 0.3 < share < 0.5  # a word may be replaced by itself


def test_replacements_depend_on_the_seed_alone():
    assert (changed(0.5) == changed(0.5)).all() and (changed(0.5) != changed(0.5, 1)).any()
    assert (changed(0.0) == WORDS).all()


def test_only_some_words_are_replaced_and_by_each_other():
    words = tn.WordAugment(1, only=(3, 6)).apply(WORDS, reference, 0)
    chosen = np.isin(WORDS, (3, 6))
    assert (words[~chosen] == WORDS[~chosen]).all()
    assert set(words[chosen]) == {3, 6} and (words != WORDS)[chosen].mean() > 0.3
    for wrong in ((0.5,), 3, "three", [3]):
        with pytest.raises(TinynetError, match="only"):
            tn.WordAugment(1, only=wrong)


def test_a_batch_without_words_stays_as_it_is():
    nothing = np.full((3, 2), END, np.int32)
    assert (tn.WordAugment(1).apply(nothing, reference, 0) == nothing).all()


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan"), "often"])
def test_a_chance_is_within_0_and_1(amount):
    with pytest.raises(TinynetError, match="replace"):
        tn.WordAugment(amount)
