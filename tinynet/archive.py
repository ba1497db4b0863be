"""The one reader of `.npz` files, and their writer: models, checkpoints and data sets. Reading runs no code and is bounded.

An `.npz` is a ZIP with one array per entry, `NAME.npy`. Files of `np.savez`, `np.savez_compressed`, `zip` and Python's
zipfile are read: entries stored or deflated, with plain names, each once, back to back from the first byte to the
directory at the end of the file. Anything else in it is refused.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from itertools import zip_longest
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .errors import TinynetError

MODEL, CHECKPOINT = "tinynet", "tinynet checkpoint"
"""What `config` in a file says of its format."""
FREE_BYTES, EXPANSION = 64 << 20, 20
"""A file unpacks to at most 64 MiB and 20 times its own bytes."""
SMALL, LARGE = 1 << 10, 1 << 30
"""Bytes of an array up to which its header is a good part of its entry, and from which an entry needs ZIP's larger fields."""
LONGEST_TEXT, TEXT_COST = 16 << 20, 12
"""Most bytes of a text entry, and the bytes of memory that each takes while the text is read and parsed."""
MOST_ENTRIES, LONGEST_NAME, MOST_AXES = 50_000, 1_000, 32
LONGEST_EXTRA = 64
"""Most bytes of an entry's extra fields: ZIP64's sizes, times and owners take fewer."""
LONGEST_HEADER = 4_096
"""Most bytes of an array's header; NumPy's take 64 to 256."""
MOST_VALUES = 1 << 48
PIECE = 1 << 18
DEEPEST = 100
TOO_DEEP = "its lists and tables are nested too deeply"

STORED, DEFLATED = 0, 8
DESCRIBED, UTF_8 = 1 << 3, 1 << 11
HARMLESS = DESCRIBED | UTF_8 | 0b110
"""Flags of an entry: a descriptor after it, its name's encoding, deflate's level. Others mean encryption or patches."""
FULL_16, FULL = 0xFFFF, 0xFFFFFFFF
"""Mark a value that is in a ZIP64 field instead."""
END, LOCATOR_64, END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sLQL"), struct.Struct("<4sQ2H2L4Q")
MEMBER, LOCAL = struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s5H3L2H")
NPY_HEADERS = {
    b"\x93NUMPY\x01\x00": ("<H", np.lib.format.read_array_header_1_0),
    b"\x93NUMPY\x02\x00": ("<I", np.lib.format.read_array_header_2_0),
}

Check = Callable[[tuple[int, ...], np.dtype], None]
"""Checks an array's shape and type before its data is read; raises an error if they do not fit."""


class _Damage(Exception):
    """What is wrong with a file, as a clause."""


