"""How well are digits read that are no MNIST files: MNIST's test digits as people photograph and draw them?

    python -m bench.photographs [PICTURES A KIND]

The pictures are rendered by `tests/photographs.py`, each kind from other digits of the test set, and read the whole way, as
`tinynet classify` does. Prints accuracy and milliseconds a picture by kind; and, where `$TINYNET_DATA/digit_photos` is, how many
of the pictures are read right that its `labels.csv` lists.
"""

from __future__ import annotations

import csv
import os
import sys
import time
from pathlib import Path

import tinynet as tn
from tests.photographs import KINDS, render
from tinynet.data.datasets import load_digits
from tinynet.data.pictures.mnist import Dataset

PICTURES = 300
STEP = 37
"""Every 37th digit of the test set, from another one for each kind."""


def accuracy(kind: str, model: tn.Sequential, data: Dataset, pictures: int) -> tuple[float, float]:
    """Fraction of pictures read right, and seconds a picture."""
    right, seconds = 0, 0.0
    for index in range(pictures):
        chosen = (index * STEP + 11 * len(kind)) % len(data.x_test)
        picture = render(kind, data.x_test[chosen, ..., 0], index)
        start = time.perf_counter()
        ranking = model.classify(picture, top=1)
        seconds += time.perf_counter() - start
        right += bool(ranking) and ranking[0][0] == str(data.y_test[chosen])
    return right / pictures, seconds / pictures


def found_elsewhere(model: tn.Sequential, folder: Path) -> str:
    """How many of the pictures of a folder are read right, and which are not."""
    with open(folder / "labels.csv", newline="") as file:
        labels = {row["file"]: row["label"] for row in csv.DictReader(file)}
    read = {name: model.classify(folder / name, top=1) for name in labels}
    wrong = [name for name, label in labels.items() if not read[name] or read[name][0][0] != label]
    return f"| {folder.name} | {len(labels) - len(wrong)} of {len(labels)} | wrong: {', '.join(wrong) or 'none'} |"


def main(pictures: int = PICTURES) -> None:
    """Print the table."""
    model, data, results = tn.load("digits"), load_digits(), []
    print("| kind of picture | read right | ms a picture |\n| --- | --- | --- |")
    for kind in KINDS:
        fraction, seconds = accuracy(kind, model, data, pictures)
        results.append(fraction)
        print(f"| {kind} | {100 * fraction:.1f} % | {1e3 * seconds:.0f} |", flush=True)
    elsewhere = Path(os.environ.get("TINYNET_DATA", ""), "digit_photos")
    if elsewhere.is_dir():
        print(found_elsewhere(model, elsewhere))
    print(f"| mean of {pictures} pictures of each kind | {100 * sum(results) / len(results):.1f} % | |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
