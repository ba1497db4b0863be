"""A scan of one digit, cut tightly and reduced to a few pixels: its ink fills the picture, so no paper is left to find it on."""

from __future__ import annotations

import numpy as np

from ..pixels import resize
from .crops import two_tones
from .mnist_form import mnist_form

SIDES = 12, 32
"""Pixels of the shorter and of the longer side of what counts as such a scan: at least, at most."""
LEAST_STEP, LEAST_PARTED = 0.3, 0.8
"""Least difference between ink and paper, and least share of the variance between the two (many pixels of a reduced scan are half ink)."""
INK = 0.05, 0.7
"""Least and largest part of the picture that is ink."""
SIDE = 16
THRESHOLDS = 0.12, 0.65
"""Coverage from which a pixel of a scan of two tones is ink: low for thick strokes, high for thin ones."""
FINE = 8
"""Factor by which a digit of MNIST is enlarged before it is reduced."""


def tight_scan(picture: np.ndarray) -> np.ndarray | None:
    """Ink coverage 0…1 of a picture (h, w, c) that is such a scan, in a margin; None for any other.

    Paper is the tone that the rim shows more of, its corners counted five times.
    """
    shorter, longer = sorted(picture.shape[:2])
    if shorter < SIDES[0] or longer > SIDES[1]:
        return None
    tones = two_tones(plane := picture.mean(axis=2))
    step = tones.light - tones.dark
    if step < LEAST_STEP or tones.parted < LEAST_PARTED:
        return None
    alpha = np.clip((plane - tones.dark) / step, 0, 1)
    rim = np.concatenate([alpha[0], alpha[-1], alpha[1:-1, 0], alpha[1:-1, -1]])
    corners = alpha[[0, 0, -1, -1], [0, -1, 0, -1]]
    if rim.sum() + 4 * corners.sum() > (rim.size + 16) / 2:
        alpha = 1 - alpha
    return np.pad(alpha, 1).astype(np.float32) if INK[0] <= alpha.mean() <= INK[1] else None


def as_scans(digits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Digits (n, 28, 28), 0…1, as they look once such scans of them are read: float32 (n, 28, 28).

    Half of them are stretched to the square, as scanners of forms did; half are of two tones, with strokes from thin to thick.
    """
    stretched, two_toned = rng.random((len(digits), 2)).T < 0.5
    thresholds = rng.uniform(*THRESHOLDS, len(digits))
    drawn = zip(digits, stretched, two_toned, thresholds, strict=True)
    return np.stack([_as_scan(*each) for each in drawn])


def _as_scan(digit: np.ndarray, stretched: bool, two_toned: bool, threshold: float) -> np.ndarray:
    rows, columns = np.flatnonzero(digit.max(1) > 0.2), np.flatnonzero(digit.max(0) > 0.2)
    cut = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    large = resize(cut, *(FINE * side for side in cut.shape))
    scale = SIDE / max(large.shape)
    sides = (SIDE, SIDE) if stretched else [max(1, round(scale * side)) for side in large.shape]
    small = np.clip(resize(large, *sides), 0, 1)
    if two_toned:
        small = (small > min(threshold, 0.9 * small.max())).astype(np.float32)
    return mnist_form(np.pad(small, 1))
