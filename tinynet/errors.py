"""Errors that a user can fix. Each message says in one or two sentences what is wrong and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SHOWN, LISTED = 60, 10
"""Characters of a text, and names of a list, that a message shows."""


class Setting(str):
    """The name of a setting within a message, which the command line spells as its option."""


class TinynetError(ValueError):
    """Something the user gave cannot be used; the message says what and what to do. The command line prints it.

    The message may come in parts, some of them a `Setting`.
    """

    def __init__(self, *parts: str) -> None:
        super().__init__("".join(parts))
        self.parts = parts


class UsageError(TinynetError):
    """Settings, models or data that do not fit together, whatever they contain; on the command line this is wrong usage."""


class ShapeError(TinynetError):
    """An array or a layer has a shape that does not fit; the message names the layer and both shapes."""


class ModelFileError(TinynetError):
    """A model file cannot be read; the message names the file and the entry that is wrong."""


class ImageError(TinynetError):
    """A picture cannot be read; the message names the file and the reason."""


class SoundError(TinynetError):
    """A sound cannot be read; the message names the file and the reason."""


class DataError(TinynetError):
    """Training or test data cannot be found or used."""


class UnknownNameError(TinynetError, AttributeError):
    """An object has no such attribute, or does not let it change; the message says what to use instead."""


def counted(number: int, thing: str) -> str:
    """1 row, 2,000 rows."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def shown(text: str) -> str:
    """A text from a file as a message shows it: in one line, cut short."""
    line = " ".join(text[:1000].split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def listed(names: Sequence[str]) -> str:
    """The first few names from a file, and how many more there are."""
    more = len(names) - LISTED
    return ", ".join(map(shown, names[:LISTED])) + (f" and {more:,} more" if more > 0 else "")


def one_of(names: Sequence[str]) -> str:
    """All of these names to choose from: a, b or c."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question, "did you mean …?", with the known names that look like an unknown one; empty if none does."""
    import difflib

    by_letters = {each.lower(): each for each in known}
    letters = name.lower()
    found = [letters] if letters in by_letters else difflib.get_close_matches(letters, by_letters, cutoff=0.7)
    close = [by_letters[each] for each in found]
    return f"did you mean {one_of(close)}?" if close else ""
