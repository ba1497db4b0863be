"""Texts as words and n-grams: a tokenizer, the vocabulary that it learns, and the ids that a network reads.

A text becomes two rows of ids, of the same vocabulary: its words in their order, and the bag of all that it holds, each once: words,
pairs of neighbours ("so good"), pairs with a word between them ("so _ good"), and pieces of words ("#ing>"), by which a word
that was never seen still says something. A word that an English negation reaches stands in the bag as another word ("not_good") and
without its pieces: it may mean the reverse.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ...errors import DataError

PADDING, UNKNOWN = 0, 1
"""Ids: what fills a row up, and a word that the vocabulary lacks."""
LEAST, LEAST_PIECES = 2, 3
"""Fewest texts that hold a word or pair (LEAST) or a piece (LEAST_PIECES) of the vocabulary."""
PIECES = (3, 4, 5)
"""Characters of a piece."""
SHORT = 3
"""Words of at most so many characters have no pieces."""
MOST_TERMS = 150_000
"""Largest vocabulary: all words, then the pairs and pieces that most texts hold."""
MOST_CHARACTERS = 100_000
"""Characters of a text that are read; the rest is ignored."""
TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[^\w\s]")
"""A word, with apostrophes within it, or one other sign."""
APOSTROPHES = str.maketrans("’‘ʼ`´", "'''''")
NEGATIONS = frozenset(
    [
        "n't",
        "not",
        "no",
        "never",
        "without",
        "nobody",
        "nothing",
        "nowhere",
        "neither",
        "nor",
        "none",
        "hardly",
        "barely",
    ]
)
REACH = frozenset([*".,;:!?()[]-–—'\"", "but"])
"""What a negation does not reach beyond."""
LONG_RUN = re.compile(r"(\w)\1{2,}")
"""A letter that is written three times or more: sooo."""


def split(text: str) -> list[str]:
    """The words of a text, in small letters, and its other signs; contractions are taken apart: do n't, it 's.

    What comes behind MOST_CHARACTERS is left out.
    """
    text = unicodedata.normalize("NFKC", text[:MOST_CHARACTERS]).lower().translate(APOSTROPHES)
    words: list[str] = []
    for token in TOKEN.findall(LONG_RUN.sub(r"\1\1", text)):
        if token == "cannot":
            words += ["can", "n't"]
        elif token.endswith("n't") and len(token) > 3:
            words += [token[:-3], "n't"]
        elif "'" in token[1:]:
            words += [part for part in re.split(r"(?=')", token) if part]
        else:
            words.append(token)
    return words


def terms(words: Sequence[str]) -> Iterator[str]:
    """All that a text of these words holds: the words, pairs of them, and their pieces; of negated words only that they are negated."""
    negated = list(_negated(words))
    yield from (f"not_{word}" if no else word for word, no in zip(words, negated, strict=True))
    yield from map(" ".join, pairwise(words))
    yield from map(" _ ".join, zip(words, words[2:], strict=False))
    for word, no in zip(words, negated, strict=True):
        if not no:
            yield from _pieces(word)


def _negated(words: Sequence[str]) -> Iterator[bool]:
    """Whether each word stands between a negation and the next sign or "but" (Das & Chen 2001; Pang, Lee & Vaithyanathan 2002)."""
    reached = False
    for word in words:
        is_negation = word in NEGATIONS
        reached = (reached or is_negation) and word not in REACH
        yield reached and not is_negation


def _pieces(word: str) -> Iterator[str]:
    """#<goo, #good, … #ood>."""
    if len(word) > SHORT:
        marked = f"<{word}>"
        for size in PIECES:
            yield from (f"#{marked[i : i + size]}" for i in range(len(marked) - size + 1))


@dataclass
class Vocabulary:
    """What a network knows of texts.

    terms: by id; the first is padding, the second an unknown word, then come `words` words, the most frequent first, then pairs and
    pieces.
    """

    terms: Sequence[str]
    words: int

    def __post_init__(self) -> None:
        self._ids = {term: index for index, term in enumerate(self.terms) if index > UNKNOWN}
        self._first = UNKNOWN + 1 + self.words

    @classmethod
    def learn(cls, texts: Sequence[Sequence[str]], name: str = "the data") -> Vocabulary:
        """The vocabulary of texts, each a list of words. Raises DataError where no word stands in two of them."""
        counts: Counter[str] = Counter()
        words: Counter[str] = Counter()
        for text in texts:
            counts.update(set(terms(text)))
            words.update(set(text))
        known = [word for word, count in _sorted(words) if count >= LEAST]
        if not known:
            raise DataError(
                f"no word of {name} stands in two texts, so there is nothing to learn; give more texts"
            )
        more = [
            term
            for term, count in _sorted(counts)
            if term not in words and count >= (LEAST_PIECES if term.startswith("#") else LEAST)
        ]
        return cls(["", "?", *known, *more[: max(MOST_TERMS - len(known), 0)]], len(known))

    @property
    def words_known(self) -> Sequence[str]:
        """The words, the most frequent first."""
        return self.terms[UNKNOWN + 1 : self._first]

    def after(self, known: Vocabulary, is_closed: bool) -> Vocabulary:
        """The same with the words of another vocabulary first, with the ids that they have there; if that is closed, its words are the
        only ones, and the others stand in bags alone.
        """
        before = set(known.words_known)
        new = [word for word in self.words_known if word not in before]
        more = [term for term in self.terms[self._first :] if term not in before]
        words = [*known.words_known, *([] if is_closed else new)]
        return Vocabulary(["", "?", *words, *(new if is_closed else []), *more], len(words))

    def words_alone(self) -> Vocabulary:
        """The same without pairs and pieces."""
        return Vocabulary(self.terms[: self._first], self.words)

    def encode(self, texts: Iterable[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of texts, each a list of words: words in order (n, longest), and bags (n, largest), int32, padded behind."""
        orders, bags = [], []
        for text in texts:
            ids = (self._ids.get(word, UNKNOWN) for word in text)
            orders.append([i if i < self._first else UNKNOWN for i in ids])
            bags.append(sorted({self._ids[term] for term in terms(text) if term in self._ids}))
        return _padded(orders), _padded(bags)


def _sorted(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent first, equals by the alphabet."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows of ids in one array, at least one step long."""
    ids = np.full((len(rows), max([1, *map(len, rows)])), PADDING, np.int32)
    for row, values in zip(ids, rows, strict=True):
        row[: len(values)] = values
    return ids


def log_count_ratios(bags: np.ndarray, y: np.ndarray, classes: int, size: int) -> np.ndarray:
    """How much each id speaks for each class: log p(id | class), less its mean over the classes (size, classes) float32.

    p is the share of an id in all ids of the bags (n, largest) of a class, one added to each count: the weights of a naive Bayes
    classifier (Wang & Manning 2012).
    """
    counts = np.ones((classes, size))
    for label in range(classes):
        counts[label] += np.bincount(bags[y == label].reshape(-1), minlength=size)
    counts[:, PADDING] = 1
    logs = np.log(counts / counts.sum(axis=1, keepdims=True))
    ratios = (logs - logs.mean(axis=0)).T
    ratios[PADDING] = 0
    return ratios.astype(np.float32)


def settings(vocabulary: Vocabulary) -> dict[str, Any]:
    """How a text becomes ids, as a model's file says it."""
    return {"kind": "words", "words": vocabulary.words}
