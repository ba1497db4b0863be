"""tinynet search: a better network than the recipe's, of another kind, width, depth, learning rate or augmentation."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinynet.cli.halving import Search, rank, summary
from tinynet.cli.journal import Journal, Record, fingerprint
from tinynet.cli.options import (
    Count,
    Duration,
    Number,
    check_new,
    data_argument,
    device_options,
    force_option,
    json_option,
    model_file,
    print_table,
    table_options,
)
from tinynet.cli.process import command_to_continue
from tinynet.cli.trials import Pace, as_typed, epochs, fitting
from tinynet.data.names import DATASETS
from tinynet.errors import Setting, TinynetError
from tinynet.terminal import note, print_json

if TYPE_CHECKING:
    from tinynet.recipes.scores import Measure


@click.command("search")
@data_argument
@click.option("--trials", type=Count(1, 10_000), default=9, show_default=True,
              help="Networks to try, the recipe's own among them.")  # fmt: skip
@click.option("--time-limit", type=Duration(), metavar="TIME", default="30m", show_default=True,
              help="Time for the whole search (90 seconds, 10m, 1h).")  # fmt: skip
@click.option(
    "--arch", metavar="A,B,…", help="Only these kinds of network.  [default: all that fit the data]"
)
@click.option("--max-parameters", type=Count(1), help="Leave out networks of more parameters.")
@click.option("--max-ms", type=Number(0, min_open=True), metavar="MS",
              help="Leave out networks whose answer to one sample takes longer, measured here.")  # fmt: skip
@table_options
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.npz",
              callback=model_file, help="Where to save the best model.  [default: ./DATA-search.npz]")  # fmt: skip
@force_option
@click.option("--resume", is_flag=True, help="Go on with a search that was broken off.")
@click.option("--random-seed", type=Count(0), default=0, show_default=True,
              help="The same number tries the same networks.")  # fmt: skip
@json_option
@device_options
def command(data: str, output: Path | None, force: bool, resume: bool, as_json: bool, **given: Any) -> int:
    """Try networks of other kinds, widths, depths, learning rates and augmentation than the recipe's on DATA, which is what `tinynet
    train` takes, and save the one that does best on validation data.

    All get a small part of the time, the best third of them a larger one, and so on; the recipe's own settings are trial 1 and stay
    in to the end. FILE.jsonl beside the model records each finished trial, and --resume goes on from there.
    """
    from tinynet.recipes.candidates import draw
    from tinynet.training.checkpoints import exclusive
    from tinynet.training.signals import first_signal

    recipe, architectures = fitting(data, given["arch"], given)
    output = output or Path(f"{_stem(data)}-search.npz")
    journal = Journal(output.with_suffix(".jsonl"), _head(data, given))
    with exclusive(journal.path):
        _begin(journal, output, force, resume)
        search = Search(
            data,
            draw(recipe, architectures, given["trials"], given["random_seed"]),
            _of_every_trial(given),
            given["time_limit"],
            output,
            journal,
            given["max_parameters"],
            given["max_ms"],
        )
        came: list[int] = []
        try:
            with first_signal(lambda number: _interrupt(came, number)):
                search.run()
        except KeyboardInterrupt:
            if journal.records:
                note(f"to continue: {command_to_continue()}")
            return 128 + came[0] if came else 130
    _report(search, as_json)
    return 0


def _interrupt(came: list[int], number: int) -> None:
    came.append(number)
    raise KeyboardInterrupt


def _stem(data: str) -> str:
    """What the result is called after: the name of a data set, a folder, or a file without its ending."""
    path = Path(data).resolve()
    return path.name if data not in DATASETS and path.is_dir() else path.stem


def _head(data: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What two parts of the same search have in common."""
    options = {f"--{name.replace('_', '-')}": value for name, value in given.items()}
    options["--drop"] = list(given["drop"])
    return {"DATA": data, "content of DATA": fingerprint(data), **options}


def _of_every_trial(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `train` that are the user's."""
    machine = click.get_current_context().params
    own = {name: given[name] for name in ("task", "target", "target_type", "drop", "random_seed")}
    return {**own, "device": machine["device"], "threads": machine["threads"]}


def _begin(journal: Journal, output: Path, force: bool, resume: bool) -> None:
    """Read the journal, or make sure that nothing is in the way; raises TinynetError."""
    if resume:
        journal.resume()
        if journal.results() and not output.exists():
            raise TinynetError(
                f"{output}, the best network of {journal.path}, is no longer there; begin anew with ",
                Setting("force"),
            )
    elif journal.path.exists() and not force:
        raise TinynetError(
            f"{journal.path} exists already: ", Setting("resume"), " goes on with that search, ",
            Setting("force"), " begins anew, ", Setting("output"), " writes elsewhere",
        )  # fmt: skip
    check_new(output, "--output", force or resume)
    if force and not resume:
        journal.path.unlink(missing_ok=True)


def _report(search: Search, as_json: bool) -> None:
    """Print all trials, the best first, and what is to be concluded; raises TinynetError if none is within the limits."""
    from tinynet.recipes.scores import MEASURES

    found = search.journal.results()
    best: dict[int, Record] = {}
    for each in sorted(found, key=rank):
        best.setdefault(each.trial, each)
    left_out = [each for each in search.journal.records if each.refused and each.trial not in best]
    for each in left_out:
        if not as_json:
            note(f"note: trial {summary(each, each.trial + 1)}")
    if as_json:
        for place, each in enumerate([*best.values(), *left_out]):
            print_json(_as_json(search, each, place == 0 and bool(best)))
    if not best:
        raise TinynetError(
            f"no trial is within the limits: {left_out[0].refused}; raise ",
            Setting("max_parameters"), " or ", Setting("max_ms"),
        )  # fmt: skip
    first = next(iter(best.values()))
    assert first.result is not None
    measure = MEASURES[first.result["measure"]]
    if not as_json:
        print_table([*_table(best.values(), measure)], left=(1,))
    tried = len(best.keys() | {each.trial for each in left_out})
    if tried < len(search.candidates):
        note(
            f"note: there was time for only {tried} of {len(search.candidates)} trials; a longer time limit tries more"
        )
    if tried > 1:
        note(_verdict(first, best.get(0), measure))
    note(f"to make it again: {_command(search, first)}")
    note(f"saved to {search.output}")


def _command(search: Search, record: Record) -> str:
    """The command that trains a network with the settings of a trial."""
    result = record.result or {}
    own = {
        name: value for name, value in search.given.items() if value not in ("auto", 0) and name != "threads"
    }
    count = epochs(Pace(1.0, result["full_epochs"]), result["epochs"]) if result else []
    return shlex.join(["tinynet", "train", search.data, *as_typed({**record.settings, **own}), *count])


def _as_json(search: Search, record: Record, is_best: bool) -> dict[str, Any]:
    kept = ("measure", "value", "interval", "parameters", "epochs", "seconds", "milliseconds")
    found = {key: (record.result or {}).get(key) for key in kept}
    found |= {"rung": record.rung + 1, "left_out": record.refused, "command": _command(search, record)}
    best = {"best": is_best, **({"file": os.fspath(search.output)} if is_best else {})}
    return {"trial": record.trial + 1, "settings": record.settings, **found, **best}


def _table(records: Iterator[Record] | Any, measure: Measure) -> Iterator[tuple[str, ...]]:
    from tinynet.recipes.candidates import described

    yield ("trial", "settings", measure.name, "parameters", "epochs", "training", "one answer")
    for record in records:
        result = record.result
        assert result is not None, "what failed is not in the table"
        own = " (the recipe's own)" * (record.trial == 0)
        times = f"{result['seconds']:.1f} s", f"{result['milliseconds']:.3f} ms"
        sizes = f"{result['parameters']:,}", str(result["epochs"])
        yield (
            str(record.trial + 1),
            described(record.settings) + own,
            measure.show(result["value"]),
            *sizes,
            *times,
        )


def _verdict(best: Record, own: Record | None, measure: Measure) -> str:
    """Whether the search does better than the recipe, in a sentence, and how sure that is."""
    assert best.result is not None
    if own is None or own.result is None:
        return f"trial {best.trial + 1} is best of those within the limits"
    if best is own:
        return "the recipe's own settings are best: the search found none that do better"
    shown, usual = measure.show(best.result["value"]), own.result["value"]
    if usual == best.result["value"]:
        return f"trial {best.trial + 1} does as well as the recipe's own settings, {shown}, with fewer parameters"
    said = f"trial {best.trial + 1} does better than the recipe's own settings: {shown}, not {measure.show(usual)}"
    if best.result["interval"] is None:
        return said
    low, high = best.result["interval"]
    chance = "; but that is within chance" if low <= usual <= high else ""
    return f"{said}{chance}"
