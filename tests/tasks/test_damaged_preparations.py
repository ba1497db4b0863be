"""Model files whose preparation is damaged, or was written by somebody else: refused in a sentence, never a traceback."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest

import tinynet as tn
from tinynet.data.captions.words import Vocabulary
from tinynet.data.series.read import read_series
from tinynet.data.tables.prepare import learn
from tinynet.data.tables.read import Table
from tinynet.data.video.prepare import Preparation
from tinynet.errors import TinynetError
from tinynet.recipes import captions as captions_recipe
from tinynet.recipes import video as video_recipe
from tinynet.tasks import of

ODD = [None, True, -1, 0, 3.7, 1e308, 2**63, "x", "3", "", [], {}, [1, 2], ["a"], {"a": 1}, [[]], [None]]
TRIES = 150


def rows():
    """A small model of rows, and how it is used."""
    table = Table("t.csv", ["a", "b"], [[str(i % 5), "xy"[i % 2]] for i in range(20)])
    preparation, _ = learn(table, ["a", "b"])
    found = {"kind": "table", "target": "c", "columns": preparation.as_json()}
    layers = [tn.Dense(2, activation="softmax")]
    model = tn.Sequential(
        layers, (preparation.size,), labels=["u", "v"], metadata={"task": "rows", "input": found}
    )
    return model, lambda: of(model).predict(table)


def series():
    """The shipped model of a series."""
    days = np.arange("2000-01-01", "2000-03-01", dtype="datetime64[D]")
    lines = "".join(f"{day},{10 + i % 7}\n" for i, day in enumerate(days))
    given, model = read_series(io.BytesIO(f"time,value\n{lines}".encode())), tn.load("temperature")
    model.metadata["input"]["columns"] = ["value"]
    return model, lambda: of(model).answer(given, 5)


def text():
    """The shipped model of texts."""
    model = tn.load("sentiment")
    return model, lambda: of(model).answer(b"a moving film")


def sound():
    """The shipped model of sounds."""
    model = tn.load("spoken-digits")
    wave = np.sin(np.arange(4000) * 0.3).astype(np.float32)
    return model, lambda: of(model).answer(wave)


def captions():
    """A small model that describes pictures."""
    model = captions_recipe.network((8, 8, 1), Vocabulary.learn(["a red box", "a bag"]))
    model.metadata.update(task="caption", input={"kind": "image", "background": "dark", "trim": False})
    picture = np.random.default_rng(0).random((9, 9), np.float32)
    return model, lambda: of(model).answer(picture)


def video():
    """A model of clips that has learnt nothing."""
    preparation = Preparation(12, 12, "colour", 4)
    model = video_recipe.network(preparation, ["a", "b"], units=4)
    model.metadata.update(task="video", input=preparation.settings())
    clip = np.random.default_rng(0).random((6, 20, 20, 3))
    return model, lambda: of(model).answer(clip)


def places(value, path=()):
    """Where something stands in nested dicts and lists."""
    yield path
    pairs = (
        value.items() if isinstance(value, dict) else enumerate(value[:4]) if isinstance(value, list) else ()
    )
    for key, inner in pairs:
        yield from places(inner, (*path, key))


@pytest.mark.parametrize("system", [rows, series, text, sound, captions, video])
def test_whatever_stands_in_a_preparation_ends_in_an_answer_or_a_sentence(system):
    tn.set_device("reference")
    model, use = system()
    use()
    whole, rng = copy.deepcopy(model.metadata), np.random.default_rng(0)
    known = [path for path in places(whole) if path[:1] == ("input",)]
    for _ in range(TRIES):
        model.metadata.clear()
        model.metadata.update(copy.deepcopy(whole))
        *outer, last = known[rng.integers(len(known))]
        inside = model.metadata
        for key in outer:
            inside = inside[key]
        inside[last] = copy.deepcopy(ODD[rng.integers(len(ODD))])
        try:
            use()
        except TinynetError as error:
            assert "\n" not in str(error)
