"""Files changed by chance, for `bench.fuzz`: bits, pieces and lengths, and what lies inside a ZIP, JSON, a PNG, a table or a sound."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
import zlib
from typing import Any

import numpy as np

NUMBERS = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    32767,
    65535,
    1 << 31,
    (1 << 32) - 1,
    (1 << 63) - 1,
    10**30,
)
VALUES = (
    None, True, False, -1, 1.5, 1e308, "", "x", "\0", "😀", [], {}, [1], [[]], {"a": 1}, "same", "relu", *NUMBERS,
)  # fmt: skip


FIELDS = (
    "", " ", "NA", "nan", "-", "inf", "-1e400", "1e38", "1e-300", "0", "-0.0", "00123", "1,5", "1.5", "1.234,5", "1 000", "12 %", "$5",
    "9" * 400, "1_000", "٣", "0x1f", "true", "2024-02-30", "2024-02-29", "29.02.2024", "03/04/2024", "0000-00-00", "9999-12-31",
    "2024-01", "2024Q3", "Jan 24", "24:00", "2024-01-01T00:00:00Z", "2024-01-01 12:00+99:99", "1700000000", "1e18", '"', '""', '"a',
    'a"b', "\x1b[31m", "\0", "\u202e", "\ufeff", "😀", "\ud800", "label", "text", "time", "{Y}", "%s", "x" * 200_000, "a" * 50,
)  # fmt: skip
"""Odd fields of a table."""
HEADER = 64
"""Bytes of a sound file in which its chunks begin."""


def rezipped(data: bytes, method: int) -> bytes:
    """The same entries, packed in another way."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return zipped([(name, archive.read(name)) for name in archive.namelist()], method)


def zipped(entries: list[tuple[str, bytes]], method: int) -> bytes:
    """A ZIP of these entries."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def pick(rng: np.random.Generator, items: Any) -> Any:
    """One of them."""
    return items[int(rng.integers(len(items)))]


def changed_bytes(whole: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes, numbers or pieces of a file changed."""
    data = bytearray(whole)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4, 16]))):
        at, length = int(rng.integers(len(data) + 1)), int(rng.choice([1, 2, 4, 8, 64, 1000]))
        way = int(rng.integers(8))
        if way <= 1 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8)) if way else int(rng.integers(256))
        elif way == 2:
            number = int(pick(rng, NUMBERS)) % (1 << 32)
            data[at : at + 4] = number.to_bytes(4, pick(rng, ("little", "big")))
        elif way == 3:
            data[at : at + length] = b""
        elif way == 4:
            data[at:at] = data[at : at + length] * int(rng.integers(1, 20))
        elif way == 5:
            start = int(rng.integers(len(other)))
            data[at : at + length] = other[start : start + length]
        elif way == 6:
            data = data[:at] + other[at:] if rng.random() < 0.5 else data[: max(at, 1)]
        else:
            data[at:at] = rng.bytes(length)
    return bytes(data)


def changed_json(value: Any, rng: np.random.Generator) -> Any:
    """A JSON value with one value in it changed, dropped or doubled."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return pick(rng, VALUES)
    copy = value.copy()
    key = pick(rng, list(value) if isinstance(value, dict) else range(len(value)))
    if rng.random() < 0.15:
        del copy[key]
    elif rng.random() < 0.1 and isinstance(copy, list):
        copy += [copy[key]] * int(rng.integers(1, 50))
    elif rng.random() < 0.05 and isinstance(copy, dict):
        copy[f"{key}x"] = copy[key]
    else:
        copy[key] = changed_json(value[key], rng)
    return copy


def changed_zip(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Something within a ZIP changed: an entry's bytes, its header, its name, or the JSON that it holds."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    index = int(rng.integers(len(entries)))
    name, content = entries[index]
    way = int(rng.integers(7))
    if way <= 2:
        index = next(i for i, (name, _) in enumerate(entries) if name == "config.npy")
        text = json.dumps(changed_json(json.loads(str(np.load(io.BytesIO(entries[index][1])))), rng))
        if way == 0:
            text = changed_bytes(text.encode(), b'{"a": [1e999, NaN, "\\ud800"]}', rng).decode("latin1")
        file = io.BytesIO()
        np.save(file, np.array(text))
        entries[index] = "config.npy", file.getvalue()
    elif way == 3:
        entries[index] = name, changed_bytes(content[:128], content, rng) + content[128:]
    elif way == 4:
        entries[index] = name, changed_bytes(content, other, rng)
    elif way == 5:
        entries[index] = pick(rng, [entry for entry, _ in entries] + ["x.npy", "x", "../x.npy"]), content
    else:
        entries[index : index + 1] = [entries[index]] * int(rng.integers(3))
    return zipped(entries, pick(rng, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)))


def changed_png(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """A chunk of a PNG changed, its sum right again, so that the reader looks into it."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + length]])
        at += 12 + length
    chosen = pick(rng, chunks)
    content = chosen[1]
    if chosen[0] == b"IDAT" and rng.random() < 0.7:
        content = zlib.compress(changed_bytes(zlib.decompress(content), other, rng))
    else:
        content = changed_bytes(content, other, rng)
    chosen[1] = content
    pieces = [data[:8]]
    for name, content in chunks:
        pieces += [
            len(content).to_bytes(4, "big"),
            name,
            content,
            zlib.crc32(name + content).to_bytes(4, "big"),
        ]
    return b"".join(pieces)


def changed_table(data: bytes, rng: np.random.Generator) -> bytes:
    """A table with some fields changed, or with columns or rows dropped, doubled or in another order."""
    delimiter = max(b",\t;", key=lambda each: data.count(bytes([each])))
    rows = [line.split(bytes([delimiter])) for line in data.split(b"\n")]
    for _ in range(int(rng.choice([1, 1, 2, 8, 50]))):
        row, way = int(rng.integers(len(rows))), int(rng.integers(8))
        column = int(rng.integers(len(rows[row])))
        if way <= 3:
            rows[row][column] = pick(rng, FIELDS).encode("utf-8", "surrogatepass")
        elif way == 4:
            rows[row][column] = changed_bytes(rows[row][column] or b"x", b"0123456789-:/.,", rng)
        elif way == 5:
            rows[row : row + 1] = [[*rows[row]] for _ in range(int(rng.integers(3)))] or [[b""]]
        elif way == 6:
            field = pick(rng, FIELDS).encode("utf-8", "surrogatepass")
            rows = [[*row[:column], *[field] * (len(row) > column), *row[column + 1 :]] for row in rows]
        else:
            rows = [rows[0], *(rows[1 + i] for i in rng.permutation(len(rows) - 1))]
    return b"\n".join(bytes([delimiter]).join(row) for row in rows)


def changed(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Another file, made from one of its kind, with pieces of another."""
    if rng.random() < 0.6:
        if data.startswith(b"PK"):
            data = changed_zip(data, other, rng)
        elif data.startswith(b"\x89PNG"):
            data = changed_png(data, other, rng)
        elif data.startswith(b"RIFF"):
            data = changed_bytes(data[:HEADER], other[:HEADER], rng) + data[HEADER:]
        elif b"\n" in data.strip():
            data = changed_table(data, rng)
        if rng.random() < 0.8:
            return data
    return changed_bytes(data, other, rng)
