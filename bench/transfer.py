"""Ten pictures per class: how much does a network gain that begins with the layers of another?

Pictures of other classes than the base's, drawn anew for each seed; measured on pictures that no training has seen. Beside the
network that `tinynet train` makes from scratch stand the layers of the base with random weights, trained as from scratch: so much is
due to the architecture. Then its layers fine-tuned, and with the first four (two convolutions and their poolings) frozen. Each in a
short training, and in one as long as the recipe's, which shows few pictures hundreds of times, never twice alike.

    python -m bench.transfer [--seeds 3] [FOLDER OF FONTS]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinynet.data.datasets import load_digits, load_fashion
from tinynet.data.folders import FolderData
from tinynet.data.pictures.digit.find_digit import prepare_digit
from tinynet.data.pictures.mnist import Dataset
from tinynet.kernels import device
from tinynet.layers import make
from tinynet.recipes import folder, pictures
from tinynet.recipes.base import Choices, Plan
from tinynet.recipes.transfer import begin
from tinynet.sequential import Sequential
from tinynet.tasks.base import PICTURES

from .measure import THREADS, print_as_they_come
from .printed import FOLDERS, faces, typed

EACH, TESTED, FREEZE = 10, 2000, 4
"""Pictures per class that are trained on, most that are tested, and layers that are frozen."""
SHORT = 20
"""Epochs of a short training; the recipe sees few pictures 300 times."""
HALF, BASE_EPOCHS = 5, 4
"""Classes of a base that the bench trains itself, and for how long."""
FACES = 80
"""Most font faces that letters are typed in."""
CAPITALS = [chr(ord("A") + index) for index in range(26)]
HEAD = (
    "pictures",
    "base",
    "epochs",
    "from scratch",
    "the base's layers, random",
    "fine-tuned",
    f"{FREEZE} layers frozen",
)


class Pictures(NamedTuple):
    """Pictures to train on, x uint8 (n, 28, 28, 1) with classes y (n,), and others to test on."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    labels: Sequence[str]


def ten_each(x: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of EACH pictures per class, and of the others."""
    rng = np.random.default_rng(seed)
    few = np.concatenate([rng.permutation(np.flatnonzero(y == label))[:EACH] for label in np.unique(y)])
    return few, rng.permutation(np.setdiff1d(np.arange(len(y)), few))[:TESTED]


def from_class(first: int, data: Dataset) -> Callable[[int], Pictures]:
    """The classes of a data set from one on."""
    known, new = data.y_train >= first, data.y_test >= first
    x, y = data.x_train[known], data.y_train[known] - first
    x_test, y_test = data.x_test[new][:TESTED], data.y_test[new][:TESTED] - first

    def drawn(seed: int) -> Pictures:
        few, _ = ten_each(x, y, seed)
        return Pictures(x[few], y[few], x_test, y_test, data.labels[first:])

    return drawn


def first_half(name: str, data: Dataset, place: str) -> str:
    """The file of a base: the CNN of the recipes, trained on classes 0 to 4 of a data set."""
    known = data.y_train < HALF
    x, y = data.x_train[known], data.y_train[known]
    parts = (x[:-TESTED], y[:-TESTED]), (x[-TESTED:], y[-TESTED:])
    labels, preparation = data.labels[:HALF], {"kind": "image"}
    made = pictures.plan(
        name, Choices(), *parts, labels=labels, preparation=preparation, epochs=BASE_EPOCHS, augment=None
    )
    made.fit(verbose=False)
    made.model.metadata["task"] = PICTURES
    made.model.save(f"{place}/{name}.npz")
    return f"{place}/{name}.npz"


def capitals(folders: Sequence[str]) -> Callable[[int], Pictures]:
    """Capital letters in the machine's fonts, found as digits are; those of other faces are tested on."""
    x, y = [], []
    fonts = faces(folders)
    for face in fonts[:: -(-len(fonts) // FACES)]:
        for label, letter in enumerate(CAPITALS):
            found = prepare_digit(typed(face, letter)[..., None].astype(np.float32) / 255)
            if found is not None:
                x.append(np.round(255 * found.pixels[..., None]).astype(np.uint8))
                y.append(label)
    drawings, labels = np.stack(x), np.array(y)

    def drawn(seed: int) -> Pictures:
        few, others = ten_each(drawings, labels, seed)
        return Pictures(drawings[few], labels[few], drawings[others], labels[others], CAPITALS)

    return drawn


def plan(given: Pictures, choices: Choices, base: str | None = None, freeze: int | None = None) -> Plan:
    """The training of a folder with these pictures."""
    begun = begin(base, freeze, PICTURES, lambda model: model) if base else None
    found = FolderData(
        given.x, given.y, list(given.labels), [], "picture", {"kind": "image"}, 0, [], given.y[:0], []
    )
    return folder.plan("few", replace(choices, begun=begun), found)


def forgotten(made: Plan, base: Plan) -> Plan:
    """The training from scratch, but of new layers like those of the one with a base."""
    layers = [make(layer.config()) for layer in base.model.layers]
    made.model = Sequential(
        layers, base.model.input_shape, seed=made.settings["seed"], labels=made.model.labels
    )
    return made


def right(made: Plan, given: Pictures) -> float:
    """Per cent of the test pictures that are named correctly once it is trained."""
    made.fit(verbose=False)
    return 100 * made.model.evaluate(given.x_test, given.y_test)["accuracy"]


def shown(found: Sequence[float]) -> str:
    """The mean, and the range over the seeds."""
    return f"{np.mean(found):.1f} % ({min(found):.1f} to {max(found):.1f})"


def rows(name: str, base: str, draw: Callable[[int], Pictures], seeds: int) -> Iterator[tuple[str, ...]]:
    """One kind of pictures and one base: a short training, and one as long as the recipe's."""
    for epochs in (SHORT, None):
        found: list[list[float]] = [[], [], [], []]
        for seed in range(seeds):
            given, choices = draw(seed), Choices(arch="resnet", seed=seed, epochs=epochs)
            trainings = (
                plan(given, choices),
                forgotten(plan(given, choices), plan(given, choices, base)),
                plan(given, choices, base),
                plan(given, choices, base, FREEZE),
            )
            for own, made in zip(found, trainings, strict=True):
                own.append(right(made, given))
        yield name, Path(base).stem, str(epochs or "the recipe's"), *map(shown, found)


def lines(folders: Sequence[str], seeds: int) -> Iterator[tuple[str, ...]]:
    """All kinds: classes that resemble those of the base more and less; letters where there are fonts."""
    mnist, fashion = load_digits(), load_fashion()
    with tempfile.TemporaryDirectory() as place:
        low, tops = first_half("digits 0 to 4", mnist, place), first_half("first five", fashion, place)
        yield from rows("digits 5 to 9 (MNIST)", low, from_class(HALF, mnist), seeds)
        yield from rows(
            "the other five pieces of clothing (Fashion-MNIST)", tops, from_class(HALF, fashion), seeds
        )
    yield from rows("all ten pieces of clothing", "digits", from_class(0, fashion), seeds)
    if faces(folders):
        yield from rows("26 capital letters in fonts", "digits", capitals(folders), seeds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", default=FOLDERS)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    device.set_threads(THREADS)
    print_as_they_come(HEAD, lines(given.folders, given.seeds))
