"""tinynet compare: «CNN or RNN?» Every kind of network that fits the data, and the plain baselines, measured under one budget."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli import trials
from tinynet.cli.options import (
    Count,
    Duration,
    data_argument,
    device_options,
    json_option,
    print_table,
    table_options,
)
from tinynet.cli.process import fail, sentence
from tinynet.errors import TinynetError
from tinynet.terminal import note, print_json

if TYPE_CHECKING:
    from tinynet.recipes.scores import Measure

INTERRUPTED = 130
"""The exit status after Ctrl-C."""


@click.command("compare")
@data_argument
@click.option(
    "--arch", metavar="A,B,…", help="Only these kinds of network.  [default: all that fit the data]"
)
@click.option("--time-limit", type=Duration(), metavar="TIME", default="10m", show_default=True,
              help="Time for all trainings together (90 seconds, 10m, 1h); each has the same share.")  # fmt: skip
@table_options
@click.option("--random-seed", type=Count(0), default=0, show_default=True, help="Of every network.")
@json_option
@device_options
def command(
    data: str, arch: str | None, time_limit: float, random_seed: int, as_json: bool, **given: Any
) -> int:
    """Train every kind of network that fits DATA, each for the same time at most, and print what they reach on the same validation
    data: with its 95 % confidence interval, parameters, training time, memory, and the time for one answer; beside them, the
    plain baselines: a linear model, the most frequent class, the seasonal naive forecast.

    DATA is what `tinynet train` takes. A network whose training would take longer is trained for fewer epochs.
    """
    from tinynet.recipes.scores import MEASURES

    _, fitting = trials.fitting(data, arch, given)
    machine = {name: click.get_current_context().params[name] for name in ("device", "threads")}
    options = [*trials.as_typed({**given, **machine, "random_seed": random_seed})]
    found: dict[str, dict[str, Any]] = {}
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        for each in fitting:
            note(f"{each}: training, for {time_limit / len(fitting):.0f} s at most")
            output = Path(folder, f"{each}.npz")
            try:
                found[each] = trials.run(data, ["--arch", each, *options], output, time_limit / len(fitting))
            except TinynetError as error:
                if not found:
                    return fail(error)
                status = 1
                note(f"note: {each} failed: {sentence(error)}")
            except KeyboardInterrupt:
                if not found:
                    raise
                status = INTERRUPTED
                note(f"note: interrupted while training {each}")
                break
    measure = MEASURES[next(iter(found.values()))["measure"]]
    rows = _rows(found, measure)
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_table([*_table(rows, measure)])
        note(_verdict(rows, measure))
    return status


def _rows(found: Mapping[str, dict[str, Any]], measure: Measure) -> list[dict[str, Any]]:
    """One per network, the best first, then one per baseline."""
    kept = ("value", "interval", "parameters", "epochs", "seconds", "memory", "milliseconds")
    order = sorted(found, key=lambda name: found[name]["value"], reverse=measure.rises)
    networks = [
        {"name": name, "measure": measure.name, **{key: found[name][key] for key in kept}} for name in order
    ]
    baselines = found[order[0]]["baselines"].items()
    return networks + [
        {"name": name, "measure": measure.name, "value": value, "baseline": True} for name, value in baselines
    ]


def _table(rows: list[dict[str, Any]], measure: Measure) -> Iterator[tuple[str, ...]]:
    yield ("", measure.name, "95 % interval", "parameters", "training", "memory", "one answer")
    for row in rows:
        cells = row["name"], measure.show(row["value"])
        if "baseline" in row:
            yield (*cells, *[""] * 5)
            continue
        interval = " to ".join(measure.show(end) for end in row["interval"] or ())
        memory = f"{row['memory']:.0f} MB" if row["memory"] else ""
        times = f"{row['seconds']:.1f} s", memory, f"{row['milliseconds']:.3f} ms"
        yield (*cells, interval, f"{row['parameters']:,}", *times)


def _verdict(rows: list[dict[str, Any]], measure: Measure) -> str:
    """Which network to take, in a sentence, and how sure that is."""
    best, *others = rows
    better = [
        row["name"]
        for row in others
        if "baseline" in row and (row["value"] - best["value"]) * (1 if measure.rises else -1) > 0
    ]
    if better:
        return f"{better[0]} does better than any of these networks on this data"
    low, high = best["interval"] or (best["value"], best["value"])
    equal = [row["name"] for row in others if low <= row["value"] <= high]
    said = f"{best['name']} is best on this data"
    return (
        f"{said}, but {' and '.join(equal)} may be as good: the difference is within chance"
        if equal
        else said
    )
