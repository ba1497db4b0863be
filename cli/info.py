"""tinynet info: what a model file holds."""

from __future__ import annotations

import click
from tinynet.cli.options import device_options, json_option, print_json

SHOWN = 80
"""Entries of a vocabulary that are shown."""


@click.command("info")
@click.argument("model_name", metavar="MODEL")
@json_option
@device_options
def command(model_name: str, as_json: bool) -> None:
    """Show the layers, input, labels or vocabulary, and training record of MODEL, a shipped name or a .npz file."""
    from tinynet.storage import config, find, load

    model = load(model_name)
    if as_json:
        counts = {"parameters": model.parameter_count(), "operations": model.flops()}
        print_json({"file": str(find(model_name)), **config(model), **counts})
        return
    click.echo(f"{find(model_name)}\n")
    model.summary(click.echo)
    if model.labels:
        click.echo(f"\nlabels: {', '.join(model.labels)}")
    if model.vocabulary:
        click.echo(f"\nvocabulary: {_show_vocabulary(model.vocabulary)}")
    for title, entries in model.metadata.items():
        values = entries.items() if isinstance(entries, dict) else [("", entries)]
        shown = ", ".join(f"{key} {value}".strip() for key, value in values)
        click.echo(f"{title}: {shown}")


def _show_vocabulary(vocabulary: str | list[str]) -> str:
    """How many characters or words, and the first of them."""
    kind = "characters" if all(len(entry) == 1 for entry in vocabulary) else "words"
    separator = "" if kind == "characters" else " "
    first = repr(separator.join(vocabulary[:SHOWN]))[1:-1]
    return f"{len(vocabulary):,} {kind}, {first}{' …' if len(vocabulary) > SHOWN else ''}"
