"""Printed digits and letters drawn by a random pen, to train beside handwriting: MNIST holds neither.

Shapes are tables of strokes. A pen of random width, contrast and slant draws them, with serifs or without, and
`mnist_form` prepares them as it prepares what `classify` cuts out of a picture. No font is needed, and a seed gives the
same pictures everywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .mnist_form import mnist_form

HEIGHT = 40  # pixels of a shape, without its margin
MARGIN = 10
SMOOTH = 4  # straight pieces between two points of a curve

DIGITS: dict[str, tuple[str, ...]] = {
    "0": (
        "~ 50,0 86,12 100,50 86,88 50,100 14,88 0,50 14,12 50,0",
        "~ 50,0 94,9 100,50 94,91 50,100 6,91 0,50 6,9 50,0",
    ),
    "1": (
        "- 0,24 100,0 100,100",
        "- 0,18 100,0 100,100",
        "- 0,12 100,0 100,100",
        "- 0,32 100,0 100,100",
        "- 0,10 100,10 100,0 100,100",
        "~ 0,22 66,15 100,0 | - 100,0 100,100",
        "- 0,22 50,0 50,100 | - 0,100 100,100",
        "- 0,10 50,0 50,100 | - 0,100 100,100",
        "- 0,0 50,0 50,100 | - 0,100 100,100",
        "- 50,0 50,100",
    ),
    "2": (
        "~ 2,28 16,7 50,0 86,8 97,27 84,50 44,78 2,100 | - 2,100 100,100",
        "~ 2,28 14,7 50,0 88,8 98,27 88,45 | - 88,45 2,100 100,100",
    ),
    "3": (
        "~ 4,20 20,4 50,0 82,7 92,25 80,42 42,48 | ~ 42,48 86,54 100,73 86,94 50,100 15,95 0,79",
        "- 6,0 94,0 42,42 | ~ 42,42 86,48 100,70 86,93 50,100 15,95 0,80",
    ),
    "4": (
        "- 75,100 75,0 0,70 100,70",
        "- 78,100 78,0 0,66 100,66",
        "- 30,0 0,66 100,66 | - 74,30 74,100",
    ),
    "5": (
        "- 92,0 16,0 7,46 | ~ 7,46 45,34 86,44 100,68 86,92 48,100 14,95 0,82",
        "- 92,0 10,0 10,48 | ~ 10,48 45,36 86,44 100,68 86,92 48,100 14,95 0,82",
    ),
    "6": (
        "~ 92,14 60,0 22,14 2,50 10,86 50,100 88,91 100,68 86,45 50,37 14,46 2,66",
        "~ 72,0 36,24 8,55 2,72 14,92 50,100 86,92 98,69 86,46 50,38 16,46 3,68",
    ),
    "7": (
        "- 0,0 100,0 34,100",
        "- 0,0 100,0 22,100",
        "- 0,0 100,0 | ~ 100,0 62,38 42,70 36,100",
        "- 0,18 0,0 100,0 34,100",
        "- 0,0 100,0 34,100 | - 24,50 90,50",
    ),
    "8": (
        "~ 50,0 84,7 93,24 82,41 50,47 18,41 7,24 16,7 50,0 | ~ 50,47 86,54 100,73 86,93 50,100 14,93 0,73 14,54 50,47",
        "~ 50,0 88,8 94,24 50,47 4,76 14,94 50,100 86,94 96,76 50,47 6,24 12,8 50,0",
    ),
    "9": (
        "~ 8,86 40,100 78,86 98,50 90,14 50,0 12,9 0,32 14,55 50,63 86,54 98,34",
        "~ 28,100 64,76 92,45 98,28 86,8 50,0 14,8 2,31 14,54 50,62 84,54 97,32",
    ),
}  # fmt: skip
"""Strokes of each style, x and y in percent of the shape's width and height: - through straight lines, ~ smooth."""

LETTERS: dict[str, tuple[str, ...]] = {
    "A": ("- 0,100 50,0 100,100 | - 17,66 83,66",),
    "C": ("~ 96,20 76,5 50,0 15,13 0,50 15,87 50,100 76,95 96,80",),
    "E": ("- 100,0 0,0 0,100 100,100 | - 0,48 84,48",),
    "F": ("- 100,0 0,0 0,100 | - 0,48 84,48",),
    "G": ("~ 94,19 76,5 50,0 15,13 0,50 15,87 50,100 78,96 97,82 | - 97,86 97,54 58,54",),
    "H": ("- 0,0 0,100 | - 100,0 100,100 | - 0,48 100,48",),
    "J": ("- 92,0 92,70 | ~ 92,70 80,93 46,100 12,92 0,74",),
    "K": ("- 0,0 0,100 | - 96,0 0,60 | - 30,42 100,100",),
    "L": ("- 0,0 0,100 100,100",),
    "M": ("- 0,100 0,0 50,76 100,0 100,100", "- 0,100 8,0 50,100 92,0 100,100"),
    "N": ("- 0,100 0,0 100,100 100,0",),
    "P": ("- 0,100 0,0 50,0 | ~ 50,0 90,8 100,27 90,47 50,55 | - 50,55 0,55",),
    "R": ("- 0,100 0,0 50,0 | ~ 50,0 87,8 96,26 87,45 50,53 | - 0,53 50,53 100,100",),
    "T": ("- 0,0 100,0 | - 50,0 50,100",),
    "U": ("- 0,0 0,64 | ~ 0,64 13,92 50,100 87,92 100,64 | - 100,64 100,0",),
    "V": ("- 0,0 50,100 100,0",),
    "W": ("- 0,0 26,100 50,20 74,100 100,0", "- 0,0 26,100 50,0 74,100 100,0"),
    "X": ("- 0,0 100,100 | - 100,0 0,100",),
    "Y": ("- 0,0 50,52 100,0 | - 50,52 50,100",),
}
"""Capital letters, without those that look like a digit: B D I O Q S Z."""


