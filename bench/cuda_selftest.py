"""Does the cuda back end work on this GPU? The one command for whoever has one; it takes five minutes at most and needs no network.

    python -m bench.cuda_selftest                       in a checkout; prints at its end what to send back
    python -m bench.cuda_selftest --only lstm,dense     some kernels; --only «digit CNN» some networks
    NUMBA_ENABLE_CUDASIM=1 python -m bench.cuda_selftest --small      without a GPU, in Numba's simulator (needs greenlet)

It needs no installation of tinynet and no pytest, only its packages. On a machine without a network, bring them as wheels, fetched where
there is one by the same Python on the same kind of system (cuda12 or cuda13, as the driver has it; numba-cuda alone on a Jetson):

    pip download --dest wheels numba 'numba-cuda[cu12]' numpy click pillow
    pip install --no-index --find-links wheels numba 'numba-cuda[cu12]' numpy click pillow

What it does: every kernel on the shapes of the tests and on some large ones, held to the reference in float64, twice, to the same bits.
Then for each kind of network the loss and all gradients held to the reference, and two trainings to the same bits, in which no step
but the first ones may ask the driver for memory; and whether answers for few samples, which are repeated as a CUDA graph where the package
offers that, stay the same.
"""

from __future__ import annotations

import argparse
import faulthandler
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinynet as tn
from tinynet.kernels import device, reference
from tinynet.kernels.replay import CALLS_BEFORE_CAPTURE

from . import recurrent
from .gpu import facts
from .peers import digit_network
from .steps import Gradients, step_function

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # whose cases these are

TOLERANCE, LARGE_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-4, 1e-3
"""Of the largest number: for kernels, on large shapes, and for the gradients of whole networks."""
WARM_STEPS = CALLS_BEFORE_CAPTURE + 1
"""After which a training asks for no memory any more."""
NOISE = 64 * 2**20
"""Bytes of the GPU that others may take meanwhile."""
FREE = {"asarray", "asnumpy", "capture", "prefetch", "seed_from"}
"""Kernels without work of their own."""
NO_PADS = ((0, 0), (0, 0))
LARGE = {
    "matrices": [(1024, 1000, 1030), (4096, 33, 257), (130, 1500, 70)],
    "convolutions": [
        ((64, 28, 28, 1), (3, 3, 32), (1, 1), NO_PADS, (1, 1)),
        ((64, 13, 13, 32), (3, 3, 64), (1, 1), ((0, -1), (0, -1)), (1, 1)),
        ((16, 32, 32, 24), (3, 3, 48), (2, 2), ((0, 1), (0, 1)), (1, 1)),
    ],
    "pools": [((64, 26, 26, 32), (2, 2), (2, 2), NO_PADS)],
    "elements": [(4096, 65), (16, 20, 20, 32)],
    "losses": [(4096, 65)],
    "steps": [1_000_003],
    "cells": [(32, 24, 256)],
    "sequences": [(32, 64, 256)],
    "attentions": [(4, 128, 0, 4, 64), (2, 300, 70, 2, 96), (2, 3, 300, 4, 64)],
}
"""Sizes for the families of tests/kernels/cases.py as real networks have them."""


class Options(NamedTuple):
    """What is asked for."""

    small: bool
    only: frozenset[str]
    seconds: float

    def wants(self, name: str) -> bool:
        """Whether a kernel or network is asked for."""
        return not self.only or name in self.only


