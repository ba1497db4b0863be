"""How well are digits read that are printed, cut to their ink, or over a printed line; and what is said of letters?

    python -m bench.printed [FOLDER OF FONTS]

Fonts only measure: none is trained on. Where the machine has none, a line says so. Crops and
lines are of 200 digits of MNIST's test set each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import tinynet as tn
from tinynet.data.datasets import load_digits
from tinynet.data.pictures.digit.find_digit import prepare_digit

FOLDERS = "/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "C:/Windows/Fonts"
NO_DIGITS = "D050000L", "Symbol", "Dingbat", "Emoji", "Keyboard", "_K", "_I.", "Math", "Icon"
SIZE = 200
LOOK_ALIKE = "BDGILOQSZ"
DIGITS, STEP = 200, 37


def faces(folders: Iterable[str | Path]) -> list[Path]:
    """The files of fonts that hold digits, as far as their names tell."""
    found = {path for folder in folders for path in Path(folder).rglob("*.[to]tf")}
    return sorted(path for path in found if not any(word in path.name for word in NO_DIGITS))


def typed(face: Path, character: str) -> np.ndarray:
    """A page with one character, black on white."""
    font = ImageFont.truetype(str(face), SIZE)
    left, top, right, bottom = (int(side) for side in font.getbbox(character))
    page = Image.new("L", (right - left + 160, bottom - top + 160), 255)
    ImageDraw.Draw(page).text((80 - left, 80 - top), character, fill=0, font=font)
    return np.asarray(page)


def read(model: tn.Sequential, pages: Iterable[np.ndarray]) -> np.ndarray:
    """Probabilities (n, 10); zeros where no digit is found."""
    digits = [prepare_digit(page[..., None].astype(np.float32) / 255) for page in pages]
    pixels = np.stack([np.zeros((28, 28), np.float32) if d is None else d.pixels for d in digits])
    found = np.array([d is not None for d in digits])
    return np.asarray(model.predict(pixels[..., None])) * found[:, None]


def print_fonts(model: tn.Sequential, folders: Iterable[str | Path]) -> None:
    """The rows on printed digits and capital letters."""
    fonts = faces(folders)
    if not fonts:
        print("no fonts on this machine: printed digits and letters are left out")
        return
    answers = read(model, (typed(face, digit) for face in fonts for digit in "0123456789"))
    right = answers.argmax(axis=1).reshape(-1, 10) == np.arange(10)
    print(f"| printed digits, {len(fonts)} faces | {100 * right.mean():.2f} % right |")
    for digit in np.flatnonzero(~right.all(axis=0)):
        print(f"| … the {digit} | not read in {(~right[:, digit]).sum()} faces |")
    capitals = [chr(ord("A") + index) for index in range(26)]
    sure = read(model, (typed(face, letter) for face in fonts for letter in capitals)).max(axis=1) > 0.9
    sure = sure.reshape(-1, 26).mean(axis=0)
    others = [share for letter, share in zip(capitals, sure, strict=True) if letter not in LOOK_ALIKE]
    print(f"| capital letters called a digit with more than 90 % | {100 * sure.mean():.1f} % |")
    print(f"| … without {' '.join(LOOK_ALIKE)} | {100 * np.mean(others):.1f} % |", flush=True)


# ---- MNIST's test digits: uint8 (28, 28), ink bright, to pages


def cut(digit: np.ndarray, least: int = 60) -> np.ndarray:
    """The box of the ink that is at least so bright."""
    rows, columns = np.flatnonzero(digit.max(1) > least), np.flatnonzero(digit.max(0) > least)
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def enlarged(digit: np.ndarray, times: int, how: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """So many times as large."""
    return np.asarray(Image.fromarray(digit).resize((times * digit.shape[1], times * digit.shape[0]), how))


def two_toned(digit: np.ndarray) -> np.ndarray:
    """Ink or paper, nothing between."""
    return np.where(digit > 127, 255, 0).astype(np.uint8)


def sides_cut(digit: np.ndarray) -> np.ndarray:
    """Cut left and right only."""
    columns = np.flatnonzero(digit.max(0) > 60)
    return digit[:, columns[0] : columns[-1] + 1]


def over_line(digit: np.ndarray, gap: int, thickness: int) -> np.ndarray:
    """A page of 400 × 500, the digit 160 pixels high, `gap` above a line."""
    page = np.zeros((500, 400), np.uint8)
    large = enlarged(cut(digit), 8)
    page[100 : 100 + large.shape[0], 120 : 120 + large.shape[1]] = large
    line = 100 + large.shape[0] + gap
    page[line : line + thickness, 40:360] = 200
    return page


KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cut to the ink, enlarged 8 times": lambda d: 255 - enlarged(cut(d), 8),
    "the same, white on black": lambda d: enlarged(cut(d), 8),
    "cut to the ink, as it is": lambda d: 255 - cut(d),
    "cut to the ink, hard pixels": lambda d: 255 - enlarged(cut(d), 10, Image.Resampling.NEAREST),
    "cut to the core of the ink": lambda d: 255 - enlarged(cut(d, 127), 8),
    "cut, two tones": lambda d: 255 - two_toned(enlarged(cut(d, 127), 8)),
    "cut, two tones, as it is": lambda d: 255 - two_toned(cut(d, 127)),
    "cut left and right only": lambda d: 255 - enlarged(sides_cut(d), 8),
    "over a line": lambda d: 255 - over_line(d, 20, 3),
    "over a line, white on black": lambda d: over_line(d, 20, 3),
    "over a thick line": lambda d: 255 - over_line(d, 20, 12),
    "on a line": lambda d: 255 - over_line(d, -2, 3),
    "through a line": lambda d: 255 - over_line(d, -20, 3),
}


def print_kinds(model: tn.Sequential) -> None:
    """The rows on MNIST's test digits."""
    data = load_digits()
    ones = np.flatnonzero(data.y_test == 1)[:DIGITS]
    chosen = np.arange(DIGITS) * STEP % len(data.x_test)
    print("| | of ten digits | of ones alone |\n| --- | --- | --- |")
    for name, page in KINDS.items():
        shares = []
        for indices in (chosen, ones):
            answers = read(model, (page(data.x_test[index, ..., 0]) for index in indices))
            shares.append(
                (answers.argmax(axis=1) == data.y_test[indices])[answers.any(axis=1)].sum() / DIGITS
            )
        print(f"| {name} | {100 * shares[0]:.1f} % | {100 * shares[1]:.1f} % |", flush=True)


def main(*folders: str) -> None:
    """Print the tables."""
    model = tn.load("digits")
    print("| | |\n| --- | --- |")
    print_fonts(model, folders or FOLDERS)
    print()
    print_kinds(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
