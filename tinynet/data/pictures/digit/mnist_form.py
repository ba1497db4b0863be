"""MNIST's own preparation: strokes of its thickness, a 20×20 box, the centre of mass at the centre of 28×28."""

from __future__ import annotations

import numpy as np

from ..pixels import quantile, resize

FINE = 80  # pixels of the box while the strokes are measured: 4 to one of MNIST
THICKNESS = 2.2 * 4, 3.3 * 4  # at that size; of most MNIST strokes: their median is 2.4


def mnist_form(alpha: np.ndarray) -> np.ndarray:
    """A cut-out digit, (h, w) ink coverage 0…1, in MNIST's form: float32 (28, 28).

    Its strokes are brought to MNIST's thickness where they are far off; the box of the ink is scaled to fit 20×20,
    antialiased, and placed so that the centre of mass lies at the centre (LeCun et al. 1998).
    """
    fine = _to_box(alpha, FINE)
    thickness = stroke_thickness(fine)
    change = np.clip(thickness, *THICKNESS) - thickness
    if change > 0.5:
        fine = _to_box(_grown(np.pad(fine, 8), change / 2), FINE)
    elif change < -0.5:
        fine = _to_box(_thinned(fine, min(-change / 2, 0.3 * thickness)), FINE)
    small = np.clip(_to_box(fine, 20), 0, 1)
    small /= max(quantile(small[small > 0.3], 0.9) if (small > 0.3).any() else 1.0, 0.3)
    return _centred(np.clip(small, 0, 1))


def _to_box(alpha: np.ndarray, side: int) -> np.ndarray:
    """The ink's bounding box scaled so that its longer side is `side` pixels."""
    rows, columns = np.flatnonzero(alpha.max(1) > 0.4), np.flatnonzero(alpha.max(0) > 0.4)
    cut = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = side / max(cut.shape)
    return np.clip(resize(cut, *(max(1, round(length * scale)) for length in cut.shape)), 0, 1)


def stroke_thickness(alpha: np.ndarray) -> float:
    """Mean thickness in pixels: twice the area over the length of the outline (its total variation)."""
    wide = np.pad(alpha, 1)
    outline = np.hypot(wide[1:, 1:] - wide[:-1, 1:], wide[1:, 1:] - wide[1:, :-1]).sum()
    return 2 * float(alpha.sum()) / max(float(outline), 1e-6)


def _grown(alpha: np.ndarray, radius: float) -> np.ndarray:
    """Dilate by a disc of a radius that need not be whole, which is the same above and below, left and right."""
    reach = int(np.ceil(radius))
    wide = np.pad(alpha, reach, mode="edge")
    height, width = alpha.shape
    result = alpha
    for dy in range(reach + 1):
        both = np.maximum(wide[reach - dy :][:height], wide[reach + dy :][:height])  # above and below
        for dx in range(reach + 1):
            weight = min(1.0, radius + 1 - np.hypot(dy, dx))
            if weight > 0 and (dy or dx):
                four = np.maximum(both[:, reach - dx :][:, :width], both[:, reach + dx :][:, :width])
                result = np.maximum(result, four if weight == 1 else weight * four)
    return result


def _thinned(alpha: np.ndarray, radius: float) -> np.ndarray:
    """Erode by a disc, but keep strokes that are too thin to survive it, so that none breaks."""
    core = 1 - _grown(np.pad(1 - alpha, 8, constant_values=1.0), radius)
    lost = np.pad(alpha, 8) * (1 - _grown(core, radius + 1))
    return np.maximum(core, lost)


def _centred(small: np.ndarray) -> np.ndarray:
    """In 28×28, the centre of mass within half a pixel of (14, 14)."""
    canvas = np.zeros((28, 28), dtype=np.float32)
    corner = np.round(14 - centre_of_mass(small)).astype(int)
    top, left = np.clip(corner, 0, 28 - np.array(small.shape))
    canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
    return canvas


def centre_of_mass(plane: np.ndarray) -> np.ndarray:
    """(row, column), weighted by the values of a plane."""
    weights = plane / plane.sum()
    return np.array([weights.sum(axis=i) @ np.arange(plane.shape[1 - i]) for i in (1, 0)])
