"""Random copies of pictures that mean the same: moved, bent, mirrored, cut out, in other light, with parts hidden."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import ClassVar

import numpy as np

from ...settings import sealed
from ..augmentation import Augmentation

GRID = 7
"""Coefficients per side of the elastic field: smoothed like a Gaussian of 1/7 of the side, Simard's 4 of 28 pixels."""
GRID_RMS = 0.277
"""Root mean square of a field whose coefficients are uniform in ±1: sqrt(1/3) · 151/315, the B-spline's ∫ b²."""
STRETCH = 4 / 3
"""Cut-outs are enlarged by up to this factor more in one direction than in the other."""
ERASED_AREA, ERASED_ASPECT = (0.02, 1 / 3), 0.3
"""Share of the picture that is erased, and the smallest height per width; the largest is its inverse."""
LUMA = 0.299, 0.587, 0.114
"""How bright red, green and blue are (ITU-R BT.601)."""


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
    crop: part of the area that may be cut off; what is left, anywhere in the picture and of an aspect between 3:4 and 4:3, is
        enlarged to the size of the whole (Szegedy et al. 2015)
    brightness, contrast: 0.2 multiplies values, or their distance from 0.5, by a factor between 1/1.2 and 1.2
    saturation: the same for the distance from grey; hue: degrees by which colours are turned; pictures of three channels only
    erase: chance that a rectangle of 2 to 33 % of the picture becomes noise (Zhong et al. 2017)
    mix: α of mixup: a picture fades into another, and is labelled as both; their shares are drawn from Beta(α, α) (Zhang et al. 2018)
    resolution: how many of the picture's rows, and of its columns, the copies have: as many fewer on either side, 22 of 28 at 0.8. Where
        less than 1, cut-outs are enlarged less, and training takes less time; the network must take pictures of any size, as one
        that ends in the mean of its last map. It reads whole pictures better than one that has seen things larger than they are
        (Touvron et al. 2019)

    Colours are those of pictures with values in 0…1, and stay there.

    Raises TinynetError on an amount that is negative or not finite, a shear of 90° or more, a crop of 1 or more, a chance above
    1, a resolution of 0 or above 1, and a flip that is neither True nor False.
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    flip: bool = False
    crop: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    erase: float = 0.0
    mix: float = 0.0
    resolution: float = 1.0

    of = "pictures, x of shape (n, height, width, channels) or (n, height, width)"
    axes = 3, 4
    limits: ClassVar = {
        "shear": {"below": 90},
        "crop": {"below": 1},
        "erase": {"most": 1},
        "resolution": {"above": 0, "most": 1},
    }

    @property
    def moves(self) -> bool:
        """Whether pixels change their places."""
        amounts = self.shift, self.rotate, self.scale, self.shear, self.elastic, self.flip, self.crop
        return any(amounts) or self.resolution < 1

    @property
    def colours(self) -> bool:
        """Whether pixels change their colours."""
        return any((self.brightness, self.contrast, self.saturation, self.hue))

    def shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*(size - 2 * edge(size, self) for size in input_shape[:2]), *input_shape[2:])

    def apply(self, batch: np.ndarray, kernels: ModuleType, rng: np.random.Generator | int) -> np.ndarray:
        return augment(batch, self, kernels, rng)


UNCHANGED = Augment()
DIGITS = Augment(shift=0.05, rotate=10.0, scale=0.1, shear=7.0, elastic=0.025)
"""For handwritten characters: everything but mirroring, which would make other characters of them."""
FASHION = Augment(shift=0.06, rotate=4.0, scale=0.08, flip=True)
"""For objects centred on black that look the same from both sides."""
CHARACTERS = Augment(shift=0.08, rotate=10.0, scale=0.15, shear=5.0, brightness=0.2, contrast=0.2)
"""For pictures of letters, digits and signs, which are others when mirrored or cut."""
PHOTOS = Augment(
    rotate=10.0,
    shear=5.0,
    flip=True,
    crop=0.6,
    brightness=0.2,
    contrast=0.2,
    saturation=0.2,
    hue=8.0,
    erase=0.25,
    mix=0.2,
)
"""For photographs of things. Where sides count, as in left and right hands: `replace(PHOTOS, flip=False)`."""


def augment(
    images: np.ndarray, settings: Augment, kernels: ModuleType, rng: np.random.Generator | int
) -> np.ndarray:
    """Changed copies of images (n, h, w, c) or (n, h, w) float32, by the back end's `warp`, `recolour` and `erase`.

    Outside the picture everything is 0.

    The changes depend on rng, a generator or a seed, and nothing else. `Augment()` returns the images themselves.
    Affine distortions and elastic fields as in Simard, Steinkraus & Platt, "Best practices for convolutional neural
    networks applied to visual document analysis", 2003.
    """
    if settings == UNCHANGED:
        return images
    if images.ndim == 3:
        return augment(images[..., None], settings, kernels, rng)[..., 0]
    rng, prefetch = np.random.default_rng(rng), kernels.prefetch
    count, height, width, channels = images.shape
    images = prefetch(images)
    if settings.moves:
        matrices = draw_matrices(settings, count, height, width, rng)
        grid = draw_grid(settings, count, height, width, rng) if settings.elastic else None
        if settings.crop:
            matrices = cut_out(matrices, draw_cuts(settings, count, height, width, rng))
        matrices = reduced(matrices, height, width, settings)
        images = kernels.warp(images, prefetch(matrices), grid if grid is None else prefetch(grid))
        images = without_edges(images, settings, kernels)
        height, width = images.shape[1:3]
    if settings.colours:
        images = kernels.recolour(images, prefetch(draw_colours(settings, count, channels, rng)))
    if settings.erase:
        boxes = draw_boxes(settings, count, height, width, rng)
        images = kernels.erase(images, prefetch(boxes), int(rng.integers(2**32)))
    return images


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


