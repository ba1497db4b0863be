"""tinynet classify: name what is in pictures."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from tinynet.cli import completion, fail
from tinynet.cli.options import device_options, json_option, load_model, percent

from tinynet.terminal import echo, note, print_json

if TYPE_CHECKING:
    import numpy as np

    from tinynet.model import Sequential


@click.command("classify")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=completion.files)
@click.option("--model", "names", multiple=True, default=["digits"], show_default=True,
              shell_complete=completion.models,
              help="A shipped model or a .npz file; several vote as an ensemble.")  # fmt: skip
@click.option(
    "--top", type=click.IntRange(1), default=1, show_default=True, help="How many answers to print."
)
@click.option("--show", is_flag=True, help="Print the picture that the network sees, to stderr.")
@json_option
@device_options
def command(files: tuple[str, ...], names: tuple[str, ...], top: int, show: bool, as_json: bool) -> int:
    """Name what is in each picture FILE; - reads one from stdin.

    Prints one line per file. A picture with nothing in it is an answer too.
    """
    from tinynet.errors import TinynetError

    models = [load_model(name) for name in names]
    _check_models(models)
    status = 0
    for file in files:
        try:
            ranking = _classify(file, models, show)
        except (TinynetError, OSError) as error:
            status = fail(error)
            continue
        _print(file, ranking[:top], as_json, models[0])
    return status


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

    picture = images.read_image(sys.stdin.buffer if file == "-" else file)
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
