"""A folder with one folder of pictures a class, as training data; and the split into training and validation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, ImageError
from .pictures.prepare import prepare
from .pictures.read import read_image, read_size

PICTURE = re.compile(
    r"[^.].*\.(avif|bmp|dib|gif|ico|j2k|jfif|jp2|jpe|jpe?g|mpo|p[bgnp]m|pcx|png|qoi|sgi|tga|tiff?|webp)",
    re.IGNORECASE,
)
"""Names of files that should be pictures: not hidden, with the suffix of a picture format."""
NO_CLASS = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found", "__pycache__"}
"""Folders that systems and programs leave, in small letters."""
PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")
"""What the parts of a data set are called, the one to train on first."""
DEEPEST = 3
"""Folders within one another in which class folders are looked for, to say where they lie."""
PREPARATION = {"kind": "image", "transparent": "contrast"}
"""How pictures of a folder become inputs of its model; the model's file says so."""
LONG_SIDE = 64
"""Pixels of the longer side of the model's input unless it is asked for; small networks learn little from more."""


@dataclass
class FolderData:
    """Pictures of a folder, all of one shape, with their classes.

    x: uint8 (n, height, width, channels); channels is 1 if no picture has colour, else 3
    y: int64 (n,), index into labels
    labels: names of the class folders, sorted
    files: the picture of each row
    preparation: how x was made of the files, JSON-able, for `tinynet.data.images.prepare`
    skipped: number of entries that are hidden or no pictures
    unreadable: a sentence for each picture that could not be read
    blank: int64, the class of each picture in which the preparation finds nothing; such ones are not in x
    warnings: a sentence for each class without a picture, and for pictures that show nothing
    """

    x: np.ndarray
    y: np.ndarray
    labels: list[str]
    files: list[Path]
    preparation: dict
    skipped: int
    unreadable: list[str]
    blank: np.ndarray
    warnings: list[str]

    def notes(self, path: str | Path) -> list[str]:
        """What a user should know: what was skipped, and the warnings."""
        count = self.skipped
        what = "1 file or folder" if count == 1 else f"{count} files or folders"
        skipped = [f"skipped {what} in {path}: hidden, or not a picture"] if count else []
        return skipped + self.warnings


def load_folder(
    path: str | Path,
    *,
    input_shape: tuple[int, int, int] | None = None,
    preparation: dict | None = None,
    labels: Sequence[str] | None = None,
    long_side: int = LONG_SIDE,
) -> FolderData:
    """Read a folder of class folders of pictures of any size and mode.

    By default the input_shape (height, width, channels) suits the pictures: the median of their heights and widths,
    reduced until neither exceeds long_side, and one channel if none has colour; each is fitted in whole, its aspect
    kept. To evaluate a model, give the input_shape, preparation and labels that are in its file.

    What systems leave in folders (hidden files, __MACOSX, Thumbs.db) and class folders without pictures are passed over.

    Raises DataError if path is no folder, holds no class folders, or pictures of a class that is not in labels, or if
    fewer than two classes (one, where labels are given) have a picture that can be read.
    """
    path = Path(path)
    folders, skipped = class_folders(path)
    pictures: dict[str, list[Path]] = {}
    for folder in folders:
        pictures[folder.name], others = find_pictures(folder)
        skipped += others
    if labels:
        check_classes([name for name, files in pictures.items() if files], labels, path)
    files = [file for found in pictures.values() for file in found]
    shape = input_shape or (*_common_size(files, long_side), 3)
    preparation = preparation or dict(PREPARATION)
    x, kept, blank, unreadable = _read_all(files, shape, preparation)
    names = {file.parent.name for file in kept + blank}
    warnings = [f"{folder} has no picture that can be read" for folder in folders if folder.name not in names]
    if len(names) < (1 if labels else 2):
        raise DataError(_too_few_classes(path, names, unreadable + warnings, labels))
    warnings += _plain_pictures(x, path)
    labels = list(labels or sorted(names))
    if input_shape is None and _is_grey(x):
        x = np.ascontiguousarray(x[..., :1])
    y, of_blank = (
        np.array([labels.index(file.parent.name) for file in found], np.int64) for found in (kept, blank)
    )
    return FolderData(x, y, labels, kept, preparation, skipped, unreadable, of_blank, warnings)


