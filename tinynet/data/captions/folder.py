"""Pictures with captions: a folder that holds pictures and `captions.tsv`, a table of files and their captions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError, counted, listed, shown
from ..folders import read_all
from ..pictures.samples import PictureReader
from ..tables.read import Table, read_table
from .words import LONGEST, join, split

TABLE = "captions.tsv"
FILE, CAPTION = "file", "caption"


@dataclass
class Captioned:
    """Pictures with captions, of which each picture may have several.

    x: uint8 (n, height, width, channels); captions: sentences; picture: int64, for each caption the index of its picture;
    preparation: how x was made of files, JSON-able; unreadable: a sentence for each picture that could not be read; warnings:
    whatever the user should know.
    """

    x: np.ndarray
    captions: list[str]
    picture: np.ndarray
    preparation: dict[str, Any]
    unreadable: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def by_picture(self) -> list[list[str]]:
        """The captions of each picture."""
        found: list[list[str]] = [[] for _ in self.x]
        for index, caption in zip(self.picture, self.captions, strict=True):
            found[index].append(caption)
        return found

    def part(self, pictures: np.ndarray) -> Captioned:
        """Those pictures, by index, with their captions."""
        place = np.full(len(self.x), -1)
        place[pictures] = np.arange(len(pictures))
        rows = np.flatnonzero(place[self.picture] >= 0)
        captions = [self.captions[row] for row in rows]
        return Captioned(self.x[pictures], captions, place[self.picture[rows]], self.preparation)

    def split(self, fraction: float, seed: int) -> tuple[Captioned, Captioned]:
        """(training, validation): a fraction of the pictures, at least one, for validation."""
        order = np.random.default_rng(seed).permutation(len(self.x))
        count = max(round(fraction * len(order)), 1)
        return self.part(np.sort(order[count:])), self.part(np.sort(order[:count]))


def holds_captions(path: str | Path) -> bool:
    """Whether a path is a folder with a table of captions."""
    return Path(path, TABLE).is_file()


def read_captioned(path: str | Path, reader: PictureReader) -> Captioned:
    """Read the pictures of a folder that its table names, and their captions.

    The table has the columns `file`, relative to the folder, and `caption`, or these two without a header. A picture that is missing
    or damaged is left out and told. Raises DataError for another table, a caption that is empty or longer than LONGEST words, and
    where no picture can be read.
    """
    if Path(path).is_file():
        raise DataError(f"{path} is a file; give a folder of pictures and a table of their captions, {TABLE}")
    rows = [(Path(path, name), caption) for name, caption in _rows(read_table(Path(path, TABLE), "\t"))]
    if not rows:
        raise DataError(
            f"{Path(path, TABLE)} names no picture; add a row for each: its file, a tab, its caption"
        )
    x, kept, blank, unreadable = read_all(list(dict.fromkeys(file for file, _ in rows)), reader)
    if not len(kept):
        reason = unreadable[0] if unreadable else f"nothing is found in those that {TABLE} names"
        raise DataError(f"none of the pictures of {path} can be used: {reason}")
    x, warnings = reader.finish(x, Path(path))
    if blank:
        warnings.append(f"nothing was found in {counted(len(blank), 'picture')} of {path}")
    place = {file: index for index, file in enumerate(kept)}
    found = [(place[file], caption) for file, caption in rows if file in place]
    picture = np.array([index for index, _ in found], np.int64)
    return Captioned(x, [caption for _, caption in found], picture, reader.preparation, unreadable, warnings)


def _rows(table: Table) -> list[tuple[str, str]]:
    """(file, caption) of each row of a table; raises DataError."""
    columns = [name.lower() for name in table.columns]
    if FILE in columns and CAPTION in columns:
        file, caption = columns.index(FILE), columns.index(CAPTION)
        rows = [(row[file].strip(), row[caption]) for row in table.rows]
    elif len(columns) == 2:
        rows = [(row[0].strip(), row[1]) for row in (table.columns, *table.rows)]
    else:
        raise DataError(
            f"{table.name} has the columns {listed(table.columns)}; captions need a column {FILE} and a column {CAPTION}, "
            "separated by a tab"
        )
    for file, caption in rows:
        count = len(split(caption))
        if not file or not count:
            missing = (
                f"{shown(file)} has no caption" if file else f"the caption {shown(caption)!r} has no file"
            )
            raise DataError(f"{table.name}: {missing}; complete that row or leave it out")
        if count > LONGEST:
            raise DataError(
                f"{table.name}: the caption of {shown(file)} has {count} words, more than {LONGEST}; shorten it"
            )
    return [(file, join(split(caption))) for file, caption in rows]
