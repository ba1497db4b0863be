"""tinynet search: successive halving over kinds of network, width, depth, learning rate and augmentation.

All trials get a small part of the time, the best third of them a larger one, for which they are trained anew with more epochs, and so on
(Jamieson & Talwalkar, "Non-stochastic best arm identification", 2016; Li et al., "Hyperband", 2018). Each such rung has the same part
of the whole time. The recipe's own settings are the first trial and stay in to the end, to be compared with.
"""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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
from tinynet.cli.process import command_to_continue, sentence
from tinynet.cli.trials import PROBE, Pace, as_typed, epochs, fitting, train
from tinynet.data.names import DATASETS
from tinynet.errors import Setting, TinynetError
from tinynet.terminal import note, print_json

if TYPE_CHECKING:
    from tinynet.recipes.candidates import Candidate
    from tinynet.recipes.scores import Measure

KEPT = 3
"""One of so many trials goes on to the next rung."""
LATE = 2.0
"""A training that takes this many times the time it was meant to take is broken off."""


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
    search.report(as_json)
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
    return {name: given[name] for name in ("task", "target", "target_type", "drop", "random_seed")}


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


@dataclass
class Search:
    """A search that is ready to start."""

    data: str
    candidates: list[Candidate]
    given: dict[str, Any]
    time_limit: float
    output: Path
    journal: Journal
    max_parameters: int | None = None
    max_ms: float | None = None
    overhead: float = field(default=0.0, init=False)
    """Seconds that a trial takes beside its training: starting, reading the data, measuring."""

    def run(self) -> None:
        """Run the trials that are not in the journal; raises TinynetError if there is no time for the first, or if it fails."""
        rungs, reached = (
            [*_rungs(len(self.candidates))],
            max((r.rung for r in self.journal.records), default=0),
        )
        with tempfile.TemporaryDirectory() as folder:
            self.file = Path(folder, "trial.npz")
            for rung in range(reached, len(rungs)):
                todo = [trial for trial in self._chosen(rung, rungs[rung]) if not self._is_done(trial, rung)]
                end = self.time_limit * (rung + 1) / len(rungs)
                for place, trial in enumerate(todo):
                    share = (end - self.journal.spent) / (len(todo) - place)
                    if share > self.overhead or not self.journal.records:
                        self._trial(trial, rung, share)

    def _chosen(self, rung: int, count: int) -> list[int]:
        """The trials of a rung: all, or the best and the recipe's own."""
        if rung == 0:
            return [*range(count)]
        found = self.journal.latest(rung)
        best = sorted(found, key=lambda trial: _rank(found[trial]))[:count]
        return [*best, *[0] * (0 in found and 0 not in best)]

    def _is_done(self, trial: int, rung: int) -> bool:
        latest = self.journal.latest().get(trial)
        return self.journal.has(trial, rung) or (latest is not None and latest.complete)

    def _trial(self, trial: int, rung: int, share: float) -> None:
        """Train for a share of the time; write the result into the journal, and the model to the output if it is the best."""
        began, before = time.monotonic(), self.journal.latest().get(trial)
        settings = before.settings if before else self.candidates[trial].settings(self._usual_rate())
        result, refused = None, None
        try:
            if before:
                result = self._longer(before, share)
                if result is None:
                    return
            else:
                settings, result, refused = self._first(trial, settings, share)
        except TinynetError as error:
            if trial == 0:
                raise
            refused = sentence(error)
        if result is not None and result["value"] is None:
            raise TinynetError(
                f"{self.data} is too short to hold out a part by which networks could be compared"
            )
        record = Record(trial, rung, settings, time.monotonic() - began, result, refused)
        best = min(self.journal.results(), key=_rank, default=None)
        if record.result and not refused and (best is None or _rank(record) < _rank(best)):
            self._keep()
        self.journal.add(record)
        note(f"trial {trial + 1} of {len(self.candidates)}, {_summary(record)}")

    def _first(
        self, trial: int, settings: dict[str, Any], share: float
    ) -> tuple[dict[str, Any], dict[str, Any], str | None]:
        """(settings, result, why it is left out) of a first training; a network that is too large is tried again at half its width."""
        from tinynet.recipes.candidates import narrower

        limit = max(share - 2 * self.overhead, share / 4)
        while True:
            result = self._train(settings, [], PROBE * limit)
            pace = Pace.of(result)
            found, refused = (
                {**result, "full_epochs": pace.epochs, "pace": pace.seconds},
                self._refused(result),
            )
            smaller = narrower(settings) if refused and trial else None
            if smaller is None:
                break
            settings = smaller
        if refused or not result["stopped"]:
            return settings, found, refused
        if pace.seconds > limit and trial == 0:
            raise TinynetError(
                f"there is no time for one trial: an epoch takes {pace.seconds:.3g} s, and a trial has {max(limit, 0):.3g} s; "
                "give a larger ", Setting("time_limit"), " or fewer ", Setting("trials"),
            )  # fmt: skip
        if pace.seconds > limit:
            return settings, found, f"an epoch takes {pace.seconds:.3g} s, more than its share of the time"
        return settings, self._of_pace(settings, pace, pace.fit(limit), limit), None

    def _longer(self, before: Record, share: float) -> dict[str, Any] | None:
        """The result of a training for more epochs than before; None if there is no time for more."""
        assert before.result is not None
        limit = max(share - self.overhead, share / 4)
        pace = Pace(before.result["pace"], before.result["full_epochs"])
        count = pace.fit(limit)
        return self._of_pace(before.settings, pace, count, limit) if count > before.result["epochs"] else None

    def _of_pace(self, settings: Mapping[str, Any], pace: Pace, count: int, limit: float) -> dict[str, Any]:
        result = self._train(settings, epochs(pace, count), LATE * limit)
        return {**result, "full_epochs": pace.epochs, "pace": Pace.of(result).seconds}

    def _train(self, settings: Mapping[str, Any], more: Sequence[str], limit: float) -> dict[str, Any]:
        machine = {name: click.get_current_context().params[name] for name in ("device", "threads")}
        began, options = time.monotonic(), [*as_typed({**settings, **self.given, **machine}), *more]
        result = train(self.data, options, self.file, limit)
        overhead = time.monotonic() - began - result["seconds"]
        self.overhead = min(self.overhead or overhead, overhead)
        return result

    def _refused(self, result: Mapping[str, Any]) -> str | None:
        """Why a network is left out, if it is."""
        if self.max_parameters and result["parameters"] > self.max_parameters:
            return f"it has {result['parameters']:,} parameters"
        if self.max_ms and result["milliseconds"] > self.max_ms:
            return f"one answer takes {result['milliseconds']:.3f} ms"
        return None

    def _usual_rate(self) -> float:
        """The recipe's learning rate, known from the first trial."""
        first = [record.result for record in self.journal.records if record.trial == 0 and record.result]
        return first[0]["learning_rate"] if first else 1.0

    def _keep(self) -> None:
        from tinynet.files import atomic_write

        with atomic_write(self.output) as file:
            file.write(self.file.read_bytes())

    # ---- what was found ----

    def report(self, as_json: bool) -> None:
        """Print all trials, the best first, and what is to be concluded; raises TinynetError if none is within the limits."""
        from tinynet.recipes.scores import MEASURES

        found = self.journal.results()
        left_out = [each for each in self.journal.records if each.refused]
        best: dict[int, Record] = {}
        for each in sorted(found, key=_rank):
            best.setdefault(each.trial, each)
        for each in left_out:
            if not as_json:
                note(f"note: trial {_summary(each, each.trial + 1)}")
        if as_json:
            for place, each in enumerate([*best.values(), *left_out]):
                print_json(self._as_json(each, place == 0 and bool(best)))
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
        if tried < len(self.candidates):
            note(f"note: there was time for only {tried} of {len(self.candidates)} trials")
        note(_verdict(first, best.get(0), measure))
        note(f"to make it again: {self._command(first)}")
        note(f"saved to {self.output}")

    def _command(self, record: Record) -> str:
        """The command that trains a network with the settings of a trial."""
        result = record.result or {}
        own = {name: value for name, value in self.given.items() if value not in ("auto", 0)}
        count = epochs(Pace(1.0, result["full_epochs"]), result["epochs"]) if result else []
        return shlex.join(["tinynet", "train", self.data, *as_typed({**record.settings, **own}), *count])

    def _as_json(self, record: Record, is_best: bool) -> dict[str, Any]:
        kept = ("measure", "value", "interval", "parameters", "epochs", "seconds", "milliseconds")
        found = {key: (record.result or {}).get(key) for key in kept}
        found |= {"rung": record.rung + 1, "left_out": record.refused, "command": self._command(record)}
        best = {"best": is_best, **({"file": os.fspath(self.output)} if is_best else {})}
        return {"trial": record.trial + 1, "settings": record.settings, **found, **best}