class _Member(NamedTuple):
    """An entry, as the directory describes it; start: where its data begins."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    start: int = 0


class Archive:
    """The arrays of an `.npz` file by name, from a binary file with `read` and `seek`.

    Opening reads only the directory. Raises `error`, which calls the file `name` and its `kind`, unless it is a complete,
    plain `.npz` that unpacks to at most `allowance` bytes.
    """

    def __init__(
        self, file: BinaryIO, name: str, kind: str = "npz file", error: type[TinynetError] = TinynetError
    ) -> None:
        self._file, self._name, self._error = file, name, error
        self.size = file.seek(0, io.SEEK_END)
        self.allowance = FREE_BYTES + EXPANSION * self.size
        if self.size == 0:
            raise error(f"{name} is empty")
        try:
            self._members = self._laid_out(self._directory())
        except _Damage as damage:
            raise error(f"{name} is not a {kind} or was cut off: {damage}") from None
        needed = sum(member.size for member in self._members.values())
        if needed > self.allowance:
            raise error(
                f"{name} would unpack to {needed:,} bytes, too many for a file of {self.size:,} bytes"
            )

    @property
    def names(self) -> list[str]:
        """The arrays, in the order of the directory."""
        return list(self._members)

    def array(self, key: str, check: Check | None = None) -> np.ndarray:
        """One array. Raises the archive's error for a damaged one or one of objects, KeyError for an unknown name."""
        stream = _Stream(self._file, self._members[key])
        try:
            shape, fortran, dtype = _read_header(stream)
            if check:
                check(shape, dtype)
            if dtype.hasobject:
                raise _Damage("is pickled; tinynet reads numbers and text only")
            size = math.prod(shape) * dtype.itemsize
            if size != stream.left:
                raise _Damage(f"does not hold the {size:,} bytes of its shape; copy the file again")
            data = stream.read(size)
            stream.check_end()
            return np.ndarray(shape, dtype, data, order="F" if fortran else "C")
        except _Damage as damage:
            raise self._error(f"{self._name}: the array {key!r} {damage}") from None

    def text(self, key: str) -> str:
        """The string in a 0-d array. Raises as `array` does, and for invalid characters."""

        def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
            if shape != () or dtype.kind != "U":
                raise _Damage("is not one string")

        size = self._members[key].size
        if size > LONGEST_TEXT + LONGEST_HEADER or size * TEXT_COST > self.allowance:
            raise self._error(f"{self._name}: the text {key!r} of {size:,} bytes is too long")
        array = self.array(key, check)
        try:
            return array.astype(array.dtype.newbyteorder("<")).tobytes().decode("utf-32-le").rstrip("\0")
        except UnicodeDecodeError as error:
            raise self._error(
                f"{self._name}: the text {key!r} has an invalid character: {error.reason}"
            ) from None

    # ---- the ZIP ----

    def _read(self, offset: int, count: int) -> bytes:
        self._file.seek(offset)
        return _exactly(self._file, count)

    def _directory(self) -> list[_Member]:
        """The entries, as the directory at the end of the file describes them."""
        count, size, offset = self._end()
        if count > MOST_ENTRIES:
            raise _Damage(f"its {count:,} entries are more than {MOST_ENTRIES:,}")
        if size > count * (MEMBER.size + LONGEST_NAME + LONGEST_EXTRA):
            raise _Damage("its directory is too long")
        data, place, members = self._read(offset, size), 0, []
        for _ in range(count):
            if len(data) - place < MEMBER.size:
                raise _Damage("its directory is cut off")
            signature, *numbers = MEMBER.unpack_from(data, place)
            _, _, flags, method, _, _, crc, packed, unpacked, named, extra, remark, disk, _, _, at = numbers
            if signature != b"PK\x01\x02" or disk or remark:
                raise _Damage("its directory is damaged")
            place += MEMBER.size + named + extra
            raw, more = data[place - named - extra : place - extra], data[place - extra : place]
            if place > len(data) or len(raw) != named:
                raise _Damage("its directory is cut off")
            unpacked, packed, at = _zip64(more, unpacked, packed, at)
            members.append(_Member(_plain_name(raw, flags), flags, method, crc, packed, unpacked, at))
        if place != len(data):
            raise _Damage("its directory is longer than its entries")
        return members

    def _end(self) -> tuple[int, int, int]:
        """Number of entries, size and offset of the directory, from the record at the end of the file."""
        tail = self._read(max(self.size - END.size - LOCATOR_64.size - END_64.size, 0), min(self.size, 98))
        signature, disk, first, *plain, remark = END.unpack(tail[-END.size :].rjust(END.size, b"\0"))
        if signature != b"PK\x05\x06" or remark:
            raise _Damage("it does not end as a ZIP does")
        length, found = END.size, plain
        if tail[-42:-38] == b"PK\x06\x07":
            length = len(tail)
            signature, rest, _, _, disk, first, *found = END_64.unpack(tail[: END_64.size].ljust(END_64.size))
            if signature != b"PK\x06\x06" or rest != END_64.size - 12:
                raise _Damage("its ZIP64 record is damaged")
            if any(short not in (full, FULL_16, FULL) for short, full in zip(plain, found, strict=True)):
                raise _Damage("its two directories differ")
        here, count, size, offset = found
        if disk or first or here != count or offset + size + length != self.size:
            raise _Damage("it is one part of a split ZIP, or has something before or after the ZIP")
        self._data_end = offset
        return count, size, offset

    def _laid_out(self, members: list[_Member]) -> dict[str, _Member]:
        """The entries by name, once each one's own header is checked: together they must fill the file up to the directory."""
        found: dict[str, _Member] = {}
        place = 0
        in_file = sorted(members, key=lambda member: member.offset)
        for member, follower in zip_longest(in_file, in_file[1:]):
            if member.offset != place:
                raise _Damage("there is data before or between its entries, or they overlap")
            start = place + self._header_length(member)
            place = follower.offset if follower else self._data_end
            behind = place - start - member.packed
            if behind and not (
                0 < behind <= 24 and self._read(place - behind, behind) in _descriptors(member)
            ):
                raise _Damage("there is data between its entries, or they overlap")
            if member.name in found:
                raise _Damage(f"it holds the array {member.name!r} twice")
            found[member.name] = member._replace(start=start)
        if place != self._data_end:
            raise _Damage("there is data before its directory")
        return {member.name: found[member.name] for member in members}

    def _header_length(self, member: _Member) -> int:
        """The length of an entry's own header, which must say what the directory says."""
        signature, _, flags, method, _, _, *own, named, extra = LOCAL.unpack(
            self._read(member.offset, LOCAL.size)
        )
        sizes = (member.crc, member.packed, member.size)
        told = flags & DESCRIBED or all(a in (b, FULL) for a, b in zip(own, sizes, strict=True))
        raw = self._read(member.offset + LOCAL.size, named) if named <= LONGEST_NAME else b""
        if (
            (signature, method, flags) != (b"PK\x03\x04", member.method, member.flags)
            or not told
            or extra > LONGEST_EXTRA
            or _plain_name(raw, flags) != member.name
        ):
            raise _Damage(f"the header of {member.name!r} does not match the directory")
        if flags & ~HARMLESS or method not in (STORED, DEFLATED):
            raise _Damage(f"{member.name!r} is encrypted, or not packed with deflate")
        if method == STORED and member.packed != member.size:
            raise _Damage(f"{member.name!r} has two lengths")
        return LOCAL.size + named + extra


