"""tinynet models: the models that come with tinynet."""

from __future__ import annotations

import click

from tinynet.cli.options import device_options, json_option, print_table
from tinynet.cli.process import fail
from tinynet.terminal import print_json


@click.command("models")
@json_option
@device_options
def command(as_json: bool) -> int:
    """List the models that come with tinynet. Give a name to --model."""
    from tinynet.errors import TinynetError
    from tinynet.sequential import load
    from tinynet.storage import shipped_file, shipped_models

    status = 0
    rows = [("name", "parameters", "size", "what it does")]
    for name in shipped_models():
        try:
            model, size = load(name), len(shipped_file(name))
        except TinynetError as error:
            status = fail(error)
            continue
        about = str(model.metadata.get("about", ""))
        if as_json:
            print_json({"name": name, "parameters": model.parameter_count(), "bytes": size, "about": about})
        rows.append((name, f"{model.parameter_count():,}", f"{size / 1e6:.2f} MB", about))
    if not as_json:
        print_table(rows, left=(0, 3))
    return status
