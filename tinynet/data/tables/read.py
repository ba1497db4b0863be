"""Read a table: a file of comma-, semicolon- or tab-separated values whose first line names the columns.

The one reader, with bounds, for all tables: rows to predict, labelled texts, series.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...errors import DataError, counted, listed, shown
from ...files import Source, read_source
from ..text.characters import as_text

LARGEST = 1 << 28
"""Most bytes of a file."""
MOST_COLUMNS, MOST_CELLS = 4096, 50_000_000
ENDINGS = (".csv", ".tsv")
DELIMITERS = ",\t;|"
DECLARED = re.compile(r'\A"?sep=([,;|\t])"?[ \t]*(?=[\r\n]|$)', re.IGNORECASE)
"""A first line that names the delimiter, as Excel reads it; the columns come after it."""
LOOKED_AT = 50
"""Lines from which the delimiter is told."""
MISSING = {"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "nil", "?", "-", "--", "."}
MISSING |= {sign + word for sign in ("", "+", "-") for word in ("inf", "infinity")}
"""What stands for a missing value, in small letters."""
LARGEST_NUMBER = 1e38
"""A larger one counts as missing: float32 could not hold it."""
COMMA = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d+),\d+\s*%?")
POINT = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)\.\d+\s*%?")
"""Numbers with either decimal mark, thousands separated by the other or not at all."""
GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{3})+")
"""A number whose commas may separate thousands."""
LEFT_OUT = dict.fromkeys(map(ord, " \u00a0\u202f'$€£¥"))
"""What is left out of a number before it is read: separators of thousands, and currencies."""


@dataclass
class Table:
    """The content of a file, as it is written there.

    name: the file's, for messages; columns: their names; rows: one field per column each; decimal: the mark in its numbers.
    """

    name: str
    columns: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    decimal: str = "."

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[str]:
        """The fields of one column, without the space around them; raises DataError if there is none of that name."""
        index = self.index(name)
        return [row[index].strip() for row in self.rows]

    def index(self, name: str) -> int:
        """The index of a column; raises DataError if there is none of that name."""
        if name not in self.columns:
            raise DataError(f"{self.name} has no column {name!r}; its columns are {listed(self.columns)}")
        return self.columns.index(name)

    def numbers(self, name: str) -> np.ndarray:
        """A column as float64 (n,), NaN where a field is missing or not a number."""
        return as_numbers(self.column(name), self.decimal)


def is_missing(field: str) -> bool:
    """Whether a field, without the space around it, stands for a missing value."""
    return field.lower() in MISSING


def as_numbers(fields: list[str], decimal: str = ".") -> np.ndarray:
    """Fields as float64 (n,), NaN where one is missing or no number, or one beyond ±1e38.

    Thousands may be separated by spaces, apostrophes or the other mark; per cent signs and currencies are left out.
    """
    other = "," if decimal == "." else "."
    grouped = re.compile(rf"[-+]?\d{{1,3}}(\{other}\d{{3}})+(\{decimal}\d*)?")
    numbers = np.full(len(fields), np.nan)
    for i, field in enumerate(fields):
        text = field.translate(LEFT_OUT).removesuffix("%")
        if grouped.fullmatch(text):
            text = text.replace(other, "")
        text = text.replace(",", ".") if decimal == "," and "." not in text else text
        try:
            numbers[i] = float(text) if "_" not in text else np.nan
        except ValueError:
            continue
    return np.where(np.abs(numbers) <= LARGEST_NUMBER, numbers, np.nan)


def is_table(path: str | os.PathLike) -> bool:
    """Whether there is such a file, and its name ends as a table's."""
    return str(path).lower().endswith(ENDINGS) and os.path.isfile(path)


