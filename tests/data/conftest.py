"""Folders of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


def _picture(path, size=(20, 20), mode="L", value=None, seed=0, **options):
    """A picture of noise, or of one value, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0], *([3] if mode == "RGB" else []))
    pixels = rng.integers(0, 256, shape, np.uint8) if value is None else np.full(shape, value, np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def picture():
    """Writes a picture: `picture(path, size, mode, value, seed)`."""
    return _picture


@pytest.fixture
def pets(tmp_path, picture):
    for number in range(3):
        picture(tmp_path / "dog" / f"{number}.png", seed=number)
    for number in range(2):
        picture(tmp_path / "cat" / f"{number}.png", seed=number + 9)
    return tmp_path
