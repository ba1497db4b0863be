"""The base of all tasks, and which task a model is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from ..data.names import DATASETS
from ..errors import TinynetError
from ..network import Network


def reads_pictures(model: Network) -> bool:
    """Whether a model says how a picture becomes its input, and its output is one row of numbers."""
    return "input" in model.metadata and len(model.output_shape) == 1


def reads_ids(model: Network) -> bool:
    """Whether a model reads ids, such as those of characters."""
    return model.takes_ids


class Use(NamedTuple):
    """How a task is used. usage: the verb, as the command line and a network call it, and what it is given; fits: whether a model
    could be for it; refusal: what is said of one that is not.
    """

    usage: tuple[str, ...]
    fits: Callable[[Network], bool]
    refusal: str


def prepares(*kinds: str) -> Callable[[Network], bool]:
    """Whether a model's file says that its input is prepared in one of these ways."""

    def fits(model: Network) -> bool:
        preparation = model.metadata.get("input")
        return isinstance(preparation, dict) and preparation.get("kind") in kinds

    return fits


PICTURES, CHARACTERS, ROWS, TEXT, SERIES = "pictures", "characters", "rows", "text", "series"
SOUND, VIDEO, CAPTION = "sound", "video", "caption"
TASKS = {
    PICTURES: Use(
        ("classify", "PICTURE"),
        reads_pictures,
        "does not read pictures; {choose}train your own",
    ),
    CHARACTERS: Use(
        ("generate",),
        reads_ids,
        "neither reads nor writes text; choose shakespeare, or a model trained on a .txt file",
    ),
    ROWS: Use(
        ("predict", "TABLE.csv"),
        prepares("table"),
        "does not read rows of a table; train one with tinynet train TABLE.csv and the column to predict as target",
    ),
    TEXT: Use(
        ("classify", "FILE.txt"),
        prepares("words"),
        "does not name classes of text; {choose}train your own on a table of labels and texts",
    ),
    SERIES: Use(
        ("forecast", "SERIES.csv"),
        prepares("series"),
        "does not forecast; {choose}train your own on a table of times and numbers",
    ),
    SOUND: Use(
        ("classify", "SOUND.wav"),
        prepares("sound"),
        "does not read sounds; {choose}train your own on a folder with one folder of .wav files per class",
    ),
    VIDEO: Use(
        ("classify", "CLIP.gif"),
        prepares("video"),
        "does not read clips; {choose}train your own on a folder with one folder of clips per class",
    ),
    CAPTION: Use(
        ("caption", "PICTURE"),
        prepares("image"),
        "does not describe pictures; {choose}train your own on a folder of pictures with a captions.tsv",
    ),
}
"""The values of `metadata["task"]`, which training writes."""


class Examples(Protocol):
    """Data that models are measured on, as `read` returns it."""

    remarks: Sequence[str]
    """Notes to print before the figures, line by line."""
    unreadable: Sequence[str]
    """A sentence for each sample that could not be read."""


class Measures(Protocol):
    """The result of `evaluate`."""

    def as_json(self) -> dict[str, Any]:
        """All measures as JSON values."""
        ...


Given = TypeVar("Given", bound=Examples)
Found = TypeVar("Found", bound=Measures)


class Task(Generic[Given, Found]):
    """One network, or several that vote, and what it is for."""

    name: ClassVar[str]

    def __init__(self, *models: Network) -> None:
        self.models = models
        self.model = models[0]
        """The first model, which stands for all in messages and labels."""

    def read(self, data: str) -> Given:
        """The data set of that name, or the data in that file or folder, prepared to measure the models on."""
        raise NotImplementedError

    def evaluate(self, data: Given) -> Found:
        """How well the models do on such data."""
        raise NotImplementedError

    def show(self, found: Any) -> Iterator[str]:
        """Answers or measures, line by line."""
        raise NotImplementedError


def name_of(model: Network) -> str | None:
    """The task that a model's file names, or the one that its input suggests; None if neither tells."""
    return _name(model.metadata, model.vocabulary)


def _name(metadata: Mapping[str, Any], vocabulary: Sequence[str] | None) -> str | None:
    named = metadata.get("task")
    if isinstance(named, str) and named in TASKS:
        return named
    if "input" in metadata:
        return PICTURES
    return CHARACTERS if vocabulary is not None else None


def check_task(model: Network, name: str) -> None:
    """Raise TinynetError unless a model can do a task; the message names the verb that fits the model."""
    model.check_begun()
    found = name_of(model)
    if found in (name, None) and TASKS[name].fits(model):
        return
    shipped = ", ".join(_shipped(name))
    choose = f"choose one that does ({shipped}) or " if shipped else ""
    other = f"; {model.name} is for {' '.join(TASKS[found].usage)}" if found not in (None, name) else ""
    raise TinynetError(f"{model.name} {TASKS[name].refusal.format(choose=choose)}{other}")


def _shipped(name: str) -> Iterator[str]:
    """The shipped models for a task."""
    from ..storage import reading, shipped_models

    for each in shipped_models():
        with reading(each) as file:
            if _name(file.config["metadata"], file.config["vocabulary"]) == name:
                yield each


def was_trained_on(model: Network, data: str) -> bool:
    """Whether a model was trained on DATA, going by the base name in its training record."""
    record = model.metadata.get("training")
    name = record.get("data") if isinstance(record, dict) else None
    if not isinstance(name, str):
        return False
    return name == data if name in DATASETS else Path(name).name == Path(data).name