class Report:
    """What was found, for the end."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.failures: list[str] = []
        self.began = time.monotonic()

    def add(self, name: str, text: str) -> None:
        """A line for the end, told at once too."""
        self.lines.append((name, text))
        print(f"{name}: {text}", flush=True)

    def fail(self, what: str, error: BaseException | str) -> None:
        """A failure, told at once too."""
        text = " ".join(str(error).split())[:400]
        kind = "" if isinstance(error, str) else f"{type(error).__name__}: "
        self.failures.append(f"{what}: {kind}{text}")
        print(f"FAILED {self.failures[-1]}", flush=True)

    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began


# ---- kernels ----


def kernel_cases(options: Options) -> list[tuple[Any, float]]:
    """The calls and their tolerances; each kernel has its first before any has its second."""
    from kernels.cases import FAMILIES, Case, all_cases, normal
    from kernels.cuda.tables import quick_cases

    if options.small:
        found = [
            (case, TOLERANCE) for case in quick_cases({n for n in reference.__all__ if options.wants(n)})
        ]
    else:
        found = [(case, TOLERANCE) for case in all_cases()]
        found += [
            (case, LARGE_TOLERANCE) for family, rows in LARGE.items() for case in FAMILIES[family](rows)
        ]
        many_rows = Case("dense", "8388700x1x1", (normal(8_388_700, 1), normal(1, 1), None))
        found.append((many_rows, TOLERANCE))
    by_name: dict[str, list[tuple[Any, float]]] = {}
    for case, tolerance in found:
        if options.wants(case.name):
            by_name.setdefault(case.name, []).append((case, tolerance))
    return [entry for turn in itertools.zip_longest(*by_name.values()) for entry in turn if entry]


def check_kernels(kernels: Any, options: Options, report: Report) -> None:
    """Every kernel beside the reference, within half of the time; stops where the GPU answers no more."""
    cases, right, wrong = kernel_cases(options), 0, 0
    tried: set[str] = set()
    for case, tolerance in cases:
        if report.seconds() > options.seconds / 2:
            break
        tried.add(case.name)
        try:
            _check_case(kernels, case, max(tolerance, case.tolerance))
            right += 1
        except Exception as error:
            wrong += 1
            report.fail(f"{case.name} {case.label}", error)
            if not _is_alive(kernels):
                report.fail(
                    "GPU",
                    "it answers no more: what follows was not tried; run again with --only for the rest",
                )
                break
    left = len(cases) - right - wrong
    there = {name for name in reference.__all__ if callable(getattr(reference, name)) and options.wants(name)}
    report.add("kernels", f"{len(tried)} kernels, {right:,} calls right, {wrong} wrong, {left:,} not tried")
    if missing := sorted(there - tried - FREE):
        report.fail("kernels", f"not tried: {', '.join(missing)}")


def _check_case(kernels: Any, case: Any, tolerance: float) -> None:
    from kernels.cases import assert_close, outputs

    found, again = outputs(kernels, case), outputs(kernels, case)
    with np.errstate(all="ignore"):
        expected = outputs(reference, case, np.float64)
    assert_close(found, expected, tolerance)
    for one, other in zip(found, again, strict=True):
        if one.tobytes() != other.tobytes():
            raise AssertionError("two calls differ in their bits")


def _is_alive(kernels: Any) -> bool:
    try:
        return bool((kernels.asnumpy(kernels.asarray(np.arange(3))) == np.arange(3)).all())
    except Exception:
        return False


# ---- networks ----


class Kind(NamedTuple):
    """A kind of network with a batch for it."""

    make: Callable[[], tn.Sequential]
    x: np.ndarray
    y: np.ndarray


def kinds(small: bool) -> dict[str, Kind]:
    """A network of each kind."""
    rng = np.random.default_rng(0)
    n, size, units = (4, 10, 8) if small else (16, 28, 256)
    pictures, classes = rng.random((n, size, size, 1), np.float32), rng.integers(0, 10, n)
    characters = recurrent.samples(*((2, 4) if small else (32, 64)))
    return {
        "digit CNN": Kind(_small_cnn if small else digit_network, pictures, classes),
        "residual network": Kind(lambda: _residual(size, 4 if small else 32), pictures, classes),
        "LSTM": Kind(lambda: recurrent.network("LSTM", units), *characters),
        "GRU": Kind(lambda: recurrent.network("GRU", units), *characters),
        "transformer": Kind(lambda: _transformer(8 if small else 128, 2 if small else 4), *characters),
    }


def _small_cnn() -> tn.Sequential:
    layers = [
        tn.Conv2D(4, 3, activation="relu"),
        tn.MaxPool2D(2),
        tn.Conv2D(8, 3, activation="relu"),
        tn.Flatten(),
    ]
    return tn.Sequential([*layers, tn.Dense(10, activation="softmax")], (10, 10, 1))


def _residual(size: int, width: int) -> tn.Sequential:
    def block(strides: int) -> tn.Residual:
        first = [tn.Conv2D(width, 3, strides=strides, padding="same"), tn.BatchNorm(), tn.Activation("relu")]
        return tn.Residual([*first, tn.Conv2D(width, 3, padding="same"), tn.BatchNorm()])

    layers = [tn.Conv2D(width, 3, padding="same"), block(1), tn.Activation("relu"), block(2)]
    return tn.Sequential(
        [*layers, tn.GlobalAveragePool2D(), tn.Dense(10, activation="softmax")], (size, size, 1)
    )


def _transformer(width: int, heads: int) -> tn.Sequential:
    def block() -> list[tn.Residual]:
        attention = tn.MultiHeadAttention(heads, width // heads, causal=True)
        inner = [tn.Dense(2 * width, activation="gelu"), tn.Dense(width)]
        return [tn.Residual([tn.LayerNorm(), attention]), tn.Residual([tn.LayerNorm(), *inner])]

    layers = [tn.Embedding(recurrent.CHARACTERS, width), tn.PositionEmbedding(64), *block(), *block()]
    return tn.Sequential([*layers, tn.Dense(recurrent.CHARACTERS, activation="softmax")], (None,))


def check_network(kernels: Any, name: str, kind: Kind, steps: int, report: Report) -> None:
    """A step's loss and gradients and the answers beside the reference; a training with graphs and one without, to the same bits, in
    memory that stays flat.
    """
    found, expected = (_gradients(k, kind) for k in (kernels, reference))
    largest = max(float(np.abs(right).max(initial=0)) for right in expected.values())
    for key, right in expected.items():
        difference, own = (float(np.abs(numbers).max(initial=0)) for numbers in (found[key] - right, right))
        if not difference <= GRADIENT_TOLERANCE * max(
            own, largest / 100
        ):  # of some, as a bias before BatchNorm, only rounding is left
            report.fail(f"{name}, {key}", f"off by {difference:.3g} where the largest is {own:.3g}")
    before = time.monotonic()
    (one, losses, flat), (other, _, _) = (
        _trained(kernels, kind, steps, replays) for replays in (True, False)
    )
    seconds = (time.monotonic() - before) / (2 * steps)
    if any(a.tobytes() != b.tobytes() for a, b in zip(one, other, strict=True)):
        report.fail(name, "a training with graphs and one without end with different bits")
    if not np.isfinite(losses).all() or (steps >= 10 and losses[-1] >= losses[0]):
        report.fail(name, f"the loss does not fall: from {losses[0]:.4f} to {losses[-1]:.4f}")
    if flat[0] or flat[1] > NOISE:
        taken = f"made {flat[0]} allocations, and {flat[1]:,} bytes more of the GPU are taken"
        report.fail(name, f"steps after the first {WARM_STEPS} {taken}")
    report.add(
        name,
        f"loss {losses[0]:.4f} → {losses[-1]:.4f} in {steps} steps, {1e3 * seconds:.2f} ms each with all around",
    )


def check_replay(name: str, kind: Kind, report: Report) -> None:
    """Answers for two samples, again and again: by then they are repeated as a graph, where there is one."""
    net, few = kind.make(), kind.x[:2]
    first, *others = (np.asarray(net.predict(few)) for _ in range(CALLS_BEFORE_CAPTURE + 4))
    if any(other.tobytes() != first.tobytes() for other in others):
        report.fail(name, "answers that are repeated differ from the first")
    report.add(f"{name}, again", "as a graph" if net.replay.captures else "launch after launch")


def _gradients(kernels: Any, kind: Kind) -> dict[str, np.ndarray]:
    net = kind.make()
    loss, gradients = Gradients(net, kind.x, kind.y, kernels)()
    answers, _ = net.compute(kernels, net.check_input(kind.x))
    arrays = {name: np.asarray(kernels.asnumpy(gradients[name]), np.float64) for name in net.trained()}
    return {"loss": np.array(loss, np.float64), "answers": np.asarray(answers), **arrays}


def _trained(
    kernels: Any, kind: Kind, steps: int, replays: bool
) -> tuple[list[np.ndarray], list[float], tuple[int, int]]:
    """Weights and losses of a training; how many allocations its later steps made, and how many bytes of the GPU they took."""
    from tinynet.kernels.cuda import memory

    net = kind.make()
    step = step_function(net, kind.x, kind.y, kernels=kernels, replays=replays)
    losses = [step() for _ in range(WARM_STEPS)]
    allocations, free = memory.allocations, _free_bytes()
    losses += [step() for _ in range(steps - WARM_STEPS)]
    weights = net.get_weights()
    return weights, losses, (memory.allocations - allocations, max(free - _free_bytes(), 0))


def _free_bytes() -> int:
    from tinynet.kernels.cuda.compiler.driver import SIMULATED, cuda

    return 0 if SIMULATED else cuda.current_context().get_memory_info()[0]


# ---- all ----


def simulator() -> AbstractContextManager[Any]:
    """The strict simulator of the tests where Numba simulates; nothing on a GPU."""
    from tinynet.kernels.cuda.compiler.driver import SIMULATED

    if not SIMULATED:
        return nullcontext()
    from kernels.cuda.simulator import simulator as strict

    return strict(pool=True)


def run(options: Options) -> Report:
    """All checks that are asked for, within the time."""
    report = Report()
    with simulator():
        tn.set_device("cuda")
        kernels = device.backend()
        check_kernels(kernels, options, report)
        wanted = {name: kind for name, kind in kinds(options.small).items() if options.wants(name)}
        for name, kind in wanted.items():
            if report.seconds() > 0.9 * options.seconds or not _is_alive(kernels):
                report.fail(name, "not tried")
                continue
            try:
                check_network(kernels, name, kind, WARM_STEPS + 1 if options.small else 200, report)
                check_replay(name, kind, report)
            except Exception as error:
                report.fail(name, error)
        report.add(
            "time", f"{report.seconds():.0f} s, of which {device.compile_seconds():.0f} s to compile kernels"
        )
    return report


def to_send_back(report: Report) -> Iterator[str]:
    """The lines that the command ends with."""
    yield "---- please send back from here on ----"
    for name, text in (*facts(), *report.lines):
        yield f"{name:18s}{text}"
    yield f"{'failures':18s}{len(report.failures) or 'none'}"
    yield from (f"    {failure}" for failure in report.failures[:200])


def main(arguments: list[str] | None = None) -> int:
    """Run it as a command; the exit status is 1 where something failed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cuda_selftest", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--small", action="store_true", help="small shapes and few steps, for the simulator")
    parser.add_argument("--only", default="", help="kernels and networks by name, with commas between")
    parser.add_argument("--seconds", type=float, default=280.0, help="stop after about so long (280)")
    given = parser.parse_args(arguments)
    options = Options(given.small, frozenset(filter(None, given.only.split(","))), given.seconds)
    if problem := device.cuda_problem():
        print(f"the cuda device cannot be used: {problem}", file=sys.stderr)
        return 1
    faulthandler.dump_traceback_later(options.seconds + 60, exit=True)  # a kernel that never ends
    report = run(options)
    faulthandler.cancel_dump_traceback_later()
    print("\n".join(to_send_back(report)), flush=True)
    return bool(report.failures)


if __name__ == "__main__":
    sys.exit(main())
