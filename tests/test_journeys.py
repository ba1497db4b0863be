"""The journeys of the house: which files a picture, a character, a batch and a model file pass through, and from where.

Layers and kernels are where every journey leads; `data/pictures/digit` counts as one file.
"""

from __future__ import annotations

import functools
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet import cli
from tinynet.tasks.characters import AT_ONCE, characters

ROOT = Path(__file__).resolve().parent.parent
DIGIT = ROOT / "tests" / "pictures" / "digit.png"
DEEP = "layers and kernels"
MOST = 10
"""Files of a journey."""


@functools.cache
def place(filename):
    """A file of the house by its place in it; None for what lies elsewhere."""
    path = Path(filename).resolve()
    if not path.is_relative_to(ROOT) or path.relative_to(ROOT).parts[0] not in ("tinynet", "cli"):
        return None
    parts = path.relative_to(ROOT).parts
    if parts[1] in ("layers", "kernels"):
        return DEEP
    return (
        "data/pictures/digit"
        if parts[1:4] == ("data", "pictures", "digit")
        else "/".join(parts).removeprefix("tinynet/")
    )


class Journey:
    """Notes each file that is entered while it lasts, with the files that it is entered from."""

    def __init__(self):
        self.ways = {}

    def begin(self):
        sys.setprofile(self.notice)

    def end(self):
        sys.setprofile(None)

    def notice(self, frame, event, _):
        here = place(frame.f_code.co_filename)
        if event != "call" or here in (None, DEEP):
            return
        caller = frame.f_back  # what lies elsewhere, and layers and kernels, only hand a call on
        while caller is not None and place(caller.f_code.co_filename) in (None, DEEP):
            caller = caller.f_back
        start = place(caller.f_code.co_filename) if caller else None
        if start != here:
            self.ways.setdefault(here, set()).add(start)

    @property
    def files(self):
        return {*self.ways, *itertools.chain(*self.ways.values())} - {None}


@pytest.fixture(autouse=True)
def on_reference():
    tn.set_device("reference")


@pytest.fixture
def journey():
    found = Journey()
    yield found
    found.end()


@pytest.mark.parametrize("model", ["digits", "digits-lstm", "fashion"])
def test_a_picture_passes_at_most_ten_files_and_enters_each_from_one(model, journey, monkeypatch, capsys):
    from tinynet.cli import classify

    def pictures(*_):
        yield str(DIGIT), None
        journey.begin()  # everything is imported, the model is there
        yield str(DIGIT), None
        journey.end()

    monkeypatch.setattr(classify, "_expanded", pictures)
    assert cli.group.main(["classify", str(DIGIT), "--model", model], standalone_mode=False) == 0
    assert capsys.readouterr().out.count("%") == 2
    assert {"cli/classify.py", "tasks/pictures.py", "data/pictures/prepare.py", "network.py"} < journey.files
    assert len(journey.files) <= MOST, sorted(journey.files)
    several = {file: sorted(starts) for file, starts in journey.ways.items() if len(starts) > 1}
    assert not several, "entered from more than one file"


@pytest.mark.parametrize("model", ["shakespeare", "shakespeare-gru", "shakespeare-rnn"])
def test_a_character_is_a_step_of_the_network(model, journey):
    text = characters(tn.load(model), "KING", 100, random_seed=1)
    next(text)  # the seed is read
    journey.begin()
    for _ in range(2 * AT_ONCE):
        next(text)
    journey.end()
    assert journey.files <= {"tasks/characters.py", "network.py", "checks.py"}


class Steps(tn.Callback):
    """The journey of one batch among others."""

    def __init__(self, journey):
        self.journey = journey

    def on_batch_end(self, training):
        self.journey.begin() if training.step == 1 else self.journey.end()


def test_a_batch_passes_at_most_ten_files(journey):
    rng = np.random.default_rng(0)
    x, y = rng.random((24, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, 24)
    tn.load("digits").fit(x, y, batch_size=8, augment=tn.Augment(rotate=5), callbacks=[Steps(journey)])
    assert {"training/loop.py", "training/samples.py", "training/optimizers.py"} < journey.files
    assert len(journey.files) <= MOST, sorted(journey.files)


def test_a_model_file_passes_at_most_ten_files(journey):
    tn.load("digits")
    journey.begin()
    tn.load("digits")
    journey.end()
    assert {"sequential.py", "storage.py", "archive.py"} < journey.files
    assert len(journey.files) <= MOST, sorted(journey.files)
