"""tinynet caption: describe pictures in a sentence each."""

from __future__ import annotations

import click

from tinynet.cli import completion
from tinynet.cli.options import Count, device_options, json_option, load_model
from tinynet.cli.process import fail, sentence
from tinynet.data.captions import BEAMS
from tinynet.terminal import echo, note, print_json


@click.command("caption")
@click.argument("files", nargs=-1, required=True, metavar="IMAGE...", shell_complete=completion.files)
@click.option("--model", "name", default="scenes", show_default=True, shell_complete=completion.models,
              help="A shipped model or a .npz file.")  # fmt: skip
@click.option("--beams", type=Count(1, 100), default=BEAMS, show_default=True,
              help="Sentences to follow at once; 1 always takes the most probable word.")  # fmt: skip
@json_option
@device_options
def command(files: tuple[str, ...], name: str, beams: int, as_json: bool) -> int:
    """Describe each IMAGE in a sentence; - reads one from stdin.

    Prints one line per picture: the sentence, and how probable the model takes it to be. A picture of one plain colour gets an answer
    too.
    """
    from tinynet.errors import TinynetError
    from tinynet.tasks import expect
    from tinynet.tasks.caption import Captions

    task = expect(Captions, load_model(name))
    status = 0
    for file in files:
        try:
            found = task.answer(file, beams)
        except (TinynetError, OSError) as error:
            status = fail(error)
            if as_json:
                print_json({"file": file, "caption": None, "error": sentence(error)})
            continue
        if found.note:
            note(f"{file}: {found.note}")
        if as_json:
            print_json({"file": file, **task.as_json(found)})
        else:
            for line in task.show(found):
                echo(f"{file}: {line}")
    return status
