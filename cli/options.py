"""Options that several verbs share."""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli import completion
from tinynet.cli.process import sentence
from tinynet.data.names import ALIASES, DATASETS
from tinynet.errors import UsageError, did_you_mean
from tinynet.recipes import TASKS
from tinynet.terminal import echo, note, table

if TYPE_CHECKING:
    from tinynet.sequential import Ensemble, Sequential


SECONDS = {"h": 3600, "m": 60, "s": 1}


class Count(click.IntRange):
    """An integer within a range."""

    name = "integer"


class Number(click.FloatRange):
    """A finite number within a range."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; a usage error for anything else."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Duration(click.ParamType):
    """A time: `90` seconds, `10m`, `1h`, `1h30m`."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a usage error for anything but a time above 0."""
        parts = re.findall(r"([\d.]+(?:e[-+]?\d+)?)\s*([hms]?)\s*", value.strip().lower())
        with suppress(ValueError):
            seconds = sum(float(number) * SECONDS[unit or "s"] for number, unit in parts)
            whole = "".join(number + unit for number, unit in parts) == re.sub(r"\s", "", value.lower())
            if whole and 0 < seconds < float("inf"):
                return seconds
        self.fail(f"{value!r} is not a time above 0, such as 90 (seconds), 10m or 1h", param, ctx)


class Choice(click.Choice):
    """One of several words; the error suggests similar ones."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The word as it is spelt here; a usage error for anything else."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            close = did_you_mean(str(value), self.choices)
            advice = f"{error.message.rstrip('.')}; {close}" if close else error.message
            raise click.BadParameter(advice, ctx, param) from None


def device_options(function: Callable) -> Callable:
    """Add --device and --threads, set before the verb runs; a UsageError from the verb counts as wrong usage."""

    @click.option(
        "--device",
        type=Choice(["auto", "reference", "cpu", "cuda"]),
        default="auto",
        help="Back end: NumPy (reference), Numba (cpu), an NVIDIA GPU (cuda), or what is done soonest (auto).",
    )
    @click.option("--threads", type=Count(1), help="Threads to use.  [default: one per core]")
    @functools.wraps(function)
    def wrapper(*arguments: Any, device: str, threads: int | None, **options: Any) -> Any:
        from tinynet.kernels.device import set_compile_listener, set_device, set_threads

        compiled: list[str] = []
        set_compile_listener(functools.partial(_announce_compilation, compiled))
        if device != "auto":
            set_device(device)
        if threads is not None:
            set_threads(threads)
        try:
            status = function(*arguments, **options)
        except UsageError as error:
            raise click.UsageError(sentence(error)) from None
        if compiled:
            note(f"compiled {len(compiled)} kernel{'s' * (len(compiled) > 1)}")
        return status

    return wrapper


def _announce_compilation(compiled: list[str], kernel: str) -> None:
    """Say why there is a wait before the first kernel compiles, and list each one: their number is known only at the end."""
    from tinynet.kernels.device import compiled_folder

    if not compiled:
        kept = (
            "they are kept for next time"
            if compiled_folder()
            else "tinynet doctor says why they cannot be kept"
        )
        note(f"compiling kernels for this machine; {kept} …")
    compiled.append(kernel)


def _data_set(context: click.Context, parameter: click.Parameter, data: str) -> str:
    """The data set's name for an alias. Names of data sets take precedence over files and folders."""
    name = ALIASES.get(data, data)
    if name in DATASETS and os.path.exists(data):
        kind = "folder" if os.path.isdir(data) else "file"
        here = os.path.join(os.curdir, data)
        note(f"note: {data} means the data set {name}; for the {kind} of that name here, type {here}")
    return name


data_argument = click.argument("data", callback=_data_set, shell_complete=completion.data)
model_argument = click.argument("model_name", metavar="MODEL", shell_complete=completion.models)
force_option = click.option("--force", is_flag=True, help="Replace existing files.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


def table_options(function: Callable) -> Callable:
    """Add what a training must be told where the data does not say it: --task, and for tables --target, --target-type and --drop."""
    kinds = Choice(("classes", "number"), case_sensitive=False)
    options = (
        click.option("--task", type=Choice(("auto", *TASKS), case_sensitive=False), default="auto", show_default=True,
                     help="What the network is for, if DATA does not make it clear."),
        click.option("--target", metavar="COLUMN", help="The column of the table to predict."),
        click.option("--target-type", type=kinds, help="What the target column holds.  [default: judged by its values]"),
        click.option("--drop", multiple=True, metavar="COLUMN", help="Ignore this column of the table; may be repeated."),
    )  # fmt: skip
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), function)


def model_file(context: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    """A valid path for a model file."""
    from tinynet.errors import TinynetError
    from tinynet.storage import check_file_name

    try:
        if path is not None:
            check_file_name(path)
    except TinynetError as error:
        raise click.BadParameter(str(error)) from None
    return path


def check_new(path: str | os.PathLike, option: str, replace: bool) -> None:
    """Raise TinynetError if a result could not be written later, or would replace a file without --force."""
    from tinynet.errors import TinynetError
    from tinynet.files import check_writable

    if os.path.exists(path) and not replace:
        raise TinynetError(f"{path} exists already: --force replaces it, {option} writes elsewhere")
    check_writable(path)


def load_model(name: str) -> Sequential:
    """A shipped model or a model file; messages call it by the name that the user typed."""
    from tinynet.sequential import load

    model = load(name)
    model.name = name
    return model


def load_models(names: Iterable[str]) -> Ensemble:
    """An ensemble of one or more models."""
    from tinynet.sequential import Ensemble

    return Ensemble([load_model(name) for name in names])


def print_table(rows: list[tuple[str, ...]], left: tuple[int, ...] = (0,)) -> None:
    """Print rows as `terminal.table` aligns them."""
    for line in table(rows, left):
        echo(line)
