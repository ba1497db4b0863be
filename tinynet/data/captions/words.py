"""Captions as ids of words: the vocabulary of a training, which its model's file keeps."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

END, UNKNOWN = 0, 1
"""Ids: the end of a caption, which also fills rows up, and a word that the vocabulary lacks, which is never written."""
LONGEST = 50
"""Most words of a caption."""
MOST_WORDS = 5_000
"""Most words of a vocabulary, the most frequent ones."""
WORD = re.compile(r"[^\s,;:!?]+|[,;:!?]")
"""What stands between spaces, or one mark that ends a part of a sentence."""


def split(caption: str) -> list[str]:
    """The words and marks of a caption, in small letters, without the full stop at its end."""
    return WORD.findall(unicodedata.normalize("NFC", caption).lower().strip().rstrip("."))


def join(words: Iterable[str]) -> str:
    """Words as a caption; marks follow a word without a space."""
    return re.sub(r" (?=[,;:!?])", "", " ".join(words))


@dataclass
class Vocabulary:
    """The words that a network reads and writes: index = id, after those of END and UNKNOWN."""

    words: Sequence[str]

    def __post_init__(self) -> None:
        self._ids = {word: index for index, word in enumerate(self.words) if index > UNKNOWN}

    @classmethod
    def learn(cls, captions: Iterable[str]) -> Vocabulary:
        """The vocabulary of captions: the most frequent words first, equals by the alphabet."""
        counts = Counter(word for caption in captions for word in split(caption))
        ordered = sorted(counts, key=lambda word: (-counts[word], word))
        return cls(["", "?", *ordered[:MOST_WORDS]])

    def ids(self, words: Iterable[str]) -> tuple[int, ...]:
        """The id of each word, UNKNOWN for one that is not in the vocabulary."""
        return tuple(self._ids.get(word, UNKNOWN) for word in words)

    def encode(self, captions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Captions as a network is taught them: the words before each step (n, steps - 1), and the word or END to write (n, steps).

        The first step has no word before it, but the picture. Both int32, padded by END.
        """
        rows = [self.ids(split(caption)) for caption in captions]
        ids = np.full((len(rows), max(map(len, rows), default=0) + 1), END, np.int32)
        for row, words in zip(ids, rows, strict=True):
            row[: len(words)] = words
        return np.ascontiguousarray(ids[:, :-1]), ids

    def text(self, ids: Iterable[int]) -> str:
        """The caption that ids spell, up to the first END."""
        words = []
        for index in ids:
            if index == END:
                break
            words.append(self.words[index])
        return join(words)
