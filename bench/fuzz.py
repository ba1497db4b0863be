"""Does any damaged or hostile file end in more than a sentence?

    python -m bench.fuzz models|checkpoints|pictures|texts [--minutes N] [--seed N]

Changes whole files by chance: bits, pieces, lengths, and what lies inside a ZIP, an array's header, JSON or a PNG. Each file
is read as a user would read it. Fails on an exception that is no TinynetError, on more than 5 s, and on more memory than
README promises; what failed is kept, and its place printed.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinynet as tn
from tinynet.archive import EXPANSION, FREE_BYTES
from tinynet.data.text.characters import encode, read_text, vocabulary_of

SECONDS, PATIENCE = 5.0, 60
"""A file may take so long; after PATIENCE it is given up."""
PICTURE_BYTES = 512 << 20
MOST_VALUES = 10_000
"""Of a sample that a changed model predicts: how long a sequence may be is for its reader to say."""
SAMPLE_BYTES = 2 << 28
"""What predicting one sample may take beside: two layers' worth."""
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


class Kind(NamedTuple):
    """Files of one kind: whole ones, how one is read, and how much memory that may take, from its size."""

    whole: list[bytes]
    read: Callable[[Path], Any]
    memory: Callable[[int], int]
    suffix: str


# ---- the kinds ----


def models(folder: Path) -> Kind:
    """Model files; one that loads also predicts."""
    networks = [
        tn.Sequential(
            [tn.Conv2D(3, 3, padding="same"), tn.BatchNorm(), tn.MaxPool2D(2), tn.Flatten(), tn.Dense(3, "softmax")],
            (6, 6, 1),
            labels=["a", "b", "c"],
            metadata={"input": {"kind": "image"}},
        ),
        tn.Sequential([tn.Embedding(5, 3), tn.LSTM(4, return_sequences=True), tn.Dense(5, "softmax")], (None,), vocabulary="abcde"),
        tn.Sequential([tn.Bidirectional(tn.GRU(3)), tn.Reshape((2, -1)), tn.TimeDistributed(tn.Dense(2))], (4, 2)),
    ]  # fmt: skip
    whole = []
    for network in networks:
        for dtype in ("float32", "float16"):
            file = io.BytesIO()
            network.save(file, dtype)
            whole += [file.getvalue(), rezipped(file.getvalue(), zipfile.ZIP_DEFLATED)]

    def read(path: Path) -> None:
        network = tn.load(path)
        network.summary(lambda line: None)
        shape = (1, *(size or 2 for size in network.input_shape))
        if math.prod(shape) < MOST_VALUES:
            network.predict(np.zeros(shape, int))

    return Kind(whole, read, lambda size: FREE_BYTES + EXPANSION * size + SAMPLE_BYTES, ".npz")


def checkpoints(folder: Path) -> Kind:
    """Checkpoints that a training goes on from."""
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 4), np.float32), rng.integers(0, 2, 40)
    path = folder / "whole.npz"

    def fit(**settings: Any) -> None:
        network = tn.Sequential([tn.Dense(3), tn.BatchNorm(), tn.Dense(2, "softmax")], (4,))
        network.fit(x, y, batch_size=8, verbose=False, **settings)

    whole = []
    for settings in ({}, {"ema": 0.9, "validation_split": 0.2}, {"optimizer": tn.SGD(0.1, momentum=0.9)}):
        fit(epochs=2, checkpoint=path, **settings)
        whole += [path.read_bytes(), rezipped(path.read_bytes(), zipfile.ZIP_DEFLATED)]
        path.unlink()
    return Kind(
        whole,
        lambda path: fit(epochs=3, resume=path),
        lambda size: 2 * (FREE_BYTES + EXPANSION * size),
        ".npz",
    )


def pictures(folder: Path) -> Kind:
    """Pictures that the network for digits reads."""
    from PIL import Image

    digits, whole = tn.load("digits"), []
    rng = np.random.default_rng(0)
    grey = Image.fromarray(rng.integers(0, 256, (40, 50), np.uint8))
    options = [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("WEBP", {}),
        ("PPM", {}),
        ("ICO", {}),
    ]
    options += [("TIFF", {"compression": way}) for way in (None, "tiff_lzw", "tiff_deflate", "packbits")]
    for mode in ("L", "RGB", "P", "1", "RGBA", "I;16", "F", "CMYK"):
        for name, settings in options:
            file = io.BytesIO()
            try:
                (grey.convert("I").convert(mode) if mode == "I;16" else grey.convert(mode)).save(
                    file, name, **settings
                )
            except (OSError, ValueError, KeyError):
                continue  # this format has no such pictures
            whole.append(file.getvalue())
    return Kind(whole, digits.classify, lambda size: PICTURE_BYTES, ".png")


