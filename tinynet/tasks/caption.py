"""Describe pictures: a picture file → a sentence, which the network writes word by word.

The picture is encoded once, and is the network's first steps; each later step reads the word before it. There is one way to write a
sentence, a beam search; a beam of one is the greedy way, the likeliest word each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..checks import check_count, show_shape
from ..data.captions import BEAMS
from ..data.captions.folder import Captioned, read_captioned
from ..data.captions.words import END, LONGEST, UNKNOWN, Vocabulary, split
from ..data.names import DATASETS
from ..data.pictures.prepare import prepare_noted
from ..data.pictures.read import is_animated, read_image
from ..data.pictures.samples import PictureReader
from ..errors import DataError, TinynetError, UsageError, counted, listed
from ..layers.inputs import check_finite_output
from ..network import Network, leaves, rebuilt
from .base import CAPTION, Task, check_task, was_trained_on
from .classes import percent
from .pictures import FIRST_FRAME

AT_ONCE = 32
"""Pictures that are described together: each of their sentences has a state, keys and values of all places, copied for every word."""


class Answer(NamedTuple):
    """A sentence and how probable the network takes it to be; None for a picture of one plain colour.

    note: what the user should know, if anything.
    """

    caption: str | None
    probability: float | None
    note: str | None = None


@dataclass
class CaptionedSamples:
    """Pictures with captions that a model is measured on."""

    data: Captioned
    remarks: Sequence[str] = ()
    unreadable: Sequence[str] = ()


@dataclass(frozen=True)
class CaptionMeasures:
    """How well pictures are described.

    exact_match: share of the sentences that are one of their picture's captions, word for word; word_accuracy: share of the words
    that stand where the caption has them, of the longer of both, and of the caption that fits best; loss: nats per word, the words
    before it given.
    """

    exact_match: float
    word_accuracy: float
    loss: float
    pictures: int
    unreadable: int

    def as_json(self) -> dict[str, Any]:
        """All measures as JSON values."""
        return vars(self)


class Captions(Task[CaptionedSamples, CaptionMeasures]):
    """A network that reads a picture and writes a sentence on it."""

    name = CAPTION

    def __init__(self, *models: Network) -> None:
        super().__init__(*models)
        if len(models) > 1:
            raise UsageError(
                "several models can be averaged where they name classes, but not for writing captions; give one"
            )
        self.vocabulary = vocabulary_of(self.model)
        self.preparation = self.model.metadata["input"]

    def answer(self, given: Any, beams: int = BEAMS) -> Answer:
        """The sentence on a picture.

        given: what `data.pictures.read.read_image` takes; beams: sentences that are followed at once. Raises ImageError for anything
        but a picture.
        """
        note = FIRST_FRAME if is_animated(given) else None
        pixels = prepare_noted(read_image(given), self.preparation, self.model.inputs[0]).pixels
        if pixels is None or (pixels == pixels[0, 0]).all():
            return Answer(None, None, note)
        (ids,), (log,) = write(self.model, pixels[None], beams)
        return Answer(self.vocabulary.text(ids), float(np.exp(log)), note)

    def read(self, data: str) -> CaptionedSamples:
        """The test set of the scenes, or a folder with pictures and a table of their captions."""
        if data in DATASETS:
            from ..data.captions.scenes import SHAPE
            from ..data.datasets import load

            if self.model.inputs[0] != SHAPE:
                raise DataError(
                    f"{self.model.name} reads pictures of {show_shape(self.model.inputs[0])}, but {data} are {show_shape(SHAPE)}; "
                    "evaluate it on a folder of pictures with captions"
                )
            return CaptionedSamples(load(data).part("test"))
        found = read_captioned(data, PictureReader(self.model.inputs[0], self.preparation))
        remarks = [f"note: {text}" for text in found.warnings]
        if count := len(found.unreadable):
            remarks.append(
                f"{count} of {count + len(found.x)} pictures of {data} could not be read and do not count:"
            )
            remarks += found.unreadable
        words = {word for caption in found.captions for word in split(caption) if any(map(str.isalnum, word))}
        if unknown := sorted(words.difference(self.vocabulary.words)):
            names = (
                f"{counted(len(unknown), 'word')} of the captions, which it never writes: {listed(unknown)}"
            )
            remarks.append(f"note: {self.model.name} does not know {names}")
        if was_trained_on(self.model, data):
            remarks.append("note: it was trained on some of these pictures, so this is too optimistic")
        return CaptionedSamples(found, remarks, found.unreadable)

    def evaluate(self, data: CaptionedSamples, beams: int = BEAMS) -> CaptionMeasures:
        """How many sentences, and how many words, are as in the captions; and the loss on the captions themselves."""
        from ..training import evaluate

        given = data.data
        exact, words = score(self.describe(given.x, beams), given.by_picture())
        before, after = self.vocabulary.encode(given.captions)
        loss = evaluate(self.model, (given.x[given.picture], before), after)["loss"]
        return CaptionMeasures(exact, words, loss, len(given.x), len(data.unreadable))

    def describe(self, x: np.ndarray, beams: int = BEAMS) -> list[str]:
        """The sentences on prepared pictures (n, height, width, channels)."""
        return [
            self.vocabulary.text(ids)
            for start in range(0, len(x), AT_ONCE)
            for ids in write(self.model, x[start : start + AT_ONCE], beams)[0]
        ]

    def as_json(self, answer: Answer) -> dict[str, Any]:
        """{"caption", "probability"} for JSON; null if nothing was found."""
        probability = None if answer.probability is None else round(answer.probability, 6)
        return {"caption": answer.caption, "probability": probability}

    def show(self, found: Answer | CaptionMeasures) -> Iterator[str]:
        """A sentence with its probability, or measures, in a line."""
        if isinstance(found, CaptionMeasures):
            yield (
                f"{percent(found.exact_match)} of the sentences and {percent(found.word_accuracy)} of the words as in the captions, "
                f"loss {found.loss:.4f} ({counted(found.pictures, 'picture')})"
            )
        elif found.caption is None or found.probability is None:
            yield "nothing found"
        else:
            yield f"{found.caption or 'no words'} ({percent(found.probability)})"


TASK = Captions


def vocabulary_of(model: Network) -> Vocabulary:
    """The words of a model; raises TinynetError unless it reads a picture, then words, and says how probable each word is to come next."""
    check_task(model, CAPTION)
    words, shapes = model.vocabulary, model.inputs
    if not isinstance(words, (list, tuple)) or model.output_shape[-1:] != (len(words),):
        raise TinynetError(
            f"{model.name} has no vocabulary with one word for each output; train it again with tinynet train"
        )
    if len(shapes) != 2 or len(shapes[0]) != 3 or len(shapes[1]) != 1:
        raise TinynetError(f"{model.name} does not read a picture and words; train one that does")
    model.phases[1].check_streamable()
    return Vocabulary(words)


def write(
    model: Network, pictures: np.ndarray, beams: int = BEAMS, longest: int = LONGEST
) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest sentences on pictures (n, height, width, channels): ids (n, steps), END behind each, and log probabilities (n,).

    A beam search: of all sentences that continue one of the `beams` likeliest so far by a word, the `beams` likeliest are kept, until
    the first of them is at its end, since all others only become less likely. Raises TinynetError if the network's numbers are not
    finite.
    """
    beams = check_count("caption", "beams", beams)
    probabilities, state = model.advance(pictures)
    n, words = probabilities.shape
    ids, scores = np.zeros((n, 1, 0), np.int32), np.zeros((n, 1))
    done = np.zeros((n, 1), bool)
    for step in range(longest + 1):
        check_finite_output(model.name, probabilities)
        logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).astype(np.float64)
        logs[:, UNKNOWN] = -np.inf
        if step == longest:
            logs[:, UNKNOWN:] = -np.inf
        logs = logs.reshape(n, -1, words)
        logs[done] = -np.inf
        logs[done, END] = 0.0
        candidates = (scores[:, :, None] + logs).reshape(n, -1)
        best = np.argsort(-candidates, axis=1, kind="stable")[:, :beams]
        scores = np.take_along_axis(candidates, best, axis=1)
        parents, chosen = best // words, (best % words).astype(np.int32)
        ids = np.concatenate(
            [np.take_along_axis(ids, parents[:, :, None], axis=1), chosen[:, :, None]], axis=2
        )
        done = np.take_along_axis(done, parents, axis=1) | (chosen == END)
        if done[:, 0].all():
            break
        rows = (parents + np.arange(n)[:, None] * logs.shape[1]).reshape(-1)
        state = rebuilt(state, iter([array[rows] for array in leaves(state)]))
        probabilities, state = model.advance(chosen.reshape(-1), state)
    return ids[:, 0], scores[:, 0]


def score(written: Sequence[str], known: Sequence[Sequence[str]]) -> tuple[float, float]:
    """The share of sentences that are one of those known for their picture, and the share of words that stand in the right place."""
    exact, right, total = 0, 0, 0
    for sentence, captions in zip(written, known, strict=True):
        words = split(sentence)
        pairs = [(_matches(words, other), max(len(words), len(other))) for other in map(split, captions)]
        best = max(pairs, key=lambda pair: pair[0] / pair[1])
        exact += best[0] == best[1]
        right, total = right + best[0], total + best[1]
    return exact / len(written), right / total


def _matches(words: Sequence[str], others: Sequence[str]) -> int:
    return sum(word == other for word, other in zip(words, others, strict=False))
