"""Sound files: a reader of .wav for what recorders write, and for what careless or hostile programs write.

A .wav file is a list of chunks, each with a name, a length and that many bytes: `fmt ` says how samples are stored, `data` holds
them. No length is believed beyond the bytes that are there.
"""

from __future__ import annotations

import os
import re
import shlex
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import SoundError
from ...files import Source, read_source

MAX_FILE = 128 << 20
"""Bytes of a file: five minutes of stereo at 96 kHz and 16 bits."""
MAX_SECONDS = 300
MAX_CHANNELS = 64
LOUDEST = 2.0**31
"""Floats are cut off there: some programs write integers as floats, but what is louder is damage."""
RATES = 2_000, 384_000
"""Samples per second, from toys to studios."""
SOUND = re.compile(
    r"[^.].*\.(wav|wave|mp3|flac|ogg|oga|opus|m4a|m4b|aac|wma|aif|aiff|aifc|au|caf|amr|webm)", re.IGNORECASE
)
"""Names of files that should be sounds: not hidden, with the suffix of a sound format."""
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
COMPRESSED = {2: "ADPCM", 6: "A-law", 7: "μ-law", 17: "ADPCM", 49: "GSM", 85: "MP3"}
"""Formats of samples that are not read, by their number in `fmt `."""
FOREIGN = (
    (re.compile(rb"ID3|\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff]"), "an MP3 file"),
    (re.compile(rb"fLaC"), "a FLAC file"),
    (re.compile(rb"OggS"), "an Ogg file"),
    (re.compile(rb"....ftyp", re.DOTALL), "an MP4 or M4A file"),
    (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), "an AAC file"),
    (re.compile(rb"FORM....AIF", re.DOTALL), "an AIFF file"),
    (re.compile(rb"\.snd"), "an AU file"),
    (re.compile(rb"caff"), "a CAF file"),
    (re.compile(rb"#!AMR"), "an AMR file"),
    (re.compile(rb"\x30\x26\xb2\x75"), "a WMA file"),
    (re.compile(rb"\x1aE\xdf\xa3"), "a WebM or Matroska file"),
    (re.compile(rb"RIFX"), "a big-endian WAV file"),
)
"""How files begin that people take for .wav files."""
CHUNK = re.compile(rb"[ -~]{4}")
"""The name of a chunk."""
UNKNOWN_LENGTH = 0, 0xFFFFFFFF
"""Lengths of the samples that programs write which do not know it yet, as when they write to a pipe."""


class Sound(NamedTuple):
    """Samples float32 (n,), ±1 at full scale, all channels in one; rate: samples per second."""

    samples: np.ndarray
    rate: int


class Format(NamedTuple):
    """How samples are stored. width: bytes of one sample of one channel."""

    is_float: bool
    channels: int
    rate: int
    width: int


def is_sound(path: Path) -> bool:
    """Whether a file should be a sound, going by its name."""
    return SOUND.fullmatch(path.name) is not None and path.is_file()


# ---- reading ----


def read_wav(source: Source) -> Sound:
    """Read a .wav file: integers of 8 to 32 bits or floats, any number of channels, any rate.

    source: a path, "-" for standard input, the bytes of a file or an open binary file. The channels are averaged, or, where
    they cancel each other, the loudest is taken. Of a file that was cut off all samples that are there are read; NaN and infinity
    count as 0. Raises SoundError for what is missing, unreadable, no .wav file, compressed, or longer than five minutes.
    """
    name, form, stored = _opened(source)
    count = len(stored) // (form.channels * form.width)
    if count > MAX_SECONDS * form.rate:
        raise SoundError(
            f"{name} lasts {count / form.rate:,.0f} seconds, but a clip has at most {MAX_SECONDS}; cut out what matters: "
            f"ffmpeg -ss START -i {shlex.quote(name)} -t SECONDS clip.wav"
        )
    whole = stored[: count * form.channels * form.width]
    return Sound(_mono(_numbers(whole, form).reshape(count, form.channels)), form.rate)


def read_length(source: Source) -> tuple[int, float]:
    """Samples per second of a .wav file, and its seconds. Raises SoundError as `read_wav` does."""
    _, form, stored = _opened(source)
    return form.rate, len(stored) / (form.channels * form.width * form.rate)


def _opened(source: Source) -> tuple[str, Format, memoryview]:
    """(how to call a file in a message, how its samples are stored, their bytes)."""
    advice = "give a .wav file"
    name, content = read_source(source, MAX_FILE, "sound", advice, SoundError)
    if not content:
        raise SoundError(f"{name} is empty; {advice}")
    if content[:4] not in (b"RIFF", b"RF64", b"BW64") or content[8:12] != b"WAVE":
        raise SoundError(_what_it_is(name, content))
    form, samples = _chunks(content)
    if form is None:
        raise SoundError(f"{name} does not say how its samples are stored; record or export it again")
    checked = _format(name, form)
    if samples is None:
        raise SoundError(f"{name} is a .wav file with no samples in it; record or export it again")
    return name, checked, samples


