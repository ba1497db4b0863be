"""Compile what the recipes need, by short trainings with everything that they use, and by using the results."""

from __future__ import annotations

import numpy as np

from ..data.pictures.augment import DIGITS, PHOTOS
from ..data.sounds.prepare import Preparation
from ..data.text.characters import streams
from ..data.text.labelled import LabelledTexts
from ..kernels.device import set_threads, threads
from ..tasks.characters import AT_ONCE
from ..training import AdamW
from . import folder, pictures, sentences, sounds, text
from .base import RECURRENT, Choices


def warm_up() -> None:
    """Train, measure and run a small network of every kind."""
    _warm_up_pictures()
    _warm_up_text()
    _warm_up_sentences()
    _warm_up_sounds()
    set_threads(threads())


def _warm_up_pictures() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, 64)
    made = pictures.plan(
        "warmup", Choices(arch="cnn", epochs=1), (x, y), (x, y), labels=list("0123456789"), preparation={}, epochs=1,
        augment=DIGITS, dropout=0.25, ema=0.9,
    )  # fmt: skip
    photos = rng.random((8, 64, 64, 3), dtype=np.float32)
    layers = folder.network(photos.shape[1:], 10)
    residual = pictures.plan(
        "warmup", Choices(epochs=1), (photos, y[:8]), (photos, y[:8]), labels=list("0123456789"), preparation={}, epochs=1,
        layers=layers, augment=PHOTOS, label_smoothing=0.1, ema=0.9, mirrored=True,
    )  # fmt: skip
    for each, given in ((made, x), (residual, photos)):
        each.fit(verbose=False)
        for few in (given, given[:1]):
            each.model.predict(few)


def _warm_up_text() -> None:
    x, y = streams(np.arange(65, dtype=np.int32) % 2, batch_size=2, steps=16)
    for arch in RECURRENT:
        model = text.network(arch, "ab", len(x))
        model.fit(x, y, batch_size=2, stateful=True, optimizer=AdamW(clip_norm=1.0), verbose=False)
        model.generate("a", 2 * AT_ONCE)


def _warm_up_sentences() -> None:
    texts = LabelledTexts([["a", "good", "film"], ["a", "bad", "film"]] * 32, np.arange(64) % 2, ["a", "b"])
    for arch in ("gru", "lstm", "cnn-gru"):
        made = sentences.plan("warmup", Choices(arch=arch, epochs=1), texts, texts, about="")
        made.fit(verbose=False)
        made.model.predict(tuple(ids[:1] for ids in made.x))


def _warm_up_sounds() -> None:
    preparation, rng = Preparation(), np.random.default_rng(0)
    x = rng.integers(0, 255, (64, 8, *preparation.step_shape), np.uint8)
    y = rng.integers(0, 2, 64)
    made = sounds.plan(
        "warmup",
        Choices(arch="cnn-gru", epochs=1),
        (x, y),
        (x, y),
        labels=["a", "b"],
        preparation=preparation,
        about="",
    )
    made.fit(verbose=False)
    for few in (x, x[:1]):
        made.model.predict(few)
