"""Which groups of strokes are digits: not printed lines, dots in a row, the frame of a form."""

from __future__ import annotations

import numpy as np

from ..pixels import quantile
from .morphology import Components, components

TALL, OVERLAP = 0.6, 0.35  # of the tallest and of the narrower one: digits that stand side by side
LEAST_GAIN = 0.15  # of the first digit's, of a further one: a 1 has a third of an 8's
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
    large = (size > 0.5 * size[main]) & (able > LEAST_GAIN * able[main])
    loose = (gains > 0) & ~frames & ~dots
    digits = [_with_pieces(groups, main, loose & ~_beside(groups, main, large))]
    for other in np.flatnonzero(large).tolist():
        if not np.isin(other, np.concatenate(digits)):
            rest = loose & ~large
            rest[np.concatenate(digits)] = False
            digits.append(_with_pieces(groups, other, rest))
    share = able[np.concatenate(digits)].sum()
    return digits if share >= 0.45 * able[able > 0].sum() else []  # else one speck among many


def split(groups: Components, mask: np.ndarray) -> Components:
    """Groups of strokes, each that holds several digits side by side split into those.

    groups: of a mask that was dilated, so that broken strokes hang together. Parts of the mask that are about as high
    as the tallest of their group, and hardly overlap from left to right, are digits of their own.
    """
    parts = components(mask)
    owner = np.zeros(len(parts.area), int)
    owner[parts.labels[mask] - 1] = groups.labels[mask] - 1
    height = parts.box[:, 2] - parts.box[:, 0]
    tallest = np.zeros(len(groups.area), int)
    np.maximum.at(tallest, owner, height)
    tall = height >= np.maximum(TALL * tallest[owner], 6)
    name, count = owner.copy(), len(groups.area)
    for group in np.flatnonzero(np.bincount(owner[tall], minlength=count) > 1):
        members = np.flatnonzero(owner == group)
        spans = _side_by_side(parts.box[members[tall[members]]][:, [1, 3]])
        if len(spans) > 1:
            middle = parts.box[members][:, [1, 3]].mean(1)
            nearest = np.abs(middle[:, None] - spans.mean(1)).argmin(1)
            name[members] = np.where(nearest == 0, group, count + nearest - 1)
            count += len(spans) - 1
    labels = np.zeros_like(groups.labels)
    labels[mask] = name[parts.labels[mask] - 1] + 1
    area, box = np.zeros(count, int), np.tile(np.array([*mask.shape, 0, 0]), (count, 1))
    np.add.at(area, name, parts.area)
    first, last = box[:, :2], box[:, 2:]
    np.minimum.at(first, name, parts.box[:, :2])
    np.maximum.at(last, name, parts.box[:, 2:])
    return Components(labels, area, box)


def _side_by_side(spans: np.ndarray) -> np.ndarray:
    """(left, right) of each union of spans that overlap."""
    heaps: list[list[int]] = []
    for left, right in spans[np.argsort(spans.mean(1))].tolist():
        shared = heaps[-1][1] - left if heaps else -1
        if heaps and shared > OVERLAP * min(right - left, heaps[-1][1] - heaps[-1][0]):
            heaps[-1] = [min(left, heaps[-1][0]), max(right, heaps[-1][1])]
        else:
            heaps.append([left, right])
    return np.array(heaps)


def _size(groups: Components) -> np.ndarray:
    return (groups.box[:, 2:] - groups.box[:, :2]).max(1)


def _bars(groups: Components) -> np.ndarray:
    """Which groups are horizontal bars: lines of a form, detached bars of a 5; but not a line with a digit upon it."""
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
        if above <= (top + bottom) / 2 < below or (lines and top <= (above + below) / 2 < bottom):
            lines[-1].append(i)
        else:
            lines.append([i])
    return [i for line in lines for i in sorted(line, key=lambda i: boxes[i][0])]
