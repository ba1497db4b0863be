"""Scenes: two or three digits and pieces of clothing on a dark ground, and the one sentence that says how they stand.

Of two things, the left or the upper one is named first: "a three left of a shoe", "a three above a shoe". Of three, one stands
above or below the second and beside the third: "a three above a bag and right of a shirt". Scenes in which this is not clear, or in
which another thing stands so too, are not drawn: exactly one sentence is right.

Some kinds of things are kept apart. Those that a scene of the test set shows together never meet in training or validation: a
network that only remembers which things go together fails there. Validation scenes show other pictures of the pairs in training.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from ..pictures.mnist import Dataset
from .folder import Captioned

SIDE = 64
"""Pixels of a scene's side. Things have the size of their own pictures, less the empty border."""
SHAPE = (SIDE, SIDE, 1)
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CLOTHES = ("shirt", "trousers", "dress", "shoe", "bag")
CLOTHES_OF_LABELS = {0: 0, 2: 0, 1: 1, 3: 2, 5: 3, 7: 3, 9: 3, 8: 4}
"""Which of the clothes a label of Fashion-MNIST is: T-shirts and pullovers are shirts; sandals, sneakers and boots shoes. Coats and
buttoned shirts, which look like dresses, are left out.
"""
KINDS = (*DIGITS, *CLOTHES)
PHRASES = {"eight": "an eight", "trousers": "trousers"}
"""Kinds that do not follow "a"."""
SIZES = {"training": 40_000, "validation": 3_000, "test": 5_000}
"""The parts, and how many scenes each has."""
KEPT_BACK = 5_000
"""Pictures at the end of either training set that only validation scenes show."""
SHARE_OF_THREE = 0.6
"""Share of the scenes that show three things."""
CLEAR, DOUBTFUL = 1.6, 1.25
"""A thing is beside another if it is that many times farther across than down, above or below it the other way round; between both
numbers it may be meant, so that such a scene has more than one right sentence.
"""
OVERLAP = 2
"""Most pixels by which the boxes of two things may reach into each other."""
DARK = 24
"""Values up to this are empty border."""
TRIES = 64
"""Layouts that are drawn at once, until one is clear."""
PREPARATION = {"kind": "image", "background": "dark"}
"""How a picture of a scene becomes the input of a model; the model's file says so."""
ACROSS, DOWN = ("left of", "right of"), ("above", "below")


@dataclass(frozen=True)
class Scenes:
    """The data set: made of digits and clothes, a part when it is asked for, always the same."""

    digits: Dataset
    fashion: Dataset

    def part(self, name: str, count: int | None = None, pairs: str | None = None) -> Captioned:
        """The scenes of "training", "validation" or "test"; count: how many, if not all; pairs: the part whose pairs of things meet, if
        not that of the pictures.
        """
        rng = np.random.default_rng(list(SIZES).index(name))
        things = _things(self.digits, self.fashion, name)
        x, captions = np.zeros((count or SIZES[name], *SHAPE), np.uint8), []
        for scene in x:
            size = 3 if rng.random() < SHARE_OF_THREE else 2
            kinds = rng.choice(groups(pairs or name, size))
            shown = [_trimmed(things[kind][rng.integers(len(things[kind]))]) for kind in kinds]
            places, caption = _arranged([KINDS[i] for i in kinds], [thing.shape for thing in shown], rng)
            for thing, (top, left) in zip(shown, places, strict=True):
                spot = scene[top : top + len(thing), left : left + thing.shape[1], 0]
                np.maximum(spot, thing, out=spot)
            captions.append(caption)
        return Captioned(x, captions, np.arange(len(x)), dict(PREPARATION))


def _things(digits: Dataset, fashion: Dataset, part: str) -> list[np.ndarray]:
    """For each kind, the pictures (n, 28, 28) of it that a part is made of."""
    rows = slice(-KEPT_BACK, None) if part == "validation" else slice(None, -KEPT_BACK)
    found = []
    for source, kinds in ((digits, {label: label for label in range(10)}), (fashion, CLOTHES_OF_LABELS)):
        x, y = (
            (source.x_test, source.y_test) if part == "test" else (source.x_train[rows], source.y_train[rows])
        )
        kind = np.array([kinds.get(label, -1) for label in range(10)])[y]
        found += [x[kind == each, ..., 0] for each in sorted(set(kinds.values()))]
    return found


def _trimmed(picture: np.ndarray) -> np.ndarray:
    """A thing (h, w) without its dark border."""
    rows, columns = (np.flatnonzero((picture > DARK).any(axis=axis)) for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


# ---- how they stand ----


def _arranged(
    names: Sequence[str], sizes: Sequence[tuple[int, ...]], rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Where to put things of these sizes (height, width): top and left of each; and the caption."""
    room = SIDE - np.array(sizes)
    while True:
        tries = rng.integers(room + 1, size=(TRIES, *room.shape))
        centres = tries + np.array(sizes) / 2
        for i in np.flatnonzero(_apart(centres, np.array(sizes))):
            if caption := describe(names, centres[i]):
                return tries[i], caption


def _apart(centres: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """For layouts (n, things, 2), whether no two things overlap."""
    apart = np.ones(len(centres), bool)
    for a, b in combinations(range(len(sizes)), 2):
        gaps = np.abs(centres[:, a] - centres[:, b]) - (sizes[a] + sizes[b]) / 2
        apart &= gaps.max(axis=1) >= -OVERLAP
    return apart


def describe(names: Sequence[str], centres: np.ndarray) -> str | None:
    """The sentence on two or three things whose centres (things, 2), down and across, are given; None if it is not clear."""
    found = list(_sentences(names, centres, DOUBTFUL))
    return found[0] if len(found) == 1 and found == list(_sentences(names, centres, CLEAR)) else None


def _sentences(names: Sequence[str], centres: np.ndarray, least: float) -> Iterator[str]:
    """All sentences that are right if `least` times farther one way than the other is clear enough."""
    relations = {
        (i, j): _relation(centres[i], centres[j], least) for i, j in permutations(range(len(names)), 2)
    }
    for i, j, *rest in permutations(range(len(names))):
        relation, beside = relations[i, j], relations[i, rest[0]] if rest else None
        if not rest and relation in (DOWN[0], ACROSS[0]):
            yield f"{phrase(names[i])} {relation} {phrase(names[j])}"
        elif relation in DOWN and beside in ACROSS:
            yield f"{phrase(names[i])} {relation} {phrase(names[j])} and {beside} {phrase(names[rest[0]])}"


def _relation(a: np.ndarray, b: np.ndarray, least: float) -> str | None:
    """How a stands to b, if that is clear."""
    down, across = b - a
    if abs(down) >= least * abs(across):
        return DOWN[int(down < 0)]
    return ACROSS[int(across < 0)] if abs(across) >= least * abs(down) else None


def phrase(name: str) -> str:
    """A kind with its article."""
    return PHRASES.get(name, f"a {name}")


# ---- which things meet ----


def is_for_test(a: int, b: int) -> bool:
    """Whether two kinds, given by their numbers, meet in the test set only: 15 of the 105 pairs, those with the same remainder by 5.

    They are the pairs within five groups of three, so that scenes of three things can be made of them, and each kind has two such
    partners and twelve others.
    """
    return a % 5 == b % 5


@functools.cache
def groups(part: str, size: int) -> np.ndarray:
    """All ordered sets of `size` kinds that belong to a part, each pair of them: (n, size)."""
    found = [
        kinds
        for kinds in permutations(range(len(KINDS)), size)
        if all(is_for_test(*pair) == (part == "test") for pair in combinations(kinds, 2))
    ]
    return np.array(found)
