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
from tinynet.sequential import check_sample

SECONDS = 3


def refused(data, traced=True):
    """Loading ends in a sentence, in time and within the promised memory."""
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError) as caught:
            tn.load(io.BytesIO(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert not traced or peak <= FREE_BYTES + EXPANSION * len(data)
    assert time.process_time() - start < SECONDS
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


def model_file(layers, shape):
    config = {**hostile.CONFIG, "layers": layers, "labels": None, "input_shape": shape}
    return zipped(content(config))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([{"type": "Conv2D", "filters": 1, "kernel_size": 5, "padding": "same"}] * 1900, [4000, 4000, 1]),
        ([{"type": "MaxPool2D", "pool_size": 99, "strides": 1, "padding": "same"}] * 9, [3000, 3000, 1]),
        ([{"type": "LSTM", "units": 1}], [4_000_000, 1]),
        ([{"type": "RNN", "units": 1, "return_sequences": True}] * 1900, [1000, 1]),
        ([{"type": "Bidirectional", "layer": {"type": "GRU", "units": 1}}], [4_000_000, 1]),
    ],
)
def test_a_small_file_whose_one_sample_would_take_hours_is_refused(layers, shape):
    assert "operations, more than 300,000,000,000" in refused(model_file(layers, shape))


def test_ordinary_large_networks_are_within_the_bounds_of_a_sample():
    vgg = []
    for count, filters in ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)):
        vgg += [tn.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(count)]
        vgg.append(tn.MaxPool2D(2))
    dense = [tn.Flatten(), tn.Dense(4096), tn.Dense(4096), tn.Dense(1000)]
    for net in (
        tn.Sequential([*vgg, *dense], (224, 224, 3), seed=None),  # VGG19, the largest of them
        tn.Sequential([tn.LSTM(512, return_sequences=True), tn.LSTM(512)], (10_000, 80), seed=None),
        tn.Sequential([tn.RNN(16)], (500_000, 1), seed=None),
    ):
        check_sample(net, 0)


def test_a_config_of_many_small_lists_takes_no_more_than_promised():
    text = '{"format": "tinynet", "metadata": [' + "[]," * 400_000 + "[]]}"
    assert "lacks the entry" in refused(
        zipped(content(text.replace('"metadata"', '"version": 1, "metadata"')))
    )
    assert "too long" in refused(zipped(content(text.replace("[],", "[]," * 4))))


def test_an_array_of_no_values_may_have_no_absurd_shape():
    assert "shape" in refused(zipped(content(**{"dense_1.bias": header("<f4", (0, 1 << 50, 1 << 20))})))
