"""Text: files of characters, their ids, and the pieces in which a network reads them.

A character is a Unicode code point. A vocabulary is a str whose index is the id.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence

import numpy as np

from ...errors import DataError
from ...files import read_source

WINDOW = 512
"""Characters that a text is measured in: each window is read from a zero state."""
LARGEST = 1 << 30
"""Bytes of a text file."""
SHOWN = 10
"""Unknown characters that an error names."""
MARKS = {
    "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
"""What a text in another encoding begins with; the shorter is the beginning of the longer."""


# ---- reading ----


def read_text(path: str | os.PathLike) -> str:
    """The text of a UTF-8 file, with or without a byte-order mark; any end of line becomes a line feed.

    Raises DataError for a file that cannot be read, is empty, holds bytes that are no text, or is not UTF-8.
    """
    name, content = read_source(path, LARGEST, "text", "give the name of a text file", DataError)
    return as_text(content, name)


def as_text(content: bytes, name: str | os.PathLike) -> str:
    """`read_text` for what a file of that name holds."""
    if not content.removeprefix(codecs.BOM_UTF8):
        raise DataError(f"{name} is empty; give a file that holds text")
    encoding = next((name for name, marks in MARKS.items() if content.startswith(marks)), "LATIN1")
    if b"\0" in content and encoding == "LATIN1":
        raise DataError(f"{name} is a binary file, not text; save what it says as plain text in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name} is not UTF-8: its byte {error.start + 1} is no character; convert it, "
            f"for example with iconv -f {encoding} -t UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


# ---- characters and ids ----


def vocabulary_of(text: str, name: str = "the text") -> str:
    """The characters of a text, each once, by code point. Raises DataError where there are fewer than two."""
    found = "".join(sorted(set(text)))
    if len(found) < 2:
        held = f"only the character {found!r}" if found else "no character"
        raise DataError(f"{name} holds {held}, so there is nothing to learn; give a text with several")
    return found


def encode(
    text: str, vocabulary: str | Sequence[str], name: str = "the text", skip_unknown: bool = False
) -> np.ndarray:
    """The ids of a text's characters, (n,) int32.

    Raises DataError that shows the characters which the vocabulary lacks, unless they are to be skipped.
    """
    known = _codes("".join(vocabulary))
    order = np.argsort(known)
    codes = _codes(text)
    place = np.searchsorted(known, codes, sorter=order)
    ids = order[np.minimum(place, len(known) - 1)]
    unknown = known[ids] != codes
    if unknown.any() and not skip_unknown:
        raise DataError(
            f"{name} has characters that the model does not know: {_show(codes[unknown])}; leave them out"
        )
    return ids[~unknown].astype(np.int32)


def decode(ids: np.ndarray | Sequence[int], vocabulary: str | Sequence[str]) -> str:
    """The text that ids (n,) stand for."""
    return "".join(vocabulary[index] for index in ids)


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _show(codes: np.ndarray) -> str:
    """The first few different characters, as Python writes them."""
    different = sorted(set(codes.tolist()))
    shown = ", ".join(repr(chr(code)) for code in different[:SHOWN])
    more = len(different) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


# ---- pieces ----


def streams(ids: np.ndarray, batch_size: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """A text (n,) as `batch_size` streams that are read side by side, in windows of `steps` characters.

    Returns x and y (windows · batch_size, steps), y the characters that follow those of x. Batch after batch, row i is
    the next window of stream i: what `fit(…, batch_size=batch_size, stateful=True)` takes. The streams begin at equal
    distances and together cover the text; where its length does not divide they overlap by less than a window.
    Raises DataError for a text that does not fill one batch.
    """
    length, needed = len(ids) - 1, batch_size * steps
    if length < needed:
        raise DataError(
            f"one batch takes {batch_size} × {steps} characters and one more, but the text to learn from has only "
            f"{len(ids):,}: give a longer text{' or a smaller batch size' if batch_size > 1 else ''}"
        )
    windows = min(-(-length // needed), length // steps)
    first = np.linspace(0, length - windows * steps, batch_size).astype(np.int64)
    starts = steps * np.arange(windows)[:, None] + first
    positions = starts.reshape(-1, 1) + np.arange(steps)
    return ids[positions], ids[positions + 1].astype(np.int64)


def windows(ids: np.ndarray, steps: int = WINDOW) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A text (n,) in windows one after the other, to be measured on: x and y (m, steps), and what each step counts.

    y are the characters that follow those of x. The last window is filled up with steps that count 0; all others count
    1. A text of fewer than `steps` characters is one short window. Raises DataError where nothing follows anything.
    """
    length = len(ids) - 1
    if length < 1:
        raise DataError("there are fewer than 2 characters to measure on; give a longer text")
    steps = min(steps, length)
    count = -(-length // steps)
    x, y = np.zeros((2, count * steps), np.int64)
    x[:length], y[:length] = ids[:-1], ids[1:]
    weights = (np.arange(count * steps) < length).astype(np.float32)
    shape = count, steps
    return x.astype(np.int32).reshape(shape), y.reshape(shape), weights.reshape(shape)
