"""Read a clip: an animated GIF, WebP or PNG, a folder of frames, or an array. Pillow is imported when the first is read."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ImageError
from ..pictures.formats import MAX_SECONDS, TooCostly, is_picture, opened
from ..pictures.read import ANIMATED, Source, is_animated, read_content, read_image, read_size, unpack

MAX_SIDE = 256
"""Pixels of the longer side of a frame; a larger one is reduced while it is read."""
CLIP = re.compile(r"[^.].*\.(gif|webp|a?png|avif)", re.IGNORECASE)
"""Names of files that may be clips."""
VIDEO = re.compile(r"[^.].*\.(mp4|m4v|mov|avi|mkv|webm|mpe?g|wmv|flv|ogv|3gp)", re.IGNORECASE)
"""Names of videos, which are answered by the line that converts them."""
FOREIGN = (
    re.compile(rb"....ftyp(?!avi[fs]|hei|mif1|msf1)", re.DOTALL),
    re.compile(rb"RIFF....AVI ", re.DOTALL),
    re.compile(rb"\x1aE\xdf\xa3|FLV|\x00\x00\x01[\xb3\xba]|OggS|\x30\x26\xb2\x75"),
)
"""First bytes of videos."""


def read_clip(source: Source | np.ndarray | Any, most: int) -> list[np.ndarray]:
    """Frames of a clip, `most` of them at most, taken evenly from first to last.

    Args:
        source: what `read_image` takes, if it has several frames; a folder of pictures, in the natural order of their names; or an
            array (t, h, w) or (t, h, w, c).
        most: the most frames to take.

    Returns:
        float32 (height, width, channels) each, as `read_image` gives them. Frames of a folder may differ in size.

    Raises:
        ImageError: what `read_image` refuses, a clip of fewer than two frames, one that takes more than 5 s to unpack, a video.
    """
    if isinstance(source, np.ndarray):
        if source.ndim not in (3, 4) or len(source) < 2 or source.shape[2:] in ((3,), (4,)):
            raise ImageError(
                f"a clip has the shape (t, h, w) or (t, h, w, c), with two frames or more, not {source.shape}."
            )
        return [read_image(source[index], MAX_SIDE) for index in evenly(len(source), most)]
    if hasattr(source, "getbands"):
        return _of_pillow(source, most)
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        files = frame_files(Path(source))
        _check_count(os.fspath(source), len(files))
        return [read_image(files[index], MAX_SIDE) for index in evenly(len(files), most)]
    name, data = read_content(source)
    if any(start.match(data) for start in FOREIGN):
        video = name if os.path.exists(name) else "VIDEO.mp4"
        places = shlex.quote(video), shlex.quote(f"{os.path.splitext(video)[0]}.gif")
        raise ImageError(
            f"{name} is a video; convert it first: ffmpeg -i {places[0]} -vf fps=10,scale=128:-2 {places[1]}"
        )
    with opened(name, data, MAX_SIDE, animated=True) as image:
        orientation = image.info["orientation"]
        return [unpack(frame, MAX_SIDE, orientation) for frame in _taken(image, most)]


def evenly(count: int, most: int) -> list[int]:
    """Indices of at most so many of `count` frames, the first and the last among them."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()


def frame_files(folder: Path) -> list[Path]:
    """The pictures in a folder in the natural order of their names, so that 10 comes after 9."""
    try:
        return sorted(filter(is_picture, folder.iterdir()), key=_natural)
    except OSError:
        return []


def is_clip(path: Path) -> bool:
    """Whether a file or folder should be a clip, going by its name, and by what a folder holds."""
    if path.is_dir():
        files = [] if path.name.startswith(".") else frame_files(path)
        return len(files) > 1 and not is_animated(files[0])
    return (CLIP.fullmatch(path.name) or VIDEO.fullmatch(path.name)) is not None and path.is_file()


def frame_size(path: Path) -> tuple[int, int]:
    """Height and width of the first frame. Raises ImageError as `read_size`."""
    return read_size(frame_files(path)[0] if path.is_dir() else path)


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key by which numbers within names are ordered as numbers."""
    parts: Sequence[str] = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in parts if part]


def _count(image: Any) -> int:
    return getattr(image, "n_frames", 1) if image.format in (*ANIMATED, None) else 1


def _of_pillow(image: Any, most: int) -> list[np.ndarray]:
    """Frames of a Pillow image, which is afterwards at the frame where it was before."""
    place = image.tell()
    try:
        return [read_image(frame, MAX_SIDE) for frame in _taken(image, most)]
    except ImageError:
        raise
    except TooCostly as error:
        raise ImageError(f"the clip {error}; make it smaller first.") from None
    except Exception:  # each of Pillow's readers fails in its own way on a bad file
        raise ImageError("the clip is damaged or cut off; read or save it again.") from None
    finally:
        image.seek(place)


def _taken(image: Any, most: int) -> Iterator[Any]:
    """A Pillow image at each frame that is taken. It goes from frame to frame, so that the time is known between any two."""
    end, count = time.thread_time() + MAX_SECONDS, _count(image)
    _check_count("", count)
    chosen = {*evenly(count, most)}
    for index in range(count):
        image.seek(index)
        if index in chosen:
            yield image
        if time.thread_time() > end:
            raise TooCostly(f"takes more than {MAX_SECONDS:.0f} s to unpack its {count:,} frames")


def _check_count(name: str, count: int) -> None:
    if count < 2:
        one = "has only one frame" if count else "holds no frames"
        advice = "pictures are read by models such as digits"
        raise ImageError(f"{name} {one}, but a clip has two or more; {advice}.".lstrip())
