"""tinynet forecast: how a series of numbers goes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinynet.cli import completion
from tinynet.cli.options import (
    Count,
    Number,
    check_new,
    device_options,
    force_option,
    json_option,
    load_model,
)
from tinynet.terminal import echo, note, print_json

if TYPE_CHECKING:
    from tinynet.data.series.read import Series
    from tinynet.tasks.series import Forecasting


@click.command("forecast")
@click.argument("series", metavar="SERIES.csv", shell_complete=completion.data)
@click.option("--steps", type=Count(1), default=12, show_default=True, help="How many steps to forecast.")
@click.option("--model", "name", metavar="FILE.npz", shell_complete=completion.models,
              help="A model that was trained on such a series.  [default: train one now]")  # fmt: skip
@click.option("--level", type=Number(0, 100, min_open=True, max_open=True), default=90.0, show_default=True,
              help="Per cent of what comes that the intervals are to hold.")  # fmt: skip
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.png",
              help="Draw the end of the series and the forecast.")  # fmt: skip
@force_option
@json_option
@device_options
def command(
    series: str, steps: int, name: str | None, level: float, plot: Path | None, force: bool, as_json: bool
) -> int:
    """Forecast the steps after SERIES.csv, a table with a column of times and columns of numbers; - reads it from stdin.

    Prints the columns time, forecast, lower, upper and seasonal_naive; where SERIES.csv has several columns of numbers, series says
    which. Without --model a network is trained on the series first.
    """
    from tinynet.tasks import expect
    from tinynet.tasks.series import Forecasting, series_of

    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise click.BadParameter(f"{plot}: a drawing's file name must end in .png", param_hint="--plot")
        check_new(plot, "--plot", force)
    model = None if name is None else expect(Forecasting, load_model(name))
    given = series_of(series)
    for remark in given.remarks:
        note(f"note: {remark}")
    task = model or _trained_on(given)
    found = task.answer(given, steps, level)
    if as_json:
        for row in found.rows():
            print_json(row)
    else:
        for line in task.show(found):
            echo(line, keep="\t\n")
    if plot is not None:
        task.draw(plot, given, found)
    return 0


def _trained_on(given: Series) -> Forecasting:
    """The forecasts of a network that is trained on a series now."""
    from tinynet.recipes.base import Choices
    from tinynet.recipes.series import plan_for
    from tinynet.tasks.series import Forecasting

    note("no --model: training one on this series now; tinynet train keeps it in a file")
    plan = plan_for(given, Choices(), "series")
    note(plan.reason)
    trained = plan.fit(callbacks=plan.callbacks, verbose=False)
    note(plan.result_line(trained.epochs[-1]))
    note(plan.comparison())
    return Forecasting(plan.model)
