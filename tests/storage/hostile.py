"""Model files that break one bound each, built from a seed."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from model_file import npy

CONFIG = {
    "format": "tinynet",
    "version": 1,
    "name": "m",
    "input_shape": [4],
    "layers": [{"type": "Dense", "units": 2, "activation": "softmax"}],
    "labels": ["a", "b"],
    "vocabulary": None,
    "metadata": {},
}
MADE: list[Callable] = []


def header(descr, shape, version=(1, 0), length=None):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    width = "<H" if version == (1, 0) else "<I"
    return b"\x93NUMPY" + bytes(version) + struct.pack(width, len(text) if length is None else length) + text


def text_entry(text):
    data = text.encode("utf-32-le", "surrogatepass")
    return header(f"<U{len(data) // 4}", ()) + data


def content(config=CONFIG, **arrays):
    """The entries of a whole model, by name; `arrays` takes the place of some."""
    text = config if isinstance(config, str) else json.dumps(config)
    kernel, bias = npy(np.ones((4, 2), np.float32)), npy(np.zeros(2, np.float32))
    made = {"config": text_entry(text), "dense_1.kernel": kernel, "dense_1.bias": bias}
    return {f"{name}.npy": data for name, data in {**made, **arrays}.items()}


def zipped(
    entries, method=8, before=b"", between=b"", after=b"", comment=b"", own=None, listed=None, end=None
):
    """A ZIP of (name, data), with what may be said falsely: in each entry's own header, in the directory, at the end."""
    body, directory = before, b""
    for name, data in entries.items() if isinstance(entries, dict) else entries:
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(data) + packer.flush() if method == 8 else data
        told = {
            "flags": 0,
            "method": method,
            "crc": zlib.crc32(data),
            "packed": len(packed),
            "size": len(data),
        }
        told |= {"name": name.encode() if isinstance(name, str) else name, "extra": b"", "at": len(body)}
        for record, lies in ((0, own), (1, listed)):
            say = {**told, **(lies or {})}
            numbers = (20, say["flags"], say["method"], 0, 33, say["crc"], say["packed"], say["size"])
            lengths = (len(say["name"]), len(say["extra"]))
            if record:
                directory += struct.pack(
                    "<4s6H3L5H2L", b"PK\1\2", 20, *numbers, *lengths, 0, 0, 0, 0, say["at"]
                )
                directory += say["name"] + say["extra"]
            else:
                body += struct.pack("<4s5H3L2H", b"PK\3\4", *numbers, *lengths) + say["name"] + say["extra"]
        body += packed + between
    count = len(entries)
    told = {"here": count, "count": count, "size": len(directory), "at": len(body), **(end or {})}
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *told.values(), len(comment))
    return body + directory + tail + comment + after


def made(function):
    MADE.append(function)
    return function


def some(rng, most=200):
    return rng.bytes(int(rng.integers(1, most)))


@made
def other_ways_of_packing(rng) -> Iterator[bytes]:
    for method in (12, 14, 93, 98, int(rng.integers(1, 8)), int(rng.integers(99, 65536))):
        yield zipped(content(), method=method)


@made
def encrypted_or_patched(rng):
    for bit in (0, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15):
        yield zipped(content(), own={"flags": 1 << bit}, listed={"flags": 1 << bit})
        yield zipped(content(), listed={"flags": 1 << bit})


@made
def bytes_that_are_no_entry(rng):
    for junk in (b"#!/bin/sh\nexit\n", b"\0", b"PK\7\x08" + bytes(12), some(rng), zipped(content())):
        yield zipped(content(), before=junk)
        yield zipped(content(), between=junk)
        yield zipped(content(), after=junk)
        yield zipped(content(), comment=junk[:60_000])
        yield zipped(content(), own={"flags": 8}, listed={"flags": 8}, between=junk)
        yield junk + zipped(content())


@made
def extra_fields(rng):
    for extra in (rng.bytes(65), b"\1\0\xff\xff", b"\1\0\0", struct.pack("<HH", 9, 60_000) + bytes(60_000)):
        yield zipped(content(), listed={"extra": extra})
    yield zipped(content(), own={"extra": bytes(60_000)})


