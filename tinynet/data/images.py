"""Pictures: any file into an array, an array into what a model takes, and back into text for a terminal.

A picture is a float32 array (height, width, channels) with values in 0…1: 1 channel is grey, 3 are red, green and
blue, 4 add opacity. Pillow is imported when the first picture is read, not before.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from ..errors import ImageError

MAX_PIXELS = 150_000_000  # the largest phone cameras; more is a mistake or an attack
MAX_SIDE = 2048  # pixels; what a model reads is far smaller, and a photo of 50 megapixels is slow in full
BIT_DEPTHS = (1, 255, 1023, 4095, 16383, 65535)  # largest values of what scanners and cameras store
ORIENTATION = 0x0112  # the EXIF tag


def read_image(source: str | os.PathLike | bytes | BinaryIO, max_side: int = MAX_SIDE) -> np.ndarray:
    """Read a picture of any kind that Pillow knows.

    Args:
        source: a path, "-" for standard input, bytes, or a binary file object.
        max_side: a longer picture is reduced, while it is read, by the smallest whole factor that brings its
            longer side to this many pixels; the mean of each block is taken.

    Returns:
        float32 (height, width, channels), 0…1; channels is 1 (grey), 3 (colour) or 4 (colour and opacity, where
        anything is transparent). The first frame of an animation; turned upright as EXIF says. Values of more
        than 8 bits keep their precision: they are divided by the largest value of the smallest usual bit depth
        (8, 10, 12, 14, 16) that holds them all.

    Raises:
        ImageError: missing, unreadable, empty, not a picture, damaged, or of more than MAX_PIXELS pixels.
    """
    name, file = _open(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd files mean nothing to who gave the file
        with _identify(name, file) as image:
            _check_size(name, image.size)
            try:
                return _array(image, max_side)
            except MemoryError:
                raise ImageError(f"{name} does not fit into memory; make it smaller first.") from None
            except Exception:  # each of Pillow's forty readers has its own way to stumble over a bad file
                raise ImageError(f"{name} is damaged or cut off; copy it or save it again.") from None


def _open(source) -> tuple[str, object]:
    """(how to call it in a message, a path or a file that Pillow can seek in)."""
    if isinstance(source, (str, os.PathLike)) and os.fspath(source) != "-":
        return _check_path(os.fspath(source)), os.fspath(source)
    name = "the picture"
    if isinstance(source, (str, os.PathLike)):
        name, source = "standard input", sys.stdin.buffer
    elif hasattr(source, "read"):
        name = str(getattr(source, "name", name))
    data = source.read() if hasattr(source, "read") else bytes(source)
    if not data:
        raise ImageError(f"{name} is empty; give a picture such as a PNG or JPEG file.")
    return name, io.BytesIO(data)


def _check_path(path: str) -> str:
    try:
        if Path(path).is_dir():
            raise ImageError(
                f"{path} is a folder; give a picture in it, such as {os.path.join(path, 'NAME.png')}."
            )
        if os.stat(path).st_size == 0 and Path(path).is_file():
            raise ImageError(f"{path} is empty (0 bytes); copy it or save it again.")
        with open(path, "rb"):
            return path
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist; check the name and the folder.") from None
    except PermissionError:
        raise ImageError(f"{path} may not be read; give yourself read permission (chmod u+r).") from None
    except ImageError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ImageError(f"{path!r} cannot be opened: {getattr(error, 'strerror', None) or error}.") from None


def _identify(name: str, file):
    """The picture, its header read and no pixel yet."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(file)
    except Image.DecompressionBombError:
        raise ImageError(_too_large(name)) from None
    except UnidentifiedImageError:
        raise ImageError(_not_a_picture(name, file)) from None
    except Exception:
        raise ImageError(f"{name} is damaged or cut off; copy it or save it again.") from None


