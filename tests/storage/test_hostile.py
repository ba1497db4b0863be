"""Hostile model files by construction: whatever bound a file breaks, it is refused in a sentence, soon, and within its memory."""

from __future__ import annotations

import io
import time
import tracemalloc
import zlib

import hostile
import numpy as np
import pytest
from hostile import content, header, zipped
from model_file import npy, peak_memory

import tinynet as tn
from tinynet.archive import EXPANSION, FREE_BYTES
from tinynet.errors import ModelFileError

SECONDS = 3


def refused(data, traced=True):
    """Loading ends in a sentence, in time and within the promised memory."""
    start = time.perf_counter()
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError) as caught:
            tn.load(io.BytesIO(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert not traced or peak <= FREE_BYTES + EXPANSION * len(data)
    assert time.perf_counter() - start < SECONDS
    return str(caught.value)


def test_what_the_hostile_files_start_from_is_a_model():
    for method in (0, 8):
        assert tn.load(io.BytesIO(zipped(content(), method=method))).labels == ["a", "b"]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("make", hostile.MADE, ids=lambda make: make.__name__)
def test_a_file_that_breaks_a_bound_is_refused(make, seed):
    before = peak_memory()
    for data in make(np.random.default_rng(seed)):
        refused(data, traced=make is not hostile.layers_beyond_memory)
    assert peak_memory() - before < 300e6  # zeros that nobody touched take none


def test_a_data_descriptor_is_no_stowaway():
    entries = content()
    name, data = next(iter(entries.items()))
    packer = zlib.compressobj(wbits=-15)
    packed = len(packer.compress(data) + packer.flush())
    said = (
        zlib.crc32(data).to_bytes(4, "little")
        + packed.to_bytes(4, "little")
        + len(data).to_bytes(4, "little")
    )
    flags = {"flags": 8}
    blank = {"flags": 8, "crc": 0, "packed": 0, "size": 0}
    with pytest.raises(ModelFileError, match=r"lacks the array"):
        tn.load(io.BytesIO(zipped({name: data}, own=blank, listed=flags, between=b"PK\7\x08" + said)))
    refused(zipped({name: data}, own=blank, listed=flags, between=b"PK\7\x08" + said[:-1] + b"\1"))


def test_the_memory_of_an_honest_model_is_bounded_too():
    side = 1500
    layers = [{"type": "Dense", "units": side, "use_bias": False}]
    config = {**hostile.CONFIG, "layers": layers, "labels": None, "input_shape": [side]}
    entries = content(config, **{"dense_1.kernel": npy(np.zeros((side, side), np.float16))})
    del entries["dense_1.bias.npy"]
    data = zipped(entries)
    tracemalloc.start()
    tn.load(io.BytesIO(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= FREE_BYTES + EXPANSION * len(data)


def test_a_config_of_many_small_lists_takes_no_more_than_promised():
    text = '{"format": "tinynet", "metadata": [' + "[]," * 400_000 + "[]]}"
    assert "lacks the entry" in refused(
        zipped(content(text.replace('"metadata"', '"version": 1, "metadata"')))
    )
    assert "too long" in refused(zipped(content(text.replace("[],", "[]," * 4))))


def test_an_array_of_no_values_may_have_no_absurd_shape():
    assert "shape" in refused(zipped(content(**{"dense_1.bias": header("<f4", (0, 1 << 50, 1 << 20))})))
