"""Trials: `tinynet train` in a process of its own, so that each has its own memory and its end is no other's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinynet.errors import TinynetError

PROBE = 0.15
"""Part of a trial's time after which it is known how many epochs fit into it."""


def run(data: str, options: Sequence[str], output: Path, time_limit: float) -> dict[str, Any]:
    """What `train --json` prints after training on DATA with these options, for as many epochs as fit into the time if not all do.

    The model is in `output`. A training that is merely broken off would end at a high learning rate, where no network is at its best.
    Raises TinynetError with the training's own last sentence if it fails.
    """
    result = _train(data, options, output, PROBE * time_limit)
    if result["stopped"] == "time limit":
        needed = result["seconds"] / result["done"]
        if needed > time_limit:
            options = [*options, "--epochs", str(max(int(result["epochs"] * time_limit / needed), 1))]
        result = _train(data, options, output, time_limit)
    return result


def _train(data: str, options: Sequence[str], output: Path, time_limit: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "tinynet", "train", *options, "--json", "--force"]
    command += ["--output", str(output), "--time-limit", f"{time_limit:.3f}", "--", data]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            found, said = process.communicate()
        except BaseException:
            process.terminate()
            raise
    if process.returncode or not found:
        raise TinynetError(_last_sentence(said))
    return json.loads(found)


def _last_sentence(said: str) -> str:
    """Of a training that failed."""
    lines = [line for line in said.splitlines() if line.strip()] or ["the training ended without a word"]
    return lines[-1].removeprefix("tinynet: ").removeprefix("Error: ")
