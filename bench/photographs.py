"""How well are digits read that are no MNIST files: MNIST's test digits as people photograph and draw them?

    python -m bench.photographs [PICTURES A KIND]

The pictures are rendered by `tests/photographs.py`, each kind from other digits of the test set, and read the whole way, as
`tinynet classify` does. Prints accuracy and milliseconds a picture by kind.
"""

from __future__ import annotations

import sys
import time

import tinynet as tn
from tests.photographs import KINDS, render
from tinynet.data.datasets import Dataset, load_digits

PICTURES = 100
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


def main(pictures: int = PICTURES) -> None:
    """Print the table."""
    model, data, results = tn.load("digits"), load_digits(), []
    print("| kind of picture | read right | ms a picture |\n| --- | --- | --- |")
    for kind in KINDS:
        fraction, seconds = accuracy(kind, model, data, pictures)
        results.append(fraction)
        print(f"| {kind} | {100 * fraction:.1f} % | {1e3 * seconds:.0f} |", flush=True)
    print(f"| mean of {pictures} pictures of each kind | {100 * sum(results) / len(results):.1f} % | |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
