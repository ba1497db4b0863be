"""tinynet classify: name what is in pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from tinynet.cli import completion, fail, sentence
from tinynet.cli.options import device_options, json_option, load_model, percent

from tinynet.terminal import echo, note, print_json

if TYPE_CHECKING:
    import numpy as np

    from tinynet.data.pictures.prepare import Prepared
    from tinynet.errors import TinynetError
    from tinynet.sequential import Sequential


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

    models = [load_model(name) for name in names]
    _check_models(models, every)
    status = 0
    for file, error in _expanded(files, recursive):
        try:
            if error is not None:
                raise error
            answers = _classify(file, models, every, show)
        except (TinynetError, OSError) as error:
            status = fail(error)
            if as_json:
                print_json({"file": file, "label": None, "error": sentence(error)})
            continue
        if as_json:
            print_json(_as_json(file, answers, top, every))
        else:
            _print(file, answers, top, models[0])
    return status


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


def _check_models(models: list[Sequential], every: bool) -> None:
    from tinynet.data.pictures.prepare import DIGIT
    from tinynet.recipes import check_reads_pictures

    for model in models:
        check_reads_pictures(model)
        if every and model.metadata["input"] != DIGIT:
            raise click.UsageError(
                f"--all reads the digits of a picture, but {model.name} names one thing per picture; leave it out"
            )
        if model.labels != models[0].labels:
            raise click.UsageError(
                f"the models {models[0].name} and {model.name} know different classes and cannot vote together"
            )


class Answer(NamedTuple):
    """The classes of one thing in a picture, the most probable first; none where there is nothing to read.

    Of digits: how many there are in the picture, and this one's box.
    """

    ranking: list[tuple[str, float]]
    count: int | None
    box: tuple[int, int, int, int] | None


def _classify(file: str, models: list[Sequential], every: bool, show: bool) -> list[Answer]:
    """What is in a picture, from the mean of the models' probabilities: one thing, or every digit in reading order."""
    from tinynet.data.pictures.prepare import prepare_digits, prepare_noted
    from tinynet.data.pictures.read import read_image

    picture = read_image(file)
    views = []  # of each model, what it is to read
    for model in models:
        if every:
            views.append(prepare_digits(picture, model.input_shape))
        else:
            views.append([prepare_noted(picture, model.metadata["input"], model.input_shape)])
    if views[0] and (said := views[0][0].note):
        note(f"{file}: {said}; --all reads each of them")
    return [_answer(models, thing, show) for thing in zip(*views, strict=True)]


def _answer(models: list[Sequential], views: tuple[Prepared, ...], show: bool) -> Answer:
    votes: list[np.ndarray] = []
    for model, view in zip(models, views, strict=True):
        if view.pixels is None:
            return Answer([], view.count, None)
        if show:
            _show(view.pixels)
        votes.append(model.predict(view.pixels[None])[0])
    return Answer(models[0].rank(sum(votes) / len(votes)), views[0].count, views[0].box)


def _show(pixels: np.ndarray) -> None:
    """What the network sees, in shades of the terminal's colour."""
    from tinynet.data.pictures.pixels import to_grey
    from tinynet.drawing import shades

    note(shades(to_grey(pixels)), keep="\n")


def _as_json(file: str, answers: list[Answer], top: int, every: bool) -> dict[str, Any]:
    """The object of a picture; of several digits the largest is its answer."""
    main = max(answers, key=lambda answer: _area(answer.box), default=Answer([], 0, None))
    ranking = [_labelled(choice) for choice in main.ranking[:top]]
    best = ranking[0] if ranking else {"label": None, "probability": None}
    found: dict[str, Any] = {"file": file, **best, "top": ranking}
    if main.count is not None:
        found["count"] = main.count
    if every:
        found["digits"] = [{**_labelled(answer.ranking[0]), "box": answer.box} for answer in answers]
    return found


def _labelled(choice: tuple[str, float]) -> dict[str, Any]:
    return {"label": choice[0], "probability": round(choice[1], 6)}


def _area(box: tuple[int, int, int, int] | None) -> int:
    return (box[2] - box[0]) * (box[3] - box[1]) if box else 0


def _print(file: str, answers: list[Answer], top: int, model: Sequential) -> None:
    """One line: the likeliest classes of one thing, the likeliest of each of several."""
    shown = [choice for answer in answers for choice in answer.ranking[: top if len(answers) == 1 else 1]]
    if shown:
        echo(f"{file}: " + ", ".join(f"{label} ({percent(p)})" for label, p in shown))
    else:
        echo(f"{file}: no {'digit' if model.metadata['input'].get('kind') == 'digit' else 'object'} found")
