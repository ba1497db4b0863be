from __future__ import annotations

import gzip
import hashlib
import os
import re
import struct
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from tinynet.data import datasets, download
from tinynet.data.datasets import SHAKESPEARE, like_mnist, load
from tinynet.data.pictures.mnist import PARTS, Dataset, read_idx
from tinynet.errors import DataError


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


def fake_arrays():
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (30, 28, 28), np.uint8),
        "y_train": rng.integers(0, 3, 30).astype(np.uint8),
        "x_test": rng.integers(0, 256, (10, 28, 28), np.uint8),
        "y_test": rng.integers(0, 3, 10).astype(np.uint8),
    }


ARRAYS = fake_arrays()
FILES = {f"{file}.gz": gzip.compress(idx(ARRAYS[key])) for key, file in PARTS.items()}
FIRST = "train-images-idx3-ubyte.gz"


class Mirror(BaseHTTPRequestHandler):
    """Serves FILES; the first folder of the path says how it misbehaves."""

    def do_GET(self):
        _, habit, name = self.path.split("/")
        self.server.requests.append((habit, name, self.headers.get("Range")))
        getattr(self, habit)(FILES[name])

    def good(self, content):
        self.send(200, content)

    def busy(self, content):
        self.send(503, b"<html>try later</html>")

    def missing(self, content):
        self.send(404, b"<html>gone</html>")

    def page(self, content):
        self.send(200, b"<!doctype html><html>log in</html>")

    def wrong(self, content):
        self.send(200, gzip.compress(b"something else"))

    def damaged(self, content):
        self.send(200, content[:50] + bytes(50) + content[100:])

    def busy_once(self, content):
        self.busy(content) if len(self.server.requests) == 1 else self.good(content)

    def cut_once(self, content):
        start = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
        if start:
            self.send(206, content[int(start[1]) :])
        else:
            self.send(200, content, sent=len(content) // 2)

    def cut_and_restarts(self, content):
        self.send(200, content, sent=len(content) if self.headers.get("Range") else len(content) // 2)

    def cut(self, content):
        self.send(200, content, sent=0)

    def hangs_up(self, content):
        self.close_connection = True

    def slow(self, content):
        self.send(200, content, sent=10)
        self.wfile.flush()
        self.server.release.wait(5)

    def send(self, status, content, sent=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:sent])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("TINYNET_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    server.requests, server.release = [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def source(*mirrors):
    sha256 = {key: hashlib.sha256(idx(ARRAYS[key])).hexdigest() for key in PARTS}
    return like_mnist("shapes", "shapes_idx", mirrors, sha256, ("a", "b", "c"))


def check(data: Dataset):
    assert data.name == "shapes" and data.labels == ["a", "b", "c"]
    assert data.x_train.shape == (30, 28, 28, 1) and data.x_train.dtype == np.uint8
    assert data.y_test.shape == (10,) and data.y_test.dtype == np.int64
    for key in PARTS:
        np.testing.assert_array_equal(getattr(data, key).squeeze(), ARRAYS[key])


def refusal(cache, *mirrors):
    with pytest.raises(DataError) as caught:
        load(source(*mirrors), cache=cache, pause=0)
    message = str(caught.value)
    assert all(mirror in message for mirror in mirrors)
    assert (
        f"in {cache / 'shapes_idx'} by hand" in message and "TINYNET_DATA" in message and "\n" not in message
    )
    return message


def test_downloads_once_and_then_reads_the_cache(server, tmp_path):
    check(load(source(server.url + "good/"), cache=tmp_path))
    assert len(server.requests) == 4
    check(load(source(server.url + "good/"), cache=tmp_path))
    assert len(server.requests) == 4
    assert sorted(os.listdir(tmp_path / "shapes_idx")) == sorted(FILES)


def test_files_placed_by_hand_need_no_network(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYNET_DATA", raising=False)
    (tmp_path / "shapes_idx").mkdir()
    for name, content in FILES.items():
        (tmp_path / "shapes_idx" / name).write_bytes(content)
    check(load(source("http://127.0.0.1:9/"), cache=tmp_path))


@pytest.mark.parametrize("content", [b"", b"<html>", FILES[FIRST][:-100], gzip.compress(b"old", mtime=0)])
def test_a_damaged_cached_file_is_downloaded_again(server, tmp_path, content):
    load(source(server.url + "good/"), cache=tmp_path)
    (tmp_path / "shapes_idx" / FIRST).write_bytes(content)
    check(load(source(server.url + "good/"), cache=tmp_path))
    assert len(server.requests) == 5


def test_a_cut_off_transfer_is_resumed(server, tmp_path):
    check(load(source(server.url + "cut_once/"), cache=tmp_path, pause=0))
    assert ("cut_once", FIRST, f"bytes={len(FILES[FIRST]) // 2}-") in server.requests
    assert len(server.requests) == 8


def test_a_server_that_cannot_resume_sends_it_all_again(server, tmp_path):
    check(load(source(server.url + "cut_and_restarts/"), cache=tmp_path, pause=0))


def test_a_busy_server_is_asked_again(server, tmp_path):
    check(load(source(server.url + "busy_once/"), cache=tmp_path, pause=0))


@pytest.mark.parametrize("habit", ["busy", "missing", "page", "wrong", "damaged", "cut", "hangs_up"])
def test_a_bad_mirror_is_passed_over(server, tmp_path, habit):
    check(load(source(server.url + habit + "/", server.url + "good/"), cache=tmp_path, pause=0))


@pytest.mark.parametrize(
    ("habit", "reason", "attempts"),
    [
        ("busy", "answered 503", 4),
        ("missing", "answered 404", 1),
        ("page", "is a web page", 1),
        ("wrong", "wrong checksum", 1),
        ("damaged", "damaged gzip file|wrong checksum", 1),
        ("cut", f"broke off after 0 of {len(FILES[FIRST])} bytes", 4),
        ("hangs_up", "broke off", 4),
    ],
)
def test_says_why_each_mirror_failed_and_leaves_nothing_behind(server, tmp_path, habit, reason, attempts):
    message = refusal(tmp_path, server.url + "page/", server.url + habit + "/")
    assert re.search(re.escape(server.url + habit + "/" + FIRST) + f"[^;]*({reason})", message)
    assert len(server.requests) == 1 + attempts
    assert os.listdir(tmp_path / "shapes_idx") == []


def test_a_server_that_stops_sending_counts_as_cut_off(server, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    with pytest.raises(DataError, match=r"broke off.*timed out.*2 attempts.*do this"):
        download.fetch([server.url + "slow/" + FIRST], "", "do this", pause=0, timeout=0.05)


def test_says_that_there_is_no_network(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYNET_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    # Port 9 discards, where anything listens there at all.
    assert "cannot be reached" in refusal(tmp_path, "http://127.0.0.1:9/")


def test_a_cache_that_cannot_be_written_is_found_before_the_download(server, tmp_path):
    (tmp_path / "shapes_idx").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be stored in .*shapes_idx \(.*XDG_DATA_HOME.*by hand"):
        load(source(server.url + "good/"), cache=tmp_path)
    assert server.requests == []


def test_a_full_disk_leaves_nothing_behind(server, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"train-images.*from http.*No space left on device.*make room"):
        load(source(server.url + "good/"), cache=tmp_path)
    assert os.listdir(tmp_path / "shapes_idx") == []


def test_progress_is_drawn_on_a_terminal_only(server, tmp_path, monkeypatch, capsys):
    load(source(server.url + "good/"), cache=tmp_path / "quiet")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    load(source(server.url + "good/"), cache=tmp_path / "drawn")
    out, err = capsys.readouterr()
    assert out == "" and f"downloading {FIRST}" in err and "100%" in err


def write_npz(folder, monkeypatch, **changes):
    monkeypatch.setenv("TINYNET_DATA", str(folder))
    arrays = {key: value for key, value in (ARRAYS | changes).items() if value is not None}
    np.savez(folder / "shapes_idx.npz", **arrays)


def test_tinynet_data_comes_first(tmp_path, monkeypatch):
    write_npz(tmp_path, monkeypatch)
    check(load(source("http://127.0.0.1:9/")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "lacks one of the arrays x_train, y_train, x_test, y_test"),
        ({"x_train": ARRAYS["x_train"].astype(np.float32)}, r"x_train is float32 \(30, 28, 28\)"),
        ({"x_test": ARRAYS["x_test"][:9]}, r"x_test is uint8 \(9, 28, 28\) and y_test uint8 \(10,\)"),
        ({"x_test": ARRAYS["x_test"][:0], "y_test": ARRAYS["y_test"][:0]}, "x_test is"),
        ({"y_train": ARRAYS["y_train"] + 3}, "y_train has labels outside 0…2"),
        ({"y_train": np.array([{}] * 30)}, "is pickled"),
    ],
)
def test_says_what_is_wrong_with_the_npz(tmp_path, monkeypatch, changes, message):
    write_npz(tmp_path, monkeypatch, **changes)
    with pytest.raises(DataError, match=message):
        load(source())


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut", b"\x93NUMPY"])
def test_says_that_the_file_is_no_npz(tmp_path, monkeypatch, content):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    (tmp_path / "shapes_idx.npz").write_bytes(content)
    with pytest.raises(
        DataError, match=r"shapes_idx.npz is (empty|not a data set or was cut off).*unset TINYNET_DATA"
    ):
        load(source())


def test_says_that_the_npz_is_truncated(tmp_path, monkeypatch):
    write_npz(tmp_path, monkeypatch)
    path = tmp_path / "shapes_idx.npz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="is not a data set or was cut off"):
        load(source())


def test_says_that_an_array_in_the_npz_is_damaged(tmp_path, monkeypatch):
    write_npz(tmp_path, monkeypatch)
    path = tmp_path / "shapes_idx.npz"
    content = bytearray(path.read_bytes())
    content[5000] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match="its checksum is wrong"):
        load(source())


@pytest.mark.parametrize("folder", [".", "missing"])
def test_says_that_tinynet_data_lacks_the_file(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path / folder))
    with pytest.raises(DataError, match=r"no file .*shapes_idx.npz; .*unset TINYNET_DATA"):
        load(source())


@pytest.mark.parametrize(("name", "file"), [("mnist", "mnist.npz"), ("fashion-mnist", "fashion_mnist.npz")])
def test_the_names_of_others_are_known(tmp_path, monkeypatch, name, file):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"no file .*/{file}"):
        load(name)


def test_refuses_an_unknown_name():
    with pytest.raises(DataError, match="no data set 'letters'; choose one of digits, fashion"):
        load("letters")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08\x03",
        b"\0\0\x0d\x01" + bytes(8),
        idx(ARRAYS["y_test"])[:-1],
        idx(ARRAYS["y_test"]) + b"x",
    ],
)
def test_refuses_a_broken_idx_file(content):
    with pytest.raises(DataError, match="IDX file"):
        read_idx(content)


