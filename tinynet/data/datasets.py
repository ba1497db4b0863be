"""The data sets with names, digits (MNIST) and fashion (Fashion-MNIST): found, downloaded, checked."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..archive import Archive
from ..errors import DataError
from ..files import data_folder, open_file
from .download import PAUSE, keep

IDX_UBYTE = 0x08
PARTS = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
"""Each array's file in the data sets' own format, IDX, in the order they are fetched."""


@dataclass(frozen=True)
class Dataset:
    """Pictures with their classes.

    x_train, x_test: uint8 (n, height, width, 1), ink bright; kept as bytes, which take a quarter of the memory of the
    float32 in 0…1 that a model makes of them (`fit`, `predict` and `evaluate` divide bytes by 255)
    y_train, y_test: int64 (n,), index into labels
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    labels: list[str]


@dataclass(frozen=True)
class Source:
    """Where a data set comes from: its file stem, mirrors (URLs ending in /), sha256 of each unpacked part, labels."""

    name: str
    stem: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]
    labels: tuple[str, ...]


DIGITS = Source(
    name="digits",
    stem="mnist",
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    sha256={
        "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    labels=tuple("0123456789"),
)
FASHION = Source(
    name="fashion",
    stem="fashion_mnist",
    mirrors=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    sha256={
        "x_train": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "y_train": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "x_test": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "y_test": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    labels=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
)  # fmt: skip
SOURCES = {source.name: source for source in (DIGITS, FASHION)}


def load_digits() -> Dataset:
    """MNIST: 60,000 + 10,000 handwritten digits, 28×28 (LeCun, Cortes & Burges). Raises DataError as `load` does."""
    return load("digits")


def load_fashion() -> Dataset:
    """Fashion-MNIST: 60,000 + 10,000 pieces of clothing, 28×28 (Xiao, Rasul & Vollgraf 2017)."""
    return load("fashion")


def load(name: str | Source, cache: Path | None = None, pause: float = PAUSE) -> Dataset:
    """A data set, by name or by a Source of your own, from the first place that has it:

    1. `$TINYNET_DATA/STEM.npz`, with arrays x_train, y_train, x_test and y_test, if that variable is set
    2. the folder STEM in cache, by default `data_folder()`; a file that is damaged there is fetched again
    3. the source's mirrors, after which it is in 2; pause is the seconds before a second attempt

    Raises DataError if none of them has it, naming every place that was tried and what to do.
    """
    source = _source(name)
    given = os.environ.get("TINYNET_DATA")
    if given:
        arrays = _from_npz(Path(given, f"{source.stem}.npz"))
    else:
        arrays = _from_cache(source, Path(cache or data_folder(), source.stem), pause)
    return Dataset(source.name, **_checked(arrays, source), labels=list(source.labels))


def _source(name: str | Source) -> Source:
    if isinstance(name, Source):
        return name
    if name not in SOURCES:
        raise DataError(
            f"there is no data set {name!r}; choose one of {', '.join(SOURCES)}, or give a folder"
        )
    return SOURCES[name]


def _from_npz(path: Path) -> dict[str, np.ndarray]:
    hint = "put the right file there, or unset TINYNET_DATA to have it downloaded"
    if not path.exists():
        raise DataError(f"TINYNET_DATA is set, but there is no file {path}; {hint}")
    try:
        with open_file(path) as file:
            archive = Archive(file, str(path), "data set", DataError)
            if not PARTS.keys() <= set(archive.names):
                raise DataError(f"{path} lacks one of the arrays {', '.join(PARTS)}")
            return {key: archive.array(key) for key in PARTS}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; {hint}") from None
    except DataError as error:
        raise DataError(f"{error}; {hint}") from None


def _from_cache(source: Source, folder: Path, pause: float) -> dict[str, np.ndarray]:
    """The arrays from a folder of gzip files; those that are missing or damaged are downloaded into it first."""
    hint = (
        f"place the files {', '.join(f'{file}.gz' for file in PARTS.values())} in {folder} by hand, "
        f"or set TINYNET_DATA to a folder that holds {source.stem}.npz"
    )
    arrays = {}
    for key, file in PARTS.items():
        urls = [f"{mirror}{file}.gz" for mirror in source.mirrors]
        arrays[key] = read_idx(keep(folder / f"{file}.gz", urls, source.sha256[key], hint, pause))
    return arrays


def read_idx(content: bytes) -> np.ndarray:
    """Array of bytes in an IDX file: 0, 0, type, number of axes, each axis as a big-endian int32, then the elements.

    Raises DataError if it is not uint8 or its length does not fit its axes.
    """
    axes = content[3] if len(content) >= 4 else 0
    start = 4 + 4 * axes
    if content[:3] != bytes([0, 0, IDX_UBYTE]) or len(content) < start:
        raise DataError("this is not an IDX file of bytes; delete it and have it downloaded again")
    shape = struct.unpack(f">{axes}i", content[4:start])
    if len(content) - start != np.prod(shape, dtype=np.int64):
        raise DataError(f"an IDX file of shape {shape} holds {len(content) - start} bytes; download it again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _checked(arrays: dict[str, np.ndarray], source: Source) -> dict[str, np.ndarray]:
    """The arrays in Dataset's shapes and types."""
    for half in ("train", "test"):
        x, y = arrays[f"x_{half}"], arrays[f"y_{half}"]
        if (
            x.dtype != np.uint8
            or x.ndim != 3
            or y.shape != x.shape[:1]
            or len(x) == 0
            or y.dtype.kind not in "iu"
        ):
            raise DataError(
                f"{source.name}: x_{half} is {x.dtype} {x.shape} and y_{half} {y.dtype} {y.shape}; "
                "pictures are uint8 (n, 28, 28) with as many integer labels, so get the file again"
            )
        if y.min() < 0 or y.max() >= len(source.labels):
            raise DataError(
                f"{source.name}: y_{half} has labels outside 0…{len(source.labels) - 1}; get the file again"
            )
    return {
        key: value[..., None] if key[0] == "x" else value.astype(np.int64) for key, value in arrays.items()
    }
