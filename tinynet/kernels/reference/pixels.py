"""Pictures recoloured, and parts of them erased: kernels under image augmentation."""

from __future__ import annotations

import numpy as np

from .dropout import hash32


def recolour(images: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """An affine map of the colours of each picture, kept within 0…1.

    out[i, y, x] = min(max(matrices[i] @ (images[i, y, x], 1), 0), 1). images (n, h, w, c), matrices (n, c, c + 1) → (n, h, w, c).
    """
    factors, offsets = matrices[:, None, :, :-1], matrices[:, None, None, :, -1]
    mapped = images @ np.swapaxes(factors, -1, -2) + offsets
    return np.clip(mapped, 0, 1)


def erase(images: np.ndarray, boxes: np.ndarray, seed: int) -> np.ndarray:
    """Copies whose rows top … bottom - 1 of the columns left … right - 1 are noise, uniform in [0, 1) (Zhong et al. 2017).

    images (n, h, w, c), boxes (n, 4) of whole numbers, each (top, left, bottom, right) within the picture → (n, h, w, c). Value i of all
    the pictures becomes the upper 24 bits of hash32(seed, i), divided by 2²⁴.
    """
    noise = (hash32(seed, images.size) >> np.uint32(8)).reshape(images.shape) * images.dtype.type(2**-24)
    rows, columns = np.arange(images.shape[1])[:, None], np.arange(images.shape[2])
    top, left, bottom, right = boxes.T[:, :, None, None]
    within = (top <= rows) & (rows < bottom) & (left <= columns) & (columns < right)
    return np.where(within[..., None], noise, images).astype(images.dtype, copy=False)