def _not_a_picture(name: str, file) -> str:
    start = file.getvalue()[:16] if isinstance(file, io.BytesIO) else _first_bytes(file)
    if start[4:8] == b"ftyp":
        return f"{name} is a HEIC, AVIF or video file, which cannot be read here; save it as JPEG or PNG."
    return f"{name} is not a picture; give a PNG, JPEG, GIF, BMP, TIFF or WebP file."


def _first_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(16)


def _too_large(name: str) -> str:
    return f"{name} has more than {MAX_PIXELS // 10**6} million pixels; make it smaller first."


def _check_size(name: str, size: tuple[int, int]) -> None:
    if min(size) < 1:
        raise ImageError(f"{name} has no pixels; save it again.")
    if size[0] * size[1] > MAX_PIXELS:
        raise ImageError(_too_large(name))


def _array(image, max_side: int) -> np.ndarray:
    """Decode a picture, reduced early, turned upright."""
    target = [max(1, side // _factor(image.size, max_side)) for side in image.size]
    image.draft(
        None, target
    )  # JPEG only: decodes an eighth, a quarter or half of each side, at a fraction of the cost
    orientation = _orientation(image)
    if image.mode[0] in "IF":
        array = _reduced(_unit_range(np.array(image, dtype=np.float32)), _factor(image.size, max_side))[
            ..., None
        ]
    else:
        image = _plain(image)
        array = np.asarray(image.reduce(_factor(image.size, max_side)), dtype=np.float32) / 255
    array = array.reshape(*array.shape[:2], -1)
    if array.shape[2] == 4 and array[..., 3].min() == 1:
        array = array[..., :3]
    return np.ascontiguousarray(_upright(array, orientation))


def _factor(size: tuple[int, int], max_side: int) -> int:
    return -(-max(size) // max_side)


def _orientation(image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # a broken EXIF block is no reason to refuse the picture
        return 1


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo EXIF orientation 1…8: 5…8 are transposed, then rows or columns run backwards."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _plain(image):
    """Any 8-bit mode as L, RGB or RGBA."""
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode == "LAB":  # Pillow has no plain conversion; lightness carries what a model needs
        return image.getchannel(0)
    return image.convert("RGB")


def _unit_range(values: np.ndarray) -> np.ndarray:
    """Values of any range to 0…1 by the largest value of the bit depth that holds them."""
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    values -= min(0.0, float(values.min()))
    top = float(values.max())
    return values / next((depth for depth in BIT_DEPTHS if top <= depth), top)


def _reduced(plane: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of factor × factor; a remainder at the right and the bottom is left out."""
    if factor == 1:
        return plane
    rows, columns = (max(1, side // factor) for side in plane.shape)
    plane = plane[: rows * factor, : columns * factor]
    return plane.reshape(rows, -1, columns, plane.shape[1] // columns).mean((1, 3))


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
    """(h, w, 3) to (h, w, 1) by the luma weights of ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B."""
    if image.shape[2] == 1:
        return image
    return image @ np.array([[0.299], [0.587], [0.114]], dtype=np.float32)


def opaque(image: np.ndarray, background: np.ndarray | float = 1.0) -> np.ndarray:
    """(h, w, 4) over a plain background: opacity × colour + (1 − opacity) × background; others unchanged."""
    if image.shape[2] != 4:
        return image
    opacity = image[..., 3:]
    return opacity * image[..., :3] + (1 - opacity) * np.asarray(background, dtype=np.float32)


def prepare_image(
    image: np.ndarray, input_shape: tuple[int, ...], background: str | None = None, trim: bool = False
) -> np.ndarray:
    """Fit a whole picture into a model's input, its aspect kept, centred on the colour of its own border.

    Args:
        image: (h, w, c) as `read_image` gives it; transparent parts are taken as white.
        input_shape: (height, width) or (height, width, 1) for grey, (height, width, 3) for colour.
        background: "dark" or "light" inverts a picture whose border is of the other kind, for models trained on
            things cut out before a black or a white background. None leaves it as it is.
        trim: cut off a border of one colour first.

    Returns:
        float32 input_shape, 0…1. A picture that has this shape and background already comes through unchanged.

    Raises:
        ImageError: input_shape is of another kind, or background none of the three.
    """
    if len(input_shape) not in (2, 3) or input_shape[2:] not in ((), (1,), (3,)) or None in input_shape:
        raise ImageError(f"a picture becomes height × width × 1 or 3, which the input {input_shape} is not.")
    if background not in (None, "dark", "light"):
        raise ImageError(f"the background must be dark or light, not {background!r}.")
    height, width = input_shape[:2]
    channels = 3 if input_shape[2:] == (3,) else 1
    image = opaque(image)
    image = to_grey(image) if channels == 1 else np.broadcast_to(image, (*image.shape[:2], 3))
    edge = _border_colour(image)
    if background is not None and (edge.mean() > 0.5) != (background == "light"):
        image, edge = 1 - image, 1 - edge
    if image.shape[:2] != (height, width):
        image = _fit(_trimmed(image, edge) if trim else image, height, width, edge)
    return np.ascontiguousarray(np.clip(image, 0, 1), dtype=np.float32).reshape(input_shape)


def _border_colour(image: np.ndarray) -> np.ndarray:
    """Median colour (c,) of the outermost pixels."""
    rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    return np.median(rim, axis=0).astype(np.float32)


def _trimmed(image: np.ndarray, edge: np.ndarray, tolerance: float = 0.1) -> np.ndarray:
    """Without the rows and columns at the border that differ nowhere from its colour."""
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


class Prepared(NamedTuple):
    """A model's input, or None where there is nothing to read, and what the user should know about it, if anything."""

    pixels: np.ndarray | None
    note: str | None = None


def prepare_noted(image: np.ndarray, spec: dict, input_shape: tuple[int, ...]) -> Prepared:
    """Prepare a picture as a model's file says: `metadata["input"]`, plain JSON.

    spec is {"kind": "digit"} for `tinynet.data.ink.prepare_digit`, which notes where there are several digits and
    finds none in a blank picture, or {"kind": "image"} with the settings of `prepare_image`. The pixels are float32
    input_shape.

    Raises:
        ImageError: an unknown kind or setting, as from a file of a newer version, or a shape that is no picture's.
    """
    settings = {key: value for key, value in spec.items() if key != "kind"}
    if spec.get("kind") == "digit" and not settings:
        return _prepared_digit(image, input_shape)
    if spec.get("kind") == "image" and set(settings) <= {"background", "trim"}:
        return Prepared(prepare_image(image, input_shape, **settings))
    raise ImageError(
        f"the model's input is prepared as {spec}, which this version does not know; update tinynet."
    )


def prepare(image: np.ndarray, spec: dict, input_shape: tuple[int, ...]) -> np.ndarray | None:
    """The pixels of `prepare_noted`: float32 input_shape, or None where there is nothing to read."""
    return prepare_noted(image, spec, input_shape).pixels


def _prepared_digit(image: np.ndarray, input_shape: tuple[int, ...]) -> Prepared:
    from .ink import prepare_digit

    if input_shape not in ((28, 28), (28, 28, 1)):
        raise ImageError(f"digits are prepared as 28×28 pictures, which do not fit the input {input_shape}.")
    digit = prepare_digit(image)
    if digit is None:
        return Prepared(None)
    note = f"{digit.count} digits found; reading the largest" if digit.count > 1 else None
    return Prepared(digit.pixels.reshape(input_shape), note)


SHADES = " ░▒▓█"


def show(pixels: np.ndarray) -> str:
    """A grey picture (h, w) in 0…1 as text: a shade, doubled to be about square, for each pixel; h lines."""
    levels = np.clip(
        np.round(np.asarray(pixels).reshape(pixels.shape[:2]) * (len(SHADES) - 1)), 0, len(SHADES) - 1
    )
    return "\n".join("".join(SHADES[level] * 2 for level in row).rstrip() for row in levels.astype(int))
