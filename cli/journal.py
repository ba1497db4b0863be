"""The journal of a search: a file of JSON lines, one for each finished trial, from which a search that was broken off goes on."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tinynet.archive import parse_json
from tinynet.errors import TinynetError
from tinynet.files import open_file, read_source

LARGEST = 1 << 26
"""Bytes of a journal."""
PIECE = 1 << 20
NUMBERS = ("value", "parameters", "epochs", "seconds", "milliseconds", "learning_rate", "full_epochs", "pace")
"""Of a result."""
SIZES = ("width", "depth", "learning_rate")
"""Settings that are numbers."""


@dataclass(frozen=True)
class Record:
    """What a trial in a rung came to."""

    trial: int
    rung: int
    settings: dict[str, Any]
    spent: float
    """Seconds that it took in all."""
    result: dict[str, Any] | None = None
    """What `train --json` printed, with the recipe's number of epochs and the seconds that one takes; None: it failed."""
    refused: str | None = None
    """Why it is left out."""

    @property
    def complete(self) -> bool:
        """Whether it was trained to its end, for as many epochs as the recipe gives."""
        result = self.result
        return result is not None and result["epochs"] == result["full_epochs"] and not result["stopped"]


class Journal:
    """The records so far; `head` says of which search they are."""

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self.path, self.head, self.records = path, dict(head), list[Record]()

    def resume(self) -> None:
        """Read what there is, dropping a last line that was not written to its end.

        Raises TinynetError for a file that is damaged, or that belongs to a search of other data or settings.
        """
        missing = "give the --output of the search that was broken off, or start without --resume"
        _, raw = read_source(self.path, LARGEST, "journal", "begin anew with --force", TinynetError, missing)
        *lines, rest = raw.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                found = parse_json(line.decode())
                if number > 1:
                    self.records.append(_record(found))
                elif not isinstance(found, dict):
                    raise ValueError
            except ValueError:
                raise TinynetError(
                    f"{self.path} is damaged in line {number}; begin anew with --force"
                ) from None
            if number == 1:
                self._check(found)
        if rest:
            os.truncate(self.path, len(raw) - len(rest))

    def _check(self, found: dict[str, Any]) -> None:
        """Raise TinynetError for the head of another search."""
        other = [name for name in self.head if found.get(name) != self.head[name]]
        if other:
            raise TinynetError(
                f"{self.path} is of a search with another {' and another '.join(other)}: give the same again, begin anew with --force, "
                "or choose another --output"
            )

    def add(self, record: Record) -> None:
        """Write a record to the file, after the head if it is the first; raises TinynetError where that cannot be done."""
        lines = [] if self.records else [self.head]
        text = "".join(json.dumps(line) + "\n" for line in [*lines, asdict(record)])
        try:
            with open(self.path, "a" if self.records else "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise TinynetError(f"cannot write {self.path}: {error.strerror or error}") from None
        self.records.append(record)

    def latest(self, below: float = math.inf) -> dict[int, Record]:
        """The last result of each trial that is not left out, in the rungs below one."""
        found = self.results()
        return {each.trial: each for each in found if each.rung < below}

    def results(self) -> list[Record]:
        """The results of trials that are not left out."""
        return [each for each in self.records if each.result and not each.refused]

    def has(self, trial: int, rung: int) -> bool:
        """Whether a trial is finished in a rung."""
        return any((each.trial, each.rung) == (trial, rung) for each in self.records)

    @property
    def spent(self) -> float:
        """Seconds of all trials."""
        return sum(each.spent for each in self.records)


def _record(found: Any) -> Record:
    """A record from its JSON value; raises ValueError for anything else."""
    names = {field.name for field in fields(Record)}
    if not isinstance(found, dict) or found.keys() != names:
        raise ValueError
    record, result = Record(**found), found["result"]
    counts = all(type(each) is int and each >= 0 for each in (record.trial, record.rung))
    if not (counts and _is_number(record.spent) and isinstance(record.refused, str | None)):
        raise ValueError
    if not (_is_settings(record.settings) and (result is None or _is_result(result, record.refused))):
        raise ValueError
    return record


def _is_settings(found: Any) -> bool:
    from tinynet.recipes.architectures import ARCHITECTURES

    return (
        isinstance(found, dict)
        and found.keys() <= {"arch", "augment", *SIZES}
        and found.get("arch") in [*ARCHITECTURES]
        and all(_is_number(found[name]) for name in SIZES if name in found)
        and found.get("augment", False) is False
    )


def _is_result(found: Any, refused: str | None) -> bool:
    from tinynet.recipes.scores import MEASURES

    return (
        isinstance(found, dict)
        and all(_is_number(found.get(name)) for name in NUMBERS if not (refused and name == "value"))
        and found.get("measure") in [*MEASURES]
        and found.get("pace", 0) > 0
        and found.get("full_epochs", 0) >= found.get("epochs", 0) >= 1
        and _is_interval(found.get("interval"))
        and isinstance(found.get("stopped", 0), str | None)
    )


def _is_interval(found: Any) -> bool:
    return found is None or (isinstance(found, list) and [*map(_is_number, found)] == [True, True])


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def fingerprint(data: str) -> str:
    """A digest of a file's content, or of the names and sizes in a folder; empty for anything else."""
    digest = hashlib.blake2b(digest_size=16)
    if os.path.isdir(data):
        for folder, inner, files in os.walk(data):
            inner.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                place = os.fsencode(os.path.relpath(path, data))
                digest.update(place + b"\0%d\0" % (os.path.getsize(path) if os.path.exists(path) else 0))
        return digest.hexdigest()
    if not os.path.isfile(data):
        return ""
    with open_file(data) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
