"""Photographs of flowers: what does the recipe for folders of pictures reach on a fifth that it has not seen, beside a plain CNN?

Four fifths of each class are trained on as `tinynet train FOLDER` does, which keeps a part of them to choose the epoch by; the
plain CNN has the same pictures and loss, and what the recipe gives a network that takes one size only: 150 epochs, enlarged cut-outs.

    python -m bench.flowers [FOLDER] [--epochs N] [--only-recipe]      FOLDER: flowers in $TINYNET_DATA
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinynet.data.folders import FolderData, load_folder, stratified_split
from tinynet.data.pictures.samples import PictureReader
from tinynet.kernels import device
from tinynet.recipes import folder
from tinynet.recipes.base import Choices
from tinynet.recipes.scores import likely_range

from .measure import THREADS, machine, table

TEST = 0.2
NETWORKS = {"recipe": "auto", "plain CNN": "cnn"}
HEAD = ("network", "parameters", "minutes", "validation", "test", "95 % interval")


def rows(found: FolderData, choices: Choices, only_recipe: bool) -> Iterator[tuple[str, ...]]:
    """One line a network."""
    training, test = stratified_split(found.y, TEST, seed=0)
    known = replace(found, x=found.x[training], y=found.y[training])
    x, y = found.x[test], found.y[test]
    for name, arch in list(NETWORKS.items())[: 1 if only_recipe else None]:
        made = folder.plan("flowers", replace(choices, arch=arch), known)
        epochs, size = made.settings["epochs"], f"{x.shape[1]}×{x.shape[2]}"
        print(f"{name}: {len(made.x):,} pictures of {size}, {epochs} epochs", flush=True)
        start = time.monotonic()
        history = made.fit(verbose=True)
        minutes = (time.monotonic() - start) / 60
        right = (made.model.answer(x)[0].argmax(axis=1) == y).mean()
        chosen = history.epochs[(history.kept_epoch or len(history.epochs)) - 1]["val_accuracy"]
        low, high = likely_range(float(right), len(y))
        interval = f"{100 * low:.1f}–{100 * high:.1f}"
        parameters = f"{made.model.parameter_count():,}"
        yield name, parameters, f"{minutes:.1f}", percent(chosen), percent(right), interval


def percent(share: float | np.floating) -> str:
    """0.775 → 77.5 %."""
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", default=Path(os.environ.get("TINYNET_DATA", "."), "flowers"))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--only-recipe", action="store_true")
    asked = parser.parse_args()
    device.set_threads(asked.threads)
    photographs = load_folder(asked.folder, PictureReader())
    lines = list(rows(photographs, Choices(epochs=asked.epochs, seed=asked.seed), asked.only_recipe))
    print(f"\n{machine()}\n\n{table(HEAD, lines)}")
