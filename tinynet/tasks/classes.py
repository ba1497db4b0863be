"""Name classes: the base of tasks whose networks say which of several classes a sample belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from ..checks import check_count
from ..data.folders import FolderData, Reader, load_folder
from ..errors import Setting, TinynetError, UsageError
from ..network import Network
from ..settings import checked
from ..terminal import table
from .base import PICTURES, TASKS, Task, check_task, name_of, reads_pictures, was_trained_on

SHORT = 8
"""Characters of a class name in a table's header."""

Ranking = list[tuple[str, float]]
"""(class, probability), the most probable first; empty where there is nothing to name."""


@dataclass
class LabelledSamples:
    """Samples that models are measured on, and their classes.

    xs: for each model, the samples as it reads them; y: indices into the labels, (n,); blank: the classes of samples in which
    nothing is found, which count as wrong.
    """

    xs: Sequence[Any]
    y: np.ndarray
    blank: np.ndarray
    unreadable: Sequence[str] = ()
    remarks: Sequence[str] = ()


@dataclass
class ClassMeasures:
    """How well classes are recognised.

    measured: loss of the answers given, and accuracy of all; confusion: how often class i (row) was read as class j (column),
    with a last column for samples in which nothing was found, where there are any; wrong: for each misread sample, the worst
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
        """All measures as JSON values."""
        return {
            **self.measured,
            "samples": int(self.confusion.sum()),
            "nothing_found": self.nothing_found,
            "unreadable": self.unreadable,
            "classes": dict(self.by_class()),
            "confusion": self.confusion[:, : len(self.labels)].tolist(),
        }

    def lines(self) -> Iterator[str]:
        """All measures as text: the accuracy, a table per class, the confusion matrix."""
        measured, confusion = self.measured, self.confusion
        wrong = int(confusion.sum() - confusion.trace())
        yield f"accuracy {percent(measured['accuracy'])} ({wrong} of {confusion.sum()} wrong), loss {measured['loss']:.4f}"
        yield ""
        cells = [("class", "precision", "recall", "samples")]
        for label, row in self.by_class():
            cells.append((label, percent(row["precision"]), percent(row["recall"]), str(row["samples"])))
        yield from table(cells)
        yield from ("", "confusion matrix (rows: true class, columns: predicted class)", "")
        short = [label[:SHORT] for label in self.labels]
        head = ("", *[*short, "nothing"][: confusion.shape[1]])
        yield from table(
            [head, *((name, *map(str, row)) for name, row in zip(short, confusion, strict=True))]
        )


class NamesClasses(Task[LabelledSamples, ClassMeasures]):
    """Networks that name the class of one sample, each from the sample as its own file prepares it; several vote."""

    sample: ClassVar[str]
    """What a sample is called: "picture"."""
    nothing: ClassVar[str] = "nothing found"
    """The answer for a sample in which nothing is found."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Settings of `answer`."""

    def answer(self, given: Any, **options: Any) -> Sequence[Any]:
        """The answers to a file, bytes or an array, usually one. Each has a `ranking` and a `note`."""
        raise NotImplementedError

    def answers(self, given: Any, **options: Any) -> Iterator[Sequence[Any]]:
        """The answers to a file as they arrive, all at once unless it is a stream or holds several samples."""
        raise NotImplementedError

    def as_json(self, answers: Sequence[Any], top: int = 1, **options: Any) -> Iterator[dict[str, Any]]:
        """Answers as JSON objects with label, probability and top."""
        for answer in answers:
            yield ranking_as_json(answer.ranking, top)

    def check_options(self, given: dict[str, Any]) -> dict[str, Any]:
        """The settings of `answer` that are on or have a value; raises UsageError for one that the models do not take."""
        chosen = {name: value for name, value in given.items() if value not in (False, None)}
        for name in chosen:
            if name not in self.options:
                raise UsageError(
                    Setting(name),
                    f" does not apply to {self.model.name}, which reads {self.sample}s; leave it out",
                )
        return chosen

    def is_one_of_several(self, answer: Any) -> bool:
        """Whether a sample holds several things, of which an answer names one; the setting `every` answers each."""
        return False

    def views(self, answer: Any) -> Iterator[str]:
        """What the networks saw of a sample, as a terminal shows it."""
        raise NotImplementedError

    def is_sample(self, path: Path) -> bool:
        """Whether a file within a folder should be a sample, going by its name."""
        raise NotImplementedError

    def show(self, found: Sequence[Any] | ClassMeasures, top: int = 1) -> Iterator[str]:
        """One line per answer with its `top` likeliest classes; measures as tables."""
        if isinstance(found, ClassMeasures):
            yield from found.lines()
            return
        for answer in found:
            yield ranking_line(answer.ranking[:top], self.nothing)

    def evaluate(self, data: LabelledSamples) -> ClassMeasures:
        """Loss, accuracy and confusion matrix. A sample in which nothing is found counts as wrong."""
        return measure_classes(self.models, data, self.sample)


# ---- one answer ----


def ranking_as_json(ranking: Ranking, top: int = 1) -> dict[str, Any]:
    """{"label", "probability", "top"} for JSON; null if nothing was found."""
    labelled = [{"label": label, "probability": round(p, 6)} for label, p in ranking[:top]]
    return {**(labelled[0] if labelled else {"label": None, "probability": None}), "top": labelled}


def ranking_line(ranking: Ranking, nothing: str) -> str:
    """Classes and their probabilities in one line, or `nothing` if there are none."""
    return ", ".join(f"{label} ({percent(p)})" for label, p in ranking) or nothing


