"""The command line: one file per verb, each a thin layer over the Python API, imported only when it is called."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from tinynet import terminal
from tinynet.cli.process import fail
from tinynet.errors import TinynetError, did_you_mean
from tinynet.version import __version__

if TYPE_CHECKING:  # imported only when called; packagers such as PyInstaller must see them
    from . import (  # noqa: F401
        caption,
        classify,
        compare,
        doctor,
        evaluate,
        forecast,
        generate,
        info,
        models,
        predict,
        search,
        train,
        warmup,
    )

VERBS = {
    "classify": "Name what is in pictures, texts or sounds.",
    "generate": "Write text, character by character.",
    "predict": "Predict a column of a table, row by row.",
    "forecast": "Continue a series of numbers over time.",
    "caption": "Describe pictures in a sentence each.",
    "train": "Train a network on a data set, a text, a table or a folder of pictures, sounds or clips.",
    "evaluate": "Measure a model on data it has not seen.",
    "compare": "Train every kind of network that fits the data, and print what each reaches.",
    "search": "Try networks of other kinds, sizes and settings than the recipe's, and save the best.",
    "info": "Show what a model file holds.",
    "models": "List the models that come with tinynet.",
    "warmup": "Compile the kernels now, so that later commands need not wait.",
    "doctor": "Show versions, threads and cache, and which device would be used and why.",
}


class LazyGroup(click.Group):
    """Knows the verbs and their one-line help; imports a verb's module only to run it."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All verbs, in the order of use."""
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import the module of a verb."""
        return importlib.import_module(f"{__name__}.{name}").command if name in VERBS else None

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The table of verbs, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is called; for an unknown word, an error that suggests the closest one."""
        name = arguments[0]
        if name not in VERBS and not name.startswith("-") and not context.resilient_parsing:
            raise click.UsageError(f"no command {name!r}; {_meant(name)}", context)
        return super().resolve_command(context, arguments)

    def invoke(self, context: click.Context) -> Any:
        """Run a verb; a reader that closes the pipe early is not a failure."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            return 0


def _meant(name: str) -> str:
    """What to type instead of an unknown verb."""
    ending = os.path.splitext(name)[1].lower()
    if ending or os.path.exists(name):
        verb = "train" if os.path.isdir(name) else {".npz": "info", ".txt": "train"}.get(ending, "classify")
        return f"for a file or folder: tinynet {verb} {name}"
    return did_you_mean(name, VERBS) or "tinynet --help lists the commands"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tinynet")
def group() -> None:
    """Train and run small neural networks.

    Data goes to stdout, notes and progress to stderr. Exit status: 0 success, 1 failure, 2 wrong usage, 130 after
    Ctrl-C.

    For TAB completion, put eval "$(_TINYNET_COMPLETE=bash_source tinynet)" into ~/.bashrc; for zsh, use zsh_source.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit: every failure is one sentence on stderr."""
    terminal.open_streams()
    try:
        status = group.main(arguments, prog_name="tinynet", standalone_mode=False)
    except click.ClickException as error:
        _show_usage(error)
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        status = 130
    except (TinynetError, OSError, MemoryError) as error:
        status = fail(error)
    finally:
        terminal.settle_streams()
    sys.exit(status if isinstance(status, int) else 0)


def _show_usage(error: click.ClickException) -> None:
    """Print click's message about wrong usage, made safe for a terminal since it quotes what the user typed."""
    shown = io.StringIO()
    error.show(shown)
    terminal.note(shown.getvalue().rstrip("\n"), keep="\n")
