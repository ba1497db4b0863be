"""Successive halving: all trials get a small part of the time, the best third of them a larger one, and so on.

For each they are trained anew with more epochs, since a learning rate that falls over a whole training must have ended (Jamieson &
Talwalkar, "Non-stochastic best arm identification", 2016; Li et al., "Hyperband", 2018). Each such rung has the same part of the whole
time. The recipe's own settings are the first trial and stay in to the end, to be compared with.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynet.cli.journal import Journal, Record
from tinynet.cli.process import sentence
from tinynet.cli.trials import Pace, as_typed, check_comparable, epochs, probe, train
from tinynet.errors import Setting, TinynetError, counted
from tinynet.terminal import note

if TYPE_CHECKING:
    from tinynet.recipes.candidates import Candidate

KEPT = 3
"""One of so many trials goes on to the next rung."""
LATE = 2.0
"""A training that takes this many times the time it was meant to take is broken off."""


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
        sizes = [*rungs(len(self.candidates))]
        reached = max((record.rung for record in self.journal.records), default=0)
        with tempfile.TemporaryDirectory(prefix="tinynet-search-") as folder:
            self.file = Path(folder, "trial.npz")
            for rung in range(reached, len(sizes)):
                todo = [trial for trial in self._chosen(rung, sizes[rung]) if not self._is_done(trial, rung)]
                end = self.time_limit * (rung + 1) / len(sizes)
                for place, trial in enumerate(todo):
                    share = (end - self.journal.spent) / (len(todo) - place)
                    if share > self.overhead or not self.journal.records:
                        self._trial(trial, rung, share)

    def _chosen(self, rung: int, count: int) -> list[int]:
        """The trials of a rung: all, or the best and the recipe's own."""
        if rung == 0:
            return [*range(count)]
        found = self.journal.latest(rung)
        best = sorted(found, key=lambda trial: rank(found[trial]))[:count]
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
            if trial == rung == 0:
                raise
            refused = sentence(error)
        if result is not None and result["value"] is None and not refused:
            check_comparable(self.data, result)
            refused = "it was broken off"
        record = Record(trial, rung, settings, time.monotonic() - began, result, refused)
        best = min(self.journal.results(), key=rank, default=None)
        if record.result and not refused and (best is None or rank(record) < rank(best)):
            self._keep()
        self.journal.add(record)
        note(f"trial {trial + 1} of {len(self.candidates)}, {summary(record)}")

    def _first(
        self, trial: int, settings: dict[str, Any], share: float
    ) -> tuple[dict[str, Any], dict[str, Any], str | None]:
        """(settings, result, why it is left out) of a first training; a network that is too large is tried again at half its width."""
        from tinynet.recipes.candidates import narrower

        limit = max(share - 2 * self.overhead, share / 4)
        result = self._probe(settings, limit)
        while trial and self._refused(result) and (smaller := narrower(settings)):
            settings, result = smaller, self._probe(smaller, limit)
        pace, refused = Pace.of(result), self._refused(result)
        found = {**result, "full_epochs": pace.epochs}
        if refused or not result["stopped"]:
            return settings, found, refused
        if pace.seconds > limit and trial == 0:
            raise TinynetError(
                f"there is no time for one trial: an epoch takes {pace.seconds:,.1f} s, and a trial has {max(limit, 0):.3g} s; "
                "give a larger ", Setting("time_limit"), " or fewer ", Setting("trials"),
            )  # fmt: skip
        if pace.seconds > limit:
            return settings, found, f"an epoch takes {pace.seconds:,.1f} s, more than its share of the time"
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
        return {**result, "full_epochs": pace.epochs}

    def _probe(self, settings: Mapping[str, Any], limit: float) -> dict[str, Any]:
        return probe(lambda part: self._train(settings, [], part), limit)

    def _train(self, settings: Mapping[str, Any], more: Sequence[str], limit: float) -> dict[str, Any]:
        began, options = time.monotonic(), [*as_typed({**settings, **self.given}), *more]
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


def rungs(count: int) -> Iterator[int]:
    """How many trials there are in each rung."""
    while count:
        yield count
        count //= KEPT


def rank(record: Record) -> tuple[float, float]:
    """Less is better: of two that do as well, the network of fewer parameters."""
    from tinynet.recipes.scores import MEASURES

    assert record.result is not None
    value, rises = record.result["value"], MEASURES[record.result["measure"]].rises
    return -value if rises else value, record.result["parameters"]


def summary(record: Record, number: int | None = None) -> str:
    """A record in a line."""
    from tinynet.recipes.candidates import described
    from tinynet.recipes.scores import MEASURES

    named = f"{number}, " * (number is not None) + described(record.settings)
    if record.refused or record.result is None:
        return f"{named}: left out, {record.refused}"
    result = record.result
    value = MEASURES[result["measure"]].show(result["value"])
    trained = counted(result["epochs"], "epoch")
    return f"{named}: {result['measure']} {value} after {trained}, {record.spent:.0f} s in all"
