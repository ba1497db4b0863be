"""Printing: text from files cannot control the terminal, and no stream ends a command in a traceback.

Labels, names, metadata and vocabularies come from files, file names from folders. Each line goes through `printable`, and
a stream may be closed, full, broken, or unable to encode all of Unicode.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TextIO, cast

from .errors import TinynetError

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u206f\ud800-\udfff]")
"""Control characters, line separators, bidirectional controls and lone surrogates."""


def printable(text: str, keep: str = "") -> str:
    r"""The text with its control characters as escapes (\x1b, \n, \u202e), except those in `keep`.

    A byte of a file name that is not UTF-8, 0xff, is shown as \udcff.
    """
    return _CONTROL.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def significant(value: float, digits: int) -> str:
    """A number with so many significant digits, and all those of its whole part: 1234567, 0.01235. Only beyond 1e15 and below 1e-4 it
    has an exponent.
    """
    if not 1e-4 <= abs(value) < 1e15:
        return f"{value:.{digits}g}"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    written = f"{value:.{decimals}f}"
    return written.rstrip("0").rstrip(".") if decimals else written


def table(rows: list[tuple[str, ...]], left: tuple[int, ...] = (0,)) -> Iterator[str]:
    """Rows as aligned lines: the columns numbered in `left` flush left, the others flush right."""
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


# ---- stdout: data ----


def echo(text: str = "", keep: str = "") -> None:
    """Print one line of data, its control characters as escapes except those in `keep`.

    Raises TinynetError if stdout cannot take it, BrokenPipeError if its reader is gone.
    """
    _print(f"{printable(text, keep)}\n", "backslashreplace")


def print_json(value: dict[str, Any]) -> None:
    r"""Print one JSON object on one line: numbers that JSON lacks (NaN, Infinity) are null.

    Control characters, and what stdout cannot encode, stand as \uXXXX, so readers get them back. A byte of a file name
    that is not UTF-8, 0xff, is \udcff, which `os.fsencode` in Python turns back.
    """
    unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    finite = json.loads(json.dumps(value), parse_constant=lambda constant: None)
    line = json.dumps(finite, ensure_ascii=not unicode)
    echo(_CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], line))


def write(text: str) -> None:
    """Print text that is data itself, without a line break after it.

    A terminal gets control characters as escapes, except line breaks and tabs; a file or a pipe gets the text as it is.
    What cannot be encoded becomes a question mark. Raises as `echo` does.
    """
    _print(printable(text, keep="\n\t") if is_terminal(sys.stdout) else text, "replace")


def _print(text: str, errors: str) -> None:
    try:
        put(text, sys.stdout, errors)
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        raise TinynetError(
            f"cannot write to stdout: {error.strerror or error}; make room, or send it elsewhere"
        ) from error


# ---- stderr: notes ----


def note(text: str, stream: TextIO | None = None, keep: str = "") -> None:
    """Print a remark, on stderr unless a stream is given. One that cannot be written is dropped."""
    with suppress(OSError, ValueError):
        put(f"{printable(text, keep)}\n", stream or sys.stderr)


# ---- streams ----


def put(text: str, stream: TextIO | None, errors: str = "backslashreplace") -> None:
    """Write text as it is to a stream, which may be None: closed. `errors` says what becomes of unknown characters."""
    if stream is None:
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, errors).decode(encoding))
    stream.flush()


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal."""
    with suppress(AttributeError, ValueError):
        return stream is not None and stream.isatty()
    return False


def open_streams() -> None:
    """Open closed standard streams (`<&- >&- 2>&-`) on the null device, or a file opened later would take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            cast(Any, stream).reconfigure(errors="backslashreplace")


def settle_streams() -> None:
    """Flush the streams and drop what cannot be written, so that Python's own flush at exit does not fail."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            discard(stream)


def discard(stream: TextIO) -> None:
    """Drop what a stream still holds and all that is written to it later."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
