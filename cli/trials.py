"""Trials: `tinynet train` in a process of its own, so that each has its own memory and its end is no other's."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tinynet.errors import Setting, TinynetError
from tinynet.terminal import note

if TYPE_CHECKING:
    from tinynet.recipes.base import Recipe

PROBE = 0.15
"""Part of a trial's time after which it is known how many epochs fit into it."""

SHORTEST = 0.001
"""Seconds: of a training of one step."""


class Pace(NamedTuple):
    """Seconds per epoch of a training, and how many epochs the recipe gives it."""

    seconds: float
    epochs: int

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Pace:
        """The pace of a training of as many epochs as the recipe gives."""
        return cls(result["pace"], result["epochs"])

    def fit(self, time_limit: float) -> int:
        """The epochs that fit into a time, one at least, and no more than the recipe gives."""
        return max(min(int(time_limit / self.seconds), self.epochs), 1)


def run(data: str, options: Sequence[str], output: Path, time_limit: float) -> dict[str, Any]:
    """What `train --json` prints after training on DATA with these options, for as many epochs as fit into the time if not all do.

    The model is in `output`. A training that is merely broken off would end at a high learning rate, where no network is at its best.
    Raises TinynetError with the training's own last sentence if it fails.
    """
    result = probe(lambda limit: train(data, options, output, limit), time_limit)
    if result["stopped"] == "time limit":
        pace = Pace.of(result)
        result = train(data, [*options, *epochs(pace, pace.fit(time_limit))], output, time_limit)
    check_comparable(data, result)
    if result["value"] is None:
        raise TinynetError(
            "it was broken off before it could be measured; give a larger ", Setting("time_limit")
        )
    return result


def probe(train: Callable[[float], dict[str, Any]], time_limit: float) -> dict[str, Any]:
    """The result of a training for a small part of the time; of a second one if the first had hardly begun, since it had to compile."""
    result = train(PROBE * time_limit)
    if result["stopped"] and Pace.of(result).seconds > time_limit:
        result = train(PROBE * time_limit)
    return result


def epochs(pace: Pace, count: int) -> list[str]:
    """The option of `train` for so many epochs, unless these are the recipe's own."""
    return [] if count == pace.epochs else ["--epochs", str(count)]


def train(data: str, options: Sequence[str], output: Path, time_limit: float) -> dict[str, Any]:
    """What `train --json` prints after training for this time at most; raises TinynetError with its last sentence if it fails."""
    command = [sys.executable, "-m", __name__, "train", *options, "--json", "--force"]
    command += ["--output", str(output), "--time-limit", f"{max(time_limit, SHORTEST):.3f}", "--", data]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8") as process:
        assert process.stdout and process.stderr
        stdout, stderr = process.stdout, process.stderr
        try:
            # what is open as stdin tells the trial that this process is alive: `communicate` would close it
            reader = threading.Thread(target=lambda: said.append(stderr.read()), daemon=True)
            said: list[str] = []
            reader.start()
            found = stdout.read()
            reader.join()
        except BaseException:
            process.terminate()
            raise
    if process.returncode or not found:
        raise TinynetError(_last_sentence(said[0]))
    return json.loads(found)


def check_comparable(data: str, result: Mapping[str, Any]) -> None:
    """Raise TinynetError for the result of a finished training that has no value, since nothing could be held out to measure it on."""
    if result["value"] is None and not result["stopped"]:
        raise TinynetError(f"{data} is too short to hold out a part by which networks could be compared")


def _last_sentence(said: str) -> str:
    """Of a training that failed."""
    lines = [line for line in said.splitlines() if line.strip()] or ["the training ended without a word"]
    return lines[-1].removeprefix("tinynet: ").removeprefix("Error: ")


def fitting(data: str, arch: str | None, given: Mapping[str, Any]) -> tuple[Recipe, list[str]]:
    """The recipe for DATA, and the architectures to try; says why they fit. Raises TinynetError for one that does not."""
    from tinynet.recipes import recipe_for
    from tinynet.recipes.architectures import RULES, choose
    from tinynet.recipes.base import Choices

    recipe = recipe_for(data, Choices(task=given["task"], target=given["target"]))
    found, reason = RULES[recipe.kind]
    note(f"{data} holds {recipe.holds}; {reason}")
    if arch is None:
        return recipe, list(found)
    return recipe, [choose(recipe.kind, each.strip()) for each in arch.split(",")]


def as_typed(given: Mapping[str, Any]) -> Iterator[str]:
    """Settings as options of `train`."""
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{option}" if value else f"--no-{option}"
            continue
        for each in value if isinstance(value, tuple) else (value,) * (value is not None):
            yield from (f"--{option}", str(each))


def _end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, however it did, and its end of our stdin is closed."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("tinynet", run_name="__main__")
