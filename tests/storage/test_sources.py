"""Models kept in memory, in streams, under names of bytes, and inside a zip archive."""

from __future__ import annotations

import io
import os
import pathlib
import subprocess
import sys
import zipapp
import zipfile

import numpy as np
import pytest
from model_file import small_net

import tinynet as tn
from tinynet import storage, weights
from tinynet.errors import ModelFileError, TinynetError

ROOT = pathlib.Path(tn.__file__).resolve().parent.parent


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


class Stream(io.RawIOBase):
    """A file that goes from one end to the other, in pieces."""

    def __init__(self, data=b""):
        self.rest, self.written = data, b""

    def readable(self):
        return True

    def writable(self):
        return True

    def readinto(self, buffer):
        piece = self.rest[: min(len(buffer), 1000)]
        buffer[: len(piece)] = piece
        self.rest = self.rest[len(piece) :]
        return len(piece)

    def write(self, data):
        piece = bytes(data[:1000])
        self.written += piece
        return len(piece)


def test_a_model_goes_through_memory(file):
    net, memory = small_net(), io.BytesIO()
    net.save(memory)
    assert memory.getvalue() == file.read_bytes()
    assert same(tn.load(memory), net), "wherever the file stands"


def test_a_model_goes_through_a_stream_without_places(file):
    stream = Stream()
    small_net().save(stream)
    assert stream.written == file.read_bytes()
    assert same(tn.load(Stream(stream.written)), small_net())


def test_names_may_be_bytes_and_paths(tmp_path):
    name = os.fsencode(tmp_path / "net.npz")
    small_net().save(name)
    assert same(tn.load(name), small_net()) and same(tn.load(tmp_path / "net.npz"), small_net())
    assert tn.load(b"digits").labels == list("0123456789")


def test_an_open_file_gives_its_name_to_errors(tmp_path):
    path = tmp_path / "net.npz"
    path.write_bytes(b"no model")
    with open(path, "rb") as file, pytest.raises(ModelFileError, match=r"net\.npz is not a model file"):
        tn.load(file)
    with pytest.raises(ModelFileError, match=r"^the model is not a model file"):
        tn.load(io.BytesIO(b"no model"))


@pytest.mark.parametrize("source", [None, 5, 1.5, [], object(), "a\0b.npz"])
def test_what_cannot_be_a_model_is_a_sentence(source):
    with pytest.raises(ModelFileError, match="file name"):
        tn.load(source)
    with pytest.raises(TinynetError, match="file name"):
        small_net().save(source)


def test_a_closed_or_text_file_is_a_sentence(tmp_path, file):
    with open(file, "rb") as closed:
        pass
    with pytest.raises(ModelFileError, match=r"cannot read the model .*closed"):
        tn.load(closed)
    with pytest.raises(ModelFileError, match="open it with mode 'rb'"):
        tn.load(io.StringIO("text"))
    with pytest.raises(TinynetError, match="cannot write the model"):
        small_net().save(io.StringIO())
    with open(file, "rb") as reading, pytest.raises(TinynetError, match="cannot write the model"):
        small_net().save(reading)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_other_programs_zip_is_read(tmp_path, file, method):
    for name, seekable, zip64 in (
        ("a", True, False),
        ("b", True, True),
        ("c", False, False),
        ("d", False, True),
    ):
        memory = io.BytesIO() if seekable else Stream()
        memory = memory if seekable else io.BufferedWriter(memory, 100)
        with zipfile.ZipFile(file) as old, zipfile.ZipFile(memory, "w", method) as new:
            for entry in old.namelist():
                with new.open(
                    zipfile.ZipInfo(entry) if method == 0 else entry, "w", force_zip64=zip64
                ) as target:
                    target.write(old.read(entry))
        memory.flush()
        data = memory.getvalue() if seekable else memory.raw.written
        assert same(tn.load(io.BytesIO(data)), small_net()), name


def test_the_list_of_shipped_models_is_what_lies_there():
    files = {path.stem for path in pathlib.Path(weights.__path__[0]).glob("*.npz")}
    assert files == set(storage.shipped_models())
    assert list(storage.shipped_models()) == sorted(files)


def test_a_zipapp_finds_the_shipped_models(tmp_path):
    app = tmp_path / "app"
    for folder, target in (("tinynet", app / "tinynet"), ("weights", app / "tinynet" / "weights")):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix == ".py" or path.name in ("digits.npz",):
                place = target / path.relative_to(ROOT / folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
    (app / "__main__.py").write_text("import tinynet as tn; print(tn.__file__, tn.load('digits').labels[3])")
    zipapp.create_archive(app, tmp_path / "app.pyz")
    done = subprocess.run(
        [sys.executable, tmp_path / "app.pyz"], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "app.pyz" in done.stdout and done.stdout.endswith(" 3\n")
