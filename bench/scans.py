"""How well are small scans of one digit read that fill the picture, as collections of scanned forms hold them?

    python -m bench.scans [DIGITS]

MNIST test digits are cut to their ink and reduced to 16×16 (the last rows: 20×20 and 12×12), stretched to the square or not, in grey
or in two tones with strokes from thin to thick, and read the whole way, as `tinynet classify` does.
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

import tinynet as tn
from tinynet.data.datasets import load_digits
from tinynet.data.pictures.prepare import prepare

DIGITS = 1000
SMOOTH = 8
THRESHOLDS = {"grey": None, "thin": 0.65, "medium": 0.45, "thick": 0.25, "very thick": 0.12}
"""Part of a pixel that must be ink; None keeps the greys."""
KINDS = [(16, stretched, tone) for stretched in (True, False) for tone in THRESHOLDS]
KINDS += [(20, True, "medium"), (12, True, "thick")]


def scan(digit: np.ndarray, side: int, stretched: bool, tone: str) -> np.ndarray:
    """A digit, (28, 28), 0…1, as such a scan, (side, side)."""
    rows, columns = np.flatnonzero(digit.max(1) > 0.2), np.flatnonzero(digit.max(0) > 0.2)
    cut = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    large = _resized(cut, SMOOTH * cut.shape[0], SMOOTH * cut.shape[1], Image.Resampling.BICUBIC)
    longer = max(cut.shape)
    height, width = (
        (side, side) if stretched else (max(1, round(side * length / longer)) for length in cut.shape)
    )
    small = _resized(large, height, width, Image.Resampling.BOX)
    threshold = THRESHOLDS[tone]
    if threshold is not None:
        small = (small > threshold).astype(np.float32)
    picture = np.zeros((side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    picture[top : top + height, left : left + width] = small
    return picture


def _resized(plane: np.ndarray, height: int, width: int, method: Image.Resampling) -> np.ndarray:
    return np.clip(
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), method)), 0, 1
    )


def main(digits: int = DIGITS) -> None:
    """Print the table."""
    model, data = tn.load("digits"), load_digits()
    x, y = data.x_test[:digits, ..., 0] / np.float32(255), data.y_test[:digits]
    blank = np.zeros((28, 28, 1), np.float32)
    print("| small scan | read right | nothing found |\n| --- | --- | --- |")
    for side, stretched, tone in KINDS:
        found = [
            prepare(scan(digit, side, stretched, tone)[..., None], {"kind": "digit"}, (28, 28, 1))
            for digit in x
        ]
        inputs = np.stack([blank if each is None else each for each in found])
        missing = np.array([each is None for each in found])
        right = (model.answer(inputs)[0].argmax(axis=1) == y) & ~missing
        kind = f"{side}×{side}, {'stretched' if stretched else 'as it is'}, {tone}"
        print(f"| {kind} | {100 * right.mean():.1f} % | {missing.sum()} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