class Stroke(NamedTuple):
    """points: (n, 2) of x and y, the curve's corners; straight: whether it is no curve, and may have serifs."""

    points: np.ndarray
    straight: bool


def printed_digits(each: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`each` pictures of every style of every digit, float32 (n, 28, 28, 1), and their labels (n,)."""
    return _pictures(DIGITS, each, rng)


def printed_letters(each: int, rng: np.random.Generator) -> np.ndarray:
    """`each` pictures of every style of every letter, float32 (n, 28, 28, 1)."""
    return _pictures(LETTERS, each, rng)[0]


def _pictures(
    shapes: dict[str, tuple[str, ...]], each: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    drawn, kinds = [], []
    for kind, (name, styles) in enumerate(shapes.items()):
        for style in styles:
            drawn += [mnist_form(draw(style, rng, narrow=name == "1")) for _ in range(each)]
            kinds += [kind] * each
    return np.stack(drawn)[..., None], np.array(kinds)


def strokes_of(shape: str) -> list[Stroke]:
    """The strokes of a table's entry, their points in 0…1."""
    strokes = []
    for part in shape.split(" | "):
        kind, *points = part.split(" ")
        corners = np.array([[float(v) for v in point.split(",")] for point in points]) / 100
        strokes.append(Stroke(corners if kind == "-" else _smooth(corners), kind == "-"))
    return strokes


def _smooth(points: np.ndarray) -> np.ndarray:
    """A Catmull-Rom spline through points, closed where the last is the first."""
    closed = np.array_equal(points[0], points[-1])
    before, after = (points[-2], points[1]) if closed else (points[0], points[-1])
    p = np.concatenate([[before], points, [after]])[:, None]
    t = (np.arange(SMOOTH) / SMOOTH)[:, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([curve.reshape(-1, 2), points[-1:]])


def draw(shape: str, rng: np.random.Generator, narrow: bool = False) -> np.ndarray:
    """Ink coverage (h, w) of one shape, 0…1, in a random style."""
    width = rng.uniform(0.18, 0.5) if narrow else rng.uniform(0.45, 0.95)
    pen = rng.uniform(0.03, 0.24) * np.array([1, rng.uniform(0.3, 1) if rng.random() < 0.5 else 1])
    slant = rng.uniform(0, 0.3) if rng.random() < 0.35 else 0.0
    serif = rng.uniform(0.03, 0.1) + pen[0] / 2 if rng.random() < 0.35 else 0.0
    strokes = strokes_of(shape)
    pieces = [np.stack([s.points[:-1], s.points[1:]], 1) for s in strokes]
    segments = np.concatenate(pieces) * [width, 1]
    segments += rng.normal(0, 0.006, segments.shape)
    if serif:
        segments = np.concatenate([segments, *_serifs(strokes, width, serif)])
    segments[..., 0] -= slant * segments[..., 1]
    segments[..., 0] -= segments[..., 0].min()
    return _inked(segments, pen)


def _serifs(strokes: list[Stroke], width: float, length: float) -> list[np.ndarray]:
    """Short bars across the free ends of straight strokes, `length` to either side."""
    ends = np.concatenate([s.points[[0, -1]] for s in strokes])
    bars = []
    for stroke in strokes:
        for end, inner in ((stroke.points[0], stroke.points[1]), (stroke.points[-1], stroke.points[-2])):
            away_x, away_y = abs(inner - end)
            upright = away_y >= away_x * width
            outermost = end[int(upright)] in (0, 1) and (upright or away_y == 0)
            if stroke.straight and outermost and (ends == end).all(1).sum() == 1:
                along = np.array([length, 0]) if upright else np.array([0, length])
                bars.append((end * [width, 1] + np.array([-along, along]))[None])
    return bars


def _inked(segments: np.ndarray, pen: np.ndarray) -> np.ndarray:
    """Coverage of what an upright ellipse covers on its way along segments (n, 2 ends, x and y)."""
    scale = (1 / np.maximum(pen, 0.03)).astype(np.float32)
    size = np.ceil(segments.reshape(-1, 2).max(0) * HEIGHT).astype(int) + 2 * MARGIN
    x, y = ((np.arange(side, dtype=np.float32) + 0.5 - MARGIN) / HEIGHT for side in size)
    start = (segments[:, 0] * scale).astype(np.float32)
    way = (segments[:, 1] * scale).astype(np.float32) - start
    square = np.maximum((way**2).sum(1), 1e-9)
    dx = x * scale[0] - start[:, :1]
    dy = y * scale[1] - start[:, 1:]
    along = (dy * (way[:, 1:] / square[:, None]))[:, :, None] + (dx * (way[:, :1] / square[:, None]))[:, None]
    along = np.clip(along, 0, 1)
    away = (dx[:, None] - along * way[:, :1, None]) ** 2 + (dy[:, :, None] - along * way[:, 1:, None]) ** 2
    nearest = np.sqrt(away.min(0))
    return np.clip((0.5 - nearest) * HEIGHT * max(pen.min(), 0.03) + 0.5, 0, 1)
