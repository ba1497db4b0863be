"""tinynet evaluate: measure a model on data that it has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from tinynet.cli.options import (
    data_argument,
    device_options,
    json_option,
    load_model,
    model_argument,
    percent,
    print_table,
)

from tinynet.terminal import echo, note, print_json

if TYPE_CHECKING:
    import numpy as np

    from tinynet.model import Sequential


@click.command("evaluate")
@model_argument
@data_argument
@click.option("--save-errors", type=click.Path(dir_okay=False), metavar="FILE.png",
              help="Tile the misread pictures, worst first, into one picture.")  # fmt: skip
@json_option
@device_options
def command(model_name: str, data: str, save_errors: str | None, as_json: bool) -> None:
    """Measure MODEL on DATA: digits or fashion (their test sets), a folder with a folder of pictures per class, a .txt file,
    or shakespeare. Of shakespeare, and of a text that MODEL was trained on, the last tenth is measured, which was not trained
    on.

    For text prints the loss in nats and bits per character, and perplexity. For pictures prints loss and accuracy, a table
    by class (precision: how often this answer is right; recall: how often this class is recognised), and the confusion matrix.
    """
    from tinynet.data.datasets import SOURCES
    from tinynet.recipes import is_text, test_data
    from tinynet.recipes.base import learnt_from
    from tinynet.training.metrics import by_class, confusion_matrix

    model = load_model(model_name)
    if model.vocabulary is not None or is_text(data):
        if save_errors:
            raise click.UsageError("--save-errors is for pictures, but this is text; leave it out")
        _measure_text(model, data, as_json)
        return
    x, y = test_data(data, model)
    if data not in SOURCES and learnt_from(model, data):
        note("note: it was trained on some of these pictures, so this is too optimistic")
    measured = model.evaluate(x, y)
    probabilities = model.predict(x)
    confusion = confusion_matrix(probabilities.argmax(axis=1), y, probabilities.shape[1])
    labels = model.labels or [str(index) for index in range(len(confusion))]
    if as_json:
        rows = {label: row for label, row in zip(labels, by_class(confusion), strict=True)}
        print_json({**measured, "samples": len(x), "classes": rows, "confusion": confusion.tolist()})
    else:
        _print(measured, confusion, labels, by_class(confusion))
    if save_errors:
        _save_errors(save_errors, model, x, y, probabilities, labels)


def _measure_text(model: Sequential, data: str, as_json: bool) -> None:
    from tinynet.recipes import text

    measured = text.evaluate(model, data)
    if text.held_out(model, data):
        note("measured on the last tenth of the text, which was not trained on")
    if as_json:
        print_json(measured)
    else:
        shown = f"{text.show_loss(measured['loss'])}, {percent(measured['accuracy'])} of the next characters predicted"
        echo(f"loss {shown} ({measured['characters']:,} characters)")


def _print(measured: dict, confusion: np.ndarray, labels: list[str], rows: list[dict]) -> None:
    wrong = int(confusion.sum() - confusion.trace())
    echo(
        f"accuracy {percent(measured['accuracy'])} ({wrong} of {confusion.sum()} wrong), loss {measured['loss']:.4f}"
    )
    echo()
    cells = [("class", "precision", "recall", "samples")]
    for label, row in zip(labels, rows, strict=True):
        cells.append((label, percent(row["precision"]), percent(row["recall"]), str(row["samples"])))
    print_table(cells)
    echo()
    echo("confusion matrix: rows: true class, columns: predicted class")
    echo()
    short = [label[:8] for label in labels]
    print_table([("", *short), *((name, *map(str, row)) for name, row in zip(short, confusion, strict=True))])


def _save_errors(
    path: str, model: Sequential, x: np.ndarray, y: np.ndarray, p: np.ndarray, labels: list[str]
) -> None:
    from tinynet.data.tiles import save_tiles
    from tinynet.training.metrics import misread

    wrong = misread(p, y)
    captions = [f"{labels[y[i]]} read {labels[p[i].argmax()]}" for i in wrong]
    shown = save_tiles(path, model.check_input(x[wrong]), captions)
    note(f"{path}: {shown} of {len(wrong)} misread pictures")
