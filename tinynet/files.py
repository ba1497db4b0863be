"""Reading files within bounds, writing them so that nothing is lost, and the folders that a system keeps for a user."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from .errors import TinynetError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

Source = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO
"""A file as people have it: its path, "-" for standard input, its bytes, or an open binary file."""
PIECE = 1 << 20
TEMPORARY, FRESH = ".tinynet-{}.tmp", 60
"""Name of a file while it is written, and the seconds after its last change in which it is never taken for a leftover."""


def _flags(*names: str) -> int:
    """Those of these flags for opening a file that this system has."""
    return sum(getattr(os, name, 0) for name in names)


READING = _flags("O_RDONLY", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_CLOEXEC")
WRITING = _flags("O_WRONLY", "O_CREAT", "O_EXCL", "O_BINARY", "O_CLOEXEC")
UNREAD = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFCHR: "it is a device, not a file",
    stat.S_IFBLK: "it is a device, not a file",
    stat.S_IFSOCK: "it is a socket, not a file",
}


# ---- names ----


def path_text(path: Any, error: type[TinynetError] = TinynetError) -> str:
    """The name of a file as text; raises `error` for anything but a path, str or bytes, and for an empty one or one with a NUL."""
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise error(f"give a file name, not {path!r}") from None
    if "\0" in text:
        raise error(f"{text!r} is not a file name: it has a NUL character")
    if not text:
        raise error("the file name is empty; give the name of a file")
    return text


# ---- reading ----


def open_file(path: str | os.PathLike) -> BinaryIO:
    """Open a file, or a pipe that has a writer; never blocks. Raises OSError, its `strerror` a clause, for anything else."""
    if "\0" in os.fsdecode(path):
        raise OSError(errno.EINVAL, "its name has a NUL character", path)
    _check_kind(os.stat(path), path)  # before it is opened: opening a device may have side effects
    descriptor = os.open(path, READING)
    try:
        _check_kind(os.fstat(descriptor), path)
        if hasattr(os, "O_NONBLOCK"):
            os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def open_seekable(path: str | os.PathLike) -> BinaryIO:
    """`open_file` for what is not read from front to back; raises OSError for a pipe as well."""
    file = open_file(path)
    if not file.seekable():
        file.close()
        raise OSError(errno.ESPIPE, "it is a pipe, not a file; save its content as a file first", path)
    return file


def _check_kind(status: os.stat_result, path: str | os.PathLike) -> None:
    if reason := UNREAD.get(stat.S_IFMT(status.st_mode)):
        raise OSError(errno.EINVAL, reason, path)


def read_file(source: str | os.PathLike | BinaryIO, limit: int) -> bytes:
    """All bytes of a file, a pipe or an open file, at most `limit`.

    Raises OSError as `open_file` does, and for a longer file, which is not read to its end.
    """
    if not isinstance(source, (str, bytes, os.PathLike)):
        return _read_all(source, limit, 0)
    with open_file(source) as file:
        return _read_all(file, limit, os.fstat(file.fileno()).st_size)


def read_source(
    source: Source,
    limit: int,
    kind: str,
    advice: str,
    error: type[TinynetError],
    missing: str = "check the name and the folder",
) -> tuple[str, bytes]:
    """(how to call a source in messages, all its bytes, at most `limit`).

    kind: what it should be, "picture"; advice: what to do where it cannot be read, "give a .wav file"; missing: where there is none.
    Raises `error`.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"the {kind}", bytes(source)
    if isinstance(source, (str, os.PathLike)):
        name, file = path_text(source, error), source
        if name == "-":
            name, file = "standard input", getattr(sys.stdin, "buffer", None)
    elif hasattr(source, "read"):
        name, file = str(getattr(source, "name", f"the {kind}")), source
    else:
        raise error(f"give a path, bytes or an open binary file, not {type(source).__name__}")
    try:
        if file is None:
            raise OSError(errno.EBADF, "it is closed")
        return name, read_file(file, limit)
    except FileNotFoundError:
        raise error(f"{name} does not exist; {missing}") from None
    except PermissionError:
        raise error(f"{name} may not be read; give yourself read permission (chmod u+r)") from None
    except (OSError, ValueError) as failure:  # ValueError: a closed file
        reason = getattr(failure, "strerror", None) or failure
        raise error(f"{name} cannot be read: {reason}; {advice}") from None


def _read_all(file: BinaryIO, limit: int, size: int) -> bytes:
    pieces, length = [], 0
    while length <= limit and size <= limit:
        piece = file.read(min(max(size - length, PIECE), limit - length) + 1)
        if isinstance(piece, str):
            raise OSError(errno.EINVAL, "it is open as text; open it with mode 'rb'")
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
        length += len(piece)
    raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes")


# ---- writing ----


class _NoPlace(OSError):
    """A path where no file can be written; `strerror` says what to do as well."""


def check_writable(path: str | os.PathLike) -> None:
    """Raise TinynetError where `atomic_write` could not write to `path` later: no such folder, no permission."""
    with _explained(path):
        target, _ = _target(path)
        check_folder(target.parent)