def texts(folder: Path) -> Kind:
    """Texts that become ids, and what is written after them."""
    network = tn.Sequential(
        [tn.Embedding(300, 3), tn.RNN(4, return_sequences=True), tn.Dense(300, "softmax")], (None,)
    )
    network.vocabulary = "".join(map(chr, range(32, 332)))
    text = "Ein Text, a text, текст, 文字 😀\r\n" * 9
    whole = [text.encode(encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32")] + [
        b"\n",
        b"abc",
    ]

    def read(path: Path) -> None:
        found = read_text(path)
        encode(found, vocabulary_of(found))
        network.generate(found[:50], 3, random_seed=0)

    return Kind(whole, read, lambda size: FREE_BYTES + EXPANSION * size, ".txt")


KINDS = {"models": models, "checkpoints": checkpoints, "pictures": pictures, "texts": texts}


# ---- changes ----


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


def changed(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Another file, made from one of its kind, with pieces of another."""
    if rng.random() < 0.6:
        if data.startswith(b"PK"):
            data = changed_zip(data, other, rng)
        elif data.startswith(b"\x89PNG"):
            data = changed_png(data, other, rng)
        if rng.random() < 0.8:
            return data
    return changed_bytes(data, other, rng)


# ---- trying ----


class Endless(BaseException):
    """Reading took more than PATIENCE."""


def _interrupt(*_: Any) -> None:
    raise Endless


def _memory(reset: bool = False) -> int:
    """The most memory that this process had since a reset, in bytes; what it has now, with one. 0 where nobody says."""
    try:
        if reset:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    name = "VmRSS:" if reset else "VmHWM:"
    return 1024 * int(status.split(name)[1].split()[0])


def attempt(kind: Kind, path: Path, size: int) -> tuple[str, str]:
    """How reading a file ends: (a word, and what is wrong with that or nothing)."""
    before, start, wrong = _memory(reset=True), time.perf_counter(), ""
    signal.alarm(PATIENCE)
    try:
        kind.read(path)
        ending = "read"
    except tn.TinynetError as error:
        ending = "refused"
        wrong = "a message of several lines" if "\n" in str(error) else ""
    except Endless:
        ending, wrong = "endless", "has no end"
    except Exception:
        ending, wrong = "raised", traceback.format_exc()
    finally:
        signal.alarm(0)
    seconds, memory = time.perf_counter() - start, _memory() - before
    if seconds > SECONDS:
        wrong += f" took {seconds:.1f} s"
    if memory > kind.memory(size):
        wrong += f" took {memory >> 20} MB"
    return ending, wrong


def fuzz(name: str, minutes: float, seed: int) -> int:
    """Try files until the time is up; the number of those that failed."""
    folder = Path(tempfile.mkdtemp(prefix=f"tinynet-fuzz-{name}-"))
    kind, rng = KINDS[name](folder), np.random.default_rng(seed)
    signal.signal(signal.SIGALRM, _interrupt)
    path, failures, endings = folder / f"tried{kind.suffix}", 0, Counter()
    for data in kind.whole:
        path.write_bytes(data)
        attempt(kind, path, len(data))  # what compiles and is imported does so now
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        data = changed(pick(rng, kind.whole), pick(rng, kind.whole), rng)
        path.write_bytes(data)  # stays there if the process dies
        ending, wrong = attempt(kind, path, len(data))
        endings[ending] += 1
        if wrong:
            failures += 1
            kept = folder / f"failed-{failures}{kind.suffix}"
            kept.write_bytes(data)
            print(f"{kept}: {wrong.strip()}", flush=True)
    total = sum(endings.values())
    print(f"| {name} | {total:,} files | {dict(endings)} | {failures} failed |", flush=True)
    return failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=[*KINDS])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tn.set_device("reference")
    warnings.simplefilter("ignore")
    sys.exit(bool(fuzz(given.kind, given.minutes, given.seed)))
