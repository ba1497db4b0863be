"""How much better are several networks than the best of them? The mean of their probabilities, on data that none has seen.

The same recipe from three seeds, in short trainings: the networks make different mistakes, which the mean partly takes back
(Hansen & Salamon, "Neural network ensembles", 1990; Lakshminarayanan, Pritzel & Blundell, "Simple and scalable predictive
uncertainty estimation using deep ensembles", 2017). Before that shipped models of different architectures, as they are.

    python -m bench.ensembles [--seeds 3] [DATA …]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import tinynet as tn
from tinynet import recipes
from tinynet.kernels import device
from tinynet.network import Network
from tinynet.recipes.base import Choices
from tinynet.tasks import of

from .measure import THREADS, print_as_they_come

HEAD = ("data", "networks", "alone", "together", "gain over the best", "loss of the best", "loss together")
EPOCHS = {"digits": 2, "fashion": 4, "sentence-polarity": 4, "spoken-digits": 8}
SHIPPED = {"digits": ("digits-lstm", "digits-gru", "digits-rnn")}


def trained(data: str, seed: int) -> Network:
    """The network of a short training of a data set's recipe."""
    made = recipes.plan(data, Choices(seed=seed, epochs=EPOCHS[data]))
    made.fit(verbose=False)
    return made.model


def line(data: str, name: str, models: Sequence[Network]) -> tuple[str, ...]:
    """What models reach on the test set of a data set, each alone and all together."""
    *alone, together = (
        of(*some).evaluate(of(*some).read(data)).measured
        for some in (*((model,) for model in models), models)
    )
    best = max(alone, key=lambda measured: measured["accuracy"])
    reached = ", ".join(f"{100 * measured['accuracy']:.2f}" for measured in alone)
    gain = 100 * (together["accuracy"] - best["accuracy"])
    losses = (f"{min(measured['loss'] for measured in alone):.4f}", f"{together['loss']:.4f}")
    return data, name, f"{reached} %", f"{100 * together['accuracy']:.2f} %", f"{gain:+.2f}", *losses


def lines(chosen: Sequence[str], seeds: int) -> Iterator[tuple[str, ...]]:
    """One line per group of shipped models, and one per data set."""
    for data, names in SHIPPED.items():
        if data in chosen:
            yield line(data, ", ".join(f"`{name}`" for name in names), [tn.load(name) for name in names])
    for data in chosen:
        models = [trained(data, seed) for seed in range(seeds)]
        yield line(data, f"{seeds} seeds, {EPOCHS[data]} epochs", models)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="*", metavar="DATA", help=", ".join(EPOCHS))
    parser.add_argument("--seeds", type=int, default=3)
    device.set_threads(THREADS)
    given = parser.parse_args()
    print_as_they_come(HEAD, lines(given.data or [*EPOCHS], given.seeds))
