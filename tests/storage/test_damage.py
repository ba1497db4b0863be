"""What happens to every file that is no model: damaged, hostile, or of another kind."""

from __future__ import annotations

import json
import os
import zipfile

import numpy as np
import pytest
from model_file import entries, npy, peak_memory, put_array, put_config, read_config, refused, write_entries

import tinynet as tn
from tinynet.errors import ModelFileError

# ---- files that are no models ----


def test_no_such_file(tmp_path):
    refused(tmp_path / "missing.npz", "No such file or directory; check the name and the folder")


def test_a_folder(tmp_path):
    refused(tmp_path, "it is a folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    refused(tmp_path / "pipe.npz", "it is a pipe, not a file")


@pytest.mark.parametrize(
    "content, pattern",
    [
        (b"", "is empty"),
        (b"hello, world\n" * 100, "is not a model file"),
        (b"PK\x03\x04", "is not a model file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a model file"),
        (npy(np.zeros(3)), "is not a model file"),
        (b"PK\x05\x06" + bytes(18), "no entry `config`"),
    ],
)
def test_another_kind_of_file(tmp_path, content, pattern):
    path = tmp_path / "net.npz"
    path.write_bytes(content)
    refused(path, pattern)


def test_an_npz_of_something_else(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros(3))
    refused(tmp_path / "data.npz", "no entry `config`: it is not a tinynet model")


def test_a_file_cut_off_anywhere(file):
    whole = file.read_bytes()
    for length in (*range(0, len(whole) - 300, 61), *range(len(whole) - 300, len(whole))):
        file.write_bytes(whole[:length])
        refused(file, "is empty|is not a model file or was cut off")


def loads_or_is_refused(path):
    """True where the file loads; anything but a ModelFileError is a failure."""
    try:
        net = tn.load(path)
    except ModelFileError as error:
        assert str(path) in str(error)
        return False
    net.predict(np.zeros((1, *(size or 2 for size in net.input_shape)), np.float32))
    return True


def test_a_file_with_damaged_bytes(file):
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    for _ in range(600):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        file.write_bytes(damaged)
        loads_or_is_refused(file)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_an_array_with_a_damaged_header(file):
    content, rng = entries(file), np.random.default_rng(1)
    for turn in range(600):
        name = "config.npy" if turn % 3 == 0 else "dense_1.kernel.npy"
        data = bytearray(content[name])
        for place in rng.integers(0, 80, rng.integers(1, 4)):
            data[place] = rng.choice([*b"'(),{}[]<>0123456789fOUV#\"\\\n ", rng.integers(256)])
        write_entries(file, {**content, name: bytes(data)})
        loads_or_is_refused(file)


@pytest.mark.parametrize(
    "header", [b"(" * 5000, b"'''" + b"a" * 100, b"{'descr': [" * 500, b"\xff" * 64, b"1" * 9000]
)
def test_an_array_with_a_hostile_header(file, header):
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    put_array(file, "dense_1.kernel", data)
    refused(file, r"net\.npz")
    put_array(file, "config", data)
    refused(file, r"net\.npz")


# ---- configurations ----


def places(value, path=()):
    """The path of every value inside a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


ODD_VALUES = [
    None,
    True,
    False,
    0,
    -1,
    1,
    7,
    2**31,
    10**30,
    1.5,
    1e308,
    "",
    "x",
    "relu",
    [],
    [3],
    [[3]],
    {},
    {"x": 1},
]


@pytest.mark.parametrize("new", ODD_VALUES, ids=repr)
def test_any_other_value_anywhere_in_the_config(file, new):
    config, loaded = read_config(file), 0
    content = entries(file)
    for path in places(config):
        write_entries(file, {**content, "config.npy": npy(json.dumps(replaced(config, path, new)))})
        loaded += loads_or_is_refused(file)
    # What may change without harm: the name, a label, the input's kind, a rate, a padding…
    assert loaded <= 12


def test_unknown_and_missing_entries_of_the_config(file):
    config = read_config(file)
    for key in config:
        put_config(file, {name: value for name, value in config.items() if name != key})
        refused(file, f"`{key}`|'{key}'|format version|does not describe")
    put_config(file, {**config, "optimizer": 1})
    refused(file, "unknown entry 'optimizer'")


@pytest.mark.parametrize(
    "change, pattern",
    [
        (
            {"version": 3},
            r"format version 3, but tinynet \S+ reads version 1 and 2; install a newer tinynet to read it$",
        ),
        ({"version": "1"}, "format version '1'"),
        ({"format": "keras"}, "does not describe a tinynet model"),
        (
            {"format": "tinynet checkpoint"},
            "is a checkpoint, from which a training is resumed, not a model; give",
        ),
        ({"layers": [{"type": "LSTN"}]}, "the layer type 'LSTN' is unknown"),
        ({"layers": [{"type": ["Dense"]}]}, "the layer type .* is unknown"),
        ({"layers": [{"type": "Dense", "units": 4, "colour": "red"}]}, "Dense has no setting colour"),
        ({"layers": [{"type": "Dense"}]}, "Dense needs units"),
        ({"layers": [{"type": "Dense", "units": "4"}]}, "units must be a whole number"),
        ({"layers": ["Dense"]}, "the layer type None is unknown"),
        ({"layers": [{"type": "Bidirectional"}]}, "Bidirectional needs layer"),
        ({"layers": [{"type": "Bidirectional", "layer": "LSTM"}]}, "the layer type None is unknown"),
        (
            {"layers": [{"type": "Bidirectional", "layer": {"type": "LSTN"}}]},
            "the layer type 'LSTN' is unknown",
        ),
        (
            {"layers": [{"type": "Bidirectional", "layer": {"type": "LSTM", "units": 3, "colour": 1}}]},
            "LSTM has no setting colour",
        ),
        (
            {"layers": [{"type": "Bidirectional", "layer": {"type": "Flatten"}}]},
            "must be an RNN, LSTM or GRU",
        ),
        (
            {
                "layers": [
                    {
                        "type": "TimeDistributed",
                        "layer": {"type": "Embedding", "input_dim": 2, "output_dim": 2},
                    }
                ]
            },
            "must be a layer that takes numbers",
        ),
        (
            {"layers": [{"type": "Dense", "units": 4, "layer": {"type": "Flatten"}}]},
            "Dense has no setting layer",
        ),
        ({"layers": {}}, "`layers` must be a list"),
        ({"layers": [], "labels": None}, "holds an array"),
        ({"input_shape": [8, 8]}, r"conv2d_1 takes .* but is given \(8, 8\)"),
        ({"input_shape": [0, 8, 1]}, "input_shape must be a whole number"),
        ({"input_shape": [], "layers": []}, "4 classes are named"),
        ({"labels": ["one"]}, "1 classes are named, but the output has"),
        ({"metadata": []}, "`metadata`"),
        ({"metadata": {"input": "image"}}, "`input`"),
        ({"vocabulary": {"a": 1}}, "`vocabulary`"),
    ],
)
def test_a_config_that_does_not_fit_is_named(file, change, pattern):
    put_config(file, {**read_config(file), **change})
    refused(file, pattern)


@pytest.mark.parametrize(
    "text, pattern",
    [
        ("", "no tinynet model|not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "does not describe"),
        ('"tinynet"', "does not describe"),
        ("null", "does not describe"),
        ('{"format": "tinynet", "version": NaN}', "not JSON"),
        ('{"format": "tinynet", "version": 1' + "0" * 5000 + "}", "not JSON|format version"),
    ],
)
def test_a_config_that_is_no_json_object(file, text, pattern):
    put_config(file, text)
    refused(file, pattern)


def test_nan_in_the_metadata_is_no_json(file):
    put_config(file, json.dumps({**read_config(file), "metadata": {"loss": float("nan")}}))
    refused(file, "NaN is not a JSON number")


@pytest.mark.parametrize(
    "array", [np.array(["a", "b"]), np.array(5.0), np.array(b"{}"), np.array("{}", object)]
)
def test_a_config_that_is_not_one_string(file, array):
    put_array(file, "config", npy(array))
    refused(file, "the array 'config' is not one string")


# ---- arrays ----


class Harmless:
    """Pickled into a file, it tells whether loading runs code."""

    ran = False

    def __reduce__(self):
        return setattr, (Harmless, "ran", True)


def test_a_pickled_array_is_refused_and_runs_no_code(file):
    put_array(file, "dense_1.bias", npy(np.array([Harmless()] * 4, object)))
    refused(file, r"the array 'dense_1\.bias' is pickled")
    put_array(file, "config", npy(np.array(Harmless(), object)))
    refused(file, "the array 'config' is not one string")
    assert not Harmless.ran


@pytest.mark.parametrize(
    "array, pattern",
    [
        (np.zeros((27, 5), np.float32), r"has the shape \(27, 5\), but its layer needs \(27, 4\)"),
        (np.zeros((4, 27), np.float32), r"has the shape \(4, 27\)"),
        (np.zeros(108, np.float32), "has the shape"),
        (np.zeros((27, 4)), "is float64, not float32 or float16"),
        (np.zeros((27, 4), np.int32), "is int32"),
        (np.zeros((27, 4), np.complex64), "is complex64"),
        (np.zeros((27, 4), "U1"), "is <U1"),
        (np.zeros((27, 4), "V4"), r"is \|V4"),
        (np.zeros((27, 4), [("a", "f4")]), "is .*'a'"),
    ],
)
def test_an_array_that_does_not_fit_its_layer_is_named(file, array, pattern):
    put_array(file, "dense_1.kernel", npy(array))
    refused(file, rf"the array 'dense_1\.kernel' {pattern}")


def test_missing_extra_and_double_arrays(file):
    content = entries(file)
    write_entries(file, {name: data for name, data in content.items() if name != "dense_1.bias.npy"})
    refused(file, r"lacks the array 'dense_1\.bias'")
    for extra in ("dense_2.bias.npy", "README.txt", "config", "dense_1.bias", "folder/", "../evil.npy"):
        write_entries(file, {**content, extra: content["dense_1.bias.npy"]})
        refused(file, "that its layers do not have|is not an array with a plain name")
    write_entries(file, content)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("dense_1.bias.npy", content["dense_1.bias.npy"])
    refused(file, r"holds the array 'dense_1\.bias' twice")


@pytest.mark.parametrize("change", [-1, -16, 1, 1000])
def test_an_array_with_too_few_or_too_many_bytes(file, change):
    data = entries(file)["dense_1.bias.npy"]
    put_array(file, "dense_1.bias", data + bytes(change) if change > 0 else data[:change])
    refused(file, r"'dense_1\.bias' does not hold the 16 bytes")


def test_an_encrypted_or_oddly_compressed_entry(file):
    whole = file.read_bytes()
    for offset, value in ((8, 1), (10, 99)):
        damaged = bytearray(whole)
        damaged[damaged.index(b"PK\x01\x02") + offset] = value
        file.write_bytes(damaged)
        refused(file, "is not a model file")


# ---- files that claim to be huge ----


def huge_layers():
    yield [{"type": "Dense", "units": 2**31}, {"type": "Dense", "units": 2**31}], [2**31]
    yield [{"type": "Dense", "units": 1_500_000_000}], [1]
    yield [{"type": "BatchNorm"}], [1_500_000_000]
    yield [{"type": "Conv2D", "filters": 30_000, "kernel_size": [300, 300], "padding": "same"}], [1, 1, 1]
    yield [{"type": "Dense", "units": 20_000}] * 100, [20_000]
    yield [{"type": "Dense", "units": 10**30}], [8]
    yield [{"type": "Flatten"}, {"type": "Dense", "units": 1}], [2**30] * 9
    yield [{"type": "Embedding", "input_dim": 2**40, "output_dim": 2**20}], [1]
    yield [{"type": "Embedding", "input_dim": 1_500_000_000, "output_dim": 1}], [1]
    yield [{"type": "LSTM", "units": 30_000}], [1, 1]
    yield [{"type": "Bidirectional", "layer": {"type": "GRU", "units": 2**31}}], [1, 1]


@pytest.mark.parametrize("layers, shape", list(huge_layers()))
def test_layers_that_claim_gigabytes_cost_none(file, layers, shape):
    config = {**read_config(file), "layers": layers, "input_shape": shape, "labels": None}
    put_config(file, config)
    before = peak_memory()
    refused(file, r"net\.npz")
    names = [f"dense_{index + 1}.{part}" for index in range(len(layers)) for part in ("kernel", "bias")]
    arrays = {f"{name}.npy": npy(np.zeros(1, np.float32)) for name in names}
    write_entries(file, {"config.npy": npy(json.dumps(config)), **arrays})
    refused(file, r"net\.npz")
    assert peak_memory() - before < 100e6


def test_a_compressed_bomb_is_not_unpacked(file):
    side = 5000
    config = {
        **read_config(file),
        "layers": [{"type": "Dense", "units": side, "use_bias": False}],
        "labels": None,
    }
    content = {
        "config.npy": npy(json.dumps({**config, "input_shape": [side]})),
        "dense_1.kernel.npy": npy(np.zeros((side, side), np.float32)),
    }
    write_entries(file, content, zipfile.ZIP_DEFLATED)
    refused(file, "would unpack to 100,001,128 bytes, too many for a file of .* bytes")


def test_a_header_that_claims_more_than_its_layer_is_not_unpacked(file):
    put_array(
        file,
        "dense_1.kernel",
        npy(np.zeros(1, np.float32)).replace(b"(1,), }    ", b"(1" + b"0" * 4 + b",), }"),
    )
    refused(file, "has the shape")
    text = npy("x").replace(b"<U1'", b"<U900000000'")[:-8]
    put_array(file, "config", text)
    refused(file, r"net\.npz")


@pytest.mark.parametrize("depth", [10, 400, 20_000])
def test_layers_inside_layers_without_end_are_refused(file, depth):
    layer = '{"type": "Flatten"}'
    for _ in range(depth):
        layer = f'{{"type": "TimeDistributed", "layer": {layer}}}'
    config = json.dumps({**read_config(file), "layers": ["LAYER"]}).replace('"LAYER"', layer)
    write_entries(file, {**entries(file), "config.npy": npy(config)})
    refused(file, r"net\.npz")


def test_a_hundred_thousand_layers_or_entries_take_no_quadratic_time(file):
    config = {**read_config(file), "labels": None, "input_shape": [4]}
    put_config(file, {**config, "layers": [{"type": "Flatten"}] * 100_000})
    refused(file, "100,000 layers are more than 2,000")
    put_config(file, {**config, "layers": [{"type": "Flatten"}] * 2_000})
    refused(file, "that its layers do not have")
    write_entries(file, {**entries(file), **{f"{number}.npy": b"" for number in range(20_000)}})
    refused(file, "that its layers do not have")