def test_sources_are_complete():
    for name, item in datasets.SOURCES.items():
        assert name == item.name
        if isinstance(item, datasets.Made):
            assert set(item.of) < set(datasets.SOURCES)
            continue
        assert item.file and len(item.downloads) == {
            "shakespeare": 1,
            "sentence-polarity": 0,
            "spoken-digits": 0,
            "temperature": 0,
        }.get(name, 4)
        for each in item.downloads:
            assert len(each.sha256) == 64 and each.urls
            assert all(url.startswith("http") for url in each.urls)


@pytest.mark.skipif("TINYNET_DATA" not in os.environ, reason="TINYNET_DATA is not set: no MNIST here")
@pytest.mark.parametrize("name", ["digits", "fashion"])
def test_the_published_checksums_are_of_the_official_files(name):
    data, item = load(name), datasets.SOURCES[name]
    assert len(data.labels) == 10
    for key, each in zip(PARTS, item.downloads, strict=True):
        array = getattr(data, key)
        array = array[..., 0] if key[0] == "x" else array.astype(np.uint8)
        assert hashlib.sha256(idx(array)).hexdigest() == each.sha256


def test_shakespeare_comes_from_the_folder_that_is_set(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"TINYNET_DATA is set, but there is no file .*tinyshakespeare.txt"):
        load("shakespeare")
    (tmp_path / SHAKESPEARE.file).write_text("To be")
    assert load("shakespeare") == "To be"


def test_shakespeare_is_downloaded_once_and_checked(tmp_path, monkeypatch):
    monkeypatch.delenv("TINYNET_DATA", raising=False)
    source, content, asked = SHAKESPEARE, b"or not to be", []

    def serve(url, pause, timeout):
        asked.append(url)
        return content

    monkeypatch.setattr("tinynet.data.download._from_mirror", serve)
    with pytest.raises(
        DataError, match=r"wrong checksum.*place tinyshakespeare.txt in .* by hand, or set TINYNET_DATA"
    ):
        load(source, cache=tmp_path)
    assert not (tmp_path / SHAKESPEARE.file).exists()
    known = replace(SHAKESPEARE.downloads[0], sha256=hashlib.sha256(content).hexdigest())
    source = replace(SHAKESPEARE, downloads=(known,))
    assert load(source, cache=tmp_path) == load(source, cache=tmp_path) == content.decode()
    assert len(asked) == 2
    (tmp_path / SHAKESPEARE.file).write_text("damaged")
    assert load(source, cache=tmp_path) == content.decode() and len(asked) == 3
