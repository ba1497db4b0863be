"""Pictures: any file into an array, an array into what a model takes, and back into text for a terminal.

A picture is a float32 array (height, width, channels) with values in 0…1: 1 channel is grey, 3 are red, green and
blue, 4 add opacity. Pillow is imported when the first picture is read, not before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..errors import ImageError
from ..files import read_file
from .components import quantile
from .picture_files import FORMATS, MAX_FILE, ORIENTATION, TooCostly, check_cost, opened, shrink

MAX_SIDE = 2048  # pixels; what a model reads is far smaller, and a photo of 50 megapixels is slow in full
BIT_DEPTHS = (1, 255, 1023, 4095, 16383, 65535)  # largest values of what scanners and cameras store
BLOCK = 1 << 20  # pixels that are converted at once, so that a large picture is never there as floats
Source = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO
"""A picture file as people have it."""
KINDS = "a picture is a path, bytes, an open binary file, a picture of Pillow or an array"


def read_image(source: Source | np.ndarray | Any, max_side: int = MAX_SIDE) -> np.ndarray:
    """Read a picture of any kind that Pillow decodes itself: PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF, ….

    Args:
        source: a path, "-" for standard input, the bytes of a file, an open binary file, a picture of Pillow, or an
            array (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) of uint8, uint16, bool, or floats 0…1.
        max_side: a longer picture is reduced, while it is read, by the smallest whole factor that brings its
            longer side to this many pixels; the mean of each block is taken.

    Returns:
        float32 (height, width, channels), 0…1; channels is 1 (grey), 3 (colour) or 4 (colour and opacity, where
        anything is transparent). The first frame of an animation; turned upright as EXIF says. Values of more
        than 8 bits keep their precision: they are divided by the largest value of the smallest usual bit depth
        (8, 10, 12, 14, 16) that holds them all; of floats in a file, NaN and infinity count as 0.

    Raises:
        ImageError: missing, unreadable, empty, not a picture, damaged, or one that would take more than 512 MB or 5 s
            to unpack, which is known before.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_side)
    if hasattr(source, "getbands"):
        return _from_pillow(source, max_side)
    name, data = _content(source)
    with opened(name, data, max_side) as image:
        return _array(image, max_side, image.info["orientation"])


def read_size(source: Source) -> tuple[int, int]:
    """Height and width of a picture file the right way up, from its header. Raises ImageError as `read_image`."""
    name, data = _content(source)
    with opened(name, data) as image:
        width, height = image.size
        return (width, height) if image.info["orientation"] in (5, 6, 7, 8) else (height, width)


