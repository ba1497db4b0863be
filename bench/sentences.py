"""How well texts are told apart: naive Bayes, the bag of words, the recurrent reader alone, both, and a CNN before it.

Sentences are those of the polarity data set, in ten-fold cross-validation. Documents are put together of them, several a half: both
halves in favour, both against, or first one and then the other, so that what a document says hangs on its order as well. Settings were
chosen on other folds. Needs the data set, see `tinynet train sentence-polarity`.

    python -m bench.sentences [sentences|documents] [FOLDS]
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict

import numpy as np

from tinynet.data.datasets import load
from tinynet.data.text.labelled import LabelledTexts
from tinynet.kernels import device
from tinynet.recipes.base import Choices
from tinynet.recipes.sentences import TextsPlan, plan

from .measure import THREADS, table

SEED = 5
"""Of the folds; settings were chosen on those of another seed."""
FOLDS = 10
ARCHITECTURES = ("gru", "cnn-gru")
HALF = 6
"""Sentences of half a document."""
DOCUMENTS = 3000, 600
"""Documents to train on, made of nine tenths of the sentences, and to measure, of the others."""
LABELS = ["against", "against, then in favour", "in favour, then against", "in favour"]
HEAD = ("reader", "sentences", "documents")


def folds(data: LabelledTexts) -> list[tuple[LabelledTexts, LabelledTexts]]:
    """(all but a tenth, that tenth) for each tenth of the shuffled texts."""
    order = np.random.default_rng(SEED).permutation(len(data))
    parts = np.array_split(order, FOLDS)
    return [(data.part(np.setdiff1d(order, part)), data.part(part)) for part in parts]


def documents(data: LabelledTexts, count: int, rng: np.random.Generator) -> LabelledTexts:
    """Documents of two halves, each of sentences of one class."""
    of_class = [np.flatnonzero(data.y == label) for label in range(2)]
    y = rng.integers(0, len(LABELS), count)
    texts = []
    for first, second in zip(y // 2, y % 2, strict=True):
        rows = [row for half in (first, second) for row in rng.choice(of_class[half], HALF)]
        texts.append([word for row in rows for word in data.texts[row]])
    return LabelledTexts(texts, y, LABELS)


def measured(training: LabelledTexts, test: LabelledTexts, seed: int) -> dict[str, float]:
    """The accuracy of every reader."""
    found = {}
    for arch in ARCHITECTURES:
        made = plan("bench", Choices(arch=arch, seed=seed), training, test, about="")
        made.fit(verbose=False)
        found |= _readers(made, arch)
    return found


def _readers(made: TextsPlan, arch: str) -> dict[str, float]:
    (x, y), name = made.settings["validation_data"], arch.upper().replace("-", ", then ")

    def right(probabilities: np.ndarray) -> float:
        return float(np.mean(probabilities.argmax(axis=1) == y))

    found, answers = {"naive Bayes": made.naive_bayes}, made.model.answer(x)[0]
    if made.apart is None:
        return {**found, name: right(answers)}
    deep, wide = np.moveaxis(made.apart.answer(x)[0], 1, 0)
    return {
        **found,
        "bag of words": right(wide),
        f"{name} alone": right(deep),
        f"{name} beside the bag": right(answers),
    }


def rows(kinds: tuple[str, ...], count: int = FOLDS) -> list[tuple[str, ...]]:
    """One line a reader: mean accuracy over the folds."""
    device.set_device("cpu")
    device.set_threads(THREADS)
    reached: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed, (training, test) in enumerate(folds(load("sentence-polarity"))[:count]):
        for kind in kinds:
            began, rng, parts = time.perf_counter(), np.random.default_rng(seed), (training, test)
            if kind == "documents":
                parts = documents(training, DOCUMENTS[0], rng), documents(test, DOCUMENTS[1], rng)
            found = measured(*parts, seed)
            for reader, accuracy in found.items():
                reached[reader][kind].append(accuracy)
            shown = ", ".join(f"{reader} {100 * accuracy:.2f}" for reader, accuracy in found.items())
            seconds = time.perf_counter() - began
            print(f"fold {seed + 1}, {kind}: {shown} ({seconds:.0f} s)", file=sys.stderr, flush=True)
    return [
        (reader, *(f"{100 * np.mean(by_kind[kind]):.2f} %" if by_kind[kind] else "" for kind in HEAD[1:]))
        for reader, by_kind in reached.items()
    ]


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if not word.isdigit()]
    counts = [int(word) for word in sys.argv[1:] if word.isdigit()]
    print(table(HEAD, rows(tuple(given) or HEAD[1:], counts[0] if counts else FOLDS)))
