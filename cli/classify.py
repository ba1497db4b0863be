"""tinynet classify: name what is in pictures, texts, sounds and clips."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli import completion
from tinynet.cli.options import Count, device_options, json_option, load_models
from tinynet.cli.process import fail, sentence
from tinynet.terminal import echo, note, print_json

if TYPE_CHECKING:
    from tinynet.errors import TinynetError
    from tinynet.tasks.classes import NamesClasses


@click.command("classify")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=completion.files)
@click.option("--model", "names", multiple=True, default=["digits"], show_default=True,
              shell_complete=completion.models,
              help="A shipped model or a .npz file; repeat it to average several models.")  # fmt: skip
@click.option("--top", type=Count(1), default=1, show_default=True, help="How many answers to print.")
@click.option(
    "--recursive",
    is_flag=True,
    help="If FILE is a folder, classify all pictures in it and in its subfolders.",
)
@click.option("--all", "every", is_flag=True, help="Read every digit of a picture, in reading order.")
@click.option("--show", is_flag=True, help="Print the picture that the network sees, to stderr.")
@click.option("--lines", is_flag=True, help="Classify each line of a text separately.")
@click.option("--stream", is_flag=True, help="Read raw 16-bit mono sound as it arrives, and answer at once.")
@click.option("--rate", type=Count(1), help="Samples per second of this stream.")
@json_option
@device_options
def command(
    files: tuple[str, ...],
    names: tuple[str, ...],
    top: int,
    recursive: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Name the class of each FILE: a picture, or a text, sound or clip (a GIF or a folder of frames) if the model reads those; -
    reads one from stdin.

    Prints one line per answer. An empty picture gets an answer too.
    """
    from tinynet.tasks.classes import naming

    task: NamesClasses = naming(*load_models(names).models)
    options = task.check_options(options)
    show = options.pop("show", False)
    status = 0
    for file, error in _expanded(files, recursive, task):
        for answers in _answers(task, file, error, options):
            if isinstance(answers, Exception):
                status = fail(answers)
                if as_json:
                    print_json({"file": file, "label": None, "error": sentence(answers)})
                continue
            _tell(file, task, answers, show)
            if as_json:
                for found in task.as_json(answers, top, **options):
                    print_json({"file": file, **found})
            else:
                for line in task.show(answers, top):
                    echo(f"{file}: {line}")
    return status


def _answers(
    task: NamesClasses, file: str, error: TinynetError | None, options: dict[str, Any]
) -> Iterator[Sequence[Any] | Exception]:
    """The answers for a file, as they come, and at the end the error, if there was one."""
    from tinynet.errors import TinynetError

    if error is not None:
        yield error
        return
    try:
        yield from task.answers(file, **options)
    except (TinynetError, OSError) as failure:
        yield failure


def _tell(file: str, task: NamesClasses, answers: Any, show: bool) -> None:
    """Print the notes on the answers, and what the networks saw."""
    for answer in answers:
        if answer.note:
            note(f"{file}: {answer.note}{'; --all reads each of them' * task.is_one_of_several(answer)}")
        if show:
            for view in task.views(answer):
                note(view, keep="\n")


def _expanded(
    files: tuple[str, ...], recursive: bool, task: NamesClasses
) -> Iterator[tuple[str, TinynetError | None]]:
    """Each file, and for a folder each sample in it or the reason why it has none."""
    from tinynet.errors import DataError

    for file in files:
        if not os.path.isdir(file) or task.is_sample(Path(file)):
            yield file, None
        elif not recursive:
            yield file, DataError(f"{file} is a folder; --recursive classifies the {task.sample}s in it")
        else:
            from tinynet.data.folders import find_all_samples

            try:
                samples, others = find_all_samples(Path(file), task.is_sample)
                if not samples:
                    raise DataError(f"{file} has no {task.sample}s in it; give a folder that has")
            except DataError as error:
                yield file, error
                continue
            if others:
                note(
                    f"note: skipped {others} file{'s' * (others > 1)} in {file}: hidden, or not a {task.sample}"
                )
            yield from ((str(sample), None) for sample in sorted(samples))
