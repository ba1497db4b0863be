"""Pictures as the samples of a folder: which files they are, the size that suits them, and notes on odd ones."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ImageError
from .formats import is_picture
from .prepare import prepare
from .read import read_image, read_size

PREPARATION = {"kind": "image", "transparent": "contrast"}
"""How pictures of a folder become inputs of its model; the model's file says so."""
LONG_SIDES, MANY = (64, 96), 1000
"""Most pixels of the longer side of the model's input by default, and how many pictures it takes to learn from the larger one."""


@dataclass
class PictureReader:
    """A `Reader` of pictures of any size and mode: x is uint8 (n, height, width, channels).

    By default the input_shape (height, width, channels) suits the pictures: the median of their heights and widths,
    reduced until neither exceeds long_side (by default 64, or 96 from 1,000 pictures on), and one channel if none has colour;
    each is fitted in whole, its aspect kept. To evaluate a model, give the input_shape and the preparation from its file.
    """

    input_shape: tuple[int, ...] | None = None
    preparation: dict[str, Any] = field(default_factory=lambda: dict(PREPARATION))
    long_side: int | None = None
    sample: str = field(default="picture", init=False)

    def is_sample(self, path: Path) -> bool:
        """Whether a file should be a picture."""
        return is_picture(path)

    def empty(self, files: Sequence[Path]) -> np.ndarray:
        """Room for these pictures, in colour unless the shape was asked for."""
        return np.empty((len(files), *(self.input_shape or (*self._common_size(files), 3))), np.uint8)

    def read(self, file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
        """A picture, prepared, in bytes; None where the preparation finds nothing. Raises ImageError."""
        pixels = prepare(read_image(file), self.preparation, shape)
        return None if pixels is None else np.round(pixels * 255)

    def finish(self, x: np.ndarray, path: Path) -> tuple[np.ndarray, list[str]]:
        """The pictures, in one channel if none has colour; a sentence if they show nothing."""
        if self.input_shape is None and (x[..., :1] == x).all():
            x = np.ascontiguousarray(x[..., :1])
        return x, _plain_pictures(x, path)

    def _common_size(self, files: Sequence[Path]) -> tuple[int, int]:
        """Median (height, width) of the pictures, reduced until neither exceeds long_side."""
        long_side = self.long_side or LONG_SIDES[len(files) >= MANY]
        sizes = []
        for file in files:
            with suppress(ImageError):  # `read` will report it
                sizes.append(read_size(file))
        if not sizes:
            return long_side, long_side
        height, width = np.median(sizes, axis=0)
        factor = min(1.0, long_side / max(height, width))
        return max(1, round(height * factor)), max(1, round(width * factor))


def _plain_pictures(x: np.ndarray, path: Path) -> list[str]:
    """A sentence if pictures show nothing: all look the same, or are of one colour."""
    if len(x) > 1 and (x == x[0]).all():
        return [
            f"all {len(x)} pictures of {path} look the same once they are prepared: there is nothing to learn from"
        ]
    plain = sum(bool((picture == picture[0, 0]).all()) for picture in x)
    return [f"{plain} of {len(x)} pictures of {path} are blank: one plain colour"] if plain else []
