"""Random copies of pictures that mean the same: shifted, turned, scaled, slanted, bent, mirrored."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from types import ModuleType

import numpy as np

from ...checks import check_flag, check_number
from ...settings import sealed
from ..augmentation import Augmentation

GRID = 7
"""Coefficients per side of the elastic field: smoothed like a Gaussian of 1/7 of the side, Simard's 4 of 28 pixels."""
GRID_RMS = 0.277
"""Root mean square of a field whose coefficients are uniform in ±1: sqrt(1/3) · 151/315, the B-spline's ∫ b²."""


@sealed
@dataclass(frozen=True)
class Augment(Augmentation):
    """How far pictures may be changed. Every amount is drawn uniformly from its ± range, anew for each picture.

    shift: fraction of the picture's side, down and across separately (0.1 is up to 2.8 of 28 pixels)
    rotate: degrees
    scale: 0.1 enlarges by a factor between 1/1.1 and 1.1, height and width separately
    shear: degrees that vertical strokes are slanted
    elastic: root mean square, as a fraction of the shorter side, of a smooth random displacement
    flip: mirror left and right, every second picture

    Raises TinynetError on an amount that is negative or not finite, a shear of 90° or more, and a flip that is neither True
    nor False.
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    flip: bool = False

    of = "pictures, x of shape (n, height, width, channels) or (n, height, width)"
    axes = 3, 4

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "flip":
                most = 90 if field.name == "shear" else math.inf
                check_number("Augment", field.name, getattr(self, field.name), below=most)
        check_flag("Augment", "flip", self.flip)

    def apply(self, batch: np.ndarray, kernels: ModuleType, rng: np.random.Generator | int) -> np.ndarray:
        return augment(batch, self, kernels, rng)


DIGITS = Augment(shift=0.05, rotate=10.0, scale=0.1, shear=7.0, elastic=0.025)
"""For handwritten characters: everything but mirroring, which would make other characters of them."""
FASHION = Augment(shift=0.06, rotate=4.0, scale=0.08, flip=True)
"""For objects centred on black that look the same from both sides."""
PHOTOS = Augment(shift=0.08, rotate=10.0, scale=0.15, shear=5.0, flip=True)
"""For folders of pictures of things; pictures of writing should not be mirrored: `replace(PHOTOS, flip=False)`."""


def augment(
    images: np.ndarray, settings: Augment, kernels: ModuleType, rng: np.random.Generator | int
) -> np.ndarray:
    """Changed copies of images (n, h, w, c) or (n, h, w) float32, by the back end's `warp`.

    Outside the picture everything is 0.

    The changes depend on rng, a generator or a seed, and nothing else. `Augment()` returns the images themselves.
    Affine distortions and elastic fields as in Simard, Steinkraus & Platt, "Best practices for convolutional neural
    networks applied to visual document analysis", 2003.
    """
    if settings == Augment():
        return images
    if images.ndim == 3:
        return augment(images[..., None], settings, kernels, rng)[..., 0]
    rng = np.random.default_rng(rng)
    count, height, width = images.shape[:3]
    matrices = draw_matrices(settings, count, height, width, rng)
    grid = draw_grid(settings, count, height, width, rng) if settings.elastic else None
    return kernels.warp(images, matrices, grid)


def draw_matrices(
    settings: Augment, count: int, height: int, width: int, rng: np.random.Generator
) -> np.ndarray:
    """Random affine maps (count, 2, 3) float32 from output (y, x, 1) to input (y, x), in pixels from the centre.

    matrix = rotation · shear · diag(factor_y, factor_x) | shift
    """
    amount = 2 * rng.random((7, count), dtype=np.float32) - 1
    angle = math.radians(settings.rotate) * amount[0]
    slant = np.tan(math.radians(settings.shear) * amount[1])
    factor_y, factor_x = np.exp(math.log1p(settings.scale) * amount[2:4])
    if settings.flip:
        factor_x = np.copysign(factor_x, amount[4])
    cosine, sine = np.cos(angle), np.sin(angle)
    matrices = np.empty((count, 2, 3), np.float32)
    matrices[:, 0, 0] = (cosine + sine * slant) * factor_y
    matrices[:, 0, 1] = sine * factor_x
    matrices[:, 1, 0] = (cosine * slant - sine) * factor_y
    matrices[:, 1, 1] = cosine * factor_x
    matrices[:, 0, 2] = settings.shift * height * amount[5]
    matrices[:, 1, 2] = settings.shift * width * amount[6]
    return matrices


def draw_grid(settings: Augment, count: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Random coefficients (count, 2, GRID, GRID) float32, in pixels, of a smooth displacement field."""
    reach = settings.elastic * min(height, width) / GRID_RMS
    return (2 * reach) * rng.random((count, 2, GRID, GRID), dtype=np.float32) - np.float32(reach)
