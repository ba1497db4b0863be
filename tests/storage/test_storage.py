"""The model file: what is written is read, and a writing that fails leaves what was there."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_file import SHAPE, entries, npy, put_array, read_config, refused, small_net

import tinynet as tn
from tinynet import files, storage
from tinynet.errors import ModelFileError, TinynetError
from tinynet.sequential import to_config

# ---- what is written is read ----


def test_a_model_comes_back_as_it_was(tmp_path):
    net = small_net(
        name="hühner 🐔",
        labels=["Zürich", "東京", "a\0b", "😀"],
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
    assert to_config(back) == to_config(net)


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
    yield [tn.DepthwiseConv2D((1, 2), (2, 1), "same", 2, 1, "relu", False, "he_normal")], (6, 6, 2)
    yield [tn.SeparableConv2D(3, 2, 1, "same", 2, 2, "elu", False, "he_normal", "he_uniform")], (6, 6, 2)
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
    yield (
        [
            tn.PositionEmbedding(4, "zeros"),
            tn.Cropping1D((1, 0)),
            tn.MultiHeadAttention(2, 3, True, 5, True, False, "he_normal"),
            tn.LayerNorm(0.1),
        ],
        (None, 4),
    )
    yield [tn.TimeDistributed(tn.Bidirectional(tn.LSTM(2))), tn.TimeDistributed(tn.BatchNorm(0.5))], (3, 4, 2)


@pytest.mark.parametrize("layers, shape", list(every_layer()))
def test_the_settings_of_every_layer_come_back(tmp_path, layers, shape):
    net = tn.Sequential(layers, shape)
    net.save(tmp_path / "net.npz")
    back = tn.load(tmp_path / "net.npz")
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in layers]
    assert [vars(layer).keys() for layer in back.layers] == [vars(layer).keys() for layer in layers]
    assert [layer.config() for layer in back.layers] == [layer.config() for layer in layers]
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
        ({"labels": ["a", "b", "c", "\ud800"]}, "half a surrogate pair is not a character"),
        ({"metadata": {"n": 10**400}}, "is too large"),
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


@pytest.mark.parametrize("name", ["no/such/folder.npz", "folder.npz", "x" * 300 + ".npz"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, name):
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(
        TinynetError, match=r"cannot write .*; (choose another place|create it first|give a file name in it)"
    ):
        small_net().save(tmp_path / name)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "full.npz").symlink_to("/dev/full")
    with pytest.raises(TinynetError, match=r"cannot write .*full.npz: "):
        small_net().save(tmp_path / "full.npz")
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
    with pytest.raises(TinynetError, match="not a file that may be written"):
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
    with pytest.raises(ModelFileError, match=r"no model 'dig'; give a shipped name \(net\) or a \.npz file"):
        tn.load("dig")


def test_a_name_without_the_ending_of_a_model_is_refused_at_saving_and_at_reading(
    tmp_path, monkeypatch, file
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TinynetError, match=r"^x\.h5: a model's file name must end in \.npz$"):
        tn.load(file).save("x.h5")
    assert not os.path.exists("x.h5")
    Path("poems.txt").write_text("To be")
    for name in ("poems.txt", str(tmp_path / "poems.txt")):
        with pytest.raises(
            ModelFileError, match=r"poems\.txt is not a model file: its name does not end in \.npz$"
        ):
            tn.load(name)