def _rungs(count: int) -> Iterator[int]:
    """How many trials there are in each rung."""
    while count:
        yield count
        count //= KEPT


def _rank(record: Record) -> float:
    """Less is better."""
    from tinynet.recipes.scores import MEASURES

    assert record.result is not None
    return -record.result["value"] if MEASURES[record.result["measure"]].rises else record.result["value"]


def _summary(record: Record, number: int | None = None) -> str:
    """A record in a line."""
    from tinynet.recipes.candidates import described
    from tinynet.recipes.scores import MEASURES

    named = f"{number}, " * (number is not None) + described(record.settings)
    if record.refused or record.result is None:
        return f"{named}: left out, {record.refused}"
    result = record.result
    value = MEASURES[result["measure"]].show(result["value"])
    return (
        f"{named}: {result['measure']} {value} after {result['epochs']} epochs, {record.spent:.0f} s in all"
    )


def _table(records: Iterator[Record] | Any, measure: Measure) -> Iterator[tuple[str, ...]]:
    from tinynet.recipes.candidates import described

    yield ("trial", "settings", measure.name, "parameters", "epochs", "training", "one answer")
    for record in records:
        result = record.result
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
    said = f"trial {best.trial + 1} does better than the recipe's own settings: {shown}, not {measure.show(usual)}"
    low, high = best.result["interval"] or (best.result["value"],) * 2
    return f"{said}; but that is within chance" if low <= usual <= high else said
