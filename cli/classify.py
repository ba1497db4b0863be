"""tinynet classify: name what is in pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tinynet.cli import completion, fail, sentence
from tinynet.cli.options import device_options, json_option, load_model, percent

from tinynet.terminal import echo, note, print_json

if TYPE_CHECKING:
    import numpy as np

    from tinynet.errors import TinynetError
    from tinynet.model import Sequential


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
@click.option("--show", is_flag=True, help="Print the picture that the network sees, to stderr.")
@json_option
@device_options
def command(
    files: tuple[str, ...], names: tuple[str, ...], top: int, recursive: bool, show: bool, as_json: bool
) -> int:
    """Name what is in each picture FILE; - reads one from stdin.

    Prints one line per file. A picture with nothing in it is an answer too.
    """
    from tinynet.errors import TinynetError

    models = [load_model(name) for name in names]
    _check_models(models)
    status = 0
    for file, error in _expanded(files, recursive):
        try:
            if error is not None:
                raise error
            ranking = _classify(file, models, show)
        except (TinynetError, OSError) as error:
            status = fail(error)
            if as_json:
                print_json({"file": file, "label": None, "error": sentence(error)})
            continue
        _print(file, ranking[:top], as_json, models[0])
    return status


def _expanded(files: tuple[str, ...], recursive: bool) -> Iterator[tuple[str, TinynetError | None]]:
    """Each picture, and for a folder the pictures in it, or why there are none."""
    from tinynet.data.folders import find_all_pictures
    from tinynet.errors import DataError

    for file in files:
        if not os.path.isdir(file):
            yield file, None
        elif not recursive:
            yield file, DataError(f"{file} is a folder; --recursive classifies the pictures in it")
        else:
            try:
                pictures, others = find_all_pictures(Path(file))
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


def _check_models(models: list[Sequential]) -> None:
    from tinynet.recipes import check_reads_pictures

    for model in models:
        check_reads_pictures(model)
        if model.labels != models[0].labels:
            raise click.UsageError(
                f"the models {models[0].name} and {model.name} know different classes and cannot vote together"
            )


def _classify(file: str, models: list[Sequential], show: bool) -> list[tuple[str, float]]:
    """The classes in order, from the mean of the models' probabilities; an empty list where nothing is found."""
    from tinynet.data import images

    picture = images.read_image(file)
    votes: list[np.ndarray] = []
    for model in models:
        prepared = images.prepare_noted(picture, model.metadata["input"], model.input_shape)
        if prepared.note and not votes:
            note(f"{file}: {prepared.note}")
        if prepared.pixels is None:
            return []
        if show:
            note(images.show(prepared.pixels), keep="\n")
        votes.append(model.predict(prepared.pixels[None])[0])
    return models[0].rank(sum(votes) / len(votes))


def _print(file: str, ranking: list[tuple[str, float]], as_json: bool, model: Sequential) -> None:
    if as_json:
        answers = [{"label": label, "probability": round(p, 6)} for label, p in ranking]
        best: dict[str, Any] = answers[0] if answers else {"label": None, "probability": None}
        print_json({"file": file, **best, "top": answers})
    elif ranking:
        echo(f"{file}: " + ", ".join(f"{label} ({percent(p)})" for label, p in ranking))
    else:
        echo(f"{file}: no {'digit' if model.metadata['input'].get('kind') == 'digit' else 'object'} found")
