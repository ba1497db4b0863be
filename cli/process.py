"""What every command shares as a process: its start time, and errors as sentences."""

from __future__ import annotations

import time

import click

from tinynet.errors import Setting, TinynetError
from tinynet.terminal import note

STARTED = time.perf_counter()
"""When this process started to run tinynet."""


def fail(error: Exception) -> int:
    """Print an error that a user can fix as one sentence on stderr; returns the exit status of a failure."""
    note(f"tinynet: {sentence(error)}")
    return 1


def sentence(error: Exception) -> str:
    """An error as a user of the command line reads it: settings are named as options."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; try a smaller --batch-size or smaller data"
    if isinstance(error, TinynetError):
        return "".join(_option(part) if isinstance(part, Setting) else part for part in error.parts)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error)


def _option(setting: str) -> str:
    """The option for a setting in the running command, if there is one: --augment/--no-augment."""
    context = click.get_current_context(silent=True)
    for parameter in context.command.params if context else ():
        if parameter.name == setting:
            return "/".join([parameter.opts[-1], *parameter.secondary_opts])
    return f"--{setting.replace('_', '-')}"
