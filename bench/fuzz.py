"""Does any damaged or hostile file end in more than a sentence?

    python -m bench.fuzz models|checkpoints|pictures|texts|tables|labelled|series|sounds [--minutes N] [--seed N]

Changes whole files by chance: bits, pieces, lengths, and what lies inside a ZIP, an array's header, JSON or a PNG. Each file
is read as a user would read it. Fails on an exception that is no TinynetError, on more than 5 s, and on more memory than
README promises; what failed is kept, and its place printed.
"""

from __future__ import annotations

import argparse
import io
import math
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tinynet as tn
from tinynet import recipes
from tinynet.archive import EXPANSION, FREE_BYTES
from tinynet.data.series.choose import choose
from tinynet.data.series.read import is_series, read_series
from tinynet.data.sounds.wav import read_length
from tinynet.data.tables.prepare import learn
from tinynet.data.tables.read import Table, read_table
from tinynet.data.tables.target import classes_of, is_number, number_of, with_target
from tinynet.data.text.characters import encode, read_text, vocabulary_of
from tinynet.data.text.labelled import holds_labelled_texts, read_labelled
from tinynet.data.text.words import Vocabulary
from tinynet.recipes.base import Choices, Plan
from tinynet.tasks.rows import Rows
from tinynet.tasks.series import Forecasting, History
from tinynet.tasks.sound import Sounds
from tinynet.tasks.text import Texts

from .fuzz_changes import changed, pick, rezipped

SECONDS, PATIENCE = 5.0, 60
"""A file may take so long; after PATIENCE it is given up."""
PICTURE_BYTES = 512 << 20
MOST_VALUES = 10_000
"""Of a sample that a changed model predicts: how long a sequence may be is for its reader to say."""
SAMPLE_BYTES = 2 << 28
"""What predicting one sample may take beside: two layers' worth."""


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


def tables(folder: Path) -> Kind:
    """Tables that a network learns from, and whose rows one predicts."""
    rng = np.random.default_rng(0)
    lines = ["size,colour,weight,when,kind"]
    for i in range(40):
        lines.append(
            f"{rng.normal(5):.2f},{pick(rng, ('red', 'blue', ''))},{i % 7},2024-01-{i % 28 + 1:02},{'ab'[i % 2]}"
        )
    text = "\n".join(lines) + "\n"
    task = Rows(planned(folder / "rows.csv", text, target="kind").model)

    def read(path: Path) -> None:
        found = read_table(path)
        all_ways(lambda: learnt(found), lambda: task.predict(found), lambda: task.notes(found))

    def learnt(found: Table) -> None:
        *names, target = found.columns
        rows, fields = with_target(found, target)
        learn(rows, names)[0].apply(rows)
        if is_number(fields, found.decimal):
            number_of(fields, found.decimal, found.name, target)
        else:
            classes_of(fields, found.decimal, found.name, target)

    return Kind(delimited(text), read, lambda size: FREE_BYTES + EXPANSION * size, ".csv")


def labelled(folder: Path) -> Kind:
    """Labelled texts that a network learns from, and texts whose class one names."""
    lines = [
        "label,text",
        *(f"{'ab'[i % 2]},a {('good', 'bad')[i % 2]} film, №{i % 5}: 5 * 😀" for i in range(30)),
    ]
    text = "\n".join(line.replace(",", "\t", 1) for line in lines)
    task = Texts(planned(folder / "texts.tsv", text).model)

    def read(path: Path) -> None:
        all_ways(lambda: learnt(path), lambda: task.answer(path), lambda: task.answer(path, lines=True))

    def learnt(path: Path) -> None:
        holds_labelled_texts(path)
        found = read_labelled(path)
        Vocabulary.learn(found.texts).encode(found.texts)

    return Kind(
        [*delimited(text), "Nur ein Text, a text, текст 😀\n".encode()],
        read,
        lambda size: FREE_BYTES + 10 * EXPANSION * size,
        ".tsv",
    )