def stratified_split(y: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (training, validation), each ascending: `fraction` of every class, drawn from seed, for validation.

    Rounded to the nearest number, but a class of two or more samples has at least one on either side.
    Raises DataError if fraction is not between 0 and 1, or if nothing is left on one side.
    """
    if not 0 < fraction < 1:
        raise DataError(f"the validation split must be between 0 and 1, not {fraction}")
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
            f"{len(y)} samples are too few to keep some for validation; add samples to each class"
        )
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def check_classes(names: Sequence[str], labels: Sequence[str], data: str | Path) -> None:
    """Raise DataError unless a model with these labels knows the classes that DATA has."""
    unknown = [name for name in names if name not in labels]
    if unknown:
        place = f"{data}/{unknown[0]}" if Path(data).is_dir() else f"{unknown[0]} in {data}"
        raise DataError(f"{place} is not one of this model's classes ({', '.join(labels)})")


def class_folders(path: Path) -> tuple[list[Path], int]:
    """The class folders, by name, and the number of other entries. Raises DataError where there are none."""
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder that holds one folder of pictures per class")
    if not path.is_dir():
        raise DataError(f"{path} is a file; give a folder that holds one folder of pictures per class")
    entries = _entries(path)
    folders = [entry for entry in entries if _may_be_a_class(entry)]
    if not folders:
        loose = "pictures but no" if any(map(_is_picture, entries)) else "no"
        raise DataError(
            f"{path} has {loose} folders in it; put the pictures of each class into a folder named after it"
        )
    return folders, len(entries) - len(folders)


def find_pictures(folder: Path) -> tuple[list[Path], int]:
    """Files that should be pictures, by name, and the number of other entries."""
    entries = _entries(folder)
    pictures = [entry for entry in entries if _is_picture(entry)]
    return pictures, len(entries) - len(pictures)


def find_all_pictures(folder: Path) -> tuple[list[Path], int]:
    """Files that should be pictures in a folder and in those within it, by name, and the number of other files."""
    pictures, others = find_pictures(folder)
    for entry in filter(Path.is_dir, _entries(folder)):
        others -= 1
        if _may_be_a_class(entry) and not entry.is_symlink():
            found, beside = find_all_pictures(entry)
            pictures, others = pictures + found, others + beside
    return pictures, others


def _may_be_a_class(entry: Path) -> bool:
    return not entry.name.startswith(".") and entry.name.lower() not in NO_CLASS and entry.is_dir()


def _is_picture(entry: Path) -> bool:
    return PICTURE.fullmatch(entry.name) is not None and entry.is_file()


def _classes_within(path: Path, depth: int = DEEPEST) -> Iterator[Path]:
    """Folders within a folder, itself not, that hold class folders of pictures; the nearest first."""
    inner = [entry for entry in _entries(path) if _may_be_a_class(entry)]
    yield from (
        folder
        for folder in inner
        if sum(bool(find_pictures(f)[0]) for f in _entries(folder) if _may_be_a_class(f)) > 1
    )
    for folder in inner if depth > 1 else ():
        yield from _classes_within(folder, depth - 1)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); check its permissions") from None


def _common_size(files: list[Path], long_side: int) -> tuple[int, int]:
    """Median (height, width) of the pictures, reduced until neither exceeds long_side."""
    sizes = []
    for file in files:
        with suppress(ImageError):  # which `read_image` will tell
            sizes.append(read_size(file))
    if not sizes:
        return long_side, long_side
    height, width = np.median(sizes, axis=0)
    factor = min(1.0, long_side / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _read_all(files, shape, preparation) -> tuple[np.ndarray, list[Path], list[Path], list[str]]:
    """Pictures (n, *shape) uint8, the files they are from, files with nothing in them, a sentence for each unreadable one."""
    x = np.empty((len(files), *shape), np.uint8)
    kept, blank, unreadable = [], [], []
    for file in files:
        try:
            pixels = prepare(read_image(file), preparation, shape)
        except ImageError as error:
            unreadable.append(str(error))
            continue
        if pixels is None:
            blank.append(file)
            continue
        x[len(kept)] = np.round(pixels * 255)
        kept.append(file)
    return x[: len(kept)], kept, blank, unreadable


def _plain_pictures(x: np.ndarray, path: Path) -> list[str]:
    """A sentence where pictures show nothing: the same in all of them, or one colour."""
    if len(x) > 1 and (x == x[0]).all():
        return [
            f"all {len(x)} pictures of {path} look the same once they are prepared: there is nothing to learn from"
        ]
    plain = sum(bool((picture == picture[0, 0]).all()) for picture in x.reshape(*x.shape[:3], -1))
    return [f"{plain} of {len(x)} pictures of {path} are blank: one plain colour"] if plain else []


def _is_grey(x: np.ndarray) -> bool:
    return bool((x[..., :1] == x).all())


def _too_few_classes(path: Path, names: set[str], reasons: list[str], labels: Sequence[str] | None) -> str:
    """Why a folder cannot be used, and where its classes may be instead."""
    if deeper := list(_classes_within(path)):
        return f"the classes of {path} lie deeper: give {_preferred(deeper, testing=bool(labels))}"
    only = f"only {next(iter(names))} has" if names else "no folder in it has"
    first = f" ({reasons[0]})" if reasons else ""
    verb = "measured on" if labels else "learned from"
    need = "fill one folder per class" + ("" if labels else ", two at least")
    return f"{path} cannot be {verb}: {only} pictures that can be read{first}; {need}"


def _preferred(folders: list[Path], testing: bool) -> Path:
    """The part of a data set that fits: to train on, or to test on; else the first folder."""
    order = PARTS[::-1] if testing else PARTS
    return min(folders, key=lambda f: order.index(f.name.lower()) if f.name.lower() in order else len(order))
