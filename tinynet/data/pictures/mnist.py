"""MNIST and data sets like it: pictures with their classes, in the original format, IDX, or as one .npz."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...archive import Archive
from ...errors import DataError
from ...files import open_file

IDX_UBYTE = 0x08
PARTS = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
"""Each array's IDX file, in the order in which they are fetched."""


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


def read_npz(path: Path, name: str, labels: Sequence[str]) -> Dataset:
    """The data set of a file with the arrays x_train, y_train, x_test and y_test; raises DataError for any other."""
    try:
        with open_file(path) as file:
            archive = Archive(file, str(path), "data set", DataError)
            if not PARTS.keys() <= set(archive.names):
                raise DataError(f"{path} lacks one of the arrays {', '.join(PARTS)}")
            return _checked({key: archive.array(key) for key in PARTS}, name, labels)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None


def read_parts(contents: Sequence[bytes], name: str, labels: Sequence[str]) -> Dataset:
    """The data set of four IDX files, in the order of PARTS; raises DataError as `read_idx` does."""
    return _checked(dict(zip(PARTS, map(read_idx, contents), strict=True)), name, labels)


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


def _checked(arrays: dict[str, np.ndarray], name: str, labels: Sequence[str]) -> Dataset:
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
                f"{name}: x_{half} is {x.dtype} {x.shape} and y_{half} {y.dtype} {y.shape}, "
                "but pictures are uint8 (n, 28, 28) with as many integer labels"
            )
        if y.min() < 0 or y.max() >= len(labels):
            raise DataError(f"{name}: y_{half} has labels outside 0…{len(labels) - 1}")
    shaped = {
        key: value[..., None] if key[0] == "x" else value.astype(np.int64) for key, value in arrays.items()
    }
    return Dataset(name, **shaped, labels=list(labels))
