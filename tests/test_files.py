"""Where a user's files go, and what reading and writing one does to it."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tinynet.errors import TinynetError
from tinynet.files import (
    atomic_write,
    check_writable,
    data_folder,
    path_text,
    read_file,
    read_source,
    replacing,
    user_folder,
)

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes, pipes and devices")


@pytest.mark.parametrize("kind", ["data", "cache"])
def test_the_user_folder_follows_the_platform(monkeypatch, tmp_path, kind):
    variable = f"XDG_{kind.upper()}_HOME"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv(variable, str(tmp_path))
    assert user_folder(kind) == tmp_path / "tinynet"
    monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder(kind) == tmp_path / {"data": ".local/share", "cache": ".cache"}[kind] / "tinynet"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert (
        user_folder(kind)
        == tmp_path / "Library" / {"data": "Application Support", "cache": "Caches"}[kind] / "tinynet"
    )
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert user_folder(kind) == tmp_path / "tinynet" / kind


def homeless(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_a_user_without_a_home_gets_no_folder_named_tilde(monkeypatch, tmp_path):
    homeless(monkeypatch)
    assert user_folder("cache") is None and user_folder("data") is None
    assert data_folder().is_absolute() and "~" not in str(data_folder())
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "tinynet"


@pytest.mark.parametrize("relative", ["", "cache", "./x", "~/x"])
def test_a_relative_folder_of_the_environment_is_ignored(monkeypatch, relative):
    homeless(monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    assert user_folder("cache") is None


# ---- reading ----


def test_a_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "file").write_bytes(bytes(1000))
    assert read_file(tmp_path / "file", 1000) == bytes(1000)
    assert read_file(os.fsencode(tmp_path / "file"), 1000) == bytes(1000)
    assert read_file(io.BytesIO(bytes(1000)), 1000) == bytes(1000)
    for source in (tmp_path / "file", io.BytesIO(bytes(1000))):
        with pytest.raises(OSError, match="it has more than 999 bytes"):
            read_file(source, 999)


@POSIX
@pytest.mark.parametrize(
    "place, reason", [("/dev/zero", "device"), ("/dev/null", "device"), ("/dev", "folder"), ("a\0b", "NUL")]
)
def test_what_is_no_file_is_not_read(place, reason):
    with pytest.raises(OSError, match=reason):
        read_file(place, 1 << 30)


@POSIX
def test_a_socket_and_a_pipe_without_a_writer_do_not_block(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(OSError, match="socket"):
            read_file("socket", 100)
    os.mkfifo("pipe")
    assert read_file("pipe", 100) == b""


@POSIX
def test_a_pipe_with_a_writer_is_read_to_its_end_but_not_beyond_the_limit(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for length in (300_000, 2_000_000):
        writer = threading.Thread(target=_write_quietly, args=(tmp_path / "pipe", length))
        writer.start()
        time.sleep(0.2)  # until the writer waits for a reader
        if length < 1_000_000:
            assert len(read_file(tmp_path / "pipe", 1_000_000)) == length
        else:
            with pytest.raises(OSError, match="it has more than 1,000,000 bytes"):
                read_file(tmp_path / "pipe", 1_000_000)
        writer.join(10)


def _write_quietly(path, length):
    with contextlib.suppress(BrokenPipeError):
        path.write_bytes(bytes(length))


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="needs /dev/fd")
def test_what_another_program_writes_is_read_through_a_file_descriptor():
    code = "import sys; from tinynet.files import read_file; print(len(read_file(sys.argv[1], 1000)))"
    for place in ("/dev/stdin", "/dev/fd/0"):
        done = subprocess.run(
            [sys.executable, "-c", code, place], input=b"x" * 500, capture_output=True, timeout=60
        )
        assert done.stdout.split() == [b"500"], done.stderr


def test_an_open_text_file_is_refused_with_a_hint():
    with pytest.raises(OSError, match="open it with mode 'rb'"):
        read_file(io.StringIO("text"), 100)


@pytest.mark.parametrize("name", [None, 5, 1.5, [], object(), True])
def test_what_is_no_name_of_a_file_is_a_sentence(name):
    with pytest.raises(TinynetError, match="give a file name"):
        path_text(name)


# ---- writing ----


def write(path, data=b"new"):
    with atomic_write(path) as file:
        file.write(data)


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755, 0o644])
def test_a_file_that_is_replaced_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    write(path)
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == mode


@POSIX
def test_nobody_reads_a_private_file_while_it_is_written(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with atomic_write(path) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs a superuser")
def test_a_superuser_leaves_a_file_to_its_owner(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


@POSIX
def test_another_group_may_do_no_more_than_everybody(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o664)
    real = os.fstat
    monkeypatch.setattr(os, "fchown", lambda *_: (_ for _ in ()).throw(PermissionError()))
    monkeypatch.setattr(
        os, "fstat", lambda descriptor: os.stat_result((*real(descriptor)[:5], 4242, *real(descriptor)[6:]))
    )
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@POSIX
def test_the_folder_is_synced_after_the_file_is_in_its_place(tmp_path, monkeypatch):
    synced = []

    def sync(descriptor):
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), sorted(os.listdir(tmp_path))))

    monkeypatch.setattr(os, "fsync", sync)
    write(tmp_path / "file")
    assert [folder for folder, _ in synced] == [False, True] and synced[1][1] == ["file"]


@POSIX
def test_a_cache_is_private_and_waits_for_no_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: pytest.fail("it waited"))
    for content in (b"old", b"new"):
        with replacing(tmp_path / "kernel", mode=0o600, durable=False) as file:
            file.write(content)
        assert (tmp_path / "kernel").read_bytes() == content
        assert stat.S_IMODE((tmp_path / "kernel").stat().st_mode) == 0o600


NO_PLACES = {
    "a\0b": "its name has a NUL character; choose another place",
    "x" * 300: "File name too long; choose another place",
    "none/file": "there is no folder .*none; create it first",
    "folder/": "it is a folder; give a file name in it",
    "folder": "it is a folder; give a file name in it",
}


@pytest.mark.parametrize("use", [write, check_writable])
@pytest.mark.parametrize(("name", "reason"), NO_PLACES.items())
def test_a_place_that_takes_no_file_is_a_sentence_and_leaves_nothing(tmp_path, name, reason, use):
    (tmp_path / "folder").mkdir()
    with pytest.raises(TinynetError, match=f"cannot write .*: {reason}$"):
        use(f"{tmp_path}/{name}")
    assert os.listdir(tmp_path) == ["folder"]


def test_asking_whether_a_file_can_be_written_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "file"
    check_writable(path)
    assert not path.exists()
    path.write_bytes(b"old")
    check_writable(path)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]

    def forbidden(**settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", forbidden)
    with pytest.raises(TinynetError, match="Permission denied; choose another place"):
        check_writable(path)


@POSIX
@pytest.mark.parametrize("use", [write, check_writable])
def test_what_is_no_file_is_not_replaced(tmp_path, monkeypatch, use):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "private").write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "private")
    for name in ("pipe", "private"):
        with pytest.raises(TinynetError, match="it is not a file that may be written; choose another place"):
            use(tmp_path / name)
    assert (tmp_path / "private").read_bytes() == b"old"


def test_a_name_of_bytes_is_a_name(tmp_path):
    write(os.fsencode(tmp_path / "file"))
    assert Path(tmp_path / "file").read_bytes() == b"new"


KILLED = """
import os, sys
from tinynet.files import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(bytes(1000))
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no open file, and locks none")
def test_what_a_killed_writer_left_is_removed_by_the_next_but_nothing_that_is_still_written(tmp_path):
    path = tmp_path / "file"
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    writers = [subprocess.Popen([sys.executable, "-c", KILLED, path], **streams) for _ in range(2)]
    try:
        assert all(writer.stdout.readline() == b"written\n" for writer in writers)
        (tmp_path / ".tinynet-link.tmp").symlink_to(tmp_path / "other")
        writers[0].kill()
        writers[0].wait()
        write(path)  # what is new may belong to somebody who is about to claim it
        assert len(list(tmp_path.glob(".tinynet-*"))) == 3
        for left in tmp_path.glob(".tinynet-*"):
            os.utime(left, (0, 0), follow_symlinks=False)
        write(path)
        assert len(list(tmp_path.glob(".tinynet-*"))) == 2
        writers[1].communicate(b"")
        assert writers[1].returncode == 0 and path.read_bytes() == bytes(1000)
        assert sorted(os.listdir(tmp_path)) == [".tinynet-link.tmp", "file"]
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def test_a_source_is_a_path_standard_input_bytes_or_an_open_file(monkeypatch, tmp_path):
    def read(source):
        return read_source(source, 10, "sound", "give a .wav file", TinynetError)

    path = tmp_path / "a.wav"
    path.write_bytes(b"abc")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"abc")))
    assert read(path) == (str(path), b"abc") and read("-") == ("standard input", b"abc")
    assert read(bytearray(b"abc")) == read(io.BytesIO(b"abc")) == ("the sound", b"abc")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", "^the file name is empty; give the name of a file$"),
        ("a\0", "NUL"),
        ("none.wav", "^none.wav does not exist; check the name and the folder$"),
        (".", "^. cannot be read: it is a folder; give a .wav file$"),
        (io.StringIO("abc"), "^the sound cannot be read: it is open as text"),
        (io.BytesIO(b"more than ten"), "more than 10 bytes; give a .wav file$"),
        (5, "^give a path, bytes or an open binary file, not int$"),
    ],
)
def test_what_is_no_source_is_refused_in_a_sentence(source, told):
    with pytest.raises(TinynetError, match=told):
        read_source(source, 10, "sound", "give a .wav file", TinynetError)


def test_a_closed_source_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    closed = io.BytesIO()
    closed.close()
    for source in ("-", closed):
        with pytest.raises(TinynetError, match=r"cannot be read: .*closed.*; give a \.wav file$"):
            read_source(source, 10, "sound", "give a .wav file", TinynetError)
