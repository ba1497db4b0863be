"""Read a series: a table with a column of times and one or several columns of numbers.

A time that the table leaves out keeps its place on the grid, without a number: nothing after it is shifted.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import DataError, counted, listed, shown
from ...files import Source, open_file
from ..tables.read import Table, as_numbers, is_missing, read_table
from . import times
from .calendar import Calendar, place

LONGEST = 2_000_000
"""Values of a series, those that are missing included."""
SHORTEST = 8
MOST_MISSING = 0.5
NUMBERS = 0.5
"""A column of numbers holds so many of them, at least, among its fields that are not empty."""
SHOWN = 3
HEAD = 1 << 16
"""Bytes that are enough to see what a table is."""
TIMES = (
    "t",
    "time",
    "date",
    "datetime",
    "timestamp",
    "ds",
    "month",
    "year",
    "day",
    "hour",
    "quarter",
    "week",
    "step",
)
"""Names of a column of plain numbers that stand for times."""


@dataclass
class Series:
    """Numbers on a regular grid of times. values: (n, c) float64, NaN where one is missing; columns: c names."""

    name: str
    columns: list[str]
    calendar: Calendar
    values: np.ndarray
    remarks: list[str] = field(default_factory=list)
    """What was missing, sorted, averaged or left out, a sentence each."""
    delimiter: str = ","
    decimal: str = "."

    def __len__(self) -> int:
        return len(self.values)

    def filled(self) -> np.ndarray:
        """The values (n, c), a missing one on the straight line between its neighbours."""
        filled, places = self.values.copy(), np.arange(len(self.values))
        for column in filled.T:
            known = np.isfinite(column)
            column[:] = np.interp(places, places[known], column[known])
        return filled


def read_series(source: Source) -> Series:
    """Read the series in a table.

    Times: dates and times of day, months, quarters, years, seconds since 1970, plain numbers (see `times` and `calendar`). Raises
    DataError for a table without times or numbers, for times that are not regular, and for too few or too many values.
    """
    return series_of(read_table(source))


def series_of(table: Table) -> Series:
    """The series in a table; raises DataError as `read_series` does."""
    if not len(table):
        raise DataError(f"{table.name} has no row below its first line; give one row per time")
    remarks: list[str] = []
    name = _time_column(table)
    kept = [i for i, text in enumerate(table.column(name)) if not is_missing(text)]
    texts = [text for text in table.column(name) if not is_missing(text)]
    if len(kept) < len(table):
        remarks.append(f"left out {counted(len(table) - len(kept), 'row')} without a time")
    found = place(texts, table.name) if texts else None
    if found is None:
        raise DataError(
            f"{table.name}: the column {name!r} holds no times, such as 2024-01-31, 2024-01 or 2024-01-31 13:00"
        )
    calendar, places = found
    columns, numbers = _numbers(table, name, kept, remarks)
    values = _on_grid(table.name, calendar, places, numbers, texts, remarks)
    values = _without_empty_end(values, remarks)
    for column, known in zip(columns, np.isfinite(values).T, strict=True):
        if known.sum() < SHORTEST:
            raise DataError(
                f"{table.name} has only {counted(known.sum(), 'number')} in {column!r}; give at least {SHORTEST}"
            )
        if known.mean() < 1 - MOST_MISSING:
            raise DataError(
                f"{table.name}: more than half of the {len(values):,} numbers of {column!r} are missing; leave the column out"
            )
    return Series(table.name, columns, calendar, values, remarks, table.delimiter, table.decimal)


def is_series(path: str) -> bool:
    """Whether the first lines of a file are those of a series: a column of times, and numbers beside it."""
    try:
        with open_file(path) as file:
            head = file.read(HEAD)
        if len(head) == HEAD:
            head = head[: head.rfind(b"\n") + 1]
        table = read_table(io.BytesIO(head))
        _numbers(table, _time_column(table), range(len(table)), [])
        return len(table) > 1
    except (DataError, OSError):
        return False


def _time_column(table: Table) -> str:
    """The first column of times, or else of numbers that is named like times; raises DataError where there is none."""
    for name in table.columns:
        texts = [text for text in table.column(name) if not is_missing(text)]
        if len(texts) > 1 and next(times.readings(texts), None) is not None:
            return name
    for name in table.columns:
        if name.strip().lower() in TIMES and np.isfinite(table.numbers(name)).any():
            return name
    raise DataError(
        f"{table.name} has no column of times; a series has one, such as 2024-01-31, 2024-01 or 2024-01-31 13:00, in one form "
        f"throughout (its columns are {listed(table.columns)})"
    )


def _numbers(
    table: Table, time: str, kept: Sequence[int], remarks: list[str]
) -> tuple[list[str], np.ndarray]:
    """The columns of numbers, and what they hold, (rows, c); raises DataError where there is none."""
    columns, numbers, other = [], [], []
    for name in table.columns:
        if name == time:
            continue
        fields = table.column(name)
        column, texts = as_numbers(fields, table.decimal)[kept], [fields[i] for i in kept]
        given = np.array([not is_missing(text) for text in texts], bool)
        if not given.any() or np.isfinite(column[given]).mean() < NUMBERS:
            other.append(name)
            continue
        wrong = [
            text
            for text, number, there in zip(texts, column, given, strict=True)
            if there and not np.isfinite(number)
        ]
        if wrong:
            remarks.append(
                f"took {counted(len(wrong), 'field')} of {name} as missing, being no number: {_some(wrong)}"
            )
        if not given.all():
            empty = [table.column(time)[i] for i, there in zip(kept, given, strict=True) if not there]
            remarks.append(
                f"{counted(len(empty), 'value')} of {name} missing at {_some(empty)}, filled in between the neighbours"
            )
        columns.append(name)
        numbers.append(column)
    if not columns:
        raise DataError(f"{table.name} has no column of numbers beside its times in {time!r}")
    if other:
        remarks.append(f"left out {_some(other)}, which {'hold' if len(other) > 1 else 'holds'} no numbers")
    return columns, np.stack(numbers, axis=1)


def _on_grid(
    name: str,
    calendar: Calendar,
    places: np.ndarray,
    numbers: np.ndarray,
    texts: list[str],
    remarks: list[str],
) -> np.ndarray:
    """The numbers at their places, the mean of those that share one; raises DataError where most do."""
    length = int(places.max()) + 1
    if length * numbers.shape[1] > LONGEST:
        raise DataError(
            f"{name} spans {length:,} times, more than {LONGEST:,} values; give fewer, or a coarser grid"
        )
    if (np.diff(places) < 0).any():
        remarks.append("sorted the rows, which were not in the order of time")
    counts = np.bincount(places, minlength=length)
    twice = np.flatnonzero(counts > 1)
    if len(twice) > len(np.flatnonzero(counts)) // 2:
        raise DataError(
            f"{name} has most of its times more than once, {calendar.time(int(twice[0]))} first; give each series a column of its own"
        )
    if len(twice):
        remarks.append(
            f"averaged the rows of {counted(len(twice), 'time')} given more than once: {_some([calendar.time(i) for i in twice])}"
        )
    sums, known = np.zeros((length, numbers.shape[1])), np.zeros((length, numbers.shape[1]))
    np.add.at(sums, places, np.nan_to_num(numbers))
    np.add.at(known, places, np.isfinite(numbers))
    absent = np.flatnonzero(counts == 0)
    if len(absent):
        remarks.append(
            f"{counted(len(absent), 'time')} not in the file: {_some([calendar.time(i) for i in absent])}; filled in between the neighbours"
        )
    return np.where(known > 0, sums / np.maximum(known, 1), np.nan)


def _without_empty_end(values: np.ndarray, remarks: list[str]) -> np.ndarray:
    """The values up to the last row that has one: rows for times to come are often there already."""
    last = int(np.flatnonzero(np.isfinite(values).any(axis=1)).max(initial=-1)) + 1
    if last < len(values):
        remarks.append(f"left out {counted(len(values) - last, 'row')} without a number at the end")
    return values[:last]


def _some(names: Sequence[str]) -> str:
    """The first few of a list."""
    return ", ".join(map(shown, names[:SHOWN])) + (
        f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    )
