"""tinynet models: the models that come with tinynet."""

from __future__ import annotations

import click
from tinynet.cli.options import device_options, json_option, print_table

from tinynet.terminal import print_json


@click.command("models")
@json_option
@device_options
def command(as_json: bool) -> None:
    """List the models that come with tinynet; their names are what --model takes."""
    from tinynet.storage import load, shipped_file, shipped_models

    rows = [("name", "parameters", "size", "what it does")]
    for name in shipped_models():
        model, size = load(name), len(shipped_file(name))
        about = model.metadata.get("about", "")
        if as_json:
            print_json({"name": name, "parameters": model.parameter_count(), "bytes": size, "about": about})
        rows.append((name, f"{model.parameter_count():,}", f"{size / 1e6:.2f} MB", about))
    if not as_json:
        print_table(rows, left=(0, 3))
