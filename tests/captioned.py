"""Pictures with captions that the tests draw: a bright box on the left or right, a red or a blue one."""

from __future__ import annotations

import numpy as np
from PIL import Image

COLOURS = {"red": (230, 30, 30), "blue": (40, 60, 230)}
SIDES = ("left", "right")


def box(colour: str, side: str, seed: int = 0) -> np.ndarray:
    """A picture uint8 (12, 20, 3) of a box somewhere on that side."""
    rng = np.random.default_rng([seed, *colour.encode(), *side.encode()])
    picture = rng.integers(235, 255, (12, 20, 3)).astype(np.uint8)
    top, left = rng.integers(1, 6), rng.integers(0, 3) + 11 * SIDES.index(side)
    picture[top : top + 5, left : left + 6] = COLOURS[colour]
    return picture


def caption(colour: str, side: str) -> str:
    """The sentence on a box."""
    return f"a {colour} box" if side == "left" else f"a {colour} box, far right"


def write_folder(path, each: int = 12, header: bool = True) -> None:
    """A folder of `each` boxes per colour and side, with their captions."""
    lines = ["file\tcaption"] if header else []
    for colour in COLOURS:
        for side in SIDES:
            for seed in range(each):
                name = f"{colour}-{side}-{seed}.png"
                Image.fromarray(box(colour, side, seed)).save(path / name)
                lines.append(f"{name}\t{caption(colour, side).capitalize()}.")
    (path / "captions.tsv").write_text("\n".join(lines) + "\n")
