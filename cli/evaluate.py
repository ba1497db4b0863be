"""tinynet evaluate: measure a model on data that it has not seen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli.options import (
    check_new,
    data_argument,
    device_options,
    force_option,
    json_option,
    load_models,
    model_argument,
)
from tinynet.terminal import echo, note, print_json

if TYPE_CHECKING:
    from tinynet.tasks import Task


def _picture_file(context: click.Context, option: click.Parameter, path: str | None) -> str | None:
    """A path that ends in .png."""
    if path is not None and not path.lower().endswith(".png"):
        raise click.BadParameter(f"{path}: the name of this picture must end in .png")
    return path


@click.command("evaluate")
@model_argument
@data_argument
@click.option("--save-errors", type=click.Path(dir_okay=False), metavar="FILE.png", callback=_picture_file,
              help="Save the misread pictures, worst first, as tiles of one picture.")  # fmt: skip
@force_option
@json_option
@device_options
def command(model_name: str, data: str, save_errors: str | None, force: bool, as_json: bool) -> int:
    """Measure MODEL, or several as an ensemble (a,b,c), on DATA: digits, fashion, spoken-digits, moving-digits or scenes (their test
    sets), sentence-polarity (a tenth that is never trained on), temperature, a folder with a folder of pictures, .wav files or clips
    per class, a folder of pictures with a captions.tsv, a .csv or .tsv table like the one that MODEL was trained on (rows, labelled
    texts, or a series), a .txt file, or shakespeare. For shakespeare, and any text that MODEL was trained on, this is the last tenth,
    which was not trained on.

    For text it prints the loss in nats and bits per character, and perplexity; for classes loss and accuracy, a table per class
    (precision: how often this answer is right; recall: how often this class is recognised), and the confusion matrix; for a number
    the mean error.
    For captions it prints how many sentences are right word for word, and how many words stand in the right place.
    For a series it forecasts from each time of the last fifth, and prints the error in units of the seasonal naive one (MASE) beside
    those of the naive forecasts, and how many values the 90 % intervals hold.
    A sample in which MODEL finds nothing counts as wrong. One that cannot be read is named and left out, and the exit
    status is 1.
    """
    from tinynet.recipes import check_exists
    from tinynet.tasks.pictures import Pictures

    task = _task(model_name, data)
    if save_errors:
        if not isinstance(task, Pictures):
            raise click.UsageError(
                f"--save-errors is for pictures, but {model_name} does not read pictures; leave it out"
            )
        check_new(save_errors, "--save-errors", force)
    check_exists(data)
    given = task.read(data)
    for line in given.remarks:
        note(line)
    found = task.evaluate(given)
    if as_json:
        print_json(found.as_json())
    else:
        for line in task.show(found):
            echo(line)
    if save_errors and isinstance(task, Pictures):
        shown = task.save_misread(save_errors, given, found)
        of_all = (
            f"{shown} of {len(found.wrong)} misread pictures" if shown else "empty, no picture was misread"
        )
        note(f"{save_errors}: {of_all}")
    return 1 if given.unreadable else 0


def _task(model_name: str, data: str) -> Task[Any, Any]:
    """The task of the models (several form an ensemble); raises TinynetError if DATA is for another task."""
    from tinynet.recipes import find
    from tinynet.recipes.base import Choices
    from tinynet.tasks import of
    from tinynet.tasks.base import check_task

    names = [model_name] if os.path.exists(model_name) else model_name.split(",")
    models = load_models(names).models
    task = of(*models)
    if find(data, Choices(task=task.name)) is None and (other := find(data, Choices())):
        for model in models:
            check_task(model, other.task)
    return task
