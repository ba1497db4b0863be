"""Captions: how many sentences on new scenes are right, where things meet that have met in training, and where they have not.

The shipped model, which writes word by word, beside ways that only know whole sentences: the most frequent one, that of the most
similar scene of the training set, and a CNN with one class for each sentence, which can name none that it has not seen. All scenes
show pictures of the official test sets of MNIST and Fashion-MNIST.

    python -m bench.captions [--epochs N] [--training N]     of the CNN; 0 epochs leave it out
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

import tinynet as tn
from tinynet.data.captions import BEAMS
from tinynet.data.captions.folder import Captioned
from tinynet.data.datasets import load
from tinynet.kernels import device
from tinynet.recipes.captions import UNITS, encoder
from tinynet.tasks.caption import Captions, score
from tinynet.tasks.classes import percent

from .measure import THREADS, table

HEAD = ("way", "known pairs: sentences", "words", "new pairs: sentences", "words")
VECTOR = 160
"""Numbers from which the CNN tells a whole sentence."""
BLOCK = 500
"""Scenes that are compared with the training set at once."""


def nearest(training: Captioned, x: np.ndarray) -> list[str]:
    """For each scene the sentence of the training scene with the least squared difference."""
    known = training.x.reshape(len(training.x), -1).astype(np.float32) / 255
    squares = np.square(known).sum(axis=1)
    found: list[str] = []
    for start in range(0, len(x), BLOCK):
        own = x[start : start + BLOCK].reshape(-1, known.shape[1]).astype(np.float32) / 255
        found += [training.captions[i] for i in (squares - 2 * own @ known.T).argmin(axis=1)]
    return found


def whole_sentences(training: Captioned, epochs: int) -> tuple[tn.Sequential, list[str]]:
    """A network with the encoder of the recipe and one class for each sentence, and the sentences."""
    sentences = sorted(set(training.captions))
    index = {sentence: i for i, sentence in enumerate(sentences)}
    y = np.array([index[caption] for caption in training.captions])
    shape = training.x.shape[1:]
    layers = [
        *encoder(shape, UNITS),
        tn.Flatten(),
        tn.Dense(VECTOR),
        tn.BatchNorm(0.9),
        tn.Activation("relu"),
    ]
    layers.append(tn.Dense(len(sentences), activation="softmax"))
    model = tn.Sequential(layers, shape)
    optimizer = tn.AdamW(tn.OneCycle(3e-3), clip_norm=1.0)
    model.fit(training.x, y, epochs=epochs, batch_size=64, optimizer=optimizer, verbose=False)
    return model, sentences


def rows(training: Captioned, tests: Sequence[Captioned], epochs: int) -> Iterator[tuple[str, ...]]:
    """One line per way, each on scenes of known and of new pairs."""

    def line(way: str, found: Sequence[Sequence[str]]) -> tuple[str, ...]:
        scores = (score(w, test.by_picture()) for w, test in zip(found, tests, strict=True))
        return (way, *(percent(part) for both in scores for part in both))

    ((frequent, _),) = Counter(training.captions).most_common(1)
    yield line("the most frequent sentence", [[frequent] * len(test.x) for test in tests])
    yield line("the most similar scene's sentence", [nearest(training, test.x) for test in tests])
    if epochs:
        model, sentences = whole_sentences(training, epochs)
        read = [model.answer(test.x)[0].argmax(axis=1) for test in tests]
        yield line("a CNN that names whole sentences", [[sentences[i] for i in own] for own in read])
    task = Captions(tn.load("scenes"))
    for beams in (1, BEAMS):
        yield line(f"`scenes`, beam of {beams}", [task.describe(test.x, beams) for test in tests])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--training", type=int, default=None)
    given = parser.parse_args()
    device.set_threads(THREADS)
    scenes = load("scenes")
    held_out = scenes.part("test", pairs="training"), scenes.part("test")
    print(table(HEAD, list(rows(scenes.part("training", given.training), held_out, given.epochs))))