def _content(source: Source) -> tuple[str, bytes]:
    """(how to call it in a message, the bytes of the file)."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = "the picture", bytes(source)
    elif isinstance(source, (str, os.PathLike)) and os.fspath(source) != "-":
        name = os.fspath(source)
        data = _read(name, source)
    elif isinstance(source, (str, os.PathLike)):
        name, data = "standard input", _read("standard input", sys.stdin.buffer)
    elif hasattr(source, "read"):
        name = str(getattr(source, "name", "the picture"))
        data = _read(name, source)
    else:
        raise ImageError(f"{KINDS}, not {type(source).__name__}.")
    if not data:
        raise ImageError(f"{name} is empty; give a picture such as a PNG or JPEG file.")
    return name, data


def _read(name: str, source: str | os.PathLike | BinaryIO) -> bytes:
    try:
        return read_file(source, MAX_FILE)
    except FileNotFoundError:
        raise ImageError(f"{name} does not exist; check the name and the folder.") from None
    except PermissionError:
        raise ImageError(f"{name} may not be read; give yourself read permission (chmod u+r).") from None
    except (OSError, ValueError) as error:  # ValueError: a closed file
        if not hasattr(source, "read") and os.path.isdir(source):
            example = os.path.join(name, "NAME.png")
            raise ImageError(f"{name} is a folder; give a picture in it, such as {example}.") from None
        raise ImageError(f"{name!r} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def _from_array(array: np.ndarray, max_side: int) -> np.ndarray:
    """A picture that is an array already, as if it had been read from a file."""
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ImageError(
            f"a picture has the shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), not {array.shape}; "
            "give several as a list."
        )
    if 0 in array.shape:
        raise ImageError("the picture has no pixels.")
    if array.dtype == np.uint16:
        top = _depth(float(array.max()))
    elif array.dtype in (np.uint8, bool):
        top = 255 if array.dtype == np.uint8 else 1
    elif array.dtype.kind != "f":
        raise ImageError(
            f"a picture has numbers of uint8, uint16, bool, or floats 0…1, not of {array.dtype}."
        )
    elif not (array.min() >= 0 and array.max() <= 1):  # nor is NaN
        raise ImageError("a picture of floats has values from 0 to 1; divide it by its largest value.")
    else:
        top = 1
    factor = shrink(array.shape[:2], max_side)

    def block(rows: slice, columns: slice) -> np.ndarray:
        return _block_means(array[rows, columns].astype(np.float32) / np.float32(top), factor)

    return _without_idle_opacity(_by_blocks(array.shape, factor, block))


def _from_pillow(image: Any, max_side: int) -> np.ndarray:
    """A picture that Pillow has opened or made, which stays as it is."""
    if image.format is not None and image.format not in (*FORMATS, "MPO"):
        raise ImageError(f"the picture is {image.format}, which is not read here; save it as PNG.")
    try:
        check_cost(image, 0, max_side)
        image.load()
        return _array(image, max_side, image.getexif().get(ORIENTATION, 1))
    except TooCostly as error:
        raise ImageError(f"the picture {error}; make it smaller first.") from None
    except ImageError as error:
        raise ImageError(f"the picture {error}") from None
    except Exception:  # as when it is a file that was opened and not yet unpacked
        raise ImageError("the picture is damaged or cut off; read or save it again.") from None


def _array(image: Any, max_side: int, orientation: int) -> np.ndarray:
    """Unpack a picture, shrink it block by block, turn it upright."""
    image.load()
    if image.format == "TIFF":  # Pillow has turned it, and then takes the tag away
        orientation = image.tag_v2.get(ORIENTATION, 1)
    factor = shrink(image.size, max_side)
    deep = image.mode[0] in "IF"
    channels = 1 if deep else len(_plain(image.crop((0, 0, 1, 1))).getbands())
    block = _deep_blocks(image, factor) if deep else _eight_bit_blocks(image, factor)
    array = _by_blocks((image.height, image.width, channels), factor, block)
    return np.ascontiguousarray(_upright(_without_idle_opacity(array), orientation))


Block = Callable[[slice, slice], np.ndarray]
"""Rows and columns of a picture as float32 (h, w, c) 0…1, shrunk by a factor that their length is a multiple of."""


def _by_blocks(shape: tuple[int, ...], factor: int, block: Block) -> np.ndarray:
    """A picture of that shape (h, w, c), shrunk by the factor, a block of about BLOCK pixels at once."""
    height, width, channels = shape
    result = np.empty((-(-height // factor), -(-width // factor), channels), dtype=np.float32)
    for rows, columns in _blocks((height, width), factor):
        part = block(rows, columns)
        top, left = rows.start // factor, columns.start // factor
        result[top : top + part.shape[0], left : left + part.shape[1]] = part
    return result


def _blocks(size: tuple[int, int], factor: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the blocks that cover a picture (height, width)."""
    height, width = size
    across = factor * max(1, BLOCK // (factor * min(height, factor)))
    down = factor * max(1, BLOCK // (factor * min(width, across)))
    for top in range(0, height, down):
        for left in range(0, width, across):
            yield slice(top, min(top + down, height)), slice(left, min(left + across, width))


def _eight_bit_blocks(image: Any, factor: int) -> Block:
    def block(rows: slice, columns: slice) -> np.ndarray:
        part = _plain(_crop(image, rows, columns)).reduce(factor)
        values = np.asarray(part, dtype=np.float32).reshape(part.height, part.width, -1)
        return values / 255

    return block


def _deep_blocks(image: Any, factor: int) -> Block:
    """Integers and floats of any range to 0…1 by the largest value of the bit depth that holds them."""

    def values(rows: slice, columns: slice) -> np.ndarray:
        found = np.asarray(
            _crop(image, rows, columns), dtype=np.float64
        )  # the range of float32 overflows in itself
        return np.nan_to_num(found, posinf=0.0, neginf=0.0)

    parts = (values(*place) for place in _blocks((image.height, image.width), factor))
    ends = [(float(part.min()), float(part.max())) for part in parts]
    low = min(0.0, *(least for least, _ in ends))
    top = _depth(max(most for _, most in ends) - low)

    def block(rows: slice, columns: slice) -> np.ndarray:
        return _block_means((values(rows, columns) - low) / top, factor)[..., None]

    return block


def _crop(image: Any, rows: slice, columns: slice) -> Any:
    return image.crop((columns.start, rows.start, columns.stop, rows.stop))


def _depth(top: float) -> float:
    """The largest value of the smallest usual bit depth that holds `top`; beyond all of them `top` itself."""
    return next((depth for depth in BIT_DEPTHS if top <= depth), top)


def _block_means(values: np.ndarray, factor: int) -> np.ndarray:
    """Means over blocks of factor × factor, which are smaller at the right and the bottom."""
    for axis in (0, 1):
        starts = np.arange(0, values.shape[axis], factor)
        counts = np.diff([*starts, values.shape[axis]])
        values = np.add.reduceat(values, starts, axis=axis)
        values /= counts.reshape(-1, *[1] * (values.ndim - axis - 1))
    return values


def _without_idle_opacity(array: np.ndarray) -> np.ndarray:
    """Without a fourth channel that hides nothing."""
    return array[..., :3] if array.shape[2] == 4 and array[..., 3].min() == 1 else array


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo EXIF orientation 1…8: 5…8 are transposed, then rows or columns run backwards."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _plain(image: Any) -> Any:
    """Any 8-bit mode as L, RGB or RGBA."""
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode == "LAB":  # Pillow has no plain conversion; lightness carries what a model needs
        return image.getchannel(0)
    return image.convert("RGB")


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
            things cut out before a black or a white background. None leaves it as it is.
        trim: cut off a border of one colour first.
        transparent: what transparent parts are taken for, "white" or, as `backdrop` finds it, a "contrast" to the rest.

    Returns:
        float32 input_shape, 0…1. A picture that has this shape and background already comes through unchanged.

    Raises:
        ImageError: input_shape is of another kind, or a setting is none of those.
    """
    if len(input_shape) not in (2, 3) or input_shape[2:] not in ((), (1,), (3,)) or None in input_shape:
        raise ImageError(f"a picture becomes height × width × 1 or 3, which the input {input_shape} is not.")
    if background not in (None, "dark", "light"):
        raise ImageError(f"the background must be dark or light, not {background!r}.")
    if transparent not in BACKDROPS:
        raise ImageError(f"what is transparent must be white or contrast, not {transparent!r}.")
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


DIGIT = {"kind": "digit"}


class Prepared(NamedTuple):
    """A model's input, or None where there is nothing to read, and what the user should know about it, if anything.

    Of digits: how many seem to be in the picture, and left, top, right, bottom of this one in its pixels.
    """

    pixels: np.ndarray | None
    note: str | None = None
    count: int | None = None
    box: tuple[int, int, int, int] | None = None


def prepare_noted(image: np.ndarray, spec: dict, input_shape: tuple[int, ...]) -> Prepared:
    """Prepare a picture as a model's file says: `metadata["input"]`, plain JSON.

    spec is {"kind": "digit"} for `tinynet.data.ink.prepare_digit`, which notes where there are several digits and
    finds none in a blank picture, or {"kind": "image"} with the settings of `prepare_image`. The pixels are float32
    input_shape.

    Raises:
        ImageError: an unknown kind or setting, as from a file of a newer version, or a shape that is no picture's.
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
    """The pixels of `prepare_noted`: float32 input_shape, or None where there is nothing to read."""
    return prepare_noted(image, spec, input_shape).pixels


def prepare_digits(image: np.ndarray, input_shape: tuple[int, ...]) -> list[Prepared]:
    """Every digit of a picture in reading order, each prepared as spec {"kind": "digit"} says; raises ImageError."""
    from . import ink

    _check_digit_shape(input_shape)
    digits = ink.prepare_digits(image)
    return [Prepared(digit.pixels.reshape(input_shape), None, len(digits), digit.box) for digit in digits]


def _prepared_digit(image: np.ndarray, input_shape: tuple[int, ...]) -> Prepared:
    from .ink import prepare_digit

    _check_digit_shape(input_shape)
    digit = prepare_digit(image)
    if digit is None:
        return Prepared(None, count=0)
    note = f"{digit.count} digits found; reading the largest" if digit.count > 1 else None
    return Prepared(digit.pixels.reshape(input_shape), note, digit.count, digit.box)


def _check_digit_shape(input_shape: tuple[int, ...]) -> None:
    if input_shape not in ((28, 28), (28, 28, 1)):
        raise ImageError(f"digits are prepared as 28×28 pictures, which do not fit the input {input_shape}.")


SHADES = " ░▒▓█"


def show(pixels: np.ndarray) -> str:
    """A picture (h, w) or (h, w, 1 or 3) in 0…1 as text: a shade for each pixel, doubled to be about square; h lines."""
    grey = to_grey(pixels)[..., 0] if pixels.ndim == 3 else pixels
    levels = np.round(np.clip(grey, 0, 1) * (len(SHADES) - 1)).astype(int)
    return "\n".join("".join(SHADES[level] * 2 for level in row).rstrip() for row in levels)
