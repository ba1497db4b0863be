"""The process of a command: when it started, and how it reports errors."""

from __future__ import annotations

import shlex
import sys
import time

import click

from tinynet.errors import Setting, TinynetError
from tinynet.terminal import note

STARTED = time.perf_counter()
"""When this process started tinynet."""


def fail(error: Exception) -> int:
    """Print an error that a user can fix as one sentence on stderr; returns the exit status for failure."""
    note(f"tinynet: {sentence(error)}")
    return 1


def sentence(error: Exception) -> str:
    """An error worded for the command line: settings appear as options."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; try a smaller --batch-size or smaller data"
    if isinstance(error, TinynetError):
        return "".join(_option(part) if isinstance(part, Setting) else part for part in error.parts)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error)


def command_to_continue() -> str:
    """The command that was typed, with --resume."""
    given = [word for word in sys.argv[1:] if word not in ("--force", "--resume")]
    end = given.index("--") if "--" in given else len(given)
    return shlex.join(["tinynet", *given[:end], "--resume", *given[end:]])


def _option(setting: str) -> str:
    """A setting's option in the running command, if there is one: --augment/--no-augment."""
    context = click.get_current_context(silent=True)
    for parameter in context.command.params if context else ():
        if parameter.name == setting:
            return "/".join([parameter.opts[-1], *parameter.secondary_opts])
    return f"--{setting.replace('_', '-')}"
