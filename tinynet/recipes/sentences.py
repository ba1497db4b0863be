"""Texts of any length: `tinynet train TABLE.tsv` of labels and texts, then `tinynet classify` with the model that this makes.

Two readers in parallel, whose outputs are averaged, those of the wide one counted twice. The wide one adds up what each word, pair and
piece of a word says for a class, whatever its place: it begins as a naive Bayes classifier, and training corrects it (Wang & Manning
2012). The deep one reads the words in their order: a recurrent layer from both ends, since what a word means depends on what comes
before and after it, of which the strongest signal counts, wherever it stands. Each has a loss of its own: the wide one soon fits all
training texts, and with one loss for both the deep one would then learn nothing. In documents, with cnn-gru, the deep reader
stands alone, behind a convolution that takes neighbours together and leaves fewer steps to carry along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..data.datasets import load
from ..data.folders import stratified_split
from ..data.tables.read import is_table
from ..data.text.labelled import LabelledTexts, holds_labelled_texts, read_labelled
from ..data.text.words import UNKNOWN, Vocabulary, log_count_ratios, settings
from ..errors import Setting, TinynetError, counted
from ..layers import (
    Activation,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    EmbeddingBag,
    GlobalAveragePool1D,
    GlobalMaxPool1D,
    MaxPool1D,
    Parallel,
    RepeatVector,
)
from ..layers.base import Layer
from ..layers.containers import Chain
from ..sequential import Sequential
from ..tasks.base import TEXT
from ..tasks.text import NEUTRAL, vocabulary_of
from ..training import AdamW, EarlyStopping, History, OneCycle
from .architectures import ARCHITECTURES
from .base import RECURRENT, Choices, Plan, Recipe
from .scores import Score

VALIDATION = 0.1
LONGEST = 400
"""Words of a text that training reads in order; the bag holds the later ones too."""
EMBEDDING, UNITS, FILTERS, WINDOW, POOL = 24, 32, 48, 3, 4
EMBEDDING_DROPOUT, DROPOUT, BAG_DROPOUT = 0.3, 0.5, 0.5
VOTES = 2
"""How often what the wide reader says counts."""
CONFIDENCE = 0.2
"""Factor of the weights of naive Bayes, which counts words that occur together as if they were independent."""
BATCH_SIZE, PEAK_LEARNING_RATE = 64, 1e-3
STEPS, EPOCHS = 600, (4, 30)
"""Training steps that are enough, and fewest and most times that each text is read."""
LEAST_RIGHT = 0.6
"""Answers that are right less often than this, going by the validation set, are called neutral."""
POWERS = np.geomspace(0.05, 5, 200)
POLES = {"negative", "positive"}
"""Classes between which there is a neutral answer."""


class Sentences(Recipe):
    """A bag of words beside a recurrent network, for a table of labels and texts or "sentence-polarity"."""

    task = TEXT
    kind = "text"
    holds = "labelled texts"
    options = frozenset({"base"})

    def matches(self, data: str, choices: Choices) -> bool:
        if data == "sentence-polarity":
            return True
        asked = choices.task == TEXT and is_table(data)  # reading it says which columns it lacks
        return choices.target is None and (asked or holds_labelled_texts(data))

    def plan(self, data: str, choices: Choices) -> TextsPlan:
        if data == "sentence-polarity":
            training, validation = load(data).held_out()
            return plan(
                data, choices, training, validation, about="tells whether a sentence is in favour or against"
            )
        found = read_labelled(data)
        rows = stratified_split(found.y, VALIDATION, choices.seed)
        about = f"tells apart texts: {', '.join(found.labels)}"[:80]
        made = plan(Path(data).stem, choices, *map(found.part, rows), about=about)
        if found.left_out:
            made.warnings.append(
                f"left out {counted(found.left_out, 'row')} of {data} without a label or a word"
            )
        return made

    def body(self, model: Sequential) -> Chain:
        """The deep reader, alone or beside the wide one."""
        first = model.layers[0] if model.layers else model
        deep = first.layers[0] if isinstance(first, Parallel) else model
        if not (isinstance(deep, Chain) and deep.layers and isinstance(deep.layers[0], Embedding)):
            raise TinynetError(
                f"{model.name} cannot be a base: it does not read words in their order; choose another ",
                Setting("base"),
            )
        return deep


def plan(
    name: str, choices: Choices, training: LabelledTexts, validation: LabelledTexts, *, about: str
) -> TextsPlan:
    """The plan for labelled texts; the user's choices override the recipe's."""
    arch, labels = choices.arch, training.labels
    identity = {"seed": choices.seed, "name": f"{name}-{arch}"}
    vocabulary = Vocabulary.learn(training.texts, name)
    if choices.begun:
        vocabulary = vocabulary.after(vocabulary_of(choices.begun.model), is_closed=choices.begun.frozen > 0)
    (x, bags), (xv, bags_v) = (_encoded(vocabulary, part) for part in (training, validation))
    ratios = log_count_ratios(bags, training.y, len(labels), len(vocabulary.terms))
    apart = None
    if "-" in arch:
        vocabulary = vocabulary.words_alone()
        model = document_reader(deep_reader(vocabulary, len(labels), choices), vocabulary, labels, **identity)
    else:
        both = readers(deep_reader(vocabulary, len(labels), choices), ratios)
        model = network(both, vocabulary, labels, **identity)
        apart, x, xv = Sequential([both, Activation("softmax")], model.input_shape), (x, bags), (xv, bags_v)
    model.metadata.update(about=about, input=settings(vocabulary))
    batch_size = choices.batch_size or BATCH_SIZE
    epochs = min(max(STEPS // -(-len(training) // batch_size), EPOCHS[0]), EPOCHS[1])
    fit = {
        "epochs": choices.epochs or epochs,
        "batch_size": batch_size,
        "optimizer": AdamW(OneCycle(choices.rate(PEAK_LEARNING_RATE))),
        "validation_data": (xv, validation.y),
        # the last epoch, so that the validation set decides nothing but what is neutral
        "early_stopping": EarlyStopping("val_loss", patience=None, restore_best_weights=False),
        "seed": choices.seed,
    }
    reason = (
        f"{len(training):,} texts, {vocabulary.words:,} different words: training {ARCHITECTURES[arch].title}"
        f"{' beside a bag of words' if apart else ''}, with {model.parameter_count():,} parameters"
    )
    reached = float(np.mean(naive_bayes(ratios, bags_v) == validation.y))
    return TextsPlan(model.name, reason, model, x, training.y, fit, apart=apart, naive_bayes=reached)


def _encoded(vocabulary: Vocabulary, part: LabelledTexts) -> tuple[np.ndarray, np.ndarray]:
    order, bags = vocabulary.encode(part.texts)
    return np.ascontiguousarray(order[:, :LONGEST]), bags


def readers(deep: list[Layer], ratios: np.ndarray) -> Parallel:
    """What the deep reader makes of words in their order, and the wide one of the bag: (n, 1 + VOTES, classes) logits."""
    terms, classes = ratios.shape
    bag = EmbeddingBag(terms, classes, BAG_DROPOUT, embeddings_initializer="zeros")
    bag.build((None,), np.random.default_rng(0))
    bag.parameters["embeddings"][...] = CONFIDENCE * ratios
    return Parallel([Sequential(deep), Sequential([bag, RepeatVector(VOTES)])], "prepend")


def deep_reader(vocabulary: Vocabulary, classes: int, choices: Choices) -> list[Layer]:
    """Embedding, with cnn-… a convolution and pooling, then a recurrent layer from both ends and its largest outputs.

    With a base its layers; words that it does not know begin as the unknown word.
    """
    if choices.begun:
        embedding = choices.begun.embedding(vocabulary.words + 2, lambda known: known[UNKNOWN])
        return [embedding, *list(choices.begun.layers.values())[1:], Dense(classes)]
    grams, _, cell = choices.arch.rpartition("-")
    local = [Conv1D(FILTERS, WINDOW, padding="same", activation="relu"), MaxPool1D(POOL, padding="same")]
    return [
        Embedding(vocabulary.words + 2, EMBEDDING, mask_zero=True),
        Dropout(EMBEDDING_DROPOUT),
        *(local if grams else []),
        Bidirectional(RECURRENT[cell](choices.cell(UNITS), return_sequences=True)),
        GlobalMaxPool1D(),
        Dropout(DROPOUT),
        Dense(classes),
    ]


def document_reader(
    deep: list[Layer], vocabulary: Vocabulary, labels: list[str], **identity: Any
) -> Sequential:
    """The deep reader alone: what a long text says hangs on its order, of which a bag knows nothing and yet is sure."""
    layers = [*deep, Activation("softmax")]
    return Sequential(layers, (None,), labels=labels, vocabulary=list(vocabulary.terms), **identity)


def network(both: Parallel, vocabulary: Vocabulary, labels: list[str], **identity: Any) -> Sequential:
    """The mean of the readers' outputs."""
    layers = [both, GlobalAveragePool1D(), Activation("softmax")]
    return Sequential(
        layers, ((None,), (None,)), labels=labels, vocabulary=list(vocabulary.terms), **identity
    )


