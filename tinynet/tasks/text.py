"""Classify texts: words → the classes, the most probable first, or neutral if the network is not sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..data.names import DATASETS
from ..data.text.characters import LARGEST, as_text
from ..data.text.words import MOST_CHARACTERS, Vocabulary, split
from ..errors import DataError, TinynetError, counted
from ..files import read_source
from ..network import Network
from .base import TEXT, check_task, was_trained_on
from .classes import LabelledSamples, NamesClasses, Ranking, ranking_as_json, ranking_line

if TYPE_CHECKING:
    from ..data.tables.read import Table
    from ..data.text.labelled import LabelledTexts
    from .rows import Prediction

NEUTRAL = "neutral"
AT_ONCE = 256
"""Lines that are answered together."""


class Answer(NamedTuple):
    """The classes of a text; empty if it has no known word.

    is_sure: whether the likeliest class is the answer, or neutral; line: which line of a file it is, from 1; note: what the user
    should know, if anything.
    """

    ranking: Ranking
    is_sure: bool = True
    line: int | None = None
    note: str | None = None


class Texts(NamesClasses):
    """Networks that name the class of a text, each from ids of its own vocabulary."""

    name = TEXT
    sample = "text"
    nothing = "no known word found"
    options = frozenset({"lines"})

    def __init__(self, *models: Network) -> None:
        super().__init__(*models)
        self.vocabularies = [vocabulary_of(model) for model in models]

    def answer(self, given: Any, lines: bool = False, **options: Any) -> list[Answer]:
        """The answer to the text in a file, in bytes, or on standard input, "-"; with `lines` one to each line.

        Raises DataError for what cannot be read or is not text.
        """
        return [answer for some in self.answers(given, lines) for answer in some]

    def answers(self, given: Any, lines: bool = False, **options: Any) -> Iterator[list[Answer]]:
        """The answers to a file, some lines at a time."""
        from ..data.text.labelled import holds_texts

        text = _read(given)
        table = "this is a table: tinynet predict names the text of each row, and evaluate measures how many are right"
        remark = table if isinstance(given, str) and holds_texts(given) else None
        if not lines:
            cut = (
                f"only the first {MOST_CHARACTERS:,} characters are read"
                if len(text) > MOST_CHARACTERS
                else None
            )
            yield [answer._replace(note=remark or cut) for answer in self.name_texts([text])]
            return
        each = text.removesuffix("\n").split("\n")
        for start in range(0, len(each), AT_ONCE):
            found = self.name_texts(each[start : start + AT_ONCE])
            yield [
                answer._replace(line=start + i, note=remark if start + i == 1 else None)
                for i, answer in enumerate(found, 1)
            ]

    def predict(self, table: Table) -> list[Prediction]:
        """The class of the text in each row of a table, or neutral; empty where it has no known word."""
        from ..data.text.labelled import texts_of
        from .rows import Prediction

        texts, found = texts_of(table), []
        for start in range(0, len(texts), AT_ONCE):
            found += self.name_texts(texts[start : start + AT_ONCE])
        return [
            Prediction(a.ranking[0][0] if a.is_sure else NEUTRAL, a.ranking[0][1])
            if a.ranking
            else Prediction("")
            for a in found
        ]

    def notes(self, table: Table) -> list[str]:
        """Notes on a table to predict: none."""
        return []

    def name_texts(self, texts: Sequence[str]) -> list[Answer]:
        """The answer to each of some texts, from the mean of the models' probabilities."""
        words = [split(text) for text in texts]
        ids = [vocabulary.encode(words) for vocabulary in self.vocabularies]
        xs = [_inputs(model, own) for model, own in zip(self.models, ids, strict=True)]
        probabilities = np.mean([m.answer(x)[0] for m, x in zip(self.models, xs, strict=True)], axis=0)
        is_known = np.any([bags.any(axis=1) for _, bags in ids], axis=0)
        least = self.model.metadata.get(NEUTRAL, 0.0)
        rankings = [
            self.model.rank(own) if known else [] for own, known in zip(probabilities, is_known, strict=True)
        ]
        return [Answer(ranking, not ranking or ranking[0][1] >= least) for ranking in rankings]

    def as_json(self, answers: Sequence[Answer], top: int = 1, **options: Any) -> Iterator[dict[str, Any]]:
        """Answers as JSON objects; the label may be neutral, which `top` never holds."""
        for answer in answers:
            line = {} if answer.line is None else {"line": answer.line}
            label = {} if answer.is_sure else {"label": NEUTRAL}
            yield {**line, **ranking_as_json(answer.ranking, top), **label}

    def show(self, found: Any, top: int = 1) -> Iterator[str]:
        """Each answer in a line, its `top` likeliest classes; measures as tables."""
        if not isinstance(found, list):
            yield from super().show(found, top)
            return
        for answer in found:
            line = "" if answer.line is None else f"line {answer.line}: "
            unsure = "" if answer.is_sure else f"{NEUTRAL}, rather "
            yield f"{line}{unsure}{ranking_line(answer.ranking[:top], self.nothing)}"

    def is_sample(self, path: Path) -> bool:
        """Whether a file should be a text."""
        return path.suffix.lower() == ".txt"

    def read(self, data: str) -> LabelledSamples:
        """The held-out tenth of a data set, or a table of labels and texts, numbered as the models number them."""
        from ..data.folders import check_classes
        from ..data.text.labelled import read_labelled

        for model in self.models:
            check_task(model, TEXT)
        if data in DATASETS:
            found, remarks = (
                _held_out(data),
                [f"note: measured on the tenth of {data} that is never trained on"],
            )
        else:
            found, remarks = read_labelled(data), []
            if any(was_trained_on(model, data) for model in self.models):
                remarks.append("note: it was trained on some of these texts, so this is too optimistic")
        if found.left_out:
            remarks.append(f"note: left out {counted(found.left_out, 'row')} without a label or a word")
        labels = self.model.labels or found.labels
        check_classes(found.labels, labels, data)
        y = np.array([labels.index(label) for label in found.labels])[found.y]
        xs = [_inputs(m, v.encode(found.texts)) for m, v in zip(self.models, self.vocabularies, strict=True)]
        return LabelledSamples(xs, y, y[:0], remarks=remarks)


TASK = Texts


def vocabulary_of(model: Network) -> Vocabulary:
    """The vocabulary of a model; raises TinynetError if its file has none."""
    preparation, terms = model.metadata.get("input"), model.vocabulary
    words = preparation.get("words") if isinstance(preparation, dict) else None
    if not (isinstance(words, int) and isinstance(terms, list) and 0 <= words <= len(terms) - 2):
        raise TinynetError(f"{model.name} does not say which words it knows; train it again")
    return Vocabulary(terms, words)


def _inputs(model: Network, ids: tuple[np.ndarray, np.ndarray]) -> Any:
    """Of words in order and bags what a model reads: both, or the first alone."""
    return ids if len(model.inputs) > 1 else ids[0]


def _read(given: Any) -> str:
    """The text in a file, in bytes or on standard input; empty where there is none."""
    advice = "give the name of a text file, or - for standard input"
    name, content = read_source(given, LARGEST, "text", advice, DataError, missing=advice)
    return as_text(content, name) if content.strip() else ""


def _held_out(data: str) -> LabelledTexts:
    """The part of a data set of labelled texts that is never trained on; raises DataError for other data."""
    from ..data.datasets import load
    from ..data.text.labelled import LabelledTexts

    found = load(data)
    if not isinstance(found, LabelledTexts):
        raise DataError(f"{data} holds no labelled texts; give a table with the columns label and text")
    return found.held_out()[1]
