"""tinynet info: what a model file holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from tinynet.cli.options import device_options, json_option, model_argument, print_table
from tinynet.terminal import echo, print_json

SHOWN = 80
"""The number of vocabulary entries shown."""

LONGEST = 60
"""Characters of a list that are shown."""


@click.command("info")
@model_argument
@json_option
@device_options
def command(model_name: str, as_json: bool) -> None:
    """Show the layers, input, labels or vocabulary, and training record of MODEL, a shipped name or a .npz file."""
    from tinynet.sequential import load, to_config
    from tinynet.storage import find

    model = load(model_name)
    if as_json:
        counts = {"parameters": model.parameter_count(), "operations": model.flops()}
        print_json({"file": str(find(model_name)), **to_config(model), **counts})
        return
    echo(str(find(model_name)))
    echo()
    model.summary(echo)
    if model.labels:
        echo()
        echo(f"labels: {', '.join(model.labels)}")
    if model.vocabulary:
        echo()
        echo(f"vocabulary: {_show_vocabulary(model.vocabulary)}")
    _print_metadata(model.metadata)


def _print_metadata(metadata: dict[str, Any]) -> None:
    """One line per entry; the training record is printed as a table."""
    for title, value in metadata.items():
        if title != "training" or not isinstance(value, dict):
            echo(f"{title}: {_shown(value)}")
    record = metadata.get("training")
    if isinstance(record, dict) and record:
        echo()
        echo("training:")
        print_table([(f"  {key}", _shown(entry)) for key, entry in record.items()], left=(0, 1))


def _shown(value: Any) -> str:
    """A value in a line; of a table of numbers only its begin."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(entry)}" for key, entry in value.items())
    if isinstance(value, list) and all(isinstance(each, dict) and "name" in each for each in value):
        value = [each["name"] for each in value]
    text = str(value)
    return text if len(text) <= LONGEST or not isinstance(value, list) else f"{text[:LONGEST]} …"


def _show_vocabulary(vocabulary: Sequence[str]) -> str:
    """The number of characters or words, and the first few."""
    kind = "characters" if all(len(entry) == 1 for entry in vocabulary) else "words"
    separator = "" if kind == "characters" else " "
    first = separator.join(vocabulary[:SHOWN])
    return f"{len(vocabulary):,} {kind}, {first}{' …' if len(vocabulary) > SHOWN else ''}"
