"""Which groups of strokes are digits: not printed lines, dots in a row, the frame of a form."""

from __future__ import annotations

import numpy as np

from .components import Components, quantile

LYING = 3.5  # a bar is so much broader than it is high


def digits_among(groups: Components, gains: np.ndarray) -> list[np.ndarray]:
    """The groups of each digit, indices; the digit with the largest gain first; an empty list where there is none.

    gains: of each group, how well its outline is supported. A digit is one group with the bars that hang loose beside
    it; further digits are at least half as large as the first. What is no digit counts against it, as noise does, but
    for lines and frames.
    """
    bars, frames = _bars(groups), _frames(groups, gains)
    dots = _dotted(groups)
    able = np.where(bars | frames | dots, 0, gains)
    if not gains.size or able.max() <= 0:
        return []
    size = _size(groups)
    main = int(np.argmax(able))
    large = (size > 0.5 * size[main]) & (able > 0.25 * able[main])
    loose = (gains > 0) & ~frames & ~dots
    digits = [_with_pieces(groups, main, loose & ~_beside(groups, main, large))]
    for other in np.flatnonzero(large):
        if not np.isin(other, np.concatenate(digits)):
            rest = loose & ~large
            rest[np.concatenate(digits)] = False
            digits.append(_with_pieces(groups, other, rest))
    share = able[np.concatenate(digits)].sum()
    return digits if share >= 0.45 * able[able > 0].sum() else []  # else one speck among many


def _size(groups: Components) -> np.ndarray:
    return (groups.box[:, 2:] - groups.box[:, :2]).max(1)


def _bars(groups: Components) -> np.ndarray:
    """Which groups are bars that lie: lines of a form, loose bars of a 5; but not a line with a digit upon it."""
    height, width = (groups.box[:, 2:] - groups.box[:, :2]).T
    bars = width > LYING * np.maximum(height, 1)
    for i in np.flatnonzero(bars):
        top, left, bottom, right = groups.box[i]
        ink = (groups.labels[top:bottom, left:right] == i + 1).sum(axis=0)
        bars[i] = not ink.size or ink.max() < 3 * quantile(ink, 0.5)
    return bars


def _frames(groups: Components, gains: np.ndarray) -> np.ndarray:
    """Which groups are straight frames round another: each side of their box is drawn nearly from end to end."""
    frames = np.zeros(len(gains), bool)
    box = groups.box
    for i in np.flatnonzero(gains > 0.25 * gains.max(initial=0)):
        top, left, bottom, right = box[i]
        inside = (box[:, :2] > box[i, :2]).all(1) & (box[:, 2:] < box[i, 2:]).all(1)
        if not (inside & (gains > 0)).any():
            continue
        mask = groups.labels[top:bottom, left:right] == i + 1
        rim = 1 + round(0.08 * min(mask.shape))
        sides = mask[:rim].any(0), mask[-rim:].any(0), mask[:, :rim].any(1), mask[:, -rim:].any(1)
        frames[i] = min(side.mean() for side in sides) > 0.9
    return frames


def _dotted(groups: Components) -> np.ndarray:
    """Which groups are dots or dashes of a line: five of a size and more in one row."""
    height = groups.box[:, 2] - groups.box[:, 0]
    middle = (groups.box[:, 2] + groups.box[:, 0]) / 2
    if not 5 <= len(height) <= 500:
        return np.zeros(len(height), bool)
    small = height < 0.15 * height.max()
    level = np.abs(middle[:, None] - middle) <= np.maximum(1, height / 2)[:, None]
    alike = np.abs(height[:, None] - height) <= np.maximum(1, height / 3)[:, None]
    return small & ((level & alike & small).sum(1) >= 5)


def _with_pieces(groups: Components, main: int, loose: np.ndarray) -> np.ndarray:
    """A group and those of the loose ones that belong to it: close by, not tiny, no line that runs on beside it."""
    box = groups.box
    top, left, bottom, right = box[main]
    longer = max(bottom - top, right - left)
    gap_y = np.maximum(box[:, 0] - bottom, top - box[:, 2])
    gap_x = np.maximum(box[:, 1] - right, left - box[:, 3])
    size = _size(groups)
    close = (np.maximum(gap_y, gap_x) < 0.12 * longer) & (size > 0.2 * longer)
    below = (box[:, 0] >= bottom - 1) & (right - left < 0.4 * longer)
    line = _bars(groups) & ((size > longer) | below)
    chosen = close & loose & ~line
    chosen[main] = True
    return np.flatnonzero(chosen)


def _beside(groups: Components, main: int, large: np.ndarray) -> np.ndarray:
    """Which of the large groups are digits of their own: as high as the main one and clearly to its left or right."""
    box = groups.box
    top, left, bottom, right = box[main]
    height = bottom - top
    gap = np.maximum(box[:, 1] - right, left - box[:, 3])
    return large & (gap > 0.04 * height) & (box[:, 2] - box[:, 0] > 0.7 * height)


def reading_order(boxes: list[tuple[int, int, int, int]]) -> list[int]:
    """Indices of boxes (left, top, right, bottom): lines from top to bottom, each from left to right.

    A box belongs to the line above it where the middle of either lies within the other.
    """
    lines: list[list[int]] = []
    for i in sorted(range(len(boxes)), key=lambda i: boxes[i][1] + boxes[i][3]):
        _, top, _, bottom = boxes[i]
        _, above, _, below = boxes[lines[-1][-1]] if lines else (0, 0, 0, -1)
        if above <= (top + bottom) / 2 < below or top <= (above + below) / 2 < bottom and lines:
            lines[-1].append(i)
        else:
            lines.append([i])
    return [i for line in lines for i in sorted(line, key=lambda i: boxes[i][0])]
