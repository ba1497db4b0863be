"""Labelled texts: a table with the columns `label` and `text`, or one of two columns without a header, a label and a text each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import DataError, listed, shown
from ..tables.read import DECLARED, Table, is_table, read_table
from .words import split

LABEL, TEXT = "label", "text"
LOOKED_AT = 1 << 16
"""Bytes of a file that tell whether it holds labelled texts."""
MOST_CLASSES = 1000
HELD_OUT = 0.1
"""Of a data set without a test set of its own: the fixed part that no training sees."""
POLARITY = {"0": "negative", "1": "positive"}
"""What the labels of the sentence polarity data set mean."""


@dataclass
class LabelledTexts:
    """Texts, each a list of its words, and their classes; left_out: how many had no label or no word."""

    texts: list[list[str]]
    y: np.ndarray
    labels: list[str]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    def part(self, rows: Sequence[int] | np.ndarray) -> LabelledTexts:
        """Those at these places."""
        return LabelledTexts([self.texts[row] for row in rows], self.y[rows], self.labels)

    def held_out(self) -> tuple[LabelledTexts, LabelledTexts]:
        """All but a tenth, and that tenth: the same for everybody, whatever the seed of a training."""
        order = np.random.default_rng(0).permutation(len(self))
        count = round(HELD_OUT * len(self))
        return self.part(np.sort(order[count:])), self.part(np.sort(order[:count]))


def holds_labelled_texts(path: str | os.PathLike) -> bool:
    """Whether a file is a table of labels and texts, going by its name and its first lines."""
    lines = _first_lines(path)
    rows = [line.split("\t") for line in lines[:-1] or lines if line.strip()]
    return {LABEL, TEXT} <= _names(lines) or _has_no_header(rows)


def holds_texts(path: str | os.PathLike) -> bool:
    """Whether a file is a table with a column of texts, labelled or not, going by its name and its first lines."""
    return TEXT in _names(_first_lines(path))


def _first_lines(path: str | os.PathLike) -> list[str]:
    """The lines with which a table begins; none of another file."""
    if not is_table(path):
        return []
    try:
        with open(path, "rb") as file:
            text = file.read(LOOKED_AT).decode("utf-8-sig", "replace")
    except OSError:
        return []
    return DECLARED.sub("", text, count=1).splitlines()


def _names(lines: Sequence[str]) -> set[str]:
    """What the columns may be called, whatever parts them, in small letters."""
    first = next((line for line in lines if line.strip()), "")
    return {name.strip().strip('"').lower() for delimiter in ",;\t" for name in first.split(delimiter)}


def _has_no_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether rows have two fields each, of which the second is several words, mostly and in the first row."""
    if not rows or any(len(row) != 2 for row in rows):
        return False
    several = sum(len(split(text)) > 1 for _, text in rows)
    return len(split(rows[0][1])) > 1 and several > len(rows) / 2


def read_labelled(path: str | os.PathLike, names: dict[str, str] | None = None) -> LabelledTexts:
    """Read the labelled texts in a file. `names`: what its labels are called.

    Rows without a label, or without a word, are left out. Raises DataError for what is no such table, and for fewer than two classes.
    """
    table = read_table(path)
    rows = _columns(table)
    split_rows = [(label, split(text)) for label, text in rows]
    kept = [(label, words) for label, words in split_rows if label and words]
    labels = sorted({label for label, _ in kept})
    if not 2 <= len(labels) <= MOST_CLASSES:
        found = f"only the label {shown(labels[0])}" if len(labels) == 1 else f"{len(labels):,} labels"
        found = found if labels else "no row with both a label and a word"
        raise DataError(f"{table.name} has {found}; give texts of 2 to {MOST_CLASSES:,} classes")
    y = np.array([labels.index(label) for label, _ in kept], np.int64)
    called = [(names or {}).get(label, label) for label in labels]
    return LabelledTexts([words for _, words in kept], y, called, len(rows) - len(kept))


def texts_of(table: Table) -> list[str]:
    """The column of texts of a table; raises DataError where it has none."""
    index = next((i for i, name in enumerate(table.columns) if name.lower() == TEXT), None)
    if index is None:
        raise DataError(
            f"{table.name} has the columns {listed(table.columns)}; texts to tell apart need a column {TEXT}"
        )
    return [row[index] for row in table.rows]


def read_polarity(path: str | os.PathLike) -> LabelledTexts:
    """The sentence polarity data set (Pang & Lee 2005): sentences out of film reviews, negative (0) or positive (1)."""
    return read_labelled(path, POLARITY)


def _columns(table: Table) -> list[tuple[str, str]]:
    """(label, text) of each row."""
    names = {name.lower(): index for index, name in enumerate(table.columns)}
    if LABEL in names and TEXT in names:
        return [(row[names[LABEL]].strip(), row[names[TEXT]]) for row in table.rows]
    rows = [table.columns, *table.rows]
    if table.delimiter == "\t" and _has_no_header(rows):
        return [(row[0].strip(), row[1]) for row in rows]
    raise DataError(
        f"{table.name} has the columns {listed(table.columns)}; texts to tell apart need a column {LABEL} and a column {TEXT}"
    )
