"""A folder with one folder of pictures a class, as training data; and the split into training and validation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, ImageError
from .images import prepare, read_image

PICTURE = re.compile(r"[^.].*\.(bmp|gif|jfif|jpe|jpe?g|p[bgnp]m|png|tiff?|webp)", re.IGNORECASE)
"""Names of files that should be pictures: not hidden, with a suffix of a format that Pillow reads everywhere."""
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
    warnings: a sentence for each picture that could not be used and each class without any
    """

    x: np.ndarray
    y: np.ndarray
    labels: list[str]
    files: list[Path]
    preparation: dict
    skipped: int
    warnings: list[str]


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

    Raises DataError if path is no folder, holds no class folders or one that is not in labels, or if fewer than two
    classes (one, where labels are given) have a picture that can be read.
    """
    folders, skipped = _class_folders(Path(path), labels)
    files = []
    for folder in folders:
        pictures, others = _pictures(folder)
        files += pictures
        skipped += others
    shape = input_shape or (*_common_size(files, long_side), 3)
    preparation = preparation or {"kind": "image"}
    x, kept, warnings = _read_all(files, shape, preparation)
    names = {file.parent.name for file in kept}
    warnings += [
        f"{folder} has no picture that can be read" for folder in folders if folder.name not in names
    ]
    if len(names) < (1 if labels else 2):
        raise DataError(_too_few_classes(Path(path), names, warnings))
    labels = list(labels or sorted(names))
    if input_shape is None and _is_grey(x):
        x = np.ascontiguousarray(x[..., :1])
    y = np.array([labels.index(file.parent.name) for file in kept], np.int64)
    return FolderData(x, y, labels, kept, preparation, skipped, warnings)


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
        raise DataError(
            f"{unknown[0]} in {data} is no class of this model; its classes are {', '.join(labels)}"
        )


def _class_folders(path: Path, labels: Sequence[str] | None) -> tuple[list[Path], int]:
    """The class folders, by name, and the number of other entries."""
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder that holds one folder of pictures a class")
    if not path.is_dir():
        raise DataError(f"{path} is a file; give a folder that holds one folder of pictures a class")
    entries = _entries(path)
    folders = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    if not folders:
        raise DataError(
            f"{path} has no folders in it; put the pictures of each class into a folder named after it"
        )
    if labels:
        check_classes([folder.name for folder in folders], labels, path)
    return folders, len(entries) - len(folders)


def _pictures(folder: Path) -> tuple[list[Path], int]:
    """Files that should be pictures, by name, and the number of other entries."""
    entries = _entries(folder)
    pictures = [entry for entry in entries if PICTURE.fullmatch(entry.name) and entry.is_file()]
    return pictures, len(entries) - len(pictures)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}); check its permissions") from None


def _common_size(files: list[Path], long_side: int) -> tuple[int, int]:
    """Median (height, width) of the pictures, reduced until neither exceeds long_side."""
    sizes = [size for file in files if (size := _size(file))]
    if not sizes:
        return long_side, long_side
    height, width = np.median(sizes, axis=0)
    factor = min(1.0, long_side / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _size(file: Path) -> tuple[int, int] | None:
    """Height and width of a picture the right way up, from its header; None if there is none."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            width, height = image.size
            lies = image.getexif().get(0x0112, 1) >= 5
    except Exception:
        # Whatever is wrong with it, `read_image` will say so.
        return None
    return (width, height) if lies else (height, width)


def _read_all(files, shape, preparation) -> tuple[np.ndarray, list[Path], list[str]]:
    """Pictures (n, *shape) uint8, the files they are from, and a sentence for each that could not be used."""
    x = np.empty((len(files), *shape), np.uint8)
    kept, warnings = [], []
    for file in files:
        try:
            pixels = prepare(read_image(file), preparation, shape)
        except ImageError as error:
            warnings.append(str(error))
            continue
        if pixels is None:
            warnings.append(f"nothing was found in {file}")
            continue
        x[len(kept)] = np.round(pixels * 255)
        kept.append(file)
    return x[: len(kept)], kept, warnings


def _is_grey(x: np.ndarray) -> bool:
    return bool((x[..., :1] == x).all())


def _too_few_classes(path: Path, names: set[str], warnings: list[str]) -> str:
    only = f"only {next(iter(names))} has" if names else "no folder in it has"
    first = f" ({warnings[0]})" if warnings else ""
    return f"{path} cannot be learned from: {only} pictures that can be read{first}; fill one folder a class, two at least"