def _plain_name(raw: bytes, flags: int) -> str:
    """An array's name: a relative path without `.npy`."""
    try:
        name = raw.decode("utf-8" if flags & UTF_8 else "ascii")
    except UnicodeDecodeError:
        name = ""
    if len(raw) > LONGEST_NAME or not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*\.npy", name):
        raise _Damage(f"its entry {name or raw[:40]!r} is not an array with a plain name")
    return name.removesuffix(".npy")


def _zip64(extra: bytes, *values: int) -> tuple[int, ...]:
    """Sizes and offset of an entry; values too large for their fields are in an extra field, in this order."""
    if len(extra) > LONGEST_EXTRA:
        raise _Damage("an entry's extra fields are too long")
    large: list[int] = []
    while extra:
        if len(extra) < 4 or len(extra) < 4 + int.from_bytes(extra[2:4], "little"):
            raise _Damage("an entry's extra fields are damaged")
        kind, length = struct.unpack_from("<HH", extra)
        if kind == 1:
            large = list(struct.unpack_from(f"<{length // 8}Q", extra, 4))
        extra = extra[4 + length :]
    if values.count(FULL) > len(large):
        raise _Damage("an entry lacks its ZIP64 field")
    return tuple(large.pop(0) if value == FULL else value for value in values)


def _descriptors(member: _Member) -> list[bytes]:
    """Data descriptors that may follow an entry written as a stream."""
    if not member.flags & DESCRIBED:
        return []
    found = []
    for kind in "LQ":
        if kind == "Q" or max(member.packed, member.size) <= FULL:
            plain = struct.pack(f"<L2{kind}", member.crc, member.packed, member.size)
            found += [plain, b"PK\x07\x08" + plain]
    return found