def read_table(source: Source, delimiter: str | None = None) -> Table:
    """Read a table: UTF-8, with or without a byte-order mark.

    The delimiter, unless it is given or a first line "sep=;" names it, and the decimal mark are recognised; fields may be quoted and
    hold line breaks; empty lines are left out. Raises DataError for a file that cannot be read, is empty, no text or too large, for
    a line with more or fewer fields than there are columns, and for columns without or with the same name.
    """
    name, content = read_source(source, LARGEST, "table", "give the name of a table", DataError)
    text = as_text(content, name)
    declared = DECLARED.match(text)
    if declared:
        text = text[declared.end() :]  # the end of the line stays, so that lines keep their numbers
        delimiter = declared[1]
    delimiter = delimiter or _delimiter(text)
    lines = _lines(text, delimiter, name)
    first = next((line for line in lines if _is_filled(line[1])), None)
    if first is None:
        raise DataError(f"{name} has no lines; give a table whose first line names the columns")
    columns = _names([" ".join(field.split()) for field in first[1]], name)
    # a row of empty fields keeps its place, unless it is at the end, where spreadsheets leave such rows
    rows = [
        _row(fields, len(columns), number, name)
        for number, fields in lines
        if _is_filled(fields) or len(fields) == len(columns) > 1
    ]
    while rows and not _is_filled(rows[-1]):
        rows.pop()
    return Table(name, columns, rows, delimiter, _decimal(rows, delimiter))


def _lines(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Lines that hold anything, be it only a delimiter, with their numbers, as fields."""
    quoting = csv.QUOTE_MINIMAL if _is_quoted(text, delimiter) else csv.QUOTE_NONE
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)
    cells = 0
    try:
        for fields in lines:
            if fields:
                cells += len(fields)
                if len(fields) > MOST_COLUMNS or cells > MOST_CELLS:
                    raise DataError(
                        f"{name} has more than {MOST_COLUMNS:,} columns or {MOST_CELLS:,} fields; leave some out"
                    )
                yield lines.line_num, fields
    except csv.Error as error:
        raise DataError(
            f"{name}, line {lines.line_num}: {error}; a table has one row per line, and quotes round a field close"
        ) from None


def _is_filled(fields: list[str]) -> bool:
    """Whether any field holds more than space."""
    return any(map(str.strip, fields))


def _is_quoted(text: str, delimiter: str) -> bool:
    """Whether quotes enclose fields, or are characters like others, as in tab-separated text with a single one."""
    if delimiter != "\t":
        return True
    begun = text.count('\t"') + text.count('\n"') + text.startswith('"')
    ended = text.count('"\t') + text.count('"\n') + text.endswith('"')
    return begun <= ended


def _delimiter(text: str) -> str:
    """The delimiter that gives most lines as many fields as the first, and more than one."""
    lines = text.split("\n", LOOKED_AT)[:LOOKED_AT]

    def fitting(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        if not widths or widths[0] < 2:
            return 0.0, 0
        return Counter(widths)[widths[0]] / len(widths), widths[0]

    try:
        return max(DELIMITERS, key=fitting)
    except csv.Error:
        return ","  # reading it will report the error


def _names(names: list[str], table: str) -> list[str]:
    """The names of the columns; a first one without a name holds row numbers, as some programs write them."""
    names = [
        "index" if not name and i == 0 and "index" not in names else name for i, name in enumerate(names)
    ]
    while names and not names[-1]:
        names.pop()  # a delimiter at the end of the line
    twice = [name for name, count in Counter(names).items() if count > 1]
    if "" in names or twice:
        nameless = f"a column without a name, number {names.index('') + 1}" if "" in names else ""
        which = nameless or f"two columns named {shown(twice[0])}"
        raise DataError(f"{table} has {which}; give each column a name of its own in the first line")
    return names


def _row(fields: list[str], columns: int, number: int, name: str) -> list[str]:
    """The fields of a line, as many as there are columns; more only where they are empty."""
    if len(fields) < columns or any(map(str.strip, fields[columns:])):
        advice = (
            "add the fields that are missing, empty where nothing is known"
            if len(fields) < columns
            else "put quotes round a field that holds the delimiter"
        )
        raise DataError(
            f"{name}, line {number}: {counted(len(fields), 'field')} for {counted(columns, 'column')}; {advice}"
        )
    return fields[:columns]


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    """The decimal mark: a comma where numbers have one and none has a point.

    Beside commas that part fields, one before three digits separates thousands.
    """
    fields = [
        field.translate(LEFT_OUT) for row in rows[:1000] for field in row if "," in field or "." in field
    ]
    if delimiter == ",":
        fields = [field for field in fields if not GROUPED.fullmatch(field)]
    commas = any(map(COMMA.fullmatch, fields))
    return "," if commas and not any(map(POINT.fullmatch, fields)) else "."
