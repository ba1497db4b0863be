"""Picture files: which kinds are opened, and what one may cost, which is checked before a pixel is unpacked.

Pillow reads many kinds. Those that start another program (PostScript), that are drawn by the system (WMF) or that
another package registered are not opened, whatever their names say. For the others the header says how much memory
the pixels take; and whatever the header says, a file's bytes are only read for a limited time and number of times.
"""

from __future__ import annotations

import codecs
import io
import math
import re
import struct
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ImageError

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURE = re.compile(
    r"[^.].*\.(avif|bmp|dib|gif|ico|j2k|jfif|jp2|jpe|jpe?g|mpo|p[bgnp]m|pcx|png|qoi|sgi|tga|tiff?|webp)",
    re.IGNORECASE,
)
"""Names of files that should be pictures: not hidden, with the suffix of a picture format."""
FORMATS = (
    "PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "ICO", "CUR", "AVIF", "JPEG2000", "PSD", "QOI", "PCX",
    "TGA", "SGI", "SUN", "DDS", "XBM", "MSP",
)  # fmt: skip
"""What Pillow decodes itself, by its names for them."""
MAX_FILE = 128 << 20
"""Most bytes of a file; the largest photographs have a quarter of this."""
MAX_MEMORY = 480 << 20
"""Most bytes that reading may take by estimate; with what is not counted it stays below 512 MB."""
MAX_SECONDS = 5.0
MAX_PIXELS = 200_000_000
"""The largest phone cameras; more is a mistake or an attack."""
MAX_SCANS = 2_500_000_000
"""Values that the scans of a JPEG may pass over, some nanosecond each; a progressive photo passes 10 times over each."""
MAX_HEADER = 32 << 20
"""Most bytes before the pixels of a JPEG."""
MAX_NUMBERS, MAX_ENTRIES = 1_000_000, 4096
"""In one entry of a TIFF directory, and entries of one."""
MAX_ICON = 1 << 24
"""Pixels of a picture in an icon file."""
PER_PIXEL = {"WEBP": 12, "AVIF": 12, "JPEG2000": 16, "QOI": 4, "DDS": 4, "PPM": 4, "PSD": 4}
"""Bytes that a decoder takes for a pixel beside the picture itself, as measured."""
SLOW_BYTES = {"JPEG2000": 20 << 20}
"""Bytes of a file that take MAX_SECONDS to unpack."""
FOREIGN = (
    (b"%!PS", "a PostScript drawing (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript drawing (EPS)"),
    (b"%PDF", "a PDF document"),
    (b"\xd7\xcd\xc6\x9a", "a drawing (WMF)"),
    (b"\x01\0\0\0", "a drawing (EMF)"),
    (b"<svg", "a drawing (SVG)"),
    (b"<?xml", "a drawing (SVG) or other XML"),
    (b"gimp xcf", "a GIMP file (XCF)"),
    (b"PK\x03\x04", "a ZIP archive or a document"),
)
"""First bytes of files that are taken for pictures."""
ORIENTATION = 0x0112  # the EXIF tag
TIFF_START = re.compile(rb"II\*\0|MM\0\*")
TIFF_TYPE_SIZES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)
JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)


def is_picture(path: Path) -> bool:
    """Whether a file should be a picture, going by its name."""
    return PICTURE.fullmatch(path.name) is not None and path.is_file()


class TooCostly(Exception):
    """A picture takes more time or memory than allowed; the text says which."""


class Content(io.BytesIO):
    """The bytes of a file. Read again and again, unless it is an animation, or for too long, they end in TooCostly."""

    def __init__(self, data: bytes, animated: bool = False) -> None:
        super().__init__(data)
        self._left = math.inf if animated else 2 * len(data) + (64 << 20)
        self._end = time.thread_time() + MAX_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        if time.thread_time() > self._end:
            raise TooCostly(f"takes more than {MAX_SECONDS:.0f} s to unpack")
        found = super().read(size)
        self._left -= len(found)
        if self._left < 0:
            raise TooCostly("refers to its own bytes again and again")
        return found


