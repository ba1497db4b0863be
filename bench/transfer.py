"""Ten pictures per class: how much does a network gain that begins with the layers of another?

Pictures of other classes than the base's, drawn anew for each seed; measured on pictures that no training has seen. Beside the
network that `tinynet train` makes from scratch stand the layers of the base with random weights, trained as from scratch: so much is
due to the architecture. Then its layers fine-tuned, and with the first four (two convolutions and their poolings) frozen.

    python -m bench.transfer [--seeds 3] [FOLDER OF FONTS]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tinynet.data.datasets import load_digits, load_fashion
from tinynet.data.folders import FolderData
from tinynet.data.pictures.digit.find_digit import prepare_digit
from tinynet.kernels import device
from tinynet.layers import make
from tinynet.recipes import folder
from tinynet.recipes.base import Choices, Plan
from tinynet.recipes.transfer import begin
from tinynet.sequential import Sequential
from tinynet.tasks.base import PICTURES

from .measure import THREADS, print_as_they_come
from .printed import FOLDERS, faces, typed

EACH, TESTED, FREEZE = 10, 2000, 4
"""Pictures per class that are trained on, most that are tested, and layers that are frozen."""
FACES = 80
"""Most font faces that letters are typed in."""
CAPITALS = [chr(ord("A") + index) for index in range(26)]
HEAD = (
    "pictures",
    "base",
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


def clothes(seed: int) -> Pictures:
    """Fashion-MNIST."""
    data = load_fashion()
    few, _ = ten_each(data.x_train, data.y_train, seed)
    return Pictures(
        data.x_train[few], data.y_train[few], data.x_test[:TESTED], data.y_test[:TESTED], data.labels
    )


def digits(seed: int) -> Pictures:
    """MNIST."""
    data = load_digits()
    few, _ = ten_each(data.x_train, data.y_train, seed)
    return Pictures(
        data.x_train[few], data.y_train[few], data.x_test[:TESTED], data.y_test[:TESTED], data.labels
    )


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
    pictures, labels = np.stack(x), np.array(y)

    def drawn(seed: int) -> Pictures:
        few, others = ten_each(pictures, labels, seed)
        return Pictures(pictures[few], labels[few], pictures[others], labels[others], CAPITALS)

    return drawn


def plan(given: Pictures, seed: int, base: str | None = None, freeze: int | None = None) -> Plan:
    """The training of a folder with these pictures."""
    begun = begin(base, freeze, PICTURES, lambda model: model) if base else None
    found = FolderData(
        given.x, given.y, list(given.labels), [], "picture", {"kind": "image"}, 0, [], given.y[:0], []
    )
    return folder.plan("few", Choices(arch="resnet", seed=seed, begun=begun), found)


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


def line(name: str, base: str, draw: Callable[[int], Pictures], seeds: int) -> tuple[str, ...]:
    """One kind of pictures and one base."""
    found: list[list[float]] = [[], [], [], []]
    for seed in range(seeds):
        given = draw(seed)
        trainings = (
            plan(given, seed),
            forgotten(plan(given, seed), plan(given, seed, base)),
            plan(given, seed, base),
            plan(given, seed, base, FREEZE),
        )
        for own, made in zip(found, trainings, strict=True):
            own.append(right(made, given))
    return name, f"`{base}`", *map(shown, found)


def lines(folders: Sequence[str], seeds: int) -> Iterator[tuple[str, ...]]:
    """All kinds; letters where there are fonts."""
    if faces(folders):
        yield line("capital letters in fonts, 26 classes", "digits", capitals(folders), seeds)
    yield line("clothing (Fashion-MNIST), 10 classes", "digits", clothes, seeds)
    yield line("digits (MNIST), 10 classes", "fashion", digits, seeds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="*", default=FOLDERS)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    device.set_threads(THREADS)
    print_as_they_come(HEAD, lines(given.folders, given.seeds))
