"""Scenes: each sentence is right, no other one is, and pairs of the test set are new."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from tinynet.data.captions import scenes
from tinynet.data.captions.scenes import CLOTHES_OF_LABELS, KINDS, Scenes, describe, groups, is_for_test
from tinynet.data.captions.words import LONGEST, split
from tinynet.data.pictures.mnist import Dataset

NAMES = {re.sub(r"^an? ", "", scenes.phrase(name)): kind for kind, name in enumerate(KINDS)}
OFFSETS = {"above": (1, 0), "below": (-1, 0), "left of": (0, 1), "right of": (0, -1)}
"""Which way the second thing lies, down and across."""


def drawn(brightness):
    """A data set of ten labels, whose things are rectangles of one brightness a label."""
    y = np.arange(20_000) % 10
    x = np.zeros((len(y), 28, 28, 1), np.uint8)
    rng = np.random.default_rng(0)
    for picture, label in zip(x, y, strict=True):
        top, left = rng.integers(0, 5, 2)
        picture[top : top + rng.integers(18, 23), left : left + rng.integers(4, 23)] = brightness[label]
    return Dataset("drawn", x, y, x, y, [str(label) for label in range(10)])


@pytest.fixture(scope="module")
def data():
    """Scenes whose things are told by their brightness: 40 more for each kind."""
    clothes = [
        40 + 8 * (10 + CLOTHES_OF_LABELS[label]) if label in CLOTHES_OF_LABELS else 255 for label in range(10)
    ]
    return Scenes(drawn([40 + 8 * label for label in range(10)]), drawn(clothes))


def things(scene):
    """The kinds in a scene by their brightness, each with the middle of its box; what overlaps the less bright is cut off."""
    found = {}
    for value in np.unique(scene[scene > 0]):
        rows, columns = np.nonzero(scene[..., 0] == value)
        found[(int(value) - 40) // 8] = np.array([rows.min() + rows.max(), columns.min() + columns.max()]) / 2
    return found


def stated(caption):
    """(kind, way, kind) of each relation that a sentence states."""
    first, *rest = re.split(r" (above|below|left of|right of) ", caption.replace(" and ", " "))
    subject = NAMES[re.sub(r"^an? ", "", first)]
    return [
        (subject, way, NAMES[re.sub(r"^an? ", "", other)])
        for way, other in zip(rest[::2], rest[1::2], strict=True)
    ]


@pytest.mark.parametrize("part", ["training", "validation", "test"])
def test_what_a_sentence_says_is_in_the_picture(data, part):
    found = data.part(part, 60)
    assert found.x.shape == (60, 64, 64, 1) and found.x.dtype == np.uint8
    sizes = set()
    for scene, caption in zip(found.x, found.captions, strict=True):
        seen, said = things(scene), stated(caption)
        assert set(seen) == {kind for a, _, b in said for kind in (a, b)}
        sizes.add(len(seen))
        for a, way, b in said:
            along, aside = OFFSETS[way], OFFSETS[way][::-1]
            distance = seen[b] - seen[a]
            assert distance @ along > abs(distance @ np.abs(aside)), caption
        for pair in combinations(seen, 2):
            assert is_for_test(*pair) == (part == "test")
    assert sizes == {2, 3}


def test_scenes_are_always_the_same_and_fewer_are_the_first(data):
    once, again = data.part("test", 5), data.part("test", 8)
    np.testing.assert_array_equal(once.x, again.x[:5])
    assert once.captions == again.captions[:5]
    assert data.part("validation", 5).captions != once.captions


def test_pairs_of_the_test_never_meet_in_training():
    pairs = {}
    for part in scenes.SIZES:
        assert {len(set(kinds)) for kinds in groups(part, 3).tolist()} == {3}
        for size in (2, 3):
            for kinds in groups(part, size):
                pairs.setdefault(part, set()).update(map(frozenset, combinations(kinds.tolist(), 2)))
    assert {part: len(found) for part, found in pairs.items()} == {
        "training": 90,
        "validation": 90,
        "test": 15,
    }
    assert not pairs["test"] & (pairs["training"] | pairs["validation"])
    assert all({kind for pair in found for kind in pair} == set(range(15)) for found in pairs.values())


@pytest.mark.parametrize(
    ("centres", "sentence"),
    [
        ([(30, 10), (34, 50)], "a three left of a shoe"),
        ([(34, 50), (30, 10)], "a shoe left of a three"),
        ([(50, 30), (10, 34)], "a shoe above a three"),
        ([(10, 10), (50, 50)], None),
        ([(10, 10), (45, 64)], None),
        ([(10, 44), (50, 40), (14, 10)], "a three above a shoe and right of an eight"),
        ([(50, 44), (10, 40), (46, 10)], "a three below a shoe and right of an eight"),
        ([(14, 44), (10, 10), (50, 14)], "a shoe above an eight and left of a three"),
        ([(30, 10), (30, 30), (30, 50)], None),
        ([(10, 10), (30, 30), (50, 50)], None),
    ],
)
def test_a_sentence_is_said_only_where_it_is_clear(centres, sentence):
    names = ["three", "shoe", "eight"][: len(centres)]
    assert describe(names, np.array(centres, float)) == sentence


def test_another_reading_that_is_nearly_as_good_makes_a_scene_unclear():
    names, corner, below = ["one", "two", "bag"], (10, 10), (50, 10)
    assert (
        describe(names, np.array([corner, below, (12, 50)], float)) == "a one above a two and left of a bag"
    )
    assert describe(names, np.array([corner, below, (23, 47)], float)) is None


def test_every_sentence_is_short_and_has_an_article_that_fits():
    assert scenes.phrase("eight") == "an eight" and scenes.phrase("trousers") == "trousers"
    assert max(len(split(f"{a} above {a} and right of {a}")) for a in map(scenes.phrase, KINDS)) < LONGEST
