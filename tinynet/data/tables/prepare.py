"""Rows of a table as numbers that a network reads: scaling and categories are learnt from the training rows and kept in the file.

A number becomes (x − mean) / deviation, a category one number per value, 1 for its own; a missing number is the mean, and a
further number says that it is missing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ...errors import DataError, ModelFileError, listed, shown
from .read import Table, as_numbers, is_missing

MOST_VALUES = 100
"""Most values of a category that are distinguished, the most frequent ones."""
DISTINCT = 0.5
"""A text column with a larger fraction of distinct values is taken for names."""
OF_ITS_OWN = "it holds a name or text of its own in most rows"
NUMBERS = 0.9
"""Least fraction of numeric fields in a column of numbers."""
FAR = 8.0
"""Deviations from the mean at which a number is cut off: a wrong entry must not outweigh all others."""
DATE = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T]\d{1,2}:\d{2}.*)?|\d{1,2}:\d{2}(:\d{2})?|\d{4}-\d{1,2}"
)
CODE = re.compile(r"0\d+")
"""A number with a leading zero is an identifier, such as a postal code."""


@dataclass(frozen=True)
class Column:
    """How one column becomes numbers: one for a number (mean, scale), one per value of a category; one more if `missing`."""

    name: str
    mean: float = 0.0
    scale: float = 1.0
    values: list[str] = field(default_factory=list)
    missing: bool = False

    @property
    def size(self) -> int:
        """How many numbers it becomes."""
        return max(len(self.values), 1) + self.missing

    def apply(self, table: Table) -> np.ndarray:
        """(n, size) float32."""
        fields = table.column(self.name)
        if self.values:
            index = {value: i for i, value in enumerate(self.values)}
            found = np.array([index.get(each, -1) for each in fields])
            numbers = (found[:, None] == np.arange(len(self.values))).astype(np.float32)
            absent = np.array([is_missing(each) for each in fields])
        else:
            given = as_numbers(fields, table.decimal)
            absent = np.isnan(given)
            scaled = (np.where(absent, self.mean, given) - self.mean) / self.scale
            numbers = np.clip(scaled, -FAR, FAR)[:, None].astype(np.float32)
        return np.hstack([numbers, absent[:, None]]) if self.missing else numbers

    def note(self, table: Table) -> str | None:
        """A sentence on fields that it cannot read: a category that training did not have, or no number."""
        given = [each for each in table.column(self.name) if not is_missing(each)]
        if self.values:
            known, what = {*self.values}, "was not seen in training"
            strange = [each for each in given if each not in known]
        else:
            numbers, what = as_numbers(given, table.decimal), "is no number, and counts as missing"
            strange = [each for each, number in zip(given, numbers, strict=True) if np.isnan(number)]
        if not strange:
            return None
        rows = "1 row has" if len(strange) == 1 else f"{len(strange):,} rows have"
        return f"{rows} a value of {self.name} that {what}: {shown(strange[0])}"


@dataclass
class Preparation:
    """How rows become inputs. `apply` takes any table that has these columns, in any order."""

    columns: list[Column]

    @property
    def size(self) -> int:
        """How many numbers a row becomes."""
        return sum(column.size for column in self.columns)

    def apply(self, table: Table) -> np.ndarray:
        """The rows (n, size) float32; raises DataError where a column is missing."""
        lacking = [column.name for column in self.columns if column.name not in table.columns]
        if lacking:
            one = len(lacking) == 1
            raise DataError(
                f"{table.name} lacks {'the column' if one else 'the columns'} {listed(lacking)}, which the model was trained with; "
                f"add {'it' if one else 'them'}, empty where {'it is' if one else 'they are'} not known"
            )
        return np.ascontiguousarray(
            np.hstack([column.apply(table) for column in self.columns]).astype(np.float32)
        )

    def notes(self, table: Table) -> list[str]:
        """Sentences on values that are not known from training, or no numbers, per column."""
        return [note for column in self.columns if (note := column.note(table))]

    def as_json(self) -> list[dict[str, Any]]:
        """The form in which a model's file stores it."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, found: Any, owner: str) -> Preparation:
        """What `as_json` gave; raises ModelFileError for anything else."""
        try:
            columns = [Column(**{**each, "values": [*map(_text, each["values"])]}) for each in found]
            for column in columns:
                _text(column.name)
                numbers = isinstance(column.mean, (int, float)) and isinstance(column.scale, (int, float))
                if not (numbers and isinstance(column.missing, bool)):
                    raise TypeError
                if not (np.isfinite(float(column.mean)) and float(column.scale) > 0):
                    raise ValueError
        except (TypeError, KeyError, ValueError, OverflowError):
            raise ModelFileError(f"{owner} does not say how rows become its input; train it again") from None
        return cls(columns)


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError
    return given


def learn(table: Table, names: Sequence[str]) -> tuple[Preparation, list[str]]:
    """The preparation that suits these columns, and a sentence for each that is ignored.

    Raises DataError where no column is left.
    """
    columns, notes = [], []
    for name in names:
        found = learn_column(table, name)
        if isinstance(found, Column):
            columns.append(found)
            if not found.values and (note := found.note(table)):
                notes.append(note)
        else:
            notes.append(f"column {name} is ignored: {found}")
    if not columns:
        why = f" ({'; '.join(notes)})" if notes else ""
        texts = ", or to learn from words, name the columns label and text" * (OF_ITS_OWN in why)
        raise DataError(
            f"{table.name} has no column to learn from{why}; add one that tells rows apart{texts}"
        )
    return Preparation(columns), notes


def learn_column(table: Table, name: str) -> Column | str:
    """How a column becomes numbers, or why it is ignored."""
    fields = table.column(name)
    present = [each for each in fields if not is_missing(each)]
    if not present:
        return "it is empty"
    missing = len(present) < len(fields)
    counts = Counter(present)
    if len(counts) == 1 and not missing:
        return "it is the same in all rows"
    numbers = as_numbers(fields, table.decimal)
    given = numbers[np.isfinite(numbers)]
    if len(given) >= NUMBERS * len(present) and not any(map(CODE.fullmatch, counts)):
        return _number(name, numbers, given, missing=len(given) < len(fields))
    if sum(bool(DATE.fullmatch(each)) for each in present) >= NUMBERS * len(present):
        return "it holds dates or times"
    if len(counts) > DISTINCT * len(present):
        return OF_ITS_OWN
    return Column(name, values=[value for value, _ in counts.most_common(MOST_VALUES)], missing=missing)


def _number(name: str, numbers: np.ndarray, given: np.ndarray, missing: bool) -> Column | str:
    if not missing and len(given) > 2 and (np.diff(numbers) == 1).all():
        return "it numbers the rows"
    deviation = float(given.std())
    if not deviation and not missing:
        return "it is the same in all rows"
    return Column(name, float(given.mean()), deviation or 1.0, missing=missing)
