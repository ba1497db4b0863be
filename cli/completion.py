"""Shell completion: names of shipped models and data sets, files of the right kind. Imports nothing slow."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

from tinynet.data.names import DATASETS
from tinynet.terminal import printable


def models(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Shipped models and model files."""
    from importlib import resources

    files = (file.name for file in resources.files("tinynet.weights").iterdir())
    shipped = sorted(file.removesuffix(".npz") for file in files if file.endswith(".npz"))
    return _offer(begun, shipped, (".npz",))


def data(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Data sets by name, texts, tables and folders."""
    return _offer(begun, DATASETS, (".txt", ".csv", ".tsv", os.sep))


def files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Any file; the shell completes it."""
    return [CompletionItem(begun, type="file")]


def _offer(begun: str, names: Iterable[str], endings: tuple[str, ...]) -> list[CompletionItem]:
    """Matching names, and paths with these endings (a folder ends in its separator); if there are none, the shell's own."""
    folder = os.path.dirname(begun)
    found = [*names]
    with suppress(OSError):
        for entry in sorted(os.listdir(folder or os.curdir)):
            path = os.path.join(folder, entry)
            path += os.sep * os.path.isdir(path)
            if not entry.startswith(".") and path.endswith(endings) and path == printable(path):
                found.append(path)
    fitting = [CompletionItem(each) for each in found if each.startswith(begun)]
    return fitting or [CompletionItem(begun, type="file")]
