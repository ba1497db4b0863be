"""A folder with one folder of samples per class, as training data; and the split into training and validation.

Each kind of data has a `Reader` that says what a sample is and how it becomes an array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..checks import check_number
from ..errors import DataError, TinynetError, listed, shown

NO_CLASS = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}
"""Folders that systems and programs leave behind, in lower case."""
PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")
"""Usual names of the parts of a data set, the one to train on first."""
DEEPEST = 3
"""Depth to which class folders are searched for, to say where they are."""


class Reader(Protocol):
    """How one kind of data reads the samples of a folder."""

    sample: str
    """What a sample is called: "picture"."""

    @property
    def preparation(self) -> dict[str, Any]:
        """How a sample becomes the input of a model, JSON-able; the model's file says so."""
        ...

    def is_sample(self, path: Path) -> bool:
        """Whether a file or folder should be a sample, going by its name and kind."""
        ...

    def empty(self, files: Sequence[Path]) -> np.ndarray:
        """An array (n, …) with room for all of these samples, in the shape that suits them."""
        ...

    def read(self, file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
        """One sample in that shape, None if nothing is found in it; raises TinynetError if it cannot be read."""
        ...

    def finish(self, x: np.ndarray, path: Path) -> tuple[np.ndarray, list[str]]:
        """The final array of all samples that were read, and a sentence for each thing that the user should know."""
        ...


@dataclass
class FolderData:
    """Samples of a folder, all of one shape, with their classes.

    x: (n, …), as the reader makes it
    y: int64 (n,), index into labels
    labels: names of the class folders, sorted
    files: the file of each row
    sample: what one is called
    preparation: how x was made of the files, JSON-able
    skipped: number of entries that are hidden or not samples
    unreadable: a sentence for each sample that could not be read
    blank: int64, the class of each sample in which the preparation finds nothing; these are not in x
    warnings: a sentence for each class without a sample, and whatever the reader says of all of them
    """

    x: np.ndarray
    y: np.ndarray
    labels: list[str]
    files: list[Path]
    sample: str
    preparation: dict[str, Any]
    skipped: int
    unreadable: list[str]
    blank: np.ndarray
    warnings: list[str]

    def notes(self, path: str | Path) -> list[str]:
        """What a user should know: what was skipped, and the warnings."""
        count = self.skipped
        what = "1 file or folder" if count == 1 else f"{count} files or folders"
        skipped = [f"skipped {what} in {path}: hidden, or not a {self.sample}"] if count else []
        return skipped + self.warnings


def load_folder(path: str | Path, reader: Reader, labels: Sequence[str] | None = None) -> FolderData:
    """Read a folder of class folders, whose samples the reader reads.

    To evaluate a model, give the labels from its file, and a reader that prepares samples as the file says.
    System files (hidden files, __MACOSX, Thumbs.db) and class folders without samples are skipped.

    Raises DataError if path is no folder, holds no class folders, or samples of a class that is not in labels, or if
    fewer than two classes (one, where labels are given) have a sample that can be read.
    """
    path = Path(path)
    folders, skipped = _class_folders(path, reader)
    found: dict[str, list[Path]] = {}
    for folder in folders:
        found[folder.name], others = find_samples(folder, reader.is_sample)
        skipped += others
    if labels:
        check_classes([name for name, files in found.items() if files], labels, path)
    x, kept, blank, unreadable = read_all([file for files in found.values() for file in files], reader)
    names = {file.parent.name for file in (kept + blank if labels else kept)}
    shown_nothing = {file.parent.name for file in blank}
    warnings = [
        f"nothing is found in any {reader.sample} of {folder}"
        if folder.name in shown_nothing
        else f"{folder} has no {reader.sample} that can be read"
        for folder in folders
        if folder.name not in names
    ]
    if blank and not kept and not labels:
        raise DataError(
            f"nothing was found in any of the {len(blank)} {reader.sample}s of {path}; give {reader.sample}s that hold something"
        )
    if len(names) < (1 if labels else 2):
        raise DataError(_too_few_classes(path, names, unreadable + warnings, labels, reader))
    x, remarks = reader.finish(x, path)
    labels = list(labels or sorted(names))
    y, of_blank = (
        np.array([labels.index(f.parent.name) for f in files if f.parent.name in labels], np.int64)
        for files in (kept, blank)  # a class in which nothing is found at all is none
    )
    return FolderData(
        x,
        y,
        labels,
        kept,
        reader.sample,
        reader.preparation,
        skipped,
        unreadable,
        of_blank,
        warnings + remarks,
    )


def stratified_split(y: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (training, validation), each ascending: `fraction` of every class, drawn from seed, for validation.

    Rounded to the nearest number, but a class of two or more samples has at least one on either side.
    Raises TinynetError if fraction is not between 0 and 1, DataError if nothing is left on one side.
    """
    check_number("stratified_split", "fraction", fraction, above=0, below=1)
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(y), bool)
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        count = round(fraction * len(members))
        if len(members) > 1:
            count = min(max(count, 1), len(members) - 1)
        chosen[members[:count]] = True
    if chosen.all() or not chosen.any():
        raise DataError(
            "no class has two samples, one to learn from and one for validation; add samples to each class"
        )
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def check_classes(names: Sequence[str], labels: Sequence[str], data: str | Path) -> None:
    """Raise DataError unless a model with these labels knows the classes that DATA has."""
    unknown = [name for name in names if name not in labels]
    if unknown:
        place = f"{data}/{unknown[0]}" if Path(data).is_dir() else f"{shown(unknown[0])} in {data}"
        raise DataError(f"{place} is not one of this model's classes ({listed(labels)})")


def _class_folders(path: Path, reader: Reader) -> tuple[list[Path], int]:
    """The class folders, by name, and the number of other entries. Raises DataError where there are none."""
    samples = f"{reader.sample}s"
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder that holds one folder of {samples} per class")
    if not path.is_dir():
        raise DataError(f"{path} is a file; give a folder that holds one folder of {samples} per class")
    entries = _entries(path)
    folders = [entry for entry in entries if _may_be_a_class(entry)]
    if not folders:
        loose = f"{samples} but no" if any(map(reader.is_sample, entries)) else "no"
        raise DataError(
            f"{path} has {loose} folders in it; put the {samples} of each class into a folder named after it"
        )
    return folders, len(entries) - len(folders)


def class_folders(path: Path) -> list[Path]:
    """The folders within a folder that may be classes, by name. Raises DataError where it cannot be read."""
    return [entry for entry in _entries(path) if _may_be_a_class(entry)]


def find_samples(folder: Path, is_sample: Callable[[Path], bool]) -> tuple[list[Path], int]:
    """The files that should be samples, by name, and the number of other entries."""
    entries = _entries(folder)
    samples = list(filter(is_sample, entries))
    return samples, len(entries) - len(samples)


def find_all_samples(folder: Path, is_sample: Callable[[Path], bool]) -> tuple[list[Path], int]:
    """The files that should be samples in a folder and its subfolders, by name, and the number of other files."""
    samples, others = find_samples(folder, is_sample)
    for entry in filter(Path.is_dir, _entries(folder)):
        if entry in samples:
            continue
        others -= 1
        if _may_be_a_class(entry) and not entry.is_symlink():
            found, beside = find_all_samples(entry, is_sample)
            samples, others = samples + found, others + beside
    return samples, others


def _may_be_a_class(entry: Path) -> bool:
    return not entry.name.startswith(".") and entry.name.lower() not in NO_CLASS and entry.is_dir()


def _classes_within(path: Path, is_sample: Callable[[Path], bool], depth: int = DEEPEST) -> Iterator[Path]:
    """Folders inside a folder that hold class folders of samples; the nearest first."""
    inner = class_folders(path)
    yield from (
        folder
        for folder in inner
        if sum(bool(find_samples(f, is_sample)[0]) for f in class_folders(folder)) > 1
    )
    for folder in inner if depth > 1 else ():
        yield from _classes_within(folder, is_sample, depth - 1)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); check its permissions") from None


def read_all(files: list[Path], reader: Reader) -> tuple[np.ndarray, list[Path], list[Path], list[str]]:
    """The samples (n, …), the files they are from, files with nothing in them, a sentence for each unreadable one."""
    x = reader.empty(files)
    kept, blank, unreadable = [], [], []
    for file in files:
        try:
            sample = reader.read(file, x.shape[1:])
        except TinynetError as error:
            unreadable.append(str(error))
            continue
        if sample is None:
            blank.append(file)
            continue
        x[len(kept)] = sample
        kept.append(file)
    return x[: len(kept)], kept, blank, unreadable


def _too_few_classes(
    path: Path, names: set[str], reasons: list[str], labels: Sequence[str] | None, reader: Reader
) -> str:
    """The error for a folder that cannot be used, which says where its classes may be instead."""
    if deeper := list(_classes_within(path, reader.is_sample)):
        return f"the classes of {path} lie deeper: give {_preferred(deeper, testing=bool(labels))}"
    only = f"only {next(iter(names))} has" if names else "no folder in it has"
    first = f" ({reasons[0]})" if reasons else ""
    verb = "measured on" if labels else "learned from"
    need = "fill one folder per class" + ("" if labels else ", two at least")
    return f"{path} cannot be {verb}: {only} {reader.sample}s that can be read{first}; {need}"


def _preferred(folders: list[Path], testing: bool) -> Path:
    """The part of a data set to train on, or to test on; otherwise the first folder."""
    order = PARTS[::-1] if testing else PARTS
    return min(folders, key=lambda f: order.index(f.name.lower()) if f.name.lower() in order else len(order))
