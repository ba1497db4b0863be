"""Shapes in a plane: sliding extremes, openings, connected components. NumPy only; planes are (height, width)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Components(NamedTuple):
    """Connected regions of a mask.

    labels: int (h, w), 0 where there is none, else 1 + the index into the rows of `area` (n,), and of
    `box` (n, 4): top, left, bottom, right, the last two exclusive.
    """

    labels: np.ndarray
    area: np.ndarray
    box: np.ndarray


def sliding_max(plane: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Maximum over every window of `size` elements that fits, down (axis 0) or across (1); size − 1 shorter.

    Windows double, so it takes log2(size) passes (van Herk's trick needs fewer, but not in NumPy).
    """
    reach = 1
    while reach < size:
        step = min(reach, size - reach)
        first, last = (plane[:-step], plane[step:]) if axis == 0 else (plane[:, :-step], plane[:, step:])
        plane = np.maximum(first, last)
        reach += step
    return plane


def framed(plane: np.ndarray, margin: int, value: float) -> np.ndarray:
    """A plane in a margin of one value (`np.pad` takes longer than most of what is done here)."""
    height, width = plane.shape
    wide = np.full((height + 2 * margin, width + 2 * margin), value, dtype=plane.dtype)
    wide[margin : margin + height, margin : margin + width] = plane
    return wide


def dilate(plane: np.ndarray, radius: int) -> np.ndarray:
    """Maximum over squares of 2 radius + 1 around each point; of floats or of unsigned integers."""
    if radius < 1:
        return plane
    wide = framed(plane, radius, -np.inf if plane.dtype.kind == "f" else 0)
    return sliding_max(sliding_max(wide, 2 * radius + 1, 0), 2 * radius + 1, 1)


def opening(plane: np.ndarray, height: int, width: int | None = None) -> np.ndarray:
    """Grey opening: the largest plane below this one made of flat boxes that lie inside the picture, by default squares.

    What is bright and narrower than the box vanishes, at the border too; the edge of anything wider, such as of
    a shadow, stays where it is.
    """
    sizes = [min(height, *plane.shape)] * 2 if width is None else [height, width]
    low = plane
    for axis in (0, 1):
        low = -sliding_max(-low, sizes[axis], axis)
    low = np.pad(low, [(size - 1, size - 1) for size in sizes], constant_values=-np.inf)
    for axis in (0, 1):
        low = sliding_max(low, sizes[axis], axis)
    return low


def gaussian(plane: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (h, w, …), the border repeated."""
    reach = int(np.ceil(2.5 * sigma))
    if reach < 1:
        return plane
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        margin = [(reach, reach) if i == axis else (0, 0) for i in range(plane.ndim)]
        wide = np.moveaxis(np.pad(plane, margin, mode="edge"), axis, 0)
        length = plane.shape[axis]
        total = weights[reach] * wide[reach : reach + length]
        for i in range(reach):
            total += weights[i] * (wide[i : i + length] + wide[2 * reach - i : 2 * reach - i + length])
        plane = np.moveaxis(total, 0, axis)
    return plane


def broadest(mask: np.ndarray) -> int:
    """Side of the largest square within a mask (by bisection)."""
    low, high = 0, min(mask.shape) + 1
    holes = ~mask
    while high - low > 1:
        side = (low + high) // 2
        inside = not sliding_max(sliding_max(holes, side, 0), side, 1).all()
        low, high = (side, high) if inside else (low, side)
    return low


def components(mask: np.ndarray) -> Components:
    """Connected components, diagonal neighbours included.

    Runs of each row are joined with the runs that touch them in the row above; the roots of the joined runs are
    found by hooking and pointer jumping (Shiloach and Vishkin 1982), all runs at once.
    """
    height, width = mask.shape
    wide = np.pad(mask, ((0, 0), (1, 1)))
    rows, ends = np.divmod(np.flatnonzero(wide[:, 1:] != wide[:, :-1]), width + 1)
    rows, starts, ends = rows[::2], ends[::2], ends[1::2]
    root = _union_find(len(rows), *_touching(rows, starts, ends, width + 2))
    names, index = np.unique(root, return_inverse=True)
    index = index.reshape(-1)
    labels = np.zeros((height, width), dtype=np.int32)
    labels[mask] = np.repeat(index + 1, ends - starts)
    area = np.bincount(index, weights=ends - starts, minlength=len(names)).astype(int)
    box = np.tile(np.array([height, width, 0, 0]), (len(names), 1))
    np.minimum.at(box[:, 0], index, rows)
    np.minimum.at(box[:, 1], index, starts)
    np.maximum.at(box[:, 2], index, rows + 1)
    np.maximum.at(box[:, 3], index, ends)
    return Components(labels, area, box)


def _touching(
    rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs, one above the other."""
    above = (rows - 1) * stride
    first = np.searchsorted(rows * stride + ends, above + starts, "left")
    last = np.searchsorted(rows * stride + starts, above + ends, "right")
    counts = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(rows)), counts)
    upper = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    return lower, upper


def _union_find(count: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest member of each one's group, where a[i] and b[i] are in one group."""
    root = np.arange(count)
    while True:
        up, down = root[a], root[b]
        if np.array_equal(up, down):
            return root
        np.minimum.at(root, up, down)
        np.minimum.at(root, down, up)
        root = root[root]
