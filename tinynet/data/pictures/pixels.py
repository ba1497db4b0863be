"""Small steps on pictures: size, colour, opacity, order statistics. Each takes an array and returns one."""

from __future__ import annotations

import numpy as np


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize to (height, width): bicubic, with the filter widened to the source when shrinking (antialiased).

    image is float32 (h, w) or (h, w, c); the result has the same number of axes and may leave the range of the
    input by the filter's few per cent.
    """
    from PIL import Image

    if image.shape[:2] == (height, width):
        return image
    planes = image[..., None] if image.ndim == 2 else image
    resized = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(planes[..., i], dtype=np.float32)).resize(
                (width, height), Image.Resampling.BICUBIC
            )
        )
        for i in range(planes.shape[2])
    ]
    return resized[0] if image.ndim == 2 else np.stack(resized, axis=-1)


def to_grey(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) to (h, w, 1) by the luma weights of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B; grey stays as it is."""
    if image.ndim == 2 or image.shape[2] == 1:
        return image
    return image @ np.array([[0.299], [0.587], [0.114]], dtype=np.float32)


def opaque(image: np.ndarray, background: np.ndarray | float = 1.0) -> np.ndarray:
    """(h, w, 4) over a plain background: opacity × colour + (1 − opacity) × background; others unchanged."""
    if image.shape[2] != 4:
        return image
    opacity = image[..., 3:]
    return opacity * image[..., :3] + (1 - opacity) * np.asarray(background, dtype=np.float32)


def backdrop(image: np.ndarray) -> np.ndarray | float:
    """What to lay a transparent picture on: its own paper if it has any, else what it stands out from.

    A colour (3,) that is usual in it where it is mostly opaque and has contrast of its own; else white under what is
    dark, and under pictures that are not transparent, black under what is light.
    """
    if image.shape[2] != 4:
        return 1.0
    opacity = image[..., 3]
    solid = image[opacity > 0.5][:, :3]
    if not len(solid):
        return 1.0
    grey = solid.mean(axis=1)
    if len(solid) > 0.3 * opacity.size and quantile(grey, 0.97) - quantile(grey, 0.03) > 0.2:
        return np.array([quantile(channel, 0.5) for channel in solid.T])
    return 1.0 if quantile(grey, 0.5) < 0.5 else 0.0


def quantile(values: np.ndarray, part: float) -> float:
    """The value that `part` of the values lie below, 0.5 for the median (`np.median` takes longer to import)."""
    index = int(part * (values.size - 1))
    return float(np.partition(values, index, axis=None)[index])