@made
def false_places_and_numbers(rng):
    for key in ("here", "count", "size", "at"):
        for value in (0, 1, 65535, int(rng.integers(5, 60_000))):
            yield zipped(content(), end={key: value})
    for value in (0, 7, 0xFFFFFFFF, int(rng.integers(1, 1 << 32))):
        yield zipped(content(), listed={"at": value})


@made
def false_sizes(rng):
    for key in ("size", "packed", "crc"):
        for value in (0, 1, 0xFFFFFFFE, 0xFFFFFFFF, int(rng.integers(1 << 32))):
            yield zipped(content(), listed={key: value})
            yield zipped(content(), own={key: value}, listed={key: value})
            yield zipped(content(), method=0, own={key: value}, listed={key: value})


@made
def odd_names(rng):
    names = (
        "../e.npy",
        "/e.npy",
        "a//b.npy",
        "a\\b.npy",
        "C:e.npy",
        ".e.npy",
        "e",
        "e.NPY",
        ".npy",
        "a/.npy",
        "\x1b[2J.npy",
    )
    for name in (*names, "a" * 1001 + ".npy", b"\xff.npy", "\0.npy", "e.npy/"):
        yield zipped({**content(), name: npy(np.zeros(2, np.float32))})
    yield zipped(content(), own={"name": b"other.npy"})


@made
def names_that_stand_twice(rng):
    entries = list(content().items())
    for entry in entries:
        yield zipped([*entries, entry])
        yield zipped([entry, *entries])


