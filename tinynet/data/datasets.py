"""The named data sets: all are found the same way, and each is read by the code for its kind of data."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import data_folder
from .captions.scenes import Scenes
from .download import PAUSE, check_packed, check_plain, keep
from .names import ALIASES, DATASETS
from .pictures.mnist import PARTS, Dataset, read_npz, read_parts
from .series.read import read_series
from .sounds import spoken_digits
from .text.characters import as_text, read_text
from .text.labelled import read_polarity
from .video.moving_digits import MovingDigits


@dataclass(frozen=True)
class Download:
    """One file to download.

    path: where it is kept in the data folder; sha256: of its content, unpacked if `check` unpacks it.
    """

    path: str
    urls: tuple[str, ...]
    sha256: str
    check: Callable[[bytes, str], bytes] = check_packed


@dataclass(frozen=True)
class Source:
    """A data set: where to find it, and the functions that read it.

    file: its name in `$TINYNET_DATA`, which `read` reads; downloads: the files to download, whose contents `assemble`
    takes in that order; none if it is only read from there.
    """

    name: str
    file: str
    read: Callable[[Path], Any]
    downloads: tuple[Download, ...] = ()
    assemble: Callable[[list[bytes]], Any] | None = None


@dataclass(frozen=True)
class Made:
    """A data set that is made of others: their names, and the function that takes them in that order."""

    name: str
    of: tuple[str, ...]
    make: Callable[..., Any]


def like_mnist(
    name: str, stem: str, mirrors: tuple[str, ...], sha256: dict[str, str], labels: tuple[str, ...]
) -> Source:
    """Pictures in MNIST's format, from mirrors (URLs ending in /) that all have the same four files."""
    files = {key: f"{file}.gz" for key, file in PARTS.items()}
    downloads = tuple(
        Download(f"{stem}/{file}", tuple(mirror + file for mirror in mirrors), sha256[key])
        for key, file in files.items()
    )
    read, assemble = (partial(function, name=name, labels=labels) for function in (read_npz, read_parts))
    return Source(name, f"{stem}.npz", read, downloads, assemble)


DIGITS = like_mnist(
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
FASHION = like_mnist(
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
SHAKESPEARE = Source(
    name="shakespeare",
    file="tinyshakespeare.txt",
    downloads=(
        Download(
            "tinyshakespeare.txt",
            ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            check_plain,
        ),
    ),
    read=read_text,
    assemble=lambda contents: as_text(contents[0], "tinyshakespeare.txt"),
)
SENTENCE_POLARITY = Source("sentence-polarity", "sentence_polarity.tsv", read_polarity)
SPOKEN_DIGITS = Source("spoken-digits", "fsdd.npz", spoken_digits.read_npz)
TEMPERATURE = Source("temperature", "ts_daily-min-temperatures.csv", read_series)
MOVING_DIGITS = Made("moving-digits", ("digits",), MovingDigits)
SCENES = Made("scenes", ("digits", "fashion"), Scenes)
SOURCES: dict[str, Source | Made] = dict(
    zip(
        DATASETS,
        (DIGITS, FASHION, SHAKESPEARE, SENTENCE_POLARITY, SPOKEN_DIGITS, TEMPERATURE, MOVING_DIGITS, SCENES),
        strict=True,
    )
)


def load_digits() -> Dataset:
    """MNIST: 60,000 + 10,000 handwritten digits, 28×28 (LeCun, Cortes & Burges). Raises DataError as `load` does."""
    return load("digits")


def load_fashion() -> Dataset:
    """Fashion-MNIST: 60,000 + 10,000 pieces of clothing, 28×28 (Xiao, Rasul & Vollgraf 2017)."""
    return load("fashion")


def load_shakespeare() -> str:
    """Tiny Shakespeare: 1,115,394 characters of his plays (Karpathy 2015)."""
    return load("shakespeare")


def load(name: str | Source | Made, cache: Path | None = None, pause: float = PAUSE) -> Any:
    """A data set, by name or by a Source of your own, from the first place that has it:

    1. its file in `$TINYNET_DATA`, if that variable is set
    2. its downloads in cache, by default `data_folder()`; a file that is damaged there is fetched again
    3. the URLs it is downloaded from, after which it is in 2; pause is the seconds before a second attempt

    One that is made of others is made of what this returns for each of them.

    Raises DataError if none of them has it, naming everything that was tried and what to do.
    """
    source = _source(name)
    if isinstance(source, Made):
        return source.make(*(load(each, cache, pause) for each in source.of))
    given = os.environ.get("TINYNET_DATA")
    if given:
        return _from_file(source, Path(given, source.file))
    if source.assemble is None:
        raise DataError(
            f"{source.name} is not downloaded: put {source.file} into a folder, and set TINYNET_DATA to that folder"
        )
    return source.assemble([_kept(source, each, cache or data_folder(), pause) for each in source.downloads])


def _source(name: str | Source | Made) -> Source | Made:
    if isinstance(name, (Source, Made)):
        return name
    name = ALIASES.get(name, name)
    if name not in SOURCES:
        raise DataError(
            f"there is no data set {name!r}; choose one of {', '.join(SOURCES)}, or give a folder"
        )
    return SOURCES[name]


def _from_file(source: Source, path: Path) -> Any:
    or_download = ", or unset TINYNET_DATA to have it downloaded" if source.downloads else ""
    if not path.exists():
        raise DataError(f"TINYNET_DATA is set, but there is no file {path}; put it there{or_download}")
    try:
        return source.read(path)
    except DataError as error:
        raise DataError(f"{error}; put the right file there{or_download}") from None


def _kept(source: Source, download: Download, folder: Path, pause: float) -> bytes:
    """The content of a download, which is fetched first if it is missing or damaged."""
    path = folder / download.path
    names = ", ".join(Path(each.path).name for each in source.downloads)
    hint = f"place {names} in {path.parent} by hand, or set TINYNET_DATA to a folder that holds {source.file}"
    return keep(path, download.urls, download.sha256, hint, pause, download.check)
