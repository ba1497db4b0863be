"""Printing: what reaches a terminal, a pipe and a closed stream."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from tinynet import terminal
from tinynet.errors import TinynetError
from tinynet.terminal import printable, significant

ROOT = Path(__file__).parent.parent


class Stream(io.TextIOWrapper):
    """A stream of an encoding, which may be a terminal."""

    def __init__(self, encoding="utf-8", terminal=False):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", newline="")
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    @property
    def written(self):
        return self.buffer.getvalue()


class Refusing(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


@pytest.fixture
def stdout(monkeypatch):
    def replace(stream):
        monkeypatch.setattr(sys, "stdout", stream)
        return stream

    return replace


# ---- printable ----


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07\x1b[2J", r"\x1b]0;owned\x07\x1b[2J"),
        ("\x9b2J\x85\x7f\0", r"\x9b2J\x85\x7f\x00"),
        ("two\nlines\r\tand", r"two\nlines\r\tand"),
        ("\u202egnp.exe\u2066\u2069", r"\u202egnp.exe\u2066\u2069"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("bad\udcff.npz \ud83d", r"bad\udcff.npz \ud83d"),
        ("naïve λόγος 道 🦉 é \u200d שלום", "naïve λόγος 道 🦉 é \u200d שלום"),
    ],
)
def test_what_a_terminal_obeys_is_escaped_and_every_script_is_kept(text, shown):
    assert printable(text) == shown


def test_line_breaks_and_tabs_are_kept_only_where_the_caller_says_so():
    assert printable("a\n\tb\r\x1b", keep="\n\t") == "a\n\tb\\r\\x1b"


# ---- stdout ----


def test_a_label_cannot_begin_a_line_of_its_own(stdout):
    written = stdout(Stream())
    terminal.echo("a.png: 3\nb.png: 4")
    assert written.written == b"a.png: 3\\nb.png: 4\n"


def test_what_the_encoding_lacks_is_escaped(stdout):
    written = stdout(Stream("cp1252"))
    terminal.echo("λ3.png: é")
    assert written.written == b"\\u03bb3.png: \xe9\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_json_is_json_whatever_it_holds_and_readers_get_it_back(stdout, encoding):
    written = stdout(Stream(encoding))
    names = ["\x1b[2J", "\x9b\u202e\u2028", "bad\udcff.png", "λ 道 🦉", "a\nb", 'quote " and \\']
    terminal.print_json({"names": names, "numbers": [float("nan"), float("inf"), 1.5], "none": -float("inf")})
    line = written.written.decode(encoding)
    assert line.count("\n") == 1 and printable(line, keep="\n") == line

    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(line, parse_constant=refuse)
    assert read == {"names": names, "numbers": [None, None, 1.5], "none": None}


def test_text_as_data_is_escaped_on_a_terminal_only(stdout):
    text = "To be,\n\tor not\x1b[2J 太\ud800"
    shown = stdout(Stream(terminal=True))
    terminal.write(text)
    assert shown.written.decode() == "To be,\n\tor not\\x1b[2J 太\\ud800"
    kept = stdout(Stream())
    terminal.write(text)
    assert kept.written.decode() == "To be,\n\tor not\x1b[2J 太?"
    narrow = stdout(Stream("latin-1"))
    terminal.write("太é")
    assert narrow.written == b"?\xe9"


def test_a_full_disk_is_a_sentence_and_a_closed_pipe_is_for_the_caller(stdout):
    stdout(Refusing(OSError(28, "No space left on device")))
    with pytest.raises(TinynetError, match="cannot write to stdout: No space left on device; make room"):
        terminal.echo("data")
    stdout(Refusing(BrokenPipeError()))
    with pytest.raises(BrokenPipeError):
        terminal.echo("data")
    stdout(None)
    terminal.echo("data")


# ---- stderr ----


@pytest.mark.parametrize("error", [OSError(28, "full"), BrokenPipeError(), ValueError("closed file")])
def test_a_note_that_nobody_can_read_stops_nothing(error):
    terminal.note("epoch 1", Refusing(error))


def test_without_streams_nobody_watches(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    terminal.note("epoch 1")
    closed = io.StringIO()
    closed.close()
    assert not terminal.is_terminal(None) and not terminal.is_terminal(closed)


# ---- the rule ----


def test_nothing_else_prints():
    """Commands and library alike: what a stream gets goes through this one module."""
    other = re.compile(r"click\.(s?echo|secho|print)|(?<![\w.])print\(|std(out|err)\.write|stream\.write\(")
    found = []
    for folder in ("cli", "tinynet"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name == "terminal.py" or "kernels" in path.parts:
                continue
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                if other.search(line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("value", "digits", "written"),
    [
        (1234567.8, 4, "1234568"), (120000.0, 6, "120000"), (217.29213, 6, "217.292"), (99999.96, 6, "100000"), (0.0123456, 4, "0.01235"),
        (-2.50001, 4, "-2.5"), (0.0, 4, "0"), (10.0, 4, "10"), (1e20, 4, "1e+20"), (2.5e-7, 4, "2.5e-07"), (float("nan"), 4, "nan"),
    ],
)  # fmt: skip
def test_a_number_keeps_its_whole_part(value, digits, written):
    assert significant(value, digits) == written
