"""Which recurrent networks learn what happened 200 steps ago, and how far back do their gradients reach?

The adding problem (Hochreiter & Schmidhuber, "Long short-term memory", 1997): of 200 numbers two are marked, one in each half; the
answer, after the last step, is their sum. In a network that has learnt it, the answer changes by as much as a marked number does,
however long ago that came: ∂y/∂x = 1. Where the gradient vanishes on its way back through the steps, there is nothing to learn
from (Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient descent is difficult", 1994).

    python -m bench.vanishing [--steps 2000] [--units 32] [--plot FILE.png]
"""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

import numpy as np

import tinynet as tn
from tinynet.drawing import Chart, draw_charts
from tinynet.kernels import device
from tinynet.layers import Context

from .measure import THREADS, table

CELLS = "RNN", "LSTM", "GRU"
LENGTH, BATCH, CLIP_NORM = 200, 50, 1.0
RATES = 1e-2, 3e-3
"""Learning rates that each network tries; the one with the lowest loss on other sequences counts."""
PIECE = 100
"""Training steps on the same sequences, before new ones are drawn."""
NEW, EACH = 1000, 40
"""Sequences that the networks are measured on, and of these for each distance of a gradient."""
DISTANCES = range(1, LENGTH + 1, 3)
SHOWN = 1, 10, 40, 100, 199
LEAST = 1e-12
"""Smaller gradients are not drawn: a step of training cannot feel them."""
NEAR = 0.1
"""An answer is right that is no further from the sum."""


class Sequences(NamedTuple):
    """x: (n, 200, 2), numbers in 0…1 and their marks; y: (n, 1), the sums."""

    x: np.ndarray
    y: np.ndarray


class Found(NamedTuple):
    """A trained network: its loss on new sequences, which part of them is right, its gradients by distance before and after."""

    parameters: int
    rate: float
    loss: float
    right: float
    before: np.ndarray
    after: np.ndarray
    seconds: float


def sequences(n: int, rng: np.random.Generator, distance: int | None = None) -> Sequences:
    """Sequences to add; with a distance one of the marked numbers is so many steps before the end."""
    first, second = rng.integers(0, LENGTH // 2, n), rng.integers(LENGTH // 2, LENGTH, n)
    if distance is not None:
        (first if distance > LENGTH // 2 else second)[:] = LENGTH - distance
    x = np.zeros((n, LENGTH, 2), np.float32)
    x[..., 0] = rng.random((n, LENGTH))
    rows = np.arange(n)
    x[rows, first, 1] = x[rows, second, 1] = 1
    return Sequences(x, (x[rows, first, 0] + x[rows, second, 0])[:, None])


def network(cell: str, units: int) -> tn.Sequential:
    """One recurrent layer, and the sum from its last state."""
    return tn.Sequential([getattr(tn, cell)(units), tn.Dense(1)], (LENGTH, 2), name=cell)


def gradients(net: tn.Sequential) -> np.ndarray:
    """How much the answer changes with a marked number, |∂y/∂x|, by how many steps before the end that is."""
    context, found = Context(device.backend(), training=True), []
    for distance in DISTANCES:
        x = sequences(EACH, np.random.default_rng(distance), distance).x
        y, kept = net.forward(x, context)
        dx, _ = net.backward(np.ones_like(y), kept, context)
        found.append(np.abs(dx[:, LENGTH - distance, 0]).mean())
    return np.array(found)


def train(cell: str, units: int, rate: float, steps: int) -> Found:
    """Train one network on ever new sequences."""
    net, rng = network(cell, units), np.random.default_rng(0)
    before, began = gradients(net), time.perf_counter()
    optimizer = tn.Adam(rate, clip_norm=CLIP_NORM)
    for _ in range(max(steps // PIECE, 1)):
        x, y = sequences(PIECE * BATCH, rng)
        net.fit(x, y, batch_size=BATCH, loss="mse", optimizer=optimizer, verbose=False)
    seconds = time.perf_counter() - began
    x, y = sequences(NEW, np.random.default_rng(1))
    error = np.abs(net.answer(x)[0] - y)
    return Found(
        net.parameter_count(),
        rate,
        float(np.square(error).mean()),
        float((error < NEAR).mean()),
        before,
        gradients(net),
        seconds,
    )


def lines(found: dict[str, Found]) -> list[tuple[str, ...]]:
    """One line per network, and one for always saying the mean."""
    rows = []
    for cell, each in found.items():
        at = [f"{np.interp(distance, DISTANCES, each.after):.1g}" for distance in SHOWN]
        measured = f"{each.loss:.4f}", f"{100 * each.right:.1f} %"
        rows.append((cell, f"{each.parameters:,}", *measured, *at, f"{each.seconds:.0f} s"))
    y = sequences(NEW, np.random.default_rng(1)).y
    mean = f"{y.var():.4f}", f"{100 * (np.abs(y - y.mean()) < NEAR).mean():.1f} %"
    return [*rows, ("always the mean", "–", *mean, *("–" for _ in SHOWN), "–")]


def draw(found: dict[str, Found], path: str) -> None:
    """A PNG with the gradients by distance, before training and after it."""
    charts = []
    for title, when in (("|dy/dx| before", "before"), ("|dy/dx| after", "after")):
        curves = {
            cell: np.where(values > LEAST, values, np.nan).tolist()
            for cell in found
            for values in [getattr(found[cell], when)]
        }
        charts.append(Chart(title, "steps back", list(DISTANCES), curves, logarithmic=True, size=(640, 320)))
    draw_charts(charts).save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--plot", metavar="FILE.png")
    given = parser.parse_args()
    device.set_threads(THREADS)
    best = {}
    for cell in CELLS:
        tried = [train(cell, given.units, rate, given.steps) for rate in RATES]
        best[cell] = min(tried, key=lambda each: each.loss)
    head = ("network", "parameters", "loss", f"within {NEAR} of the sum")
    print(table((*head, *(f"gradient {steps} steps back" for steps in SHOWN), "training"), lines(best)))
    if given.plot:
        draw(best, given.plot)
