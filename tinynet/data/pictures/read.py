"""Read any picture file, Pillow image or array into an array. Pillow is imported when the first is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import ImageError
from ...files import Source, read_source
from .formats import FORMATS, MAX_FILE, ORIENTATION, TooCostly, check_cost, opened, shrink

MAX_SIDE = 2048  # pixels; what a model reads is far smaller, and a photo of 50 megapixels is slow in full
BIT_DEPTHS = (1, 255, 1023, 4095, 16383, 65535)  # largest values of what scanners and cameras store
BLOCK = 1 << 20  # pixels that are converted at once, so that a large picture is never there as floats
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
"""Formats whose several pictures are the frames of a clip; those of others are pages or sizes."""
KINDS = "a picture is a path, bytes, an open binary file, a Pillow image or an array"


def read_image(source: Source | np.ndarray | Any, max_side: int = MAX_SIDE) -> np.ndarray:
    """Read a picture of any kind that Pillow decodes itself: PNG, JPEG, GIF, WebP, BMP, TIFF, AVIF, ….

    Args:
        source: a path, "-" for standard input, the bytes of a file, an open binary file, a Pillow image, or an
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
            to unpack, which is estimated first.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_side)
    if hasattr(source, "getbands"):
        return _from_pillow(source, max_side)
    name, data = read_content(source)
    with opened(name, data, max_side) as image:
        return unpack(image, max_side, image.info["orientation"])


def read_size(source: Source) -> tuple[int, int]:
    """Height and width of a picture file the right way up, from its header. Raises ImageError as `read_image`."""
    name, data = read_content(source)
    with opened(name, data) as image:
        width, height = image.size
        return (width, height) if image.info["orientation"] in (5, 6, 7, 8) else (height, width)


def is_animated(source: Any) -> bool:
    """Whether a file, given by its path, has several frames; False for what cannot be read, and for any other source."""
    if not isinstance(source, (str, os.PathLike)) or os.fspath(source) == "-":
        return False
    try:
        with opened(*read_content(source), animated=True) as image:
            return image.format in ANIMATED and getattr(image, "is_animated", False)
    except ImageError:
        return False


def read_content(source: Source) -> tuple[str, bytes]:
    """(its name in messages, the bytes of the file). Raises ImageError where there are none."""
    if not (isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)) or hasattr(source, "read")):
        raise ImageError(f"{KINDS}, not {type(source).__name__}.")
    advice = "give a picture such as a PNG or JPEG file"
    if isinstance(source, (str, os.PathLike)) and os.path.isdir(source):
        advice = f"give a picture in it, such as {os.path.join(source, 'NAME.png')}"
    name, data = read_source(source, MAX_FILE, "picture", advice, ImageError)
    if not data:
        raise ImageError(f"{name} is empty; {advice}")
    return name, data


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
        raise ImageError(f"a picture must be uint8, uint16, bool, or floats 0…1, not {array.dtype}.")
    elif not (array.min() >= 0 and array.max() <= 1):  # nor is NaN
        raise ImageError("a picture of floats must have values from 0 to 1; divide it by its largest value.")
    else:
        top = 1
    factor = shrink(array.shape[:2], max_side)

    def block(rows: slice, columns: slice) -> np.ndarray:
        return _block_means(array[rows, columns].astype(np.float32) / np.float32(top), factor)

    return _without_idle_opacity(_by_blocks(array.shape, factor, block))


def _from_pillow(image: Any, max_side: int) -> np.ndarray:
    """Read a Pillow image, which is not changed."""
    if image.format is not None and image.format not in (*FORMATS, "MPO"):
        raise ImageError(f"the picture is {image.format}, which tinynet does not read; save it as PNG.")
    try:
        check_cost(image, 0, max_side)
        image.load()
        return unpack(image, max_side, image.getexif().get(ORIENTATION, 1))
    except TooCostly as error:
        raise ImageError(f"the picture {error}; make it smaller first.") from None
    except ImageError as error:
        raise ImageError(f"the picture {error}") from None
    except Exception:  # such as for an opened file that is not yet unpacked
        raise ImageError("the picture is damaged or cut off; read or save it again.") from None


def unpack(image: Any, max_side: int, orientation: int) -> np.ndarray:
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
        )  # the range of float32 overflows in float32
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
    """The array without an alpha channel that hides nothing."""
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
    if image.mode == "LAB":  # Pillow cannot convert it to RGB; lightness is what a model needs
        return image.getchannel(0)
    return image.convert("RGB")
