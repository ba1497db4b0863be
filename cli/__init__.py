"""The command line: one file a verb, each thin over the Python API and imported only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import Any

import click

from tinynet.version import __version__

STARTED = time.perf_counter()
"""When this process began to be tinynet."""

VERBS = {
    "classify": "Name what is in pictures.",
    "generate": "Write text, character by character.",
    "train": "Train a network on digits, fashion, text or a folder of pictures.",
    "evaluate": "Measure a model on data it has not seen.",
    "info": "Show what a model file holds.",
    "models": "List the models that come with tinynet.",
    "warmup": "Compile the kernels now, so that nothing waits for them later.",
    "doctor": "Show versions, device, threads and cache, and what would be used and why.",
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


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tinynet")
def group() -> None:
    """Train and run small neural networks.

    Data goes to stdout, notes and progress to stderr. Exit status: 0 done, 1 could not, 2 wrong usage, 130 after
    Ctrl-C.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit: every failure is one sentence on stderr."""
    from tinynet.errors import TinynetError

    try:
        status = group.main(arguments, prog_name="tinynet", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        status = 130
    except BrokenPipeError:
        # The reader has what it wanted; Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except TinynetError as error:
        status = fail(str(error))
    except MemoryError:
        status = fail("there is not enough memory for this; try a smaller --batch-size or smaller data")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        status = fail(f"{where}{error.strerror or error}")
    sys.exit(status if isinstance(status, int) else 0)


def fail(message: str) -> int:
    """Print an error to stderr; returns the exit status of a failure."""
    click.echo(f"tinynet: {message}", err=True)
    return 1
