"""Recipes, one file a system: which data, which layers, which settings, and how it is used afterwards."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import DataError, TinynetError, did_you_mean

if TYPE_CHECKING:
    from ..model import Sequential
    from .base import Choices, Plan


DATA = "digits, fashion, shakespeare, a .txt file, or a folder with one folder of pictures per class"
"""What there are recipes for."""


def plan(data: str, choices: Choices) -> Plan:
    """The recipe for DATA: "digits", "fashion", "shakespeare", a .txt file, or a folder with a folder of pictures a class."""
    from . import digits, fashion, folder, text

    if data == "digits":
        return digits.plan(choices)
    if data == "fashion":
        return fashion.plan(choices)
    if os.path.isdir(data):
        return folder.plan(data, choices)
    if is_text(data):
        return text.plan(data, choices)
    check_exists(data)
    raise DataError(f"{data} is a file, but text ends in .txt: rename it if it is text; DATA is {DATA}")


def check_exists(data: str) -> None:
    """Raise DataError, naming the data set that may be meant, where there is no folder or file DATA."""
    if not os.path.exists(data):
        close = did_you_mean(data, ("digits", "fashion", "shakespeare"))
        raise DataError(f"{data or repr(data)} does not exist; {close}{' ' * bool(close)}DATA is {DATA}")


def is_text(data: str) -> bool:
    """Whether DATA is text: "shakespeare", or a file whose name ends in .txt."""
    return data == "shakespeare" or (data.lower().endswith(".txt") and os.path.exists(data))


class TestData(NamedTuple):
    """What a model is measured on: pictures x and their classes y, as `Sequential.evaluate` takes them.

    blank: the classes of pictures in which nothing is found, for which no answer can be right; unreadable: a sentence for
    each picture that could not be read; notes: what else should be known.
    """

    x: np.ndarray
    y: np.ndarray
    blank: np.ndarray
    unreadable: Sequence[str] = ()
    notes: Sequence[str] = ()


def test_data(data: str, model: Sequential) -> TestData:
    """Pictures and classes to measure a model on, prepared its way: the test set of digits or fashion, or a whole folder."""
    from ..data.datasets import SOURCES, load
    from ..data.folders import check_classes, load_folder

    if data in SOURCES:
        found = load(data)
        labels = model.labels or found.labels
        check_classes(found.labels, labels, data)
        y = np.array([labels.index(label) for label in found.labels])[found.y_test]
        return TestData(found.x_test, y, y[:0])
    check_reads_pictures(model)
    check_exists(data)
    folder = load_folder(
        data, input_shape=model.input_shape, preparation=model.metadata["input"], labels=model.labels
    )
    return TestData(folder.x, folder.y, folder.blank, folder.unreadable, folder.notes(data))


def check_reads_pictures(model: Sequential) -> None:
    """Raise TinynetError, naming shipped models that do, unless a model reads pictures and names what is in them."""
    from ..storage import load, shipped_models

    if not _reads_pictures(model):
        readers = ", ".join(name for name in shipped_models() if _reads_pictures(load(name)))
        raise TinynetError(
            f"{model.name} does not read pictures; choose one that does ({readers}) or train your own"
        )


def _reads_pictures(model: Sequential) -> bool:
    return "input" in model.metadata and len(model.output_shape) == 1


def warm_up() -> None:
    """Compile what the recipes need: short trainings with everything that theirs use, and what is done afterwards."""
    from ..kernels import set_threads, threads

    _warm_up_pictures()
    _warm_up_text()
    set_threads(threads())


def _warm_up_pictures() -> None:
    from ..data.augment import DIGITS
    from . import pictures
    from .base import Choices

    rng = np.random.default_rng(0)
    x, y = rng.random((64, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, 64)
    made = pictures.plan(
        "warmup", Choices(epochs=1), (x, y), (x, y), labels=list("0123456789"), preparation={}, epochs=1,
        augment=DIGITS, dropout=0.25, ema=0.9,
    )  # fmt: skip
    made.model.fit(made.x, made.y, verbose=False, **made.settings)
    for few in (x, x[:1]):
        made.model.predict(few)


def _warm_up_text() -> None:
    from ..data.text import streams
    from ..generation import AT_ONCE
    from ..training import AdamW
    from . import text
    from .base import RECURRENT

    x, y = streams(np.arange(65, dtype=np.int32) % 2, batch_size=2, steps=16)
    for arch in RECURRENT:
        model = text.network(arch, "ab", len(x))
        model.fit(x, y, batch_size=2, stateful=True, optimizer=AdamW(clip_norm=1.0), verbose=False)
        model.generate("a", 2 * AT_ONCE)
