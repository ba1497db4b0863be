"""A clip into what a model takes, as the model's own file says: some frames, taken evenly, of one small size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...checks import Shape, check_choice, check_count, check_flag
from .. import preparation
from ..pictures.pixels import backdrop, opaque
from ..pictures.prepare import prepare_image, rim

CHANNELS = {"grey": 1, "colour": 3}
FAINT = 0.04
"""A clip whose frames differ from their border by no more than this shows nothing."""
DARK = 0.3
"""Ink from which on a pixel belongs to the thing that is drawn."""
KNOWN, USUAL = (0.25, 0.5), 0.38
"""Which part of its frame's longer side a thing may take as it is, and which it takes where that is changed."""
LIMITS = {"height": (1, 256), "width": (1, 256), "frames": (2, 256)}


@dataclass(frozen=True)
class Preparation(preparation.Preparation):
    """How clips become the input of a model, (frames, height, width, 2 · channels): each step of the network sees its own frame and
    the one before, so that the CNN sees what moves.

    colours: "grey" or "colour"; frames: the most that are taken; ink: whether a pixel is what it differs by from the border of the
    clip, so that a thing drawn on plain ground looks alike whatever the colours, and one that is very small or very large in its
    frame is brought near the usual size. Raises TinynetError for numbers that make no sense.
    """

    kind, samples = "video", "clips"

    height: int = 32
    width: int = 32
    colours: str = "grey"
    frames: int = 16
    ink: bool = False

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            check_count("the preparation of clips", name, getattr(self, name), least, most)
        check_choice("the preparation of clips", "colours", self.colours, CHANNELS)
        check_flag("the preparation of clips", "ink", self.ink)

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Of one frame."""
        return self.height, self.width, CHANNELS[self.colours]

    @property
    def input_shape(self) -> Shape:
        """Of one sample."""
        height, width, channels = self.frame_shape
        return None, height, width, 2 * channels


def prepare(clip: Sequence[np.ndarray], preparation: Preparation) -> np.ndarray | None:
    """The frames that a model takes of a clip, uint8 (t, height, width, channels), at least 1; None where nothing is to be seen.

    clip: frames as `read_clip` takes them, each fitted in whole, its aspect kept. A pixel of 0 is what follows the end of a clip.
    """
    ground, shape = backdrop(clip[0]), preparation.frame_shape
    frames = [opaque(frame, ground) for frame in clip]
    frames = _framed(_ink(frames)) if preparation.ink else frames
    x = np.stack([frame if frame.shape == shape else prepare_image(frame, shape) for frame in frames])
    x = np.maximum(np.round(255 * x), 1).astype(np.uint8)
    return None if (x == x[0, 0, 0]).all() else x


def prepare_all(clips: Iterable[Sequence[np.ndarray]], preparation: Preparation) -> np.ndarray:
    """Several clips as a model takes them, as many steps as the longest has frames; 0 after the end of a clip."""
    found = [prepare(clip, preparation) for clip in clips]
    longest = max((len(frames) for frames in found if frames is not None), default=1)
    x = np.zeros((len(found), longest, *preparation.frame_shape), np.uint8)
    for row, frames in zip(x, found, strict=True):
        if frames is not None:
            row[: len(frames)] = frames
    return pairs(x)


def pairs(frames: np.ndarray) -> np.ndarray:
    """Frames (n, t, h, w, c) as the steps of a network, (n, t, h, w, 2c): each frame, then the one before, for the first itself."""
    real = frames[:, :, :1, :1, :1] != 0
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    return np.concatenate([frames, before * real], axis=-1)


def frames_of(steps: np.ndarray) -> np.ndarray:
    """The frames of which `pairs` made these steps."""
    return steps[..., : steps.shape[-1] // 2]


def lengths_of(x: np.ndarray) -> np.ndarray:
    """Of clips (n, t, height, width, …): how many frames each has."""
    return np.count_nonzero(x[:, :, 0, 0, 0], axis=1)


def as_long_as_the_longest(x: np.ndarray) -> np.ndarray:
    """Clips (n, t, …) without the frames after all of them are over."""
    return x[:, : max(int(lengths_of(x).max(initial=1)), 1)]


def mean_frames(x: np.ndarray) -> np.ndarray:
    """The mean of the frames of each clip (n, t, height, width, 2 · channels), float32 (n, height, width, channels) in 0…1."""
    total = frames_of(x).sum(axis=1, dtype=np.float32)
    return total / (255 * np.maximum(lengths_of(x), 1).reshape(-1, 1, 1, 1).astype(np.float32))


def _ink(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """How far each pixel is from the colour of the border of all frames, (h, w, 1), 1 at most; all 0 where nothing differs."""
    channels = max(frame.shape[2] for frame in frames)
    rims = [np.broadcast_to(rim(frame), (2 * sum(frame.shape[:2]), channels)) for frame in frames]
    ground = np.median(np.concatenate(rims), axis=0).astype(np.float32)
    ink = [np.abs(frame - ground).max(axis=2, keepdims=True) for frame in frames]
    top = max(float(frame.max()) for frame in ink)
    return [frame / np.float32(top if top > FAINT else np.inf) for frame in ink]


def _framed(ink: list[np.ndarray]) -> list[np.ndarray]:
    """Frames (h, w, 1) as they are if what is drawn is of a usual size in them; otherwise all cut, or widened, to a square around it.

    The square holds the ink of all frames. How large a thing is tell the frames in which it is whole.
    """
    if len({frame.shape for frame in ink}) > 1:
        return ink
    dark = np.stack(ink)[..., 0] > DARK
    down, across = np.any(dark, axis=2), np.any(dark, axis=1)
    touches = np.any(down[:, [0, -1]], axis=1) | np.any(across[:, [0, -1]], axis=1)
    is_whole = np.any(down, axis=1) & ~touches
    if not is_whole.any():
        return ink
    sizes = [max(_extent(rows)[1], _extent(columns)[1]) for rows, columns in zip(down, across, strict=True)]
    size, longest = float(np.median(np.array(sizes)[is_whole])), max(dark.shape[1:])
    if KNOWN[0] <= size / longest <= KNOWN[1]:
        return ink
    extents = _extent(np.any(down, axis=0)), _extent(np.any(across, axis=0))
    side = round(max(size / USUAL, *(length for _, length in extents)))
    top, left = (first + (length - side) // 2 + side for first, length in extents)
    padded = (np.pad(frame, ((side, side), (side, side), (0, 0))) for frame in ink)
    return [frame[top : top + side, left : left + side] for frame in padded]


def _extent(marks: np.ndarray) -> tuple[int, int]:
    """The first place that is marked, and how many there are from there to the last."""
    places = np.flatnonzero(marks)
    return (int(places[0]), int(places[-1] - places[0]) + 1) if len(places) else (0, 0)
