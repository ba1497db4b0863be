"""Prepare a picture for a model as the model's file says: as a whole, or the digit in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...errors import ImageError
from .pixels import backdrop, opaque, resize, to_grey

BACKDROPS = "white", "contrast"


def prepare_image(
    image: np.ndarray,
    input_shape: tuple[int, ...],
    background: str | None = None,
    trim: bool = False,
    transparent: str = "white",
) -> np.ndarray:
    """Fit a whole picture into a model's input, its aspect kept, centred on the colour of its own border.

    Args:
        image: (h, w, c) as `read_image` gives it.
        input_shape: (height, width) or (height, width, 1) for grey, (height, width, 3) for colour.
        background: "dark" or "light" inverts a picture whose border is of the other kind, for models trained on
            objects cut out on a black or a white background. None leaves it unchanged.
        trim: cut off a border of one colour first.
        transparent: the colour of transparent parts, "white" or, as `backdrop` finds it, a "contrast" to the rest.

    Returns:
        float32 input_shape, 0…1. A picture that already has this shape and background is returned unchanged.

    Raises:
        ImageError: for any other input_shape or setting.
    """
    if len(input_shape) not in (2, 3) or input_shape[2:] not in ((), (1,), (3,)) or None in input_shape:
        raise ImageError(f"pictures need an input of height × width × 1 or 3, not {input_shape}.")
    if background not in (None, "dark", "light"):
        raise ImageError(f"the background must be dark or light, not {background!r}.")
    if transparent not in BACKDROPS:
        raise ImageError(f"transparent must be white or contrast, not {transparent!r}.")
    height, width = input_shape[:2]
    channels = 3 if input_shape[2:] == (3,) else 1
    image = opaque(image, backdrop(image) if transparent == "contrast" else 1.0)
    image = to_grey(image) if channels == 1 else np.broadcast_to(image, (*image.shape[:2], 3))
    edge = _border_colour(image)
    if background is not None and (edge.mean() > 0.5) != (background == "light"):
        image, edge = 1 - image, 1 - edge
    if image.shape[:2] != (height, width):
        image = _fit(_trimmed(image, edge) if trim else image, height, width, edge)
    return np.ascontiguousarray(np.clip(image, 0, 1), dtype=np.float32).reshape(input_shape)


def _border_colour(image: np.ndarray) -> np.ndarray:
    """Median colour (c,) of the outermost pixels."""
    return np.median(rim(image), axis=0).astype(np.float32)


def rim(image: np.ndarray) -> np.ndarray:
    """The outermost pixels of pictures (…, h, w, c), those in the corners twice: (…, 2 · (h + w), c)."""
    sides = image[..., 0, :, :], image[..., -1, :, :], image[..., 0, :], image[..., -1, :]
    return np.concatenate(sides, axis=-2)


def _trimmed(image: np.ndarray, edge: np.ndarray, tolerance: float = 0.1) -> np.ndarray:
    """The picture without the rows and columns at the border that have only its colour."""
    differs = np.abs(image - edge).max(axis=2) > tolerance
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not rows.size:
        return image
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fit(image: np.ndarray, height: int, width: int, edge: np.ndarray) -> np.ndarray:
    scale = min(height / image.shape[0], width / image.shape[1])
    rows, columns = (max(1, round(side * scale)) for side in image.shape[:2])
    canvas = np.empty((height, width, image.shape[2]), dtype=np.float32)
    canvas[:] = edge
    top, left = (height - rows) // 2, (width - columns) // 2
    canvas[top : top + rows, left : left + columns] = resize(image, rows, columns)
    return canvas


DIGIT = {"kind": "digit"}


class Prepared(NamedTuple):
    """A model's input, or None if nothing is found, and a note for the user, if there is one.

    For digits: how many seem to be in the picture, and left, top, right, bottom of this one in its pixels.
    """

    pixels: np.ndarray | None
    note: str | None = None
    count: int | None = None
    box: tuple[int, int, int, int] | None = None


def prepare_noted(image: np.ndarray, spec: dict, input_shape: tuple[int, ...]) -> Prepared:
    """Prepare a picture as a model's file says: `metadata["input"]`, plain JSON.

    spec is {"kind": "digit"} for `digit.find_digit.prepare_digit`, which notes where there are several digits and
    finds none in a blank picture, or {"kind": "image"} with the settings of `prepare_image`. The pixels are float32
    input_shape.

    Raises:
        ImageError: an unknown kind or setting, as from a file of a newer version, or a shape that is not a picture's.
    """
    if spec == DIGIT:
        return _prepared_digit(image, input_shape)
    settings = {key: value for key, value in spec.items() if key != "kind"}
    if spec.get("kind") == "image" and set(settings) <= {"background", "trim", "transparent"}:
        return Prepared(prepare_image(image, input_shape, **settings))
    raise ImageError(
        f"the model's input is prepared as {spec}, which this version does not know; update tinynet."
    )


def prepare(image: np.ndarray, spec: dict, input_shape: tuple[int, ...]) -> np.ndarray | None:
    """The pixels of `prepare_noted`: float32 input_shape, or None if nothing is found."""
    return prepare_noted(image, spec, input_shape).pixels


def prepare_digits(image: np.ndarray, input_shape: tuple[int, ...]) -> list[Prepared]:
    """Every digit of a picture in reading order, each prepared as spec {"kind": "digit"} says; raises ImageError."""
    from .digit import find_digit

    _check_digit_shape(input_shape)
    digits = find_digit.prepare_digits(image)
    return [Prepared(digit.pixels.reshape(input_shape), None, len(digits), digit.box) for digit in digits]


def _prepared_digit(image: np.ndarray, input_shape: tuple[int, ...]) -> Prepared:
    from .digit.find_digit import prepare_digit

    _check_digit_shape(input_shape)
    digit = prepare_digit(image)
    if digit is None:
        return Prepared(None, count=0)
    note = f"{digit.count} digits found; reading the largest" if digit.count > 1 else None
    return Prepared(digit.pixels.reshape(input_shape), note, digit.count, digit.box)


def _check_digit_shape(input_shape: tuple[int, ...]) -> None:
    if input_shape not in ((28, 28), (28, 28, 1)):
        raise ImageError(f"digits are prepared as 28×28 pictures, which do not fit the input {input_shape}.")
