"""Options that several verbs share."""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tinynet.model import Sequential


class Number(click.FloatRange):
    """A number of a range, which neither nan nor inf is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a usage error for anything else."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number to compute with.", param, ctx)
        return number


def device_options(function: Callable) -> Callable:
    """--device and --threads, set before the verb runs."""

    @click.option(
        "--device",
        type=click.Choice(["auto", "reference", "cpu"]),
        default="auto",
        help="Back end: NumPy (reference), Numba (cpu), or whichever is done sooner (auto).",
    )
    @click.option("--threads", type=click.IntRange(1), help="Threads to use.  [default: one a core]")
    @functools.wraps(function)
    def wrapper(*arguments: Any, device: str, threads: int | None, **options: Any) -> Any:
        from tinynet import kernels

        kernels.tell_compilation(_announce_once())
        if device != "auto":
            kernels.set_device(device)
        if threads is not None:
            kernels.set_threads(threads)
        return function(*arguments, **options)

    return wrapper


def _announce_once() -> Callable[[str], None]:
    """A listener that says why the first kernel takes its time."""
    told: list[str] = []

    def announce(kernel: str) -> None:
        if not told:
            note("compiling kernels, once for this machine: about ten seconds …")
        told.append(kernel)

    return announce


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")


def load_model(name: str) -> Sequential:
    """A shipped model or a file, which messages call what the user called it."""
    from tinynet.storage import load

    model = load(name)
    model.name = name
    return model


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on one line of stdout; where that takes no Unicode, characters are escaped."""
    unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    click.echo(json.dumps(value, ensure_ascii=not unicode))


def note(message: str) -> None:
    """A remark on stderr."""
    click.echo(message, err=True)


def percent(fraction: float) -> str:
    """0.9951 → 99.51 %."""
    return f"{100 * fraction:.2f} %"


def table(rows: list[tuple[str, ...]], left: tuple[int, ...] = (0,)) -> str:
    """Rows as aligned columns: those with a number in `left` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
