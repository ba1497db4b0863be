"""tinynet predict: predict a column of a table, row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

import click

from tinynet.cli import completion
from tinynet.cli.options import device_options, json_option, load_models
from tinynet.terminal import echo, note, print_json


@click.command("predict")
@click.argument("table", metavar="TABLE.csv", shell_complete=completion.files)
@click.option("--model", "names", required=True, multiple=True, metavar="FILE.npz", shell_complete=completion.models,
              help="A model that was trained on a table with these columns, or on texts; repeat it to average several.")  # fmt: skip
@json_option
@device_options
def command(table: str, names: tuple[str, ...], as_json: bool) -> int:
    """Predict the column that the model was trained for, for each row of TABLE.csv; - reads the table from stdin. A model of texts
    names the class of those in the column text.

    Prints the table with an added column, prediction; for classes, also probability.
    """
    from tinynet.data.tables.read import read_table
    from tinynet.tasks import expect
    from tinynet.tasks.base import TEXT, name_of
    from tinynet.tasks.rows import COLUMN, Rows
    from tinynet.tasks.text import Texts

    models = load_models(names).models
    task = expect(Texts if name_of(models[0]) == TEXT else Rows, *models)
    given = read_table(table)
    predictions = task.predict(given)
    for line in task.notes(given):
        note(f"note: {line}")
    of_classes = bool(task.model.labels)
    if as_json:
        for i, each in enumerate(predictions):
            p = each.probability
            more = {"probability": None if p is None else round(p, 6)} if of_classes else {}
            print_json({"row": i + 1, COLUMN: each.value or None, **more})
        return 0
    added = [COLUMN, *["probability"] * of_classes]
    _print_row([*given.columns, *_free(added, given.columns)], given.delimiter)
    for row, each in zip(given.rows, predictions, strict=True):
        p = "" if each.probability is None else f"{each.probability:.4f}".replace(".", given.decimal)
        _print_row([*row, each.value, *[p] * of_classes], given.delimiter)
    return 0


def _free(names: list[str], taken: list[str]) -> Iterable[str]:
    """Names for the added columns, numbered if the table already has a column of that name."""
    for name in names:
        yield next(
            each for each in (name, *(f"{name}_{i}" for i in range(2, len(taken) + 3))) if each not in taken
        )


def _print_row(fields: list[str], delimiter: str) -> None:
    """Print fields as a line of the table, quoted where necessary."""
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(fields)
    echo(line.getvalue(), keep="\t\n")