def draw_cuts(settings: Augment, count: int, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Random parts of a picture (count, 4) float32: their size as a share of its height and width, their centre in pixels from its."""
    area, stretch, down, across = rng.random((4, count), dtype=np.float32)
    area = 1 - settings.crop * area
    stretch = np.exp(math.log(STRETCH) / 2 * (2 * stretch - 1))
    tall, wide = np.minimum(np.sqrt(area) * stretch, 1), np.minimum(np.sqrt(area) / stretch, 1)
    down, across = ((1 - tall) * height * (down - 0.5)), ((1 - wide) * width * (across - 0.5))
    return np.stack([tall, wide, down, across], axis=1)


def cut_out(matrices: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """The maps of `draw_matrices`, after which those parts are enlarged: they read what the maps show in the parts."""
    tall, wide, down, across = cuts.T[..., None]
    moved = matrices[:, :, 0] * down + matrices[:, :, 1] * across + matrices[:, :, 2]
    return np.stack([matrices[:, :, 0] * tall, matrices[:, :, 1] * wide, moved], axis=2)


def edge(size: int, settings: Augment) -> int:
    """Rows, or columns, on either side of a picture of so many that its copies do not have."""
    return min(round(size * (1 - settings.resolution) / 2), (size - 1) // 2)


def reduced(matrices: np.ndarray, height: int, width: int, settings: Augment) -> np.ndarray:
    """The maps of `draw_matrices`, after which all that they show lies between those edges."""
    if settings.resolution == 1:
        return matrices
    matrices = matrices.copy()
    matrices[:, :, 0] *= height / (height - 2 * edge(height, settings))
    matrices[:, :, 1] *= width / (width - 2 * edge(width, settings))
    return matrices


def without_edges(images: np.ndarray, settings: Augment, kernels: ModuleType) -> np.ndarray:
    """Pictures (n, h, w, c) as `Augment.shape` says."""
    count, height, width, channels = images.shape
    top, left = edge(height, settings), edge(width, settings)
    if top:
        images = kernels.crop_steps(images.reshape(count, height, width * channels), top, top)
    if left:
        images = kernels.crop_steps(images.reshape(-1, width, channels), left, left)
    return images.reshape(count, height - 2 * top, width - 2 * left, channels)


def draw_colours(settings: Augment, count: int, channels: int, rng: np.random.Generator) -> np.ndarray:
    """Random maps of colours (count, channels, channels + 1) float32, as `recolour` takes them.

    value = brightness · (contrast · (turned by the hue, then stretched from grey by the saturation - 0.5) + 0.5)
    """
    amount = 2 * rng.random((4, count, 1, 1), dtype=np.float32) - 1
    brightness = np.exp(math.log1p(settings.brightness) * amount[0])
    contrast = np.exp(math.log1p(settings.contrast) * amount[1])
    mixing = np.eye(channels, dtype=np.float32)[None]
    if channels == 3:
        saturation = np.exp(math.log1p(settings.saturation) * amount[2])
        grey = np.tile(np.array(LUMA, np.float32), (3, 1))
        mixing = (grey + saturation * (mixing - grey)) @ _turned(math.radians(settings.hue) * amount[3])
    offset = np.broadcast_to(0.5 * brightness * (1 - contrast), (count, channels, 1))
    factors = np.broadcast_to(brightness * contrast * mixing, (count, channels, channels))
    return np.concatenate([factors, offset], axis=2)


def _turned(angle: np.ndarray) -> np.ndarray:
    """Rotations (count, 3, 3) about the axis of greys, by angles (count, 1, 1): Rodrigues' formula."""
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], np.float32) / np.float32(math.sqrt(3))
    cosine = np.cos(angle)
    return cosine * np.eye(3, dtype=np.float32) + np.sin(angle) * across + (1 - cosine) / 3


def draw_boxes(
    settings: Augment, count: int, height: int, width: int, rng: np.random.Generator
) -> np.ndarray:
    """Random rectangles (count, 4) int32, as `erase` takes them; empty where nothing is erased."""
    chance, area, aspect, down, across = rng.random((5, count))
    low, high = ERASED_AREA
    area = (low + (high - low) * area) * height * width
    aspect = np.exp(math.log(ERASED_ASPECT) * (2 * aspect - 1))
    tall = np.clip(np.rint(np.sqrt(area * aspect)), 1, height).astype(np.int64)
    wide = np.clip(np.rint(np.sqrt(area / aspect)), 1, width).astype(np.int64)
    top, left = (down * (height - tall + 1)).astype(np.int64), (across * (width - wide + 1)).astype(np.int64)
    bottom = np.where(chance < settings.erase, top + tall, top)
    return np.stack([top, left, bottom, left + wide], axis=1).astype(np.int32)
