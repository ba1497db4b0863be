"""Classify pictures: a picture file, an array or bytes → the classes, the most probable first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..checks import check_count
from ..data.names import DATASETS
from ..data.pictures.prepare import DIGIT, Prepared, prepare_digits, prepare_noted
from ..data.pictures.read import read_image
from ..errors import Setting, TinynetError, UsageError
from ..layers.inputs import check_finite_output
from ..network import Network
from ..settings import checked
from ..terminal import table
from .base import PICTURES, Task, check_task, name_of, reads_pictures, was_trained_on

SHORT = 8
"""Characters of a class in the head of a table."""

Ranking = list[tuple[str, float]]
"""(class, probability), the most probable first."""


class Answer(NamedTuple):
    """The classes of one thing in a picture; none where there is nothing to read.

    views: what each network was given, as far as there was anything; note: what the user should know, if anything. Of digits:
    how many there are in the picture, and left, top, right, bottom of this one.
    """

    ranking: Ranking
    views: Sequence[np.ndarray] = ()
    note: str | None = None
    count: int | None = None
    box: tuple[int, int, int, int] | None = None


@dataclass
class LabelledPictures:
    """Pictures that models are measured on, and their classes.

    xs: for each model, the pictures as it reads them; y: index into its labels, (n,); blank: the classes of pictures in which
    nothing is found, for which no answer can be right.
    """

    xs: list[np.ndarray]
    y: np.ndarray
    blank: np.ndarray
    unreadable: Sequence[str] = ()
    remarks: Sequence[str] = ()


@dataclass
class PictureMeasures:
    """How well pictures are told apart.

    measured: loss of the answers given, and accuracy of all; confusion: how often class i (row) was read as class j (column),
    with a last column for pictures in which nothing was found, where there are any; wrong: for each misread picture, the worst
    first, what it was read as and how surely.
    """

    measured: dict[str, float]
    confusion: np.ndarray
    labels: list[str]
    wrong: dict[int, tuple[int, float]]
    nothing_found: int
    unreadable: int

    def by_class(self) -> list[tuple[str, dict[str, float]]]:
        """Each class with its precision, recall and number of samples."""
        from ..training.metrics import by_class

        return list(zip(self.labels, by_class(self.confusion), strict=True))

    def as_json(self) -> dict[str, Any]:
        """All of it, as programs read it."""
        return {
            **self.measured,
            "samples": int(self.confusion.sum()),
            "nothing_found": self.nothing_found,
            "unreadable": self.unreadable,
            "classes": dict(self.by_class()),
            "confusion": self.confusion[:, : len(self.labels)].tolist(),
        }


class Pictures(Task[LabelledPictures, PictureMeasures]):
    """Networks that name what is in a picture, each from the picture as its own file prepares it."""

    name = PICTURES

    def answer(self, given: Any, every: bool = False) -> list[Answer]:
        """What is in a picture, from the mean of the models' probabilities: one thing, or every digit in reading order.

        given: what `data.pictures.read.read_image` takes. Raises ImageError for what is no picture.
        """
        picture = read_image(given)
        things = zip(*(_views(model, picture, every) for model in self.models), strict=True)
        return [self._answer(views) for views in things]

    def _answer(self, views: tuple[Prepared, ...]) -> Answer:
        first, seen, votes = views[0], [], []
        for model, view in zip(self.models, views, strict=True):
            if view.pixels is None:
                return Answer([], seen, first.note, view.count)
            seen.append(view.pixels)
            votes.append(model.answer(view.pixels[None])[0][0])
        return Answer(rank(self.model, mean(votes)), seen, first.note, first.count, first.box)

    def check_digits(self) -> None:
        """Raise UsageError where a model has no digits to read one by one."""
        for model in self.models:
            if model.metadata["input"] != DIGIT:
                raise UsageError(
                    Setting("every"),
                    f" reads the digits of a picture, but {model.name} names one thing per picture; leave it out",
                )

    def read(self, data: str) -> LabelledPictures:
        """The test set of digits or fashion, or a folder with a folder of pictures per class, numbered as the models number them."""
        if data in DATASETS:
            x, y = _test_set(data, self.model)
            return LabelledPictures([x] * len(self.models), y, y[:0])
        for model in self.models:
            check_task(model, PICTURES)
        return self._read_folder(data)

    def _read_folder(self, data: str) -> LabelledPictures:
        from ..data.folders import FolderData, load_folder
        from ..data.pictures.samples import PictureReader

        loaded: dict[str, FolderData] = {}  # once for models that prepare pictures alike
        inputs = [(model.input_shape, model.metadata["input"]) for model in self.models]
        for each in inputs:
            if str(each) not in loaded:
                loaded[str(each)] = load_folder(data, PictureReader(*each), self.model.labels)
        folders = [loaded[str(each)] for each in inputs]
        first = folders[0]
        found_by_all = set(first.files).intersection(*(folder.files for folder in folders))
        kept = np.array([file in found_by_all for file in first.files], bool)
        xs = [folder.x[[file in found_by_all for file in folder.files]] for folder in folders]
        blank = np.concatenate([first.blank, first.y[~kept]])
        remarks = [f"note: {text}" for text in first.notes(data)]
        if count := len(first.unreadable):
            among = len(first.files) + len(first.blank) + count
            remarks.append(f"{count} of {among} pictures of {data} could not be read and do not count:")
            remarks += first.unreadable
        if len(blank):
            remarks.append(
                f"note: nothing was found in {len(blank)} pictures of {data}, which count as wrong"
            )
        if any(was_trained_on(model, data) for model in self.models):
            remarks.append("note: it was trained on some of these pictures, so this is too optimistic")
        return LabelledPictures(xs, first.y[kept], blank, first.unreadable, remarks)

    def evaluate(self, data: LabelledPictures) -> PictureMeasures:
        """Loss and accuracy, and what was taken for what. A picture in which nothing is found is a wrong answer."""
        from ..training.metrics import confusion_matrix, misread

        y, blank = data.y, data.blank
        if not len(y):
            raise TinynetError(
                f"{self.model.name} finds nothing in any of the {len(blank)} pictures that can be read"
            )
        measured = measure(self.models, data.xs, y)
        probabilities = mean([model.answer(x)[0] for model, x in zip(self.models, data.xs, strict=True)])
        read = probabilities.argmax(axis=1)
        confusion = confusion_matrix(read, y, probabilities.shape[1])
        if len(blank):
            nothing = np.bincount(blank, minlength=len(confusion))
            confusion = np.column_stack([confusion, nothing])
            measured["accuracy"] = float(confusion.trace() / confusion.sum())
        wrong = {int(i): (int(read[i]), float(probabilities[i, read[i]])) for i in misread(probabilities, y)}
        labels = _labels(self.model, len(confusion))
        return PictureMeasures(measured, confusion, labels, wrong, len(blank), len(data.unreadable))

    def show(self, found: list[Answer] | PictureMeasures, top: int = 1) -> Iterator[str]:
        """Answers in one line: the `top` likeliest classes of one thing, the likeliest of each of several. Measures as tables."""
        if isinstance(found, PictureMeasures):
            yield from _show_measures(found)
            return
        each = top if len(found) == 1 else 1
        shown = [choice for answer in found for choice in answer.ranking[:each]]
        thing = "digit" if self.model.metadata["input"].get("kind") == "digit" else "object"
        yield ", ".join(f"{label} ({_percent(p)})" for label, p in shown) or f"no {thing} found"

    def save_misread(self, path: str, data: LabelledPictures, found: PictureMeasures) -> int:
        """Tile the misread pictures, the worst first, into one picture; returns how many are in it."""
        from ..drawing import save_contact_sheet

        captions = [
            (found.labels[data.y[index]], f"read as {found.labels[read]} ({100 * probability:.0f} %)")
            for index, (read, probability) in found.wrong.items()
        ]
        return save_contact_sheet(path, self.model.check_input(data.xs[0][list(found.wrong)]), captions)


TASK = Pictures


def _views(model: Network, picture: np.ndarray, every: bool) -> list[Prepared]:
    """What a network is to read of a picture."""
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


def answers_as_json(answers: list[Answer], top: int = 1, every: bool = False) -> dict[str, Any]:
    """What is in a picture, as programs read it; of several digits the largest is its answer."""
    main = max(answers, key=lambda answer: _area(answer.box), default=Answer([], count=0))
    ranking = [_labelled(choice) for choice in main.ranking[:top]]
    best = ranking[0] if ranking else {"label": None, "probability": None}
    found: dict[str, Any] = {**best, "top": ranking}
    if main.count is not None:
        found["count"] = main.count
    if every:
        found["digits"] = [{**_labelled(answer.ranking[0]), "box": answer.box} for answer in answers]
    return found


def _labelled(choice: tuple[str, float]) -> dict[str, Any]:
    return {"label": choice[0], "probability": round(choice[1], 6)}


def _area(box: tuple[int, int, int, int] | None) -> int:
    return (box[2] - box[0]) * (box[3] - box[1]) if box else 0


def _percent(fraction: float) -> str:
    """0.9951 → 99.51 %."""
    return f"{100 * fraction:.2f} %"


def _show_measures(found: PictureMeasures) -> Iterator[str]:
    measured, confusion = found.measured, found.confusion
    wrong = int(confusion.sum() - confusion.trace())
    yield f"accuracy {_percent(measured['accuracy'])} ({wrong} of {confusion.sum()} wrong), loss {measured['loss']:.4f}"
    yield ""
    cells = [("class", "precision", "recall", "samples")]
    for label, row in found.by_class():
        cells.append((label, _percent(row["precision"]), _percent(row["recall"]), str(row["samples"])))
    yield from table(cells)
    yield from ("", "confusion matrix: rows: true class, columns: predicted class", "")
    short = [label[:SHORT] for label in found.labels]
    head = ("", *[*short, "nothing"][: confusion.shape[1]])
    yield from table([head, *((name, *map(str, row)) for name, row in zip(short, confusion, strict=True))])


# ---- of one network, and of several ----


@checked
def classify(model: Network, picture: Any, top: int | None = None) -> Ranking | list[Ranking]:
    """Read and prepare a picture as the model's file says, and name it.

    picture: a path, bytes, an open file, a picture of Pillow or an array, as `tinynet.data.pictures.read.read_image` takes it.
    Returns (label, probability), the most probable first, an empty list where nothing is found; for a list, a list.
    Raises ImageError for the first picture that cannot be read, TinynetError for a model that takes no pictures.
    """
    return classify_by([model], picture, top)


def classify_by(models: Sequence[Network], picture: Any, top: int | None = None) -> Ranking | list[Ranking]:
    """`classify` for several networks that vote."""
    for model in models:
        model.check_begun()
        if name_of(model) not in (PICTURES, None):
            check_task(model, PICTURES)
        if not reads_pictures(model) or len(model.input_shape) not in (2, 3):
            example = """set net.metadata["input"], for example to {"kind": "image"}"""
            raise TinynetError(f"{model.name} does not say how a picture becomes its input; {example}")
    count = None if top is None else check_count(models[0].name, "top", top)
    task = Pictures(*models)
    if isinstance(picture, (list, tuple)):
        return [task.answer(each)[0].ranking[:count] for each in picture]
    return task.answer(picture)[0].ranking[:count]


def rank(model: Network, probabilities: np.ndarray, top: int | None = None) -> Ranking:
    """The classes of one output, the most probable first; raises TinynetError where it is no number."""
    check_finite_output(model.name, probabilities)
    labels = _labels(model, len(probabilities))
    count = len(probabilities) if top is None else check_count(model.name, "top", top)
    order = np.argsort(-probabilities, kind="stable")[:count]
    return [(labels[index], float(probabilities[index])) for index in order]


def mean(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """What several networks answer together."""
    return sum(outputs[1:], outputs[0]) / len(outputs)


def measure(models: Sequence[Network], xs: Sequence[Any], y: Any) -> dict[str, float]:
    """{"loss": …, "accuracy": …} of networks, each with samples x of its own: of several, of the mean of their probabilities."""
    from ..kernels import device
    from ..training import CrossEntropy, evaluate
    from ..training.samples import prepare

    if len(models) == 1:
        return evaluate(models[0], xs[0], y)
    loss = CrossEntropy()
    targets = prepare(models[0], loss, xs[0], y).targets
    probabilities = mean([model.answer(x)[0] for model, x in zip(models, xs, strict=True)])
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    shares = np.full(len(logits), 1 / len(logits), np.float32)
    value, _ = loss(device.backend(0), logits, targets, shares)
    return {"loss": value, "accuracy": float(loss.score(logits, targets).mean())}


def _labels(model: Network, classes: int) -> list[str]:
    return model.labels or [str(index) for index in range(classes)]
