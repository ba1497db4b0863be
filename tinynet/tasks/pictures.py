"""Classify pictures: a picture file, an array or bytes → the classes, the most probable first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data.names import DATASETS
from ..data.pictures.pixels import to_grey
from ..data.pictures.prepare import DIGIT, Prepared, prepare_digits, prepare_noted
from ..data.pictures.read import is_animated, read_image
from ..data.pictures.samples import PictureReader
from ..errors import Setting, UsageError
from ..network import Network
from .base import PICTURES, check_task
from .classes import (
    ClassMeasures,
    LabelledSamples,
    NamesClasses,
    Ranking,
    ranking_as_json,
    read_folder,
)

FIRST_FRAME = "only the first frame is read; clips are read by models such as moving-digits"


class Answer(NamedTuple):
    """The classes of one thing in a picture; empty if nothing is found.

    views: what each network was given, if anything; note: what the user should know, if anything. For digits:
    how many there are in the picture, and left, top, right, bottom of this one.
    """

    ranking: Ranking
    views: Sequence[np.ndarray] = ()
    note: str | None = None
    count: int | None = None
    box: tuple[int, int, int, int] | None = None


class Pictures(NamesClasses):
    """Networks that name what is in a picture, each from the picture as its own file prepares it."""

    name = PICTURES
    sample = "picture"
    options = frozenset({"every", "show"})

    def answer(self, given: Any, every: bool = False) -> list[Answer]:
        """What is in a picture, from the mean of the models' probabilities: one thing, or every digit in reading order.

        given: what `data.pictures.read.read_image` takes. Raises ImageError for anything but a picture.
        """
        picture = read_image(given)
        things = zip(*(_views(model, picture, every) for model in self.models), strict=True)
        answers = [self._answer(views) for views in things]
        if answers and is_animated(given):
            noted = "; ".join(filter(None, (FIRST_FRAME, answers[0].note)))
            answers[0] = answers[0]._replace(note=noted)
        return answers

    def answers(self, given: Any, every: bool = False) -> Iterator[list[Answer]]:
        """The answers to one picture, in one piece."""
        yield self.answer(given, every)

    def _answer(self, views: tuple[Prepared, ...]) -> Answer:
        first, seen, votes = views[0], [], []
        for model, view in zip(self.models, views, strict=True):
            if view.pixels is None:
                return Answer([], seen, first.note, view.count)
            seen.append(view.pixels)
            votes.append(model.answer(view.pixels[None])[0][0])
        return Answer(self.model.rank(np.mean(votes, axis=0)), seen, first.note, first.count, first.box)

    def check_options(self, given: dict[str, Any]) -> dict[str, Any]:
        """The settings that are on; raises UsageError for `every` if a model does not read digits."""
        chosen = super().check_options(given)
        for model in self.models:
            if "every" in chosen and model.metadata["input"] != DIGIT:
                raise UsageError(
                    Setting("every"),
                    f" reads the digits of a picture, but {model.name} names one thing per picture; leave it out",
                )
        return chosen

    def is_one_of_several(self, answer: Answer) -> bool:
        """Whether there are several digits in the picture of an answer."""
        return (answer.count or 0) > 1

    def views(self, answer: Answer) -> Iterator[str]:
        """What each network was given, as shades of text."""
        from ..drawing import shades

        for pixels in answer.views:
            yield shades(to_grey(pixels))

    def as_json(self, answers: list[Answer], top: int = 1, every: bool = False) -> Iterator[dict[str, Any]]:
        """What is in a picture, as one JSON object; of several digits the largest is the answer."""
        main = max(answers, key=lambda answer: _area(answer.box), default=Answer([], count=0))
        found = ranking_as_json(main.ranking, top)
        if main.count is not None:
            found["count"] = main.count
        if every:
            found["digits"] = [
                {**ranking_as_json(answer.ranking)["top"][0], "box": answer.box} for answer in answers
            ]
        yield found

    def is_sample(self, path: Path) -> bool:
        """Whether a file should be a picture."""
        from ..data.pictures.formats import is_picture

        return is_picture(path)

    def read(self, data: str) -> LabelledSamples:
        """The test set of digits or fashion, or a folder with a folder of pictures per class, numbered as the models number them."""
        if data in DATASETS:
            x, y = _test_set(data, self.model)
            return LabelledSamples([x] * len(self.models), y, y[:0])
        for model in self.models:
            check_task(model, PICTURES)
        return read_folder(self.models, data, lambda m: PictureReader(m.input_shape, m.metadata["input"]))

    def show(self, found: list[Answer] | ClassMeasures, top: int = 1) -> Iterator[str]:
        """Answers in one line: the `top` likeliest classes of one thing, the likeliest of each of several. Measures as tables."""
        if isinstance(found, ClassMeasures):
            yield from found.lines()
            return
        each = top if len(found) == 1 else 1
        shown = [choice for answer in found for choice in answer.ranking[:each]]
        thing = "digit" if self.model.metadata["input"].get("kind") == "digit" else "object"
        yield ", ".join(f"{label} ({100 * p:.2f} %)" for label, p in shown) or f"no {thing} found"

    def save_misread(self, path: str, data: LabelledSamples, found: ClassMeasures) -> int:
        """Save the misread pictures, the worst first, as one picture; returns how many it shows."""
        from ..drawing import save_contact_sheet

        captions = [
            (found.labels[data.y[index]], f"read as {found.labels[read]} ({100 * probability:.0f} %)")
            for index, (read, probability) in found.wrong.items()
        ]
        return save_contact_sheet(path, self.model.check_input(data.xs[0][list(found.wrong)]), captions)


TASK = Pictures


def _views(model: Network, picture: np.ndarray, every: bool) -> list[Prepared]:
    """The inputs that a network reads from a picture."""
    if every:
        return prepare_digits(picture, model.input_shape)
    return [prepare_noted(picture, model.metadata["input"], model.input_shape)]


def _test_set(data: str, model: Network) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of a named data set and their classes, as the model numbers them."""
    from ..data.datasets import load
    from ..data.folders import check_classes

    found = load(data)
    labels = model.labels or found.labels
    check_classes(found.labels, labels, data)
    return found.x_test, np.array([labels.index(label) for label in found.labels])[found.y_test]


def _area(box: tuple[int, int, int, int] | None) -> int:
    return (box[2] - box[0]) * (box[3] - box[1]) if box else 0
