"""The model file: what it holds, and what happens to every file that is none."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet import files, storage
from tinynet.errors import ModelFileError, TinynetError

SHAPE = (8, 8, 1)


def small_net(**more):
    settings = {"labels": ["cat", "dog", "hen", "owl"], "metadata": {"input": {"kind": "image"}}, **more}
    return tn.Sequential(
        [
            tn.Conv2D(3, 3, activation="relu"),
            tn.BatchNorm(),
            tn.MaxPool2D(2),
            tn.Reshape((27,)),
            tn.Dropout(0.5),
            tn.Dense(4, "softmax"),
        ],
        SHAPE,
        **settings,
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.npz"
    small_net().save(path)
    return path


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_entries(path, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def npy(array, **settings):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), **settings)
    return stream.getvalue()


def read_config(path):
    with np.load(path, allow_pickle=False) as arrays:
        return json.loads(str(arrays["config"]))


def put_config(path, config):
    text = config if isinstance(config, str) else json.dumps(config)
    write_entries(path, {**entries(path), "config.npy": npy(text)})


def put_array(path, key, data):
    write_entries(path, {**entries(path), f"{key}.npy": data})


def refused(path, pattern):
    with pytest.raises(ModelFileError, match=pattern) as caught:
        tn.load(path)
    assert str(path) in str(caught.value), "the message names the file"
    assert "\n" not in str(caught.value)


# ---- what is written is read ----


def test_a_model_comes_back_as_it_was(tmp_path):
    net = small_net(
        name="hühner 🐔",
        labels=["Zürich", "東京", "a\0b", "\udc80"],
        vocabulary='abc\n\t"\\é',
        metadata={
            "input": {"kind": "image"},
            "training": {"loss": [1.5, 1e-300], "note": None, "deep": {"x": [[]]}},
        },
    )
    x = np.random.default_rng(0).random((5, *SHAPE), np.float32)
    for layer in net.layers:
        for value in layer.statistics.values():
            value += 0.5
    net.save(tmp_path / "net.npz")
    back = tn.load(tmp_path / "net.npz")
    for name in ("name", "labels", "vocabulary", "metadata", "input_shape", "output_shape"):
        assert getattr(back, name) == getattr(net, name), name
    assert list(back.state()) == list(net.state())
    assert all(np.array_equal(a, b) for a, b in zip(back.get_weights(), net.get_weights(), strict=True))
    assert np.array_equal(back.predict(x), net.predict(x))
    assert storage.config(back) == storage.config(net)


@pytest.mark.parametrize("vocabulary", [None, "", "abc", [], ["the", "a"]])
def test_a_vocabulary_is_none_a_string_or_a_list(tmp_path, vocabulary):
    net = small_net()
    net.vocabulary = vocabulary
    net.save(tmp_path / "net.npz")
    assert tn.load(tmp_path / "net.npz").vocabulary == vocabulary


def every_layer():
    """One network for each way in which settings may be written."""
    yield (
        [tn.Conv1D(3, 2, 2, "same", 1, "gelu", False, "orthogonal"), tn.MaxPool1D(2, 1), tn.AvgPool1D(2)],
        (9, 2),
    )
    yield [tn.Conv2D(3, (1, 2), (2, 1), activation="leaky_relu"), tn.AvgPool2D((1, 2), 1, "same")], (6, 6, 2)
    yield [tn.Activation("tanh"), tn.GlobalAveragePool2D()], (3, 3, 2)
    yield [tn.MaxPool2D(), tn.GlobalMaxPool2D(), tn.Dense(3, use_bias=False)], (4, 4, 2)
    yield [tn.Reshape((-1, 2)), tn.BatchNorm(0.5, 0.1), tn.Dropout(0.2), tn.Flatten()], (3, 4)
    yield [tn.Dense(3, "sigmoid", kernel_initializer="he_normal")], (None, 4)
    yield (
        [tn.RNN(3, "relu", return_sequences=True), tn.LSTM(2, unit_forget_bias=False, go_backwards=True)],
        (None, 4),
    )
    yield (
        [tn.GRU(3, False, "he_uniform", dropout=0.1, reset_after=False), tn.RepeatVector(2), tn.GRU(3)],
        (5, 4),
    )
    yield [tn.Masking(-1), tn.Bidirectional(tn.GRU(3, return_sequences=True), "mul"), tn.LSTM(2)], (5, 4)
    yield [tn.Embedding(9, 3, True, "zeros"), tn.TimeDistributed(tn.Dense(2, "softmax"))], (None,)
    yield [tn.TimeDistributed(tn.Bidirectional(tn.LSTM(2))), tn.TimeDistributed(tn.BatchNorm(0.5))], (3, 4, 2)


@pytest.mark.parametrize("layers, shape", list(every_layer()))
def test_the_settings_of_every_layer_come_back(tmp_path, layers, shape):
    net = tn.Sequential(layers, shape)
    net.save(tmp_path / "net.npz")
    back = tn.load(tmp_path / "net.npz")
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in layers]
    assert [vars(layer).keys() for layer in back.layers] == [vars(layer).keys() for layer in layers]
    assert [layer.settings() for layer in back.layers] == [layer.settings() for layer in layers]
    x = 9 * np.random.default_rng(0).random((2, *(size or 5 for size in shape)), np.float32)
    x = x.astype(int) if layers[0].takes_ids else x
    assert np.array_equal(back.predict(x), net.predict(x))


def test_layers_inside_layers_are_written_as_layers(tmp_path):
    net = tn.Sequential([tn.Bidirectional(tn.LSTM(3, return_sequences=True), "sum")], (None, 2))
    net.save(tmp_path / "net.npz")
    assert read_config(tmp_path / "net.npz")["layers"] == [
        {
            "type": "Bidirectional",
            "layer": {"type": "LSTM", "units": 3, "return_sequences": True},
            "merge_mode": "sum",
        }
    ]
    names = {name.removesuffix(".npy") for name in entries(tmp_path / "net.npz")} - {"config"}
    ways = [f"bidirectional_1.{way}" for way in ("forward", "backward")]
    assert names == {f"{way}_{name}" for way in ways for name in ("kernel", "recurrent_kernel", "bias")}


def test_the_file_is_read_by_numpy_alone(file):
    with np.load(file, allow_pickle=False) as arrays:
        assert arrays["config"].shape == () and arrays["config"].dtype.kind == "U"
        config = json.loads(str(arrays["config"]))
        shapes = {name: arrays[name].shape for name in arrays.files if name != "config"}
        assert {arrays[name].dtype for name in shapes} == {np.dtype("<f4")}
    assert config["format"] == "tinynet" and config["version"] == 1
    assert config["layers"][0] == {
        "type": "Conv2D",
        "filters": 3,
        "kernel_size": [3, 3],
        "activation": "relu",
    }
    assert shapes == {key: value.shape for key, value in small_net().state().items()}
    assert {"conv2d_1.kernel", "batch_norm_1.moving_mean", "dense_1.bias"} <= shapes.keys()


def test_float16_halves_the_file_and_comes_back_as_float32(tmp_path):
    net = tn.Sequential([tn.Dense(300)], (300,))
    net.save(tmp_path / "32.npz")
    net.save(tmp_path / "16.npz", dtype="float16")
    assert os.path.getsize(tmp_path / "16.npz") < 0.52 * os.path.getsize(tmp_path / "32.npz")
    (kernel, _), (original, _) = tn.load(tmp_path / "16.npz").get_weights(), net.get_weights()
    assert kernel.dtype == np.float32
    assert np.array_equal(kernel, original.astype(np.float16).astype(np.float32))


def test_values_beyond_float16_are_refused_before_anything_is_written(tmp_path):
    net = small_net()
    net.layers[0].parameters["bias"][1] = 1e5
    with pytest.raises(TinynetError, match=r"conv2d_1\.bias has values beyond float16"):
        net.save(tmp_path / "net.npz", dtype="float16")
    assert not os.listdir(tmp_path)


def test_another_type_is_refused(tmp_path):
    with pytest.raises(TinynetError, match="float32 or float16, not as 'int8'"):
        small_net().save(tmp_path / "net.npz", dtype="int8")


def test_the_same_model_gives_the_same_bytes(tmp_path, file):
    small_net().save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == file.read_bytes()


def test_a_file_that_numpy_compressed_is_read_too(tmp_path, file):
    with np.load(file) as arrays:
        np.savez_compressed(tmp_path / "small.npz", **arrays)
    assert np.array_equal(tn.load(tmp_path / "small.npz").get_weights()[0], small_net().get_weights()[0])


@pytest.mark.parametrize(
    "order, dtype", [("C", ">f4"), ("F", "<f4"), ("F", ">f4"), ("F", ">f2"), ("C", "<f2")]
)
def test_arrays_of_another_byte_or_memory_order_mean_the_same(file, order, dtype):
    kernel = small_net().get_weights()[0]
    put_array(file, "conv2d_1.kernel", npy(np.array(kernel.astype(dtype), order=order)))
    back = tn.load(file).layers[0].parameters["kernel"]
    assert np.array_equal(back, kernel.astype(np.float16) if "2" in dtype else kernel)
    assert back.dtype == np.float32 and back.dtype.isnative and back.flags.c_contiguous


# ---- what would not be read is not written ----


@pytest.mark.parametrize(
    "change, pattern",
    [
        ({"metadata": {"loss": float("nan")}}, "JSON"),
        ({"metadata": {"loss": float("inf")}}, "JSON"),
        ({"metadata": {"loss": np.float32(1)}}, "JSON"),
        ({"metadata": {"input": "image"}}, "`input` must be"),
        ({"metadata": None}, "`metadata`"),
        ({"vocabulary": 5}, "`vocabulary` must be"),
        ({"vocabulary": ["a", 5]}, "`vocabulary` must be"),
        ({"labels": ["one", "two"]}, r"2 classes are named, but the output has the shape \(4,\)"),
        ({"labels": [1, 2, 3, 4]}, "`labels` must be"),
        ({"name": None}, "`name` must be"),
        ({"metadata": {"long": "x" * (5 << 20)}}, "too long"),
    ],
)
def test_what_could_not_be_read_again_is_refused_at_saving(tmp_path, change, pattern):
    net = small_net()
    for name, value in change.items():
        setattr(net, name, value)
    with pytest.raises(TinynetError, match=pattern):
        net.save(tmp_path / "net.npz")
    assert not os.listdir(tmp_path)


def test_labels_of_numbers_become_names(tmp_path):
    net = small_net(labels=range(4))
    net.save(tmp_path / "net.npz")
    assert tn.load(tmp_path / "net.npz").labels == ["0", "1", "2", "3"]


# ---- writing that fails ----


def test_a_disk_that_fills_up_at_the_end_leaves_the_old_file(file, monkeypatch):
    old = file.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        TinynetError, match=r"cannot write .*net\.npz: No space left on device; choose another place"
    ):
        small_net(seed=1).save(file)
    assert file.read_bytes() == old and os.listdir(file.parent) == [file.name]


FILLS_UP = """
import resource, signal, sys
import tinynet as tn
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
net = tn.Sequential([tn.Dense(100), tn.Dense(100)], (100,), seed=1)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    net.save(sys.argv[1])
except tn.TinynetError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize("room", [0, 10_000, 81_000])
def test_a_file_that_cannot_grow_leaves_the_old_file(file, room):
    old = file.read_bytes()
    result = subprocess.run(
        [sys.executable, "-c", FILLS_UP, str(file), str(room)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout.startswith(f"cannot write {file}: File too large"), result
    assert result.stderr == ""
    assert file.read_bytes() == old and os.listdir(file.parent) == [file.name]


def test_an_interrupted_writing_leaves_the_old_file(file):
    old = file.read_bytes()
    with pytest.raises(KeyboardInterrupt), files.atomic_write(file) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert file.read_bytes() == old and os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("name", ["no/such/folder.npz", "", "x" * 300 + ".npz"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, name):
    with pytest.raises(TinynetError, match=r"cannot write .*choose another place"):
        small_net().save(tmp_path / name)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(TinynetError, match="cannot write /dev/full: "):
        small_net().save("/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.fixture
def permissions(tmp_path_factory):
    """Skips where modes bind nobody: on Windows, and for a superuser with all capabilities."""
    probe = tmp_path_factory.mktemp("probe") / "file"
    probe.touch(mode=0)
    if os.access(probe, os.R_OK):
        pytest.skip("this user may read and write everything")


@pytest.mark.usefixtures("permissions")
def test_a_folder_without_write_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(TinynetError, match="Permission denied; choose another place"):
        small_net().save(tmp_path / "net.npz")


@pytest.mark.usefixtures("permissions")
def test_a_file_without_write_permission_is_kept(file):
    file.chmod(0o400)
    with pytest.raises(TinynetError, match="no file that may be written"):
        small_net().save(file)


@pytest.mark.usefixtures("permissions")
def test_a_file_without_read_permission(file):
    file.chmod(0)
    refused(file, "Permission denied")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize("mask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_file_s_mode_follows_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        small_net().save(tmp_path / "net.npz")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "net.npz").stat().st_mode) == mode


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
@pytest.mark.parametrize("there", [True, False])
def test_saving_through_a_link_keeps_the_link(tmp_path, there):
    (tmp_path / "store").mkdir()
    target, link = tmp_path / "store" / "real.npz", tmp_path / "latest.npz"
    if there:
        small_net(seed=1).save(target)
    link.symlink_to(target)
    small_net().save(link)
    assert link.is_symlink() and os.listdir(target.parent) == ["real.npz"]
    assert np.array_equal(tn.load(target).get_weights()[0], small_net().get_weights()[0])


# ---- names ----


def test_a_name_without_ending_and_slash_is_a_shipped_model(monkeypatch, file):
    monkeypatch.setattr(storage, "shipped_models", lambda: {"net": file})
    assert storage.find("net") == file
    assert storage.find("net.npz") == Path("net.npz") and storage.find("./net") == Path("net")
    with pytest.raises(ModelFileError, match=r"no shipped model 'dig' \(shipped: net\)"):
        tn.load("dig")


# ---- files that are no models ----


def test_no_such_file(tmp_path):
    refused(tmp_path / "missing.npz", "No such file")


def test_a_folder(tmp_path):
    refused(tmp_path, "it is no file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    refused(tmp_path / "pipe.npz", "it is no file")


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
    refused(tmp_path / "data.npz", "no entry `config`: it is no tinynet model")


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
            {"version": 2},
            "format version 2, this tinynet reads version 1; upgrade with: pip install --upgrade tinynet",
        ),
        ({"version": "1"}, "format version '1'"),
        ({"format": "keras"}, "does not describe a tinynet model"),
        ({"layers": [{"type": "LSTN"}]}, "the layer type 'LSTN' is unknown"),
        ({"layers": [{"type": ["Dense"]}]}, "the layer type .* is unknown"),
        ({"layers": [{"type": "Dense", "units": 4, "colour": "red"}]}, "Dense has a setting .*'colour'"),
        ({"layers": [{"type": "Dense"}]}, "Dense has a setting .*'units'"),
        ({"layers": [{"type": "Dense", "units": "4"}]}, "units must be a whole number"),
        ({"layers": ["Dense"]}, "the layer type None is unknown"),
        ({"layers": [{"type": "Bidirectional"}]}, "the layer type None is unknown"),
        ({"layers": [{"type": "Bidirectional", "layer": "LSTM"}]}, "the layer type None is unknown"),
        (
            {"layers": [{"type": "Bidirectional", "layer": {"type": "LSTN"}}]},
            "the layer type 'LSTN' is unknown",
        ),
        (
            {"layers": [{"type": "Bidirectional", "layer": {"type": "LSTM", "units": 3, "colour": 1}}]},
            "LSTM has a setting .*'colour'",
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
            "Dense has a setting .*'layer'",
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
    refused(file, "NaN is no JSON number")


@pytest.mark.parametrize(
    "array", [np.array(["a", "b"]), np.array(5.0), np.array(b"{}"), np.array("{}", object)]
)
def test_a_config_that_is_not_one_string(file, array):
    put_array(file, "config", npy(array))
    refused(file, "`config` is not one string")


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
    refused(file, "`config` is not one string")
    assert not Harmless.ran


@pytest.mark.parametrize(
    "array, pattern",
    [
        (np.zeros((27, 5), np.float32), r"has the shape \(27, 5\), its layer needs \(27, 4\)"),
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
        refused(file, "that its layers do not have")
    write_entries(file, content)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("dense_1.bias.npy", content["dense_1.bias.npy"])
    refused(file, r"holds the array 'dense_1\.bias' 2 times")


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


def peak_memory():
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


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
    refused(file, "its layers need 100,000,000 bytes, which a file of .* bytes cannot hold")


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
    put_config(file, {**config, "layers": [{"type": "Flatten"}] * 30_000})
    refused(file, "that its layers do not have")
    write_entries(file, {**entries(file), **{f"{number}.npy": b"" for number in range(20_000)}})
    refused(file, "that its layers do not have")