def _what_it_is(name: str, content: bytes) -> str:
    """What to do with a file that is not a .wav file."""
    kind = next((kind for start, kind in FOREIGN if start.match(content)), None)
    if kind is None:
        return f"{name} is not a .wav file; give a recording as .wav"
    stem, suffix = os.path.splitext(name)
    target = f"{stem}.wav" if suffix.lower() != ".wav" else f"{stem}-converted.wav"
    return f"{name} is {kind}; convert it first: ffmpeg -i {shlex.quote(name)} {shlex.quote(target)}"


def _chunks(content: bytes) -> tuple[memoryview | None, memoryview | None]:
    """What the chunks `fmt ` and `data` hold, as far as they are there, whatever the lengths say."""
    form, place = None, 12
    while _is_chunk(content, place):
        name, length = struct.unpack_from("<4sI", content, place)
        start = place + 8
        if name == b"data":
            return form, _samples(content, place)
        if name == b"fmt ":
            form = memoryview(content)[start : start + min(max(length, 16), 40)]
        place = start + length + length % 2
        if length % 2 and not _is_chunk(content, place) and _is_chunk(content, place - 1):
            place -= 1  # some writers leave the pad byte out
    place = content.find(b"data", 12)  # a length was not true, but the samples still have their name
    return form, _samples(content, place) if place >= 0 else None


def _samples(content: bytes, place: int) -> memoryview:
    """What the chunk `data` holds, as far as it is there."""
    start = place + 8
    length = int.from_bytes(content[place + 4 : start], "little")
    if length in UNKNOWN_LENGTH and not (length == 0 and _is_chunk(content, start)):
        length = len(content)
    return memoryview(content)[start : start + length]


def _is_chunk(content: bytes, place: int) -> bool:
    """Whether a chunk may begin there."""
    return place + 8 <= len(content) and CHUNK.match(content, place) is not None


def _format(name: str, stored: memoryview) -> Format:
    if len(stored) < 16:
        raise SoundError(f"{name} is cut off before its samples begin; copy it again")
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", stored)
    if tag == EXTENSIBLE:  # the true one begins a longer number, behind the mask of the loudspeakers
        tag = struct.unpack_from("<H", stored, 24)[0] if len(stored) >= 26 else PCM
    if not 1 <= channels <= MAX_CHANNELS:
        raise SoundError(f"{name} has {channels} channels; a sound has 1 to {MAX_CHANNELS}: export it again")
    if not RATES[0] <= rate <= RATES[1]:
        raise SoundError(
            f"{name} says that a second has {rate:,} samples, which no recording has; export it again"
        )
    width = (
        block // channels
        if block and block % channels == 0 and block // channels * 8 >= bits
        else -(-bits // 8)
    )
    if tag not in (PCM, FLOAT) or width not in ((4, 8) if tag == FLOAT else (1, 2, 3, 4)):
        kind = COMPRESSED.get(tag) or (f"{bits} bits a sample" if tag in (PCM, FLOAT) else f"format {tag}")
        raise SoundError(
            f"{name} stores its samples as {kind}, which is not read; convert it first: "
            f"ffmpeg -i {shlex.quote(name)} -c:a pcm_s16le {shlex.quote(os.path.splitext(name)[0] + '-16bit.wav')}"
        )
    return Format(tag == FLOAT, channels, rate, width)


def _numbers(stored: memoryview, form: Format) -> np.ndarray:
    """Stored samples as float32, ±1 at full scale."""
    if form.is_float:
        return bounded(np.frombuffer(stored, f"<f{form.width}"))
    if form.width == 1:
        return np.frombuffer(stored, np.uint8).astype(np.float32) / 128 - 1
    if form.width == 3:
        wide = np.zeros((len(stored) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(stored, np.uint8).reshape(-1, 3)
        whole = wide.reshape(-1).view("<i4")
    else:
        whole = np.frombuffer(stored, f"<i{form.width}")
    return whole.astype(np.float32) / np.float32(2.0 ** (8 * whole.itemsize - 1))


def bounded(samples: np.ndarray) -> np.ndarray:
    """Floats of any size as float32 within ±LOUDEST; NaN and infinity count as 0."""
    return np.clip(np.where(np.isfinite(samples), samples, 0), -LOUDEST, LOUDEST).astype(np.float32)


def _mono(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels (n, c); where they cancel each other, the loudest of them."""
    mixed = samples.mean(axis=1, dtype=np.float32)
    if samples.shape[1] == 1 or not len(samples):
        return mixed
    powers = np.square(samples, dtype=np.float64).mean(axis=0)
    cancelled = np.square(mixed, dtype=np.float64).mean() < powers.max() / (10 * samples.shape[1] ** 2)
    return np.ascontiguousarray(samples[:, powers.argmax()]) if cancelled else mixed