class _Stream:
    """The bytes of one entry, unpacked as far as they are asked for."""

    def __init__(self, file: BinaryIO, member: _Member) -> None:
        file.seek(member.start)
        self._file, self._packed, self._crc = file, member.packed, member.crc
        self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == DEFLATED else None
        self._sum = 0
        self.left = member.size

    def read(self, count: int) -> bytearray:
        """Exactly `count` bytes."""
        if count > self.left:
            raise _Damage("is cut off")
        found = bytearray(count)
        place = 0
        while place < count:
            piece = self._piece(min(count - place, PIECE))
            found[place : place + len(piece)] = piece
            place += len(piece)
        self.left -= count
        self._sum = zlib.crc32(found, self._sum)
        return found

    def _piece(self, most: int) -> bytes:
        if self._unpacker is None:
            return _exactly(self._file, most)
        while True:
            packed = self._unpacker.unconsumed_tail or self._more()
            try:
                piece = self._unpacker.decompress(packed, most)
            except zlib.error:
                raise _Damage("is damaged; copy the file again") from None
            if piece:
                return piece
            if not packed or self._unpacker.eof:
                raise _Damage("is cut off; copy the file again")

    def _more(self) -> bytes:
        count = min(self._packed, PIECE)
        self._packed -= count
        return _exactly(self._file, count)

    def check_end(self) -> None:
        """Raise _Damage if bytes are left or the checksum is wrong."""
        if self._unpacker is not None:
            rest = self._unpacker.unconsumed_tail or self._more()
            try:
                more = self._unpacker.decompress(rest, 1)
            except zlib.error:
                more = b"?"
            if more or not self._unpacker.eof or self._unpacker.unused_data or self._packed:
                raise _Damage("has something after its data")
        if self._sum != self._crc:
            raise _Damage("is damaged (its checksum is wrong); copy the file again")


def _exactly(file: BinaryIO, count: int) -> bytes:
    """`count` bytes, or _Damage; a file object may return them in pieces."""
    data = file.read(count)
    while len(data) < count:
        piece = file.read(count - len(data))
        if not piece:
            raise _Damage("it ends too early")
        data += piece
    return data


def _read_header(stream: _Stream) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an array, from a header of at most LONGEST_HEADER bytes."""
    magic = bytes(stream.read(8))
    if magic not in NPY_HEADERS:
        raise _Damage("is not an array as NumPy writes it")
    width, reader = NPY_HEADERS[magic]
    length = bytes(stream.read(struct.calcsize(width)))
    count = int.from_bytes(length, "little")
    if count > LONGEST_HEADER:
        raise _Damage(f"has a header of {count:,} bytes, which no array needs")
    header = stream.read(count)
    if b"\\" in header:
        raise _Damage("has a damaged header")
    try:
        shape, fortran, dtype = reader(io.BytesIO(length + header))
    except Exception as error:  # NumPy, ast and the parser fail in many ways on an invalid header
        raise _Damage(f"has a damaged header: {str(error) or type(error).__name__}") from None
    sizes = [size for size in shape if type(size) is int and size >= 0]
    if sizes != list(shape) or len(shape) > MOST_AXES or math.prod(filter(None, sizes)) > MOST_VALUES:
        raise _Damage("has an impossible shape")
    return shape, fortran, dtype


# ---- JSON ----


def write_arrays(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an `.npz` as `np.savez` does, but so that a full disk leaves no half-open ZIP behind, and with texts and small arrays deflated.

    A text takes four bytes per character, and a header has many blanks; other numbers are as good as random, and would only take
    longer to read.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            array, entry = np.asanyarray(array), zipfile.ZipInfo(f"{name}.npy")
            if array.dtype.kind == "U" or array.nbytes <= SMALL:
                entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=array.nbytes >= LARGE) as stream:
                np.lib.format.write_array(stream, array, allow_pickle=False)


def parse_json(text: str) -> Any:
    """The value of a JSON text; raises ValueError also where parsers disagree.

    They disagree on duplicate keys, NaN and infinity, numbers beyond float64, lone surrogates, and lists and tables nested
    more than DEEPEST deep.
    """
    try:
        text.encode()
        found = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_table,
        )
        _check_depth(found)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except UnicodeEncodeError:
        raise ValueError("half a surrogate pair is not a character") from None
    return found


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        held = (inner.values() if isinstance(inner, dict) else inner for inner in level)
        level = [item for items in held for item in items if isinstance(item, (dict, list))]
        if not level:
            return
    raise ValueError(TOO_DEEP)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]} is too large")
    return value


def _whole(text: str) -> int:
    _finite(text)
    return int(text)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {twice!r} occurs twice")
    return table
