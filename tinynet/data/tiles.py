"""Many small pictures, with captions, in one."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..files import atomic_write

COLUMNS = 10
MOST = 400
TILE = 84
GAP = 8
LINE = 12
"""Pixels of a line of a caption."""


def save_tiles(path: str | os.PathLike, pictures: np.ndarray, captions: Sequence[Sequence[str]]) -> int:
    """Write pictures (n, h, w), of 1 or 3 channels or none, in 0…1 as one PNG, each over the lines of its caption.

    Returns how many it holds: at most 400 are shown, ten a row, in columns that are as wide as the longest caption.
    Raises TinynetError where the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    shown = min(len(pictures), MOST)
    lines = max(map(len, captions[:shown]), default=1)
    font = ImageFont.load_default()
    texts = [[_shown(line) for line in caption] for caption in captions[:shown]]
    width = GAP + max([TILE, *(round(font.getlength(line)) for caption in texts for line in caption)])
    height = TILE + lines * LINE + GAP
    columns = max(min(shown, COLUMNS), 1)
    sheet = Image.new("RGB", (columns * width, max(-(-shown // columns), 1) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for index in range(shown):
        left, top = index % columns * width + GAP // 2, index // columns * height + GAP // 2
        sheet.paste(_tile(pictures[index]), (left, top))
        for number, line in enumerate(texts[index]):
            draw.text((left, top + TILE + number * LINE), line, fill="black", font=font)
    with atomic_write(path) as file:
        sheet.save(file, "PNG")
    return shown


def _shown(line: str) -> str:
    """A line that the font can draw: it has the letters of Latin 1, and no use for a control character."""
    return "".join(c if c.isprintable() else "?" for c in line).encode("latin-1", "replace").decode("latin-1")


def _tile(picture: np.ndarray):
    """A picture whose longer side is TILE pixels."""
    from PIL import Image

    pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if pixels.shape[2:] in ((), (1,)):
        pixels = pixels.reshape(pixels.shape[:2])
    scale = TILE / max(pixels.shape[:2])
    size = [max(round(side * scale), 1) for side in pixels.shape[1::-1]]
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).convert("RGB")
