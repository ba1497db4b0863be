"""Many small pictures, with captions, in one."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..files import atomic_write

COLUMNS = 10
MOST = 400
TILE = 84
CAPTION = 14


def save_tiles(path: str | os.PathLike, pictures: np.ndarray, captions: Sequence[str]) -> int:
    """Write pictures (n, h, w, 1 or 3) in 0…1 as one PNG with a caption under each; returns how many it holds.

    At most 400 are shown, ten a row. Raises TinynetError where the file cannot be written.
    """
    from PIL import Image, ImageDraw

    shown = min(len(pictures), MOST)
    rows = max(-(-shown // COLUMNS), 1)
    sheet = Image.new("RGB", (COLUMNS * (TILE + 4), rows * (TILE + CAPTION + 4)), "white")
    draw = ImageDraw.Draw(sheet)
    for index in range(shown):
        left, top = index % COLUMNS * (TILE + 4) + 2, index // COLUMNS * (TILE + CAPTION + 4) + 2
        pixels = np.round(np.clip(pictures[index], 0, 1) * 255).astype(np.uint8)
        tile = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
        scale = TILE / max(tile.size)
        size = (max(round(tile.width * scale), 1), max(round(tile.height * scale), 1))
        sheet.paste(tile.resize(size, Image.Resampling.NEAREST), (left, top))
        draw.text((left, top + TILE), captions[index][:16], fill="black")
    with atomic_write(path) as file:
        sheet.save(file, "PNG")
    return shown
