"""How well texts are told apart: naive Bayes, the bag of words, the recurrent reader alone, both, and a CNN before it.

Sentences are those of the polarity data set, in ten-fold cross-validation. Documents are put together of them, several a half: both
halves in favour, both against, or first one and then the other, so that what a document says hangs on its order as well. Sentences
elsewhere are a few about phones and restaurants, of which films say little. Settings were chosen on other folds. Needs the data set, see
`tinynet train sentence-polarity`.

    python -m bench.sentences [sentences|documents] [FOLDS]      by default ten folds of sentences and three of documents
"""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinynet.data.datasets import load
from tinynet.data.text.labelled import LabelledTexts
from tinynet.data.text.words import split
from tinynet.kernels import device
from tinynet.recipes.base import Choices
from tinynet.recipes.sentences import LONGEST, TextsPlan, plan
from tinynet.tasks.text import vocabulary_of

from .measure import THREADS, table

SEED = 5
"""Of the folds; settings were chosen on those of another seed."""
FOLDS, COUNTS = 10, {"sentences": 10, "documents": 3}
"""Parts of the data, and how many of them are measured on by default."""
ARCHITECTURES = ("gru", "cnn-gru")
HALF = 6
"""Sentences of half a document."""
DOCUMENTS = 3000, 600
"""Documents to train on, made of nine tenths of the sentences, and to measure, of the others."""
LABELS = ["against", "against, then in favour", "in favour, then against", "in favour"]
HEAD = ("reader", "sentences", "documents", "sentences elsewhere")
ELSEWHERE = {
    "negative": (
        "The battery barely lasts half a day.",
        "I hate the keyboard, it never types what I mean.",
        "The screen cracked within a week and nobody would repair it.",
        "Calls drop all the time, I would not buy it again.",
        "It's slow, it's heavy and it gets hot.",
        "The camera isn't worth the money.",
        "Worst phone I have ever owned.",
        "It stopped working after two months, what a waste of money.",
        "The sound is terrible and the charger broke.",
        "I regret buying this phone, the old one was better.",
        "The soup was cold and nobody apologised.",
        "We waited an hour for a table and another for the food.",
        "The waiter was rude and the bill was wrong.",
        "Overpriced and bland, I won't come back.",
        "My steak was tough and the vegetables were not fresh.",
        "A disappointing evening: noisy, dirty and expensive.",
        "The pizza tasted like cardboard.",
        "Nothing on the menu was any good.",
        "I do not recommend this place to anyone.",
        "The service is awful and the wine is worse.",
    ),
    "positive": (
        "The battery lasts two days, I am very happy with it.",
        "I love the camera, even at night the pictures are sharp.",
        "The best phone I have ever had.",
        "It's fast, light and easy to use.",
        "Great value for the money, I would buy it again.",
        "Beautiful screen, and the sound is excellent.",
        "It works perfectly and has never let me down.",
        "A wonderful little phone, my mother uses it every day.",
        "Setting it up was easy and everything just works.",
        "No complaints at all, it does exactly what I need.",
        "The food was delicious and the waiters were friendly.",
        "The best pasta in town, we will be back.",
        "A lovely place with a warm welcome.",
        "Everything was fresh and perfectly cooked.",
        "I recommend the fish, it was superb.",
        "Good food, fair prices and quick service.",
        "We had a wonderful evening and the dessert was amazing.",
        "The cook is a genius, I enjoyed every bite.",
        "Not cheap, but worth every cent.",
        "A charming little café with excellent coffee.",
    ),
}
"""Sentences about phones and restaurants, written for this file before any model had read them; no setting is chosen by them."""


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


def elsewhere() -> LabelledTexts:
    """The sentences of ELSEWHERE."""
    labels = [*ELSEWHERE]
    texts = [(split(text), y) for y, label in enumerate(labels) for text in ELSEWHERE[label]]
    return LabelledTexts([words for words, _ in texts], np.array([y for _, y in texts]), labels)


def measured(
    training: LabelledTexts, tests: dict[str, LabelledTexts], seed: int
) -> dict[str, dict[str, float]]:
    """The accuracy of every reader on each test, of which the first is the one that training sees as validation data."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for arch in ARCHITECTURES:
        made = plan("bench", Choices(arch=arch, seed=seed), training, next(iter(tests.values())), about="")
        for kind, test in tests.items():
            if made.apart:  # whose bag begins as naive Bayes
                found["naive Bayes"][kind] = right(made.apart.answer(read(made, test))[0][:, 1], test)
        made.fit(verbose=False)
        for kind, test in tests.items():
            for reader, accuracy in readers(made, arch, test):
                found[reader][kind] = accuracy
    return found


def read(made: TextsPlan, test: LabelledTexts) -> Any:
    """What the model of a plan reads of texts."""
    order, bags = vocabulary_of(made.model).encode(test.texts)
    order = np.ascontiguousarray(order[:, :LONGEST])
    return (order, bags) if made.apart else order


def right(answers: np.ndarray, test: LabelledTexts) -> float:
    """The part of the answers (n, classes) that are right."""
    return float(np.mean(answers.argmax(axis=1) == test.y))


def readers(made: TextsPlan, arch: str, test: LabelledTexts) -> Iterator[tuple[str, float]]:
    """The accuracy of a trained model, and of both of its readers if it has two."""
    name, x = arch.upper().replace("-", ", then "), read(made, test)
    if made.apart is None:
        yield name, right(made.model.answer(x)[0], test)
        return
    deep, wide = np.moveaxis(made.apart.answer(x)[0][:, :2], 1, 0)
    yield "bag of words", right(wide, test)
    yield f"{name} alone", right(deep, test)
    yield f"{name} beside the bag", right(made.model.answer(x)[0], test)


def rows(counts: dict[str, int]) -> list[tuple[str, ...]]:
    """One line per reader: its mean accuracy over the folds, and the standard error of that mean."""
    device.set_device("cpu")
    device.set_threads(THREADS)
    reached: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed, (training, test) in enumerate(folds(load("sentence-polarity"))):
        for kind in (kind for kind, count in counts.items() if seed < count):
            began, rng = time.process_time(), np.random.default_rng(seed)
            given, tests = training, {kind: test}
            if kind == "documents":
                given, tests = (
                    documents(training, DOCUMENTS[0], rng),
                    {kind: documents(test, DOCUMENTS[1], rng)},
                )
            else:
                tests["sentences elsewhere"] = elsewhere()
            found = measured(given, tests, seed)
            for reader, accuracies in found.items():
                for each, accuracy in accuracies.items():
                    reached[reader][each].append(100 * accuracy)
            shown = ", ".join(f"{reader} {100 * each[kind]:.2f}" for reader, each in found.items())
            seconds = time.process_time() - began
            print(
                f"fold {seed + 1}, {kind}: {shown} ({seconds:.0f} s of a core)", file=sys.stderr, flush=True
            )
    return [(reader, *(_mean(by_kind[kind]) for kind in HEAD[1:])) for reader, by_kind in reached.items()]


def _mean(accuracies: list[float]) -> str:
    """The mean and its standard error; nothing of nothing."""
    if len(accuracies) < 2:
        return f"{accuracies[0]:.2f} %" if accuracies else ""
    return f"{np.mean(accuracies):.2f} ± {np.std(accuracies, ddof=1) / math.sqrt(len(accuracies)):.2f} %"


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if not word.isdigit()] or [*COUNTS]
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    print(table(HEAD, rows({kind: numbers[0] if numbers else COUNTS[kind] for kind in given})))
    print(f"\n{time.process_time() / 60:.0f} minutes of a core")