@contextmanager
def opened(name: str, data: bytes, max_side: int | None = None, animated: bool = False) -> Iterator[Image]:
    """The picture that is in these bytes, its header read and its cost known; `info["orientation"]` is EXIF's, 1…8
    (a TIFF has it in its own tags).

    With max_side a JPEG is decoded at an eighth, a quarter or half of its sides where they stay at least so long. Without,
    only the header may be used. animated: all frames may be, each of which reads some bytes anew. Raises ImageError, also for
    whatever fails while the picture is used.
    """
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings on odd files mean nothing to users
        try:
            exif, scans = b"", (0, 0)
            if data[:3] == b"\xff\xd8\xff":
                scans = _scans(data) if max_side else (0, 0)
                data, exif = _bare_jpeg(data)
            _check_directories(data)
            with _identified(data, animated) as image:
                _check_size(image.size)
                image.info["orientation"] = _orientation(image, exif)
                if max_side:
                    # JPEG only: decodes an eighth, a quarter or half of each side, at a fraction of the cost.
                    image.draft(
                        None, tuple(max(1, side // shrink(image.size, max_side)) for side in image.size)
                    )
                    check_cost(image, len(data), max_side, *scans)
                yield image
        except ImageError as error:
            raise ImageError(f"{name} {error}") from None
        except (TooCostly, Image.DecompressionBombError) as error:
            reason = error if isinstance(error, TooCostly) else "has too many pixels"
            raise ImageError(f"{name} {reason}; make it smaller first.") from None
        except MemoryError:
            raise ImageError(f"{name} does not fit into memory; make it smaller first.") from None
        except UnidentifiedImageError:
            raise ImageError(f"{name} {_what_it_is(data)}") from None
        except Exception:  # each of Pillow's readers fails in its own way on a bad file
            raise ImageError(f"{name} is damaged or cut off; copy it or save it again.") from None


def shrink(size: tuple[int, int], max_side: int) -> int:
    """The smallest whole factor that brings the longer side to max_side."""
    return -(-max(size) // max_side)


def _identified(data: bytes, animated: bool) -> Image:
    from PIL import Image, JpegImagePlugin

    content = Content(data, animated)
    if data[:3] == b"\xff\xd8\xff":  # what else there may be in the file (MPO) is not read
        return JpegImagePlugin.JpegImageFile(content)
    if data[:4] == b"\0\0\1\0":
        _check_icons(data)
    return Image.open(content, formats=FORMATS)


def _check_size(size: tuple[int, int]) -> None:
    if min(size) < 1:
        raise ImageError("has no pixels; save it again.")
    if size[0] * size[1] > MAX_PIXELS:
        raise TooCostly(f"has more than {MAX_PIXELS // 10**6} million pixels")


def _what_it_is(data: bytes) -> str:
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if data[4:8] == b"ftyp":
        return "is a HEIC, AVIF or video file, which cannot be read here; save it as JPEG or PNG."
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "is a sound, not a picture; sounds are heard by models such as spoken-digits."
    for beginning, kind in FOREIGN:
        if start.startswith(beginning):
            return f"is {kind}, which cannot be read; save it as PNG."
    if _is_text(data[:1024]):
        return "is a text, not a picture; texts are read by models such as sentiment."
    return "is not a picture; give a PNG, JPEG, GIF, BMP, TIFF or WebP file."


def _is_text(beginning: bytes) -> bool:
    """Whether bytes, which may end within a character, are UTF-8 without control characters."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return bool(text) and not re.search(r"[\x00-\x08\x0e-\x1f]", text)


# ---- what it costs


def check_cost(image: Image, length: int, max_side: int, passed: int = 0, kept: int = 0) -> None:
    """Raise TooCostly where unpacking the picture, of a file of that length, would take more than it may.

    passed: values that the scans of a JPEG pass over; kept: bytes that it keeps between them.
    """
    _check_size(image.size)
    width, height = image.size
    factor = shrink(image.size, max_side)
    result = 32 * -(-width // factor) * -(-height // factor)  # two of four channels of float32
    rows = 24 * width
    pixels = width * height * (_stored(image.mode) + PER_PIXEL.get(image.format or "", 0))
    if 2 * length + pixels + rows + result + kept + _tiff_extra(image) > MAX_MEMORY:
        raise TooCostly(f"takes more than 512 MB to unpack ({width}×{height})")
    if passed > MAX_SCANS or length > SLOW_BYTES.get(image.format or "", length):
        raise TooCostly(f"takes more than {MAX_SECONDS:.0f} s to unpack")


def _stored(mode: str) -> int:
    """Bytes in which Pillow stores a pixel."""
    return 1 if mode in ("1", "L", "P") else 2 if mode.startswith("I;16") else 4


def _tiff_extra(image: Image) -> int:
    """What libtiff takes: a strip or tile as it is unpacked; and Pillow a second picture, where it turns it upright."""
    if image.format != "TIFF":
        return 0
    tags = getattr(image, "tag_v2", {})
    width, height = image.size
    bits = sum(tags.get(258, (1,)))
    strip = max(width, height) * min(tags.get(278, height), max(width, height))
    tile = tags.get(322, 0) * tags.get(323, 0)
    turned = width * height * _stored(image.mode) if tags.get(ORIENTATION, 1) != 1 else 0
    return min(strip, width * height) * max(bits, 32) // 8 + tile * max(bits, 32) // 8 + turned


def _scans(data: bytes) -> tuple[int, int]:
    """(values that all scans of a JPEG pass over, bytes of the coefficients that are kept where there are several)."""
    at, values, scans, passed = 2, {}, 0, 0
    while found := JPEG_MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == 0xD9:
            break
        if marker in (0x01, 0xD8):
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            values = _component_sizes(data[at : at + 1024])
        elif marker == 0xDA:
            scans += 1
            parts = data[at + 3 : at + 3 + 2 * data[at + 2] : 2]
            passed += sum(values.get(part, 0) for part in parts)
        at += int.from_bytes(data[at : at + 2], "big")
    whole = sum(values.values())
    return (passed, 2 * whole) if scans > 1 else (0, 0)


def _component_sizes(frame: bytes) -> dict[int, int]:
    """Values of each component, by its name, of a JPEG frame header."""
    height, width, count = struct.unpack_from(">HHB", frame, 3)
    parts = [(frame[at], frame[at + 1] >> 4, frame[at + 1] & 15) for at in range(8, 8 + 3 * count, 3)]
    most = max(max(h for _, h, _ in parts) * max(v for *_, v in parts), 1)
    return {name: (width + 64) * (height + 64) * h * v // most for name, h, v in parts}


def _bare_jpeg(data: bytes) -> tuple[bytes, bytes]:
    """(a JPEG without profiles, previews and remarks, which readers stumble over, the first EXIF block)."""
    at, kept, exif = 2, [data[:2]], b""
    while found := JPEG_MARKER.search(data, at):
        marker, start = found[1][0], found.start()
        end = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        if marker == 0xDA:
            break
        if end > MAX_HEADER:
            raise TooCostly(f"has a header of more than {MAX_HEADER >> 20} MB")
        if marker == 0xE1 and not exif and data[found.end() + 2 : found.end() + 8] == b"Exif\0\0":
            exif = data[found.end() + 8 : end]
        if not (0xE0 <= marker <= 0xFE) or marker in (0xE0, 0xEE):
            kept.append(data[start:end])
        at = end
    return b"".join([*kept, data[at:]]), exif


def _check_icons(data: bytes) -> None:
    """Check the pictures of an icon file before Pillow opens it, since it unpacks them on opening."""
    for index in range(int.from_bytes(data[4:6], "little")):
        (at,) = struct.unpack_from("<I", data, 6 + 16 * index + 12)
        if data[at : at + 8] == b"\x89PNG\r\n\x1a\n":
            width, height = struct.unpack_from(">II", data, at + 16)
        else:
            width, height = map(abs, struct.unpack_from("<ii", data, at + 4))
        if width * height > MAX_ICON:
            raise TooCostly("holds a picture of more than 16 million pixels")


def _check_directories(data: bytes) -> None:
    """Refuse TIFF and EXIF directories that take far more memory than the file: entries that share their values."""
    if data[:2] in (b"II", b"MM"):
        _check_directory(data, 0)
    elif data[4:8] == b"ftyp":  # AVIF: Pillow reads the directory while it opens the file
        for found in TIFF_START.finditer(data):
            _check_directory(data, found.start())


def _check_directory(data: bytes, base: int) -> None:
    total = 0
    for kind, count in _entries(data, base):
        size = count * TIFF_TYPE_SIZES[kind] if kind < len(TIFF_TYPE_SIZES) else 0
        total += size
        if total > len(data) + (1 << 20) or (kind not in (1, 2, 7) and count > MAX_NUMBERS):
            raise TooCostly("has a directory that is larger than any picture's")


def _entries(data: bytes, base: int) -> Iterator[tuple[int, int]]:
    """(type, count of values) of each entry of the first directory of a TIFF file or block."""
    order = "<" if data[base : base + 2] == b"II" else ">"
    big = data[base + 2 : base + 4] in (b"+\0", b"\0+")
    head, size, entry, step = ("Q", 8, "HHQ", 20) if big else ("I", 4, "HHI", 12)
    try:
        (at,) = struct.unpack_from(order + head, data, base + size)
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, base + at)
        if count > MAX_ENTRIES:
            raise TooCostly("has a directory that is larger than any picture's")
        at += base + (8 if big else 2)
        for index in range(count):
            yield struct.unpack_from(order + entry, data, at + index * step)[1:]
    except struct.error:
        return


# ---- which way is up


def _orientation(image: Image, exif: bytes) -> int:
    """EXIF's orientation, 1 where nothing says it."""
    exif = exif or image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    order = "<" if exif[:2] == b"II" else ">"
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for index in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, at + 2 + 12 * index)
            if tag == ORIENTATION:
                return value
    except struct.error:
        pass  # a broken EXIF block is no reason to refuse the picture
    return 1