def percent(fraction: float) -> str:
    """0.9951 → 99.51 %."""
    return f"{100 * fraction:.2f} %"


# ---- many ----


def read_folder(
    models: Sequence[Network], data: str, reader_of: Callable[[Network], Reader]
) -> LabelledSamples:
    """A folder with a folder of samples per class, prepared for each model as its file says, its classes numbered as in the models."""
    loaded: dict[str, FolderData] = {}  # read once for models that prepare samples alike
    keys = [str((model.input_shape, model.metadata["input"])) for model in models]
    for key, model in zip(keys, models, strict=True):
        if key not in loaded:
            loaded[key] = load_folder(data, reader_of(model), models[0].labels)
    folders = [loaded[key] for key in keys]
    first = folders[0]
    found_by_all = set(first.files).intersection(*(folder.files for folder in folders))
    kept = np.array([file in found_by_all for file in first.files], bool)
    xs = [folder.x[[file in found_by_all for file in folder.files]] for folder in folders]
    blank = np.concatenate([first.blank, first.y[~kept]])
    remarks = [f"note: {text}" for text in first.notes(data)]
    samples = f"{first.sample}s"
    if count := len(first.unreadable):
        among = len(first.files) + len(first.blank) + count
        remarks.append(f"{count} of {among} {samples} of {data} could not be read and do not count:")
        remarks += first.unreadable
    if len(blank):
        remarks.append(f"note: nothing was found in {len(blank)} {samples} of {data}, which count as wrong")
    if any(was_trained_on(model, data) for model in models):
        remarks.append(f"note: it was trained on some of these {samples}, so this is too optimistic")
    return LabelledSamples(xs, first.y[kept], blank, first.unreadable, remarks)


def measure_classes(models: Sequence[Network], data: LabelledSamples, sample: str) -> ClassMeasures:
    """Loss, accuracy and confusion matrix of networks that vote."""
    from ..training.metrics import confusion_matrix, misread

    y, blank = data.y, data.blank
    if not len(y):
        raise TinynetError(
            f"{models[0].name} finds nothing in any of the {len(blank)} {sample}s that can be read"
        )
    measured = measure(models, data.xs, y)
    probabilities = np.mean([model.answer(x)[0] for model, x in zip(models, data.xs, strict=True)], axis=0)
    read = probabilities.argmax(axis=1)
    confusion = confusion_matrix(read, y, probabilities.shape[1])
    if len(blank):
        nothing = np.bincount(blank, minlength=len(confusion))
        confusion = np.column_stack([confusion, nothing])
        measured["accuracy"] = float(confusion.trace() / confusion.sum())
    wrong = {int(i): (int(read[i]), float(probabilities[i, read[i]])) for i in misread(probabilities, y)}
    labels = models[0].labels or [str(index) for index in range(len(confusion))]
    return ClassMeasures(measured, confusion, labels, wrong, len(blank), len(data.unreadable))


def measure(models: Sequence[Network], xs: Sequence[Any], y: Any) -> dict[str, float]:
    """{"loss": …, "accuracy": …} of one network, or of the mean of several networks' probabilities, each with its own samples x."""
    from ..kernels import device
    from ..training import CrossEntropy, evaluate
    from ..training.samples import prepare

    if len(models) == 1:
        return evaluate(models[0], xs[0], y)
    loss = CrossEntropy()
    targets = prepare(models[0], loss, xs[0], y).targets
    probabilities = np.mean([model.answer(x)[0] for model, x in zip(models, xs, strict=True)], axis=0)
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    shares = np.full(len(logits), 1 / len(logits), np.float32)
    kernels, correct = device.backend(0), np.zeros(())
    value, _ = loss(kernels, logits, targets, shares)
    loss.score(kernels, correct, logits, targets, None)
    return {"loss": float(value), "accuracy": float(correct) / len(logits)}


# ---- the face ----


@checked
def classify(model: Network, given: Any, top: int | None = None) -> Ranking | list[Ranking]:
    """Read and prepare a picture, a text or a sound as the model's file says, and name its class.

    given: a path, bytes, an open file, a Pillow image or an array, as the reader for that kind of data takes it
        (`tinynet.data.pictures.read.read_image`).
    Returns (label, probability), the most probable first, or an empty list if nothing is found; for a list, a list of these.
    Raises TinynetError for the first sample that cannot be read, and for a model that does not name classes.
    """
    return classify_by([model], given, top)


def classify_by(models: Sequence[Network], given: Any, top: int | None = None) -> Ranking | list[Ranking]:
    """`classify` for several networks that vote."""
    task = naming(*models)
    count = None if top is None else check_count(models[0].name, "top", top)
    if isinstance(given, (list, tuple)):
        return [task.answer(each)[0].ranking[:count] for each in given]
    return task.answer(given)[0].ranking[:count]


def naming(*models: Network) -> NamesClasses:
    """The task of models that name classes; raises TinynetError for one that does not, or does not say how samples are prepared."""
    from . import of

    for model in models:
        model.check_begun()
        name = name_of(model)
        if name and TASKS[name].usage[0] != "classify":
            check_task(model, PICTURES)  # which says what it is for
        if name in (PICTURES, None) and (not reads_pictures(model) or len(model.input_shape) not in (2, 3)):
            example = """set net.metadata["input"], for example to {"kind": "image"}"""
            raise TinynetError(f"{model.name} does not say how a picture becomes its input; {example}")
    return cast("NamesClasses", of(*models))
