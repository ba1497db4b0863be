"""Timing that can be trusted on a shared machine: competitors take turns, medians are compared."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

THREADS = 2
PAUSE = 0.3
"""Seconds between blocks; longer than any pool of threads spins."""


class Row(NamedTuple):
    """One line of the table of results."""

    job: str
    tinynet: str
    peer: str
    result: str
    goal: str


def alternate(jobs: Sequence[Callable[[], object]], calls: int, blocks: int = 8) -> list[float]:
    """Median seconds of each job, over blocks of calls in turn, so that a change of the machine's speed meets all of them.

    Between blocks there is a pause: the threads of the one before would otherwise spin on while the next is measured.
    The first fifth of a block is not counted.
    """
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(blocks):
        for job, own in zip(jobs, times, strict=True):
            time.sleep(PAUSE)
            block = []
            for _ in range(max(calls // blocks, 5)):
                start = time.perf_counter()
                job()
                block.append(time.perf_counter() - start)
            own += block[len(block) // 5 :]
    return [statistics.median(own) for own in times]


class Run(NamedTuple):
    """What a whole process took."""

    seconds: float
    megabytes: float
    output: str


LAUNCHER = """
import os, sys, time
start = time.perf_counter()
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(process, 0)
print(time.perf_counter() - start, usage.ru_maxrss, file=open(os.environ["REPORT"], "w"))
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A process begins with the peak of the one that starts it: so start it from a small one, not from a benchmark."""


def run_process(command: Sequence[str], **environment: str) -> Run:
    """Run a command to its end; seconds of wall time and the peak of its memory. Raises when it fails.

    Byte code may be kept from run to run, as what is installed has it.
    """
    with tempfile.NamedTemporaryFile("r") as report:
        launcher = [sys.executable, "-S", "-E", "-c", LAUNCHER, *command]
        variables = {**os.environ, **environment, "REPORT": report.name, "PYTHONDONTWRITEBYTECODE": ""}
        run = subprocess.run(launcher, env=variables, capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{run.stderr}")
        unit = 1 if sys.platform == "darwin" else 1024
        seconds, peak = report.read().split()
        return Run(float(seconds), int(peak) * unit / 1e6, run.stdout)


def alternate_processes(commands: Sequence[Sequence[str]], rounds: int) -> list[Run]:
    """Median time and memory of whole processes, run in turn after one warm-up each."""
    runs: list[list[Run]] = [[] for _ in commands]
    for turn in range(rounds + 1):
        for command, own in zip(commands, runs, strict=True):
            run = run_process(command)
            if turn:
                own.append(run)
    return [
        Run(
            statistics.median(r.seconds for r in own),
            statistics.median(r.megabytes for r in own),
            own[-1].output,
        )
        for own in runs
    ]


def milliseconds(seconds: float) -> str:
    """0.00123 → 1.23 ms."""
    value = 1e3 * seconds
    return f"{value:.3f} ms" if value < 1 else f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms"


def faster(ours: float, peer: float) -> str:
    """How many times faster."""
    return f"{peer / ours:.2f}×"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table as README shows it."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *lines))


def print_as_they_come(head: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a table whose lines take minutes each."""
    print(table(head, []), flush=True)
    for line in lines:
        print(f"| {' | '.join(line)} |", flush=True)


def print_rows(rows: Sequence[Row]) -> None:
    """Print a table to stdout."""
    print(table(Row._fields, rows), flush=True)


def machine() -> str:
    """Processor, cores and versions, for the line above the table. Of a virtual machine's processor the name may say little: the family
    and model tell its generation.
    """
    from importlib import metadata

    about: dict[str, str] = {}
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            lines = (line.partition(":") for line in file.read().split("\n\n")[0].splitlines())
            about = {name.strip(): value.strip() for name, _, value in lines}
    name = about.get("model name", "unknown processor")
    if "cpu family" in about:
        name += f" (family {about['cpu family']}, model {about['model']})"
    packages = ("numpy", "numba", "onnxruntime", "torch")
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    return f"{name}, {THREADS} threads, Python {sys.version.split()[0]}, {versions}"
