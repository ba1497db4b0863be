"""Sounds that the project makes itself: words of sweeping tones and hiss, and the files that they come in.

`word(kind, seed)` gives samples; the same arguments give the same samples. `wav(samples, …)` gives the bytes of a file.
"""

from __future__ import annotations

import struct

import numpy as np

KINDS = ("rise", "fall", "hiss", "hum")


def word(kind: str, seed: int = 0, rate: int = 8000, seconds: float = 0.4) -> np.ndarray:
    """A word of somebody's, float64 (n,): a tone that rises or falls, a hiss, a steady vowel that swells and dies away."""
    rng = np.random.default_rng([seed, *kind.encode()])
    t = np.arange(int(rate * seconds * rng.uniform(0.8, 1.2))) / rate
    part = t / t[-1]
    low, high = 300 * rng.uniform(0.8, 1.2), 1500 * rng.uniform(0.8, 1.2)
    pitch = {"rise": low + (high - low) * part, "fall": high + (low - high) * part, "hum": low + 0 * part}
    if kind == "hiss":
        sound = np.diff(rng.standard_normal(len(t) + 1))
    else:
        phase = 2 * np.pi * np.cumsum(pitch[kind]) / rate
        sound = np.sin(phase) + 0.5 * np.sin(2 * phase)
    swell = np.sin(np.pi * part)
    return 0.3 * swell * sound / np.abs(sound).max() + 1e-4 * rng.standard_normal(len(t))


def noise(
    colour: float, seconds: float = 2.0, rate: int = 8000, loudness: float = 0.05, seed: int = 0
) -> np.ndarray:
    """Steady noise whose power falls with the frequency: 0 white, 1 pink, 2 brown."""
    n = int(seconds * rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    shaped = np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(n), 1 / 800) ** (colour / 2), n)
    return loudness * shaped / shaped.std()


def wav(samples: np.ndarray, rate: int = 8000, bits: int = 16, kind: str = "integer", **others) -> bytes:
    """The bytes of a .wav file of samples (n,) or (n, channels), ±1: "integer" or "float"; others: settings of `riff`."""
    samples = samples[:, None] if samples.ndim == 1 else samples
    if kind == "float":
        data = samples.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        data = np.round(samples * 127 + 128).astype(np.uint8).tobytes()
    else:
        whole = np.round(samples * (2.0 ** (bits - 1) - 1)).astype("<i4")
        data = whole.reshape(-1).view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    return riff(data, form(rate, samples.shape[1], bits, 3 if kind == "float" else 1), **others)


def form(rate: int, channels: int, bits: int, tag: int = 1, extensible: bool = False) -> bytes:
    """The content of a chunk `fmt `."""
    block = channels * bits // 8
    head = struct.pack(
        "<HHIIHH", 0xFFFE if extensible else tag, channels, rate, rate * block % 2**32, block % 2**16, bits
    )
    guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    return head + (struct.pack("<HHI", 22, bits, 0) + guid if extensible else b"")


def riff(
    data: bytes,
    form: bytes,
    data_size: int | None = None,
    form_size: int | None = None,
    before: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A file of chunks, their lengths true unless others are given."""
    chunks = b"fmt " + struct.pack("<I", len(form) if form_size is None else form_size) + form + before
    chunks += b"data" + struct.pack("<I", len(data) if data_size is None else data_size) + data
    chunks += b"\0" * (len(data) % 2) + after
    return b"RIFF" + struct.pack("<I", min(len(chunks) + 4, 0xFFFFFFFF)) + b"WAVE" + chunks
