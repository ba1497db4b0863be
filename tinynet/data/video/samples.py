"""Clips as the samples of a folder: which files and folders they are, and the size that suits them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ImageError
from ..folders import PARTS, class_folders, find_samples
from ..pictures.formats import is_picture
from ..pictures.read import is_animated
from .prepare import Preparation, as_long_as_the_longest, pairs, prepare
from .read import CLIP, VIDEO, evenly, frame_size, is_clip, read_clip

LONG_SIDE = 40
"""Most pixels of the longer side of a frame by default."""
LOOKED_AT = 40
"""Files that tell what a folder holds, and of which size."""


@dataclass
class ClipReader:
    """A `Reader` of clips of any length and size: x is uint8 (n, frames, height, width, 2 · channels), 0 in frames after a clip is over.

    By default the size is the median of the clips', reduced until neither side exceeds LONG_SIDE, and grey if none has colour. To
    evaluate a model, give the preparation that is in its file.
    """

    chosen: Preparation | None = None
    sample: str = field(default="clip", init=False)

    def __post_init__(self) -> None:
        self._is_free = self.chosen is None

    @property
    def preparation(self) -> dict[str, Any]:
        """As a model's file says it."""
        return (self.chosen or Preparation()).settings()

    def is_sample(self, path: Path) -> bool:
        """Whether a file or folder should be a clip; a video is answered by the line that converts it."""
        return is_clip(path)

    def empty(self, files: Sequence[Path]) -> np.ndarray:
        """Room for these clips, in colour unless the model's file says otherwise."""
        if self.chosen is None:
            height, width = _common_size(files)
            self.chosen = Preparation(height, width, "colour")
        return np.zeros((len(files), self.chosen.frames, *self.chosen.frame_shape), np.uint8)

    def read(self, file: Path, shape: tuple[int, ...]) -> np.ndarray | None:
        """A clip, prepared; None where nothing is to be seen in it. Raises ImageError."""
        assert self.chosen is not None
        frames = prepare(read_clip(file, self.chosen.frames), self.chosen)
        if frames is None:
            return None
        found = np.zeros(shape, np.uint8)
        found[: len(frames)] = frames
        return found

    def finish(self, x: np.ndarray, path: Path) -> tuple[np.ndarray, list[str]]:
        """The clips, as long as the longest of them, and in one channel if none has colour."""
        x = as_long_as_the_longest(x)
        if self._is_free and self.chosen is not None and (x[..., :1] == x).all():
            self.chosen = replace(self.chosen, colours="grey")
            x = x[..., :1]
        same = [
            f"all {len(x)} clips of {path} look the same once they are prepared: there is nothing to learn from"
        ]
        return pairs(x), same if len(x) > 1 and (x == x[0]).all() else []


def holds_clips(folder: Path) -> bool:
    """Whether the class folders within a folder hold more clips, files of several frames or folders of frames, than pictures.

    The parts of a data set (train, test) are no classes: it is then asked of each part.
    """
    clips, files = 0, []
    try:
        classes = class_folders(folder)
        if parts := [inner for inner in classes if inner.name.lower() in PARTS]:
            return any(map(holds_clips, parts))
        for inner in classes:
            samples = find_samples(inner, lambda path: is_clip(path) or is_picture(path))[0]
            clips += sum(path.is_dir() or VIDEO.fullmatch(path.name) is not None for path in samples)
            files += [path for path in samples if path.is_file() and not VIDEO.fullmatch(path.name)]
    except (OSError, ValueError):  # which `load_folder` will tell
        return False
    chosen = [files[index] for index in evenly(len(files), LOOKED_AT)] if files else []
    several = sum(CLIP.fullmatch(path.name) is not None and is_animated(path) for path in chosen)
    moving = several * len(files) / (len(chosen) or 1)
    return clips + moving > len(files) - moving


def _common_size(files: Sequence[Path]) -> tuple[int, int]:
    """Median (height, width) of some of the clips, reduced until neither exceeds LONG_SIDE."""
    sizes = []
    for index in evenly(len(files), LOOKED_AT) if files else ():
        with suppress(ImageError):  # which `read` will tell
            sizes.append(frame_size(files[index]))
    height, width = np.median(sizes or [(LONG_SIDE, LONG_SIDE)], axis=0)
    factor = min(1.0, LONG_SIDE / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))