def check_folder(folder: str | os.PathLike) -> None:
    """Raise OSError unless files can be made in a folder."""
    import tempfile

    tempfile.TemporaryFile(dir=folder).close()


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` and move it there once it is whole; on failure the old file stays.

    A link stays a link: what it points to is replaced. A replaced file passes on its mode and, where that is allowed, its
    owner and group; a new one follows the umask. Temporary files left by killed processes are removed. Raises
    TinynetError where the place cannot be written or the disk is full.
    """
    with _explained(path), replacing(path) as file:
        yield file


@contextmanager
def _explained(path: str | os.PathLike) -> Iterator[None]:
    """Turn an OSError of writing to `path` into a sentence."""
    try:
        yield
    except OSError as error:
        advice = "" if isinstance(error, _NoPlace) else "; choose another place"
        name = os.fsdecode(path)
        raise TinynetError(f"cannot write {name}: {error.strerror or error}{advice}") from error


def _target(path: str | os.PathLike) -> tuple[Path, os.stat_result | None]:
    """The file that `path` leads to, and its status if it exists; raises OSError if it cannot be written."""
    text = os.fsdecode(path)
    if "\0" in text:
        raise OSError(errno.EINVAL, "its name has a NUL character", text)
    if text.endswith(("/", os.sep)) or os.path.isdir(text):
        raise _NoPlace(errno.EISDIR, "it is a folder; give a file name in it", text)
    target = Path(os.path.realpath(text))
    if not target.parent.is_dir():
        folder = target.parent if os.path.islink(text) else Path(text).parent
        raise _NoPlace(errno.ENOENT, f"there is no folder {folder}; create it first", text)
    try:
        old = target.stat()
    except FileNotFoundError:
        return target, None
    if not (stat.S_ISREG(old.st_mode) and os.access(target, os.W_OK)):
        raise PermissionError(errno.EACCES, "it is not a file that may be written", text)
    return target, old


@contextmanager
def replacing(path: str | os.PathLike, mode: int = 0o666, durable: bool = True) -> Iterator[BinaryIO]:
    """`atomic_write` for callers who explain an OSError themselves.

    mode: of a new file, before the umask. durable: wait until the file would survive a loss of power, which a cache need not.
    """
    target, old = _target(path)
    _remove_stale(target.parent)
    temporary = target.with_name(TEMPORARY.format(os.urandom(8).hex()))
    try:
        # Private while it is written, or somebody who may not read the old file could read this one.
        with open(os.open(temporary, WRITING, 0o600 if old else mode), "wb") as file:
            with suppress(OSError):  # where a file system has no locks, nobody removes it
                _claim(file)
            yield file
            file.flush()
            if old:
                _hand_on(old, file.fileno())
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, target)
        if durable:
            _sync_folder(target.parent)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _claim(file: BinaryIO) -> None:
    """Lock a file until it is closed; raises OSError where another process holds it. Windows removes no open file anyway."""
    if fcntl:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_stale(folder: Path) -> None:
    """Remove what processes left that were killed while they wrote to this folder."""
    for path in folder.glob(TEMPORARY.format("*")):
        with suppress(OSError):
            # A recent one may not be locked yet, or no longer be locked but about to be renamed.
            if time.time() - path.lstat().st_mtime > FRESH:
                with open(os.open(path, READING | _flags("O_NOFOLLOW")), "rb") as file:
                    _claim(file)
                os.unlink(path)


def _hand_on(old: os.stat_result, descriptor: int) -> None:
    """Give a new file the owner, group and mode of the one that it replaces."""
    if not hasattr(os, "fchown"):
        return
    for owner in ((old.st_uid, -1), (-1, old.st_gid)):
        with suppress(OSError):
            os.fchown(descriptor, *owner)
    mode = stat.S_IMODE(old.st_mode) & 0o777
    if os.fstat(descriptor).st_gid != old.st_gid:
        mode = mode & 0o707 | (mode & 0o007) << 3  # another group gets the rights that everybody has
    with suppress(OSError):
        os.fchmod(descriptor, mode)


def _sync_folder(folder: Path) -> None:
    """Make the folder's new entry survive a loss of power, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- folders ----


def user_folder(kind: str) -> Path | None:
    """Where this system keeps a user's "data" or "cache", with `tinynet` under it; it may not exist yet.

    Linux: $XDG_DATA_HOME or ~/.local/share, $XDG_CACHE_HOME or ~/.cache. macOS: ~/Library/Application Support, ~/Library/
    Caches. Windows: %LOCALAPPDATA%. None for a user without a home, as in a container with a number for a user.
    """
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
        return base / "tinynet" / kind if base.is_absolute() else None
    if sys.platform == "darwin":
        base = home / "Library" / {"data": "Application Support", "cache": "Caches"}[kind]
    else:
        base = Path(os.environ.get(f"XDG_{kind.upper()}_HOME", ""))
        if not base.is_absolute():  # the standard says to ignore relative paths
            base = home / {"data": ".local/share", "cache": ".cache"}[kind]
    return base / "tinynet" if base.is_absolute() else None


def data_folder() -> Path:
    """Where downloaded data sets are kept: `user_folder("data")`, or a temporary folder for a user without a home."""
    if folder := user_folder("data"):
        return folder
    import tempfile

    return Path(tempfile.gettempdir()) / f"tinynet-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
