"""Errors that a user can mend. Each message is one sentence or two that say what to do next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


class TinynetError(ValueError):
    """Something the user gave cannot be used; the message says what and what to do. The command line prints it."""


class ShapeError(TinynetError):
    """An array or a layer has a shape that does not fit; the message names the layer and both shapes."""


class ModelFileError(TinynetError):
    """A model file cannot be read; the message names the file and the entry that is wrong."""


class ImageError(TinynetError):
    """A picture cannot be read; the message names the file and the reason."""


class DataError(TinynetError):
    """Training or test data cannot be found or used."""


def check_settings(function: Callable, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings that a function takes by name, or an error that shows those which look like the unknown one."""
    import inspect

    parameters = inspect.signature(function).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for name in settings:
        if name not in known:
            advice = did_you_mean(name, known) or f"it has {', '.join(known)}"
            raise TinynetError(f"{function.__name__} has no setting {name}; {advice}")
    return settings


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """«did you mean …?» with the known names that look like one that is not; empty where none does."""
    import difflib

    by_letters = {each.lower(): each for each in known}
    letters = name.lower()
    found = [letters] if letters in by_letters else difflib.get_close_matches(letters, by_letters, cutoff=0.7)
    close = [by_letters[each] for each in found]
    return f"did you mean {' or '.join(close)}?" if close else ""