def series(folder: Path) -> Kind:
    """Series that are learnt from, and that a network continues."""
    days = np.arange("2024-01-20", "2024-02-25", dtype="M8[D]")

    def written(form: Callable[[int], str]) -> str:
        rows = (f"{form(i)},{50 + i % 7 + i * 0.1:.1f},{i}\n" for i in range(len(days)))
        return "time,a,b\n" + "".join(rows)

    iso = written(lambda i: str(days[i]))
    forms = (
        lambda i: f"{i % 12 + 1}/{2000 + i // 12}",
        lambda i: f"{days[i]} 0{i % 10}:00:00.5+01:00",
        lambda i: f"{days[i].item():%d %B %y}",
        lambda i: f"{1_700_000_000 + 3600 * i}",
        lambda i: f"{2000 + i / 12:.3f}",
    )
    task = Forecasting(planned(folder / "series.csv", iso).model)

    def read(path: Path) -> None:
        is_series(str(path))
        found = read_series(path)
        all_ways(lambda: choose(found), lambda: task.answer(found, 14), lambda: task.evaluate(History(found)))

    texts = [*delimited(iso), *(written(form).encode() for form in forms)]
    return Kind(texts, read, lambda size: FREE_BYTES + SAMPLE_BYTES + EXPANSION * size, ".csv")


def sounds(folder: Path) -> Kind:
    """Sound files, and streams of raw samples, that a network names."""
    task = Sounds(tn.load("spoken-digits"))
    time = np.arange(6000) / 8000
    samples = 0.3 * np.sin(2 * np.pi * (300 + 400 * time) * time) * np.sin(np.pi * time / time[-1]) ** 2

    def wav(bits: int, channels: int, tag: int, rate: int = 8000) -> bytes:
        kinds = {8: "u1", 16: "<i2", 32: "<f4" if tag == 3 else "<i4", 64: "<f8"}
        scale, offset = (1.0, 0) if tag == 3 else (2.0 ** (bits - 1) - 1, 128 * (bits == 8))
        data = np.repeat(scale * samples + offset, channels).astype(kinds[bits]).tobytes()
        block = channels * bits // 8
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * block, block, bits)
        chunks = form + b"LIST\4\0\0\0abcd" + struct.pack("<4sI", b"data", len(data)) + data
        return struct.pack("<4sI4s", b"RIFF", len(chunks) + 4, b"WAVE") + chunks

    def read(path: Path) -> None:
        def follow() -> list:
            return [*task.answers(str(path), stream=True, rate=11025)]

        all_ways(lambda: read_length(path), lambda: task.answer(path), follow)

    kinds = [(8, 1, 1), (16, 1, 1), (16, 2, 1), (32, 1, 1), (32, 2, 3), (64, 1, 3), (16, 1, 1, 44100)]
    return Kind([wav(*kind) for kind in kinds], read, lambda size: PICTURE_BYTES, ".wav")


KINDS = {
    "models": models,
    "checkpoints": checkpoints,
    "pictures": pictures,
    "texts": texts,
    "tables": tables,
    "labelled": labelled,
    "series": series,
    "sounds": sounds,
}


def planned(path: Path, text: str, **choices: Any) -> Plan:
    """What a recipe makes of such a file."""
    path.write_text(text, "utf-8")
    return recipes.plan(str(path), Choices(**choices))


def delimited(text: str) -> list[bytes]:
    """A table as programs write it: with other delimiters, decimal commas, ends of lines and encodings."""
    semicolons = text.replace(",", ";").replace(".", ",")
    forms = text, text.replace(",", "\t"), semicolons, text.replace("\n", "\r\n"), "sep=;\n" + semicolons
    return [*(form.encode() for form in forms), text.encode("utf-8-sig"), text.encode("utf-16")]


def all_ways(*ways: Callable[[], Any]) -> None:
    """Try all ways of reading a file; raises the first refusal after the last."""
    refused = []
    for way in ways:
        try:
            way()
        except tn.TinynetError as error:
            refused.append(error)
    if refused:
        raise refused[0]


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