@made
def bombs(rng):
    zeros = bytes(80 << 20)
    yield zipped(content(**{"dense_1.bias": header("<f4", (len(zeros) // 4,)) + zeros}))
    yield zipped(content(config=CONFIG, config_2=zeros))
    yield zipped({**content(), "config.npy": b"\x93NUMPY\2\0\xf0\xff\xff\xff" + zeros})
    yield zipped({**content(), "config.npy": header(f"<U{6 << 20}", ()) + zeros[: 24 << 20]})


@made
def hostile_headers(rng):
    for length in (4097, 65535, int(rng.integers(5000, 60_000))):
        yield zipped(content(**{"dense_1.bias": header("<f4", (2,), length=length) + bytes(length)}))
    for length in (4097, 1 << 31, 0xFFFFFFF0):
        yield zipped(content(**{"dense_1.bias": header("<f4", (2,), (2, 0), length) + bytes(5000)}))
    for version in ((0, 0), (3, 0), (4, 0), (1, 1), (255, 255)):
        yield zipped(content(**{"dense_1.bias": header("<f4", (2,), version) + bytes(8)}))
    for text in (
        b"(" * 4000,
        b"-" * 4000 + b"1",
        b"{'descr': [" * 300,
        b"\xff" * 64,
        b"'\\q'",
        b"1" * 4000,
        some(rng),
    ):
        yield zipped(content(**{"dense_1.bias": b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text}))


@made
def shapes_and_types_that_do_not_fit(rng):
    shapes = [
        (3,),
        (2, 1),
        (-2,),
        (True, 2),
        (2.0,),
        (1 << 62,),
        (1 << 40, 1 << 40),
        (0, 1 << 62),
        (1,) * 70,
        ("2",),
        2,
        None,
        [2],
    ]
    for shape in shapes:
        yield zipped(content(**{"dense_1.bias": header("<f4", shape) + bytes(8)}))
    types = [
        "|O",
        "<f8",
        "<c8",
        "<i4",
        "<M8[s]",
        "<U2",
        "|V4",
        "|S4",
        [("a", "<f4")],
        "(2,)<f4",
        "<U0",
        "",
        5,
        "<f4" * 50,
    ]
    for descr in types:
        yield zipped(content(**{"dense_1.bias": header(descr, (2,)) + bytes(8)}))
    for count in (0, 7, 9, int(rng.integers(10, 3000))):
        yield zipped(content(**{"dense_1.bias": header("<f4", (2,)) + bytes(count)}))


@made
def texts_that_are_none(rng):
    for code in (0xD800, 0xDFFF, 0x110000, 0xFFFFFFFF, int(rng.integers(0x110000, 1 << 32))):
        text = json.dumps(CONFIG)
        data = text.encode("utf-32-le")[:-4] + struct.pack("<I", code) + "}".encode("utf-32-le")
        yield zipped({**content(), "config.npy": header(f"<U{len(data) // 4}", ()) + data})
    for array in (np.array(["a"]), np.array(1.0), np.array(b"{}"), np.zeros((), "U0")):
        yield zipped({**content(), "config.npy": npy(array)})


@made
def json_that_readers_differ_over(rng):
    text = json.dumps(CONFIG)
    metadata = '"metadata": {}'
    for value in (
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        "1" + "0" * 400,
        '"\\ud800"',
        '{"\\udfff": 1}',
        '{"a": 1, "a": 1}',
    ):
        yield zipped(content(text.replace(metadata, f'"metadata": {{"x": {value}}}')))
    for depth in (101, 900, 100_000):
        yield zipped(content(text.replace(metadata, f'"metadata": {{"x": {"[" * depth}{"]" * depth}}}')))
        yield zipped(content(text.replace(metadata, '"metadata": ' + '{"x": ' * depth + "1" + "}" * depth)))
    for key in CONFIG:
        yield zipped(content(text[:-1] + f', "{key}": {json.dumps(CONFIG[key])}}}'))


@made
def layers_beyond_memory(rng):
    def network(layers, shape):
        return zipped(content({**CONFIG, "layers": layers, "input_shape": shape, "labels": None}))

    size = int(rng.integers(1 << 26, 1 << 62))
    for number in (size, 1 << 31, (1 << 31) - 1, 1 << 70, 10**30):
        for layer in (
            {"type": "Dense", "units": number},
            {"type": "Conv1D", "filters": number, "kernel_size": 1},
            {"type": "Conv1D", "filters": 1, "kernel_size": number, "padding": "same"},
            {"type": "Conv1D", "filters": 1, "kernel_size": 3, "dilation_rate": number, "padding": "same"},
            {"type": "MaxPool1D", "pool_size": number, "strides": 1, "padding": "same"},
            {"type": "LSTM", "units": number},
            {"type": "Bidirectional", "layer": {"type": "GRU", "units": number}},
            {"type": "TimeDistributed", "layer": {"type": "RepeatVector", "n": number}},
            {"type": "Reshape", "target_shape": [number]},
        ):
            yield network([layer], [8, 4])
            yield network([layer], [number, 4])
        yield network([{"type": "RepeatVector", "n": number}], [4])
        yield network([{"type": "Cropping1D", "cropping": [number, 0]}], [8, 4])
        attention = {
            "type": "MultiHeadAttention",
            "num_heads": 1,
            "key_dim": 4,
            "causal": True,
            "window": number,
        }
        yield network([attention], [8, 4])
        yield network([{"type": "Embedding", "input_dim": number, "output_dim": 4}], [8])
        yield network([{"type": "GlobalAveragePool2D"}], [number, 8, 3])
        yield network([{"type": "LSTM", "units": 100}], [number, 1])
    yield network([{"type": "GlobalAveragePool2D"}, {"type": "Dense", "units": 2}], [9000, 9000, 3])
    yield network([{"type": "Flatten"}] * 2001, [4])
    yield network([], [1] * 40)
    for depth in (31, 60, 450):
        layer = {"type": "Dense", "units": 2}
        for _ in range(depth):
            layer = {"type": "TimeDistributed", "layer": layer}
        yield network([layer], [1] * 20)


@made
def zip64_that_lies(rng):
    whole = zipped(content())
    count, size, at = struct.unpack("<HLL", whole[-12:-2])
    start = len(whole) - 22
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, at)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start, 1)
    end = whole[start:]
    for place in range(4, 56, 4):
        lie = record[:place] + struct.pack("<I", int(rng.integers(1 << 20, 1 << 32))) + record[place + 4 :]
        if place not in (12,):  # the versions say nothing
            yield whole[:start] + lie + locator + end
    yield whole[:start] + record + some(rng) + locator + end
    yield whole[:start] + locator + end
