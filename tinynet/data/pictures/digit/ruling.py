"""Printed lines: find the ruling of a page and paint it over with what lies beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..pixels import quantile
from .morphology import opening, sliding_max

STRIPS = 12  # the page is cut into this many; a line has to show in two thirds of them
STEEPEST = 0.14  # 8 degrees
WIDEST = 1 / 40  # of the page's shorter side
FAINTEST = 0.012  # contrast of a line, averaged along it


SHORTEST, STICKING_OUT = (
    1.2,
    0.12,
)  # of the height of a drawing: an underline's length, and what passes each end
THICKEST = 0.15  # the same, of its thickness


class Line(NamedTuple):
    """A line from column start to stop, by default from side to side.

    height: float (width,), where it runs; contrast: how much darker than the paper; half: its half width.
    """

    height: np.ndarray
    contrast: float
    half: int
    start: int = 0
    stop: int | None = None


def without_lines(plane: np.ndarray, least: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """(the plane without dark lines that cross it from side to side, the contrast of each of those).

    Fewer than `least` lines, across and down together, are left alone: they may be strokes. A stroke that crosses a
    line stays whole, because what is painted over the line is interpolated between its two sides.
    """
    across, down = find_lines(plane), find_lines(plane.T)
    if len(across) + len(down) < max(least, 1):
        return plane, np.empty(0)
    for line in across:
        plane = painted_over(plane, line)
    for line in down:
        plane = painted_over(plane.T, line).T
    return plane, np.array([line.contrast for line in across + down])


def find_lines(plane: np.ndarray) -> list[Line]:
    """Dark lines from left to right, at most STEEPEST.

    A Hough transform of strips: each strip's rows are averaged, so noise sinks and a line stands out; a line scores
    the contrast of its fifth weakest strip.
    """
    height, width = plane.shape
    if min(height, width) < 4 * STRIPS:
        return []
    ridge = -plane - opening(-plane, max(3, round(WIDEST * min(plane.shape)) + 1))
    edges = np.linspace(0, width, STRIPS + 1).astype(int)
    strips = np.add.reduceat(ridge, edges[:-1], axis=1) / np.diff(edges)
    strips -= np.partition(strips, height // 2, axis=0)[height // 2]
    middle = (edges[:-1] + edges[1:]) / 2 - width / 2
    slopes = np.linspace(-STEEPEST, STEEPEST, 2 * int(STEEPEST * width / 2) + 1)
    slopes = slopes[np.argsort(np.abs(slopes))]  # of equals the flattest is taken
    reach = int(STEEPEST * width / 2) + 3
    tolerant = np.pad(sliding_max(np.pad(strips, ((1, 1), (0, 0))), 3, 0), ((reach, reach), (0, 0)))
    shifts = np.round(slopes[:, None] * middle).astype(int) + reach
    rows = np.arange(height)[None, :, None] + shifts[:, None, :]
    scores = np.partition(tolerant[rows, np.arange(STRIPS)], 4, axis=2)[..., 4]
    lines = (
        _traced(ridge, strips, middle, y, slopes[scores[:, y].argmax()]) for y in _peaks(scores.max(axis=0))
    )
    return [line for line in lines if _has_two_sides(plane, line)]


def _peaks(score: np.ndarray) -> np.ndarray:
    """Rows that score more than the faintest line and than their neighbours."""
    around = sliding_max(np.pad(score, 3), 7, 0)
    peaks = np.flatnonzero((score == around) & (score > max(FAINTEST, 4 * quantile(np.abs(score), 0.25))))
    return peaks[np.diff(peaks, prepend=-10) > 3]


def _traced(ridge: np.ndarray, strips: np.ndarray, middle: np.ndarray, row: int, slope: float) -> Line:
    """Follow a line from strip to strip, two pixels to either side at most of the straight way."""
    height, width = ridge.shape
    straight = np.clip(np.round(row + slope * middle).astype(int), 0, height - 1)
    near = np.clip(straight[:, None] + np.array([0, -1, 1, -2, 2]), 0, height - 1)
    found = near[np.arange(STRIPS), strips[near, np.arange(STRIPS)[:, None]].argmax(axis=1)]
    path = np.interp(np.arange(width) - width / 2, middle, found.astype(float))
    centre = np.round(path).astype(int)
    profile = [
        quantile(ridge[np.clip(centre + offset, 0, height - 1), np.arange(width)], 0.5)
        for offset in range(-4, 5)
    ]
    contrast = max(profile[3:6])
    half = next((i for i in range(1, 4) if max(profile[3 - i], profile[5 + i]) < 0.3 * contrast), 4)
    return Line(path, contrast, half)


def _has_two_sides(plane: np.ndarray, line: Line) -> bool:
    """Whether the paper is lighter on both sides; the slanted edge of a sheet or of a shadow is no line."""
    height, width = plane.shape
    centre = np.round(line.height).astype(int)
    levels = [
        quantile(plane[np.clip(centre + offset, 0, height - 1), np.arange(width)], 0.5)
        for offset in (0, -line.half - 1, line.half + 1)
    ]
    return min(levels[1:]) - levels[0] > 0.4 * line.contrast


def painted_over(plane: np.ndarray, line: Line) -> np.ndarray:
    """Interpolate across the line, except where something clearly darker lies on it."""
    height, width = plane.shape
    plane = plane.copy()
    columns = np.arange(width)[line.start : line.stop]
    centre = np.round(line.height[columns]).astype(int)
    above = plane[np.clip(centre - line.half - 1, 0, height - 1), columns]
    below = plane[np.clip(centre + line.half + 1, 0, height - 1), columns]
    for offset in range(-line.half, line.half + 1):
        rows = np.clip(centre + offset, 0, height - 1)
        part = (offset + line.half + 1) / (2 * line.half + 2)
        paint = above + part * (below - above)
        old = plane[rows, columns]
        plane[rows, columns] = np.where(old < paint - 1.8 * line.contrast, old, paint)
    return plane


def underline(mask: np.ndarray, box: np.ndarray) -> Line | None:
    """The straight bar in a drawing that sticks out to its left and right: a printed line that strokes touch, else None.

    mask: bool (h, w); box: top, left, bottom, right of the drawing.
    """
    top, left, bottom, right = box
    size = bottom - top
    length = int(SHORTEST * size)
    if size < 6 or right - left <= length:
        return None
    drawing = mask[top:bottom, left:right]
    tolerant = sliding_max(np.pad(drawing, ((1, 1), (0, 0))), 3, 0)
    bar = drawing & (opening(tolerant.astype(np.float32), 1, length) > 0)
    columns = np.flatnonzero(bar.any(0))
    if columns.size < 2:
        return None
    rows = np.arange(size)[:, None]
    middle = (bar * rows).sum(0)[columns] / bar.sum(0)[columns]
    off = columns - columns.mean()
    slope = (off @ middle) / (off @ off)
    start = middle.mean() - slope * columns.mean()
    thickness = quantile(bar.sum(0)[columns], 0.5)
    path = start + slope * np.arange(right - left)
    rest = drawing & (np.abs(rows - path) > thickness / 2 + 1)
    out = STICKING_OUT * size
    inner = np.flatnonzero(rest.any(0))
    if thickness > THICKEST * size or not inner.size:
        return None
    if columns[0] > inner[0] - out or columns[-1] < inner[-1] + out:
        return None
    everywhere = top + start + slope * (np.arange(mask.shape[1]) - left)
    half = int(thickness / 2) + 2
    return Line(everywhere, np.inf, half, left + columns[0], left + columns[-1] + 1)


def enlarged(line: Line, scale: np.ndarray, width: int) -> Line:
    """The same line in a plane of that width, `scale` times as large."""
    x = (np.arange(width) + 0.5) / scale[1] - 0.5
    path = np.interp(x, np.arange(len(line.height)), line.height)
    stop = None if line.stop is None else int(line.stop * scale[1]) + 2
    return Line(
        path * scale[0] + (scale[0] - 1) / 2,
        line.contrast,
        int(np.ceil(line.half * scale[0])),
        max(0, int(line.start * scale[1]) - 2),
        stop,
    )
