"""Digits that are cropped to their ink: detect that strokes touch the border of a picture, and add a margin of paper."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..pixels import quantile
from .morphology import broadest, components, dilate

LEAST_STEP = 0.1  # between ink and paper; fainter pictures are left as they are
LEAST_PARTED = 0.82  # of two tones
MOST_BEYOND = 0.5  # of the step: what is darker or lighter than that is ink before them
WHOLE = 0.9  # part of the ink that hangs together
BROADEST = 0.38  # part of a digit's longer side that a stroke may be broad, its blurred edges left out
BROADEST_CUT = 0.34  # the same, of a drawing that fills the picture
SHARP = 0.35, 0.8  # part of the step within two pixels of an edge; part of the outline with such an edge
MARGIN = 0.25  # of the longer side


def with_paper(plane: np.ndarray, full: np.ndarray) -> tuple[np.ndarray, int]:
    """(the full plane in a margin of its paper, the margin's width) where a drawing is cut by the border, else (full, 0).

    plane: a small copy of it. The plane must hold two tones. Ink is the connected one, while the border and the ink
    cut the paper into pieces; where both are connected, ink is the one that covers less of the border.
    """
    tones = two_tones(plane[::2, ::2])
    step = tones.light - tones.dark
    if step < LEAST_STEP or tones.parted < LEAST_PARTED:
        return full, 0
    if max(tones.dark - plane.min(), plane.max() - tones.light) > MOST_BEYOND * step:
        return full, 0  # ink on a page with a dark and a light side
    edges = dilate(plane, 2) + dilate(-plane, 2) > SHARP[0] * step
    dark, light = (_cut_drawing(mask, edges) for mask in (plane < tones.threshold, plane >= tones.threshold))
    if not dark and not light:
        return full, 0
    is_light = not dark or 0 < light < dark
    paper = full[(full < tones.threshold) == is_light]
    margin = 2 + round(MARGIN * max(full.shape))
    return np.pad(full, margin, constant_values=quantile(paper, 0.5)), margin


class Tones(NamedTuple):
    """The two kinds of points that Otsu's threshold (1979) separates.

    dark and light: their means. parted: the share of the variance between the two; about 0.7 where light fades,
    above 0.85 where there is nothing but ink and paper.
    """

    threshold: float
    dark: float
    light: float
    parted: float


def two_tones(plane: np.ndarray) -> Tones:
    """The two tones of a plane, whatever it shows."""
    values = np.sort(plane, axis=None).astype(np.float64)
    count = np.arange(1, values.size)
    below = np.cumsum(values)[:-1] / count
    above = (values.sum() - below * count) / (values.size - count)
    between = count * (values.size - count) * (above - below) ** 2
    best = int(np.argmax(between))
    parted = between[best] / values.size**2 / max(values.var(), 1e-12)
    return Tones((values[best] + values[best + 1]) / 2, below[best], above[best], parted)


def _cut_drawing(mask: np.ndarray, edges: np.ndarray) -> float:
    """Share of the border that is ink, if the mask is a connected drawing that the border cuts, else 0."""
    found = components(mask)
    if not found.area.size or found.area.max() < WHOLE * found.area.sum():
        return 0.0
    ink = found.labels == found.area.argmax() + 1
    sides = ink[0], ink[-1], ink[:, 0], ink[:, -1]
    if sum(side.mean() > 0.97 for side in sides) > 2:
        return 0.0  # a frame, a desk, or paper
    if broadest(ink) > BROADEST_CUT * max(ink.shape):
        return 0.0  # a shadow, a sheet
    if edges[ink & (dilate(~ink, 1) > 0)].mean() < SHARP[1]:
        return 0.0  # it ends where the light fades
    return sum(side.sum() for side in sides) / sum(side.size for side in sides)
