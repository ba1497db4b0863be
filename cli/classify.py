"""tinynet classify: name what is in pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from tinynet.cli import completion
from tinynet.cli.options import device_options, json_option, load_models
from tinynet.cli.process import fail, sentence

from tinynet.terminal import echo, note, print_json

if TYPE_CHECKING:
    from tinynet.errors import TinynetError
    from tinynet.tasks.pictures import Answer


@click.command("classify")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=completion.files)
@click.option("--model", "names", multiple=True, default=["digits"], show_default=True,
              shell_complete=completion.models,
              help="A shipped model or a .npz file; several vote as an ensemble.")  # fmt: skip
@click.option(
    "--top", type=click.IntRange(1), default=1, show_default=True, help="How many answers to print."
)
@click.option(
    "--recursive", is_flag=True, help="Where FILE is a folder: all pictures in it and in its folders."
)
@click.option("--all", "every", is_flag=True, help="Read every digit of a picture, in reading order.")
@click.option("--show", is_flag=True, help="Print the picture that the network sees, to stderr.")
@json_option
@device_options
def command(
    files: tuple[str, ...],
    names: tuple[str, ...],
    top: int,
    recursive: bool,
    every: bool,
    show: bool,
    as_json: bool,
) -> int:
    """Name what is in each picture FILE; - reads one from stdin.

    Prints one line per file. A picture with nothing in it is an answer too.
    """
    from tinynet.errors import TinynetError
    from tinynet.tasks import expect
    from tinynet.tasks.pictures import Pictures, answers_as_json

    task = expect(Pictures, *load_models(names).models)
    if every:
        task.check_digits()
    status = 0
    for file, error in _expanded(files, recursive):
        try:
            if error is not None:
                raise error
            answers = task.answer(file, every)
        except (TinynetError, OSError) as error:
            status = fail(error)
            if as_json:
                print_json({"file": file, "label": None, "error": sentence(error)})
            continue
        _tell(file, answers, show)
        if as_json:
            print_json({"file": file, **answers_as_json(answers, top, every)})
        else:
            for line in task.show(answers, top):
                echo(f"{file}: {line}")
    return status


def _tell(file: str, answers: list[Answer], show: bool) -> None:
    """Say what the user should know of the answers, and show what the networks saw, in shades of the terminal's colour."""
    for answer in answers:
        if answer.note:
            note(f"{file}: {answer.note}; --all reads each of them")
        if show:
            from tinynet.data.pictures.pixels import to_grey
            from tinynet.drawing import shades

            for pixels in answer.views:
                note(shades(to_grey(pixels)), keep="\n")


def _expanded(files: tuple[str, ...], recursive: bool) -> Iterator[tuple[str, TinynetError | None]]:
    """Each picture, and for a folder the pictures in it, or why there are none."""
    from tinynet.errors import DataError

    for file in files:
        if not os.path.isdir(file):
            yield file, None
        elif not recursive:
            yield file, DataError(f"{file} is a folder; --recursive classifies the pictures in it")
        else:
            from tinynet.data.folders import find_all_samples
            from tinynet.data.pictures.formats import is_picture

            try:
                pictures, others = find_all_samples(Path(file), is_picture)
                if not pictures:
                    raise DataError(
                        f"{file} holds no pictures; give a folder with PNG, JPEG or other picture files"
                    )
            except DataError as error:
                yield file, error
                continue
            if others:
                note(f"note: skipped {others} file{'s' * (others > 1)} in {file}: hidden, or not a picture")
            yield from ((str(picture), None) for picture in sorted(pictures))