@dataclass
class TextsPlan(Plan):
    """A training on texts, with naive Bayes for comparison."""

    naive_bayes: float = field(kw_only=True)
    """What naive Bayes on the same words, pairs and pieces reaches on the validation set."""
    apart: Sequential | None = None
    """Of two readers, both with answers of their own (n, 1 + VOTES, classes): what is trained."""

    def fit(self, **settings: Any) -> History:
        """Train the model, or its two readers, each on the same labels."""
        if self.apart is None:
            return super().fit(**settings)
        xv, yv = self.settings["validation_data"]
        own = {**self.settings, "validation_data": (xv, _for_both(yv)), **settings}
        return self.apart.fit(self.x, _for_both(self.y), **own)

    def _together(self, best: dict[str, Any]) -> dict[str, Any]:
        """An epoch of the history, with what the readers reach together."""
        x, y = self.settings["validation_data"]
        return {**best, "val_accuracy": float(np.mean(self.model.answer(x)[0].argmax(axis=1) == y))}

    def record(self, best: dict[str, Any]) -> dict[str, Any]:
        return super().record(self._together(best))

    def result_line(self, best: dict[str, Any]) -> str:
        """As of any training; the history has the mean of what each reader reaches alone."""
        together = "both readers together: " if self.apart else ""
        return f"{together}{super().result_line(self._together(best))}"

    def training_record(self, data: str, history: History, best: dict[str, Any]) -> dict[str, Any]:
        """As of any training; where there is a neutral answer, settles first when it is given."""
        if set(self.model.labels or ()) == POLES:
            x, y = self.settings["validation_data"]
            self.model.metadata[NEUTRAL] = neutral_below(self.model.answer(x)[0], y)
        return super().training_record(data, history, best)

    def score(self, best: dict[str, Any]) -> Score:
        """As of any training, with what the readers reach together."""
        return super().score(self._together(best))

    @cached_property
    def baselines(self) -> dict[str, float]:
        """What naive Bayes and always the same answer reach on the same validation set."""
        return {"naive Bayes on the same words, pairs and pieces": self.naive_bayes, **super().baselines}


def _for_both(y: np.ndarray) -> np.ndarray:
    """Labels (n,) as the labels of both readers (n, 1 + VOTES)."""
    return np.repeat(y[:, None], 1 + VOTES, axis=1)


def naive_bayes(ratios: np.ndarray, bags: np.ndarray) -> np.ndarray:
    """The classes that naive Bayes gives to bags (n, largest)."""
    return np.array([ratios[bag].sum(axis=0).argmax() for bag in bags])


def neutral_below(probabilities: np.ndarray, y: np.ndarray) -> float:
    """The probability below which answers (n, 2) of that probability are right in fewer than LEAST_RIGHT of all cases.

    A network is surer than it may be: the odds of its being right are taken for a power of those that it gives, the likeliest one for
    these labels (temperature scaling; Guo et al. 2017).
    """
    sure = probabilities.max(axis=1).clip(0.5, 1 - 1e-7)
    missed = np.where(probabilities.argmax(axis=1) == y, -1, 1) * np.log(sure / (1 - sure))
    power = POWERS[np.argmin([np.logaddexp(0, power * missed).mean() for power in POWERS])]
    return round(float(1 / (1 + (1 / LEAST_RIGHT - 1) ** (1 / power))), 4)
