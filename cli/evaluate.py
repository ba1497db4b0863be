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

    from tinynet.recipes import TestData
    from tinynet.sequential import Sequential


@click.command("evaluate")
@model_argument
@data_argument
@click.option("--save-errors", type=click.Path(dir_okay=False), metavar="FILE.png",
              help="Tile the misread pictures, worst first, into one picture.")  # fmt: skip
@json_option
@device_options
def command(model_name: str, data: str, save_errors: str | None, as_json: bool) -> int:
    """Measure MODEL on DATA: digits or fashion (their test sets), a folder with a folder of pictures per class, a .txt file,
    or shakespeare. Of shakespeare, and of a text that MODEL was trained on, the last tenth is measured, which was not trained
    on.

    For text prints the loss in nats and bits per character, and perplexity. For pictures prints loss and accuracy, a table
    by class (precision: how often this answer is right; recall: how often this class is recognised), and the confusion matrix.
    A picture in which MODEL finds nothing is a wrong answer; one that cannot be read is left out and named, and the exit
    status is 1.
    """
    from tinynet.data.datasets import SOURCES
    from tinynet.files import check_writable
    from tinynet.recipes import is_text, test_data
    from tinynet.recipes.base import learnt_from
    from tinynet.training.metrics import by_class

    model = load_model(model_name)
    if model.vocabulary is not None or is_text(data):
        if save_errors:
            raise click.UsageError("--save-errors is for pictures, but this is text; leave it out")
        _measure_text(model, data, as_json)
        return 0
    if save_errors:
        check_writable(save_errors)
    given = test_data(data, model)
    _tell(given, data, learnt_from(model, data) and data not in SOURCES)
    measured, confusion, wrong = _measure(model, given)
    labels = model.labels or [str(index) for index in range(len(confusion))]
    rows = by_class(confusion)
    if as_json:
        found = {
            "samples": int(confusion.sum()),
            "nothing_found": len(given.blank),
            "unreadable": len(given.unreadable),
        }
        classes, matrix = dict(zip(labels, rows, strict=True)), confusion[:, : len(labels)].tolist()
        print_json({**measured, **found, "classes": classes, "confusion": matrix})
    else:
        _print(measured, confusion, labels, rows)
    if save_errors:
        _save_errors(save_errors, model, given, wrong, labels)
    return 1 if given.unreadable else 0


def _tell(given: TestData, data: str, too_optimistic: bool) -> None:
    """What the user should know before the figures."""
    for text in given.notes:
        note(f"note: {text}")
    if given.unreadable:
        count = len(given.x) + len(given.blank) + len(given.unreadable)
        note(f"{len(given.unreadable)} of {count} pictures of {data} could not be read and do not count:")
        for text in given.unreadable:
            note(text)
    if len(given.blank):
        note(f"note: nothing was found in {len(given.blank)} pictures of {data}, which count as wrong")
    if too_optimistic:
        note("note: it was trained on some of these pictures, so this is too optimistic")


def _measure(model: Sequential, given: TestData) -> tuple[dict, np.ndarray, dict[int, int]]:
    """(loss of the answers given and accuracy of all, the confusion matrix, what each misread picture was read as).

    Where nothing was found in some pictures, the matrix (classes, classes + 1) has a column more, for them.
    """
    import numpy as np

    from tinynet.errors import TinynetError
    from tinynet.training.metrics import confusion_matrix, misread

    x, y, blank = given.x, given.y, given.blank
    if not len(x):
        raise TinynetError(f"{model.name} finds nothing in any of the {len(blank)} pictures that can be read")
    measured = model.evaluate(x, y)
    probabilities = model.predict(x)
    read = probabilities.argmax(axis=1)
    confusion = confusion_matrix(read, y, probabilities.shape[1])
    if len(blank):
        nothing = np.bincount(blank, minlength=len(confusion))
        confusion = np.column_stack([confusion, nothing])
        measured["accuracy"] = float(confusion.trace() / confusion.sum())
    return (
        measured,
        confusion,
        {int(i): (int(read[i]), float(probabilities[i, read[i]])) for i in misread(probabilities, y)},
    )


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
    columns = [*short, "nothing"][: confusion.shape[1]]
    print_table(
        [("", *columns), *((name, *map(str, row)) for name, row in zip(short, confusion, strict=True))]
    )


def _save_errors(
    path: str, model: Sequential, given: TestData, wrong: dict[int, tuple[int, float]], labels: list[str]
) -> None:
    from tinynet.drawing import save_contact_sheet

    captions = [
        (labels[given.y[index]], f"read as {labels[read]} ({100 * probability:.0f} %)")
        for index, (read, probability) in wrong.items()
    ]
    shown = save_contact_sheet(path, model.check_input(given.x[list(wrong)]), captions)
    note(f"{path}: {shown} of {len(wrong)} misread pictures")
