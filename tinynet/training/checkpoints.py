"""Checkpoints: all that a training needs to continue to the same bits as without a break.

One `.npz`, read with `allow_pickle=False`: a 0-d string array `config` (JSON) and the arrays, "model/dense_1.kernel".
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..archive import CHECKPOINT, Archive, parse_json, write_arrays
from ..errors import TinynetError
from ..files import atomic_write, open_seekable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

VERSION = 4
PATIENCE, PAUSE = 0.5, 0.01
"""Seconds for which a lock of another process is waited for, and between two looks at it."""


def save_checkpoint(
    path: str | os.PathLike, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a checkpoint; an old file is replaced only by a complete one. Raises TinynetError if it cannot be written."""
    text = json.dumps({"format": CHECKPOINT, "version": VERSION, **config})
    with atomic_write(path) as file:
        write_arrays(file, {"config": np.array(text), **arrays})


class Checkpoint:
    """An open checkpoint: its `config`, and its arrays, which are unpacked only if they fit."""

    def __init__(self, archive: Archive, path: str | os.PathLike) -> None:
        self._archive, self._path = archive, path
        self.config = self._read_config()

    def _read_config(self) -> dict[str, Any]:
        if "config" not in self._archive.names:
            _refuse(self._path)
        try:
            found = parse_json(self._archive.text("config"))
        except ValueError:
            _refuse(self._path)
        if not isinstance(found, dict) or found.get("format") != CHECKPOINT:
            _refuse(self._path)
        if found.get("version") != VERSION:
            raise TinynetError(
                f"{self._path} is a checkpoint of another version of tinynet: start without resuming"
            )
        return found

    def arrays(self, own: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays by name; raises TinynetError unless they have the names, shapes and types of `own`."""
        for name in {*own, *self._archive.names} - {"config"}:
            if name not in own or name not in self._archive.names:
                self._misfit(name)
        return {name: self._array(name, array) for name, array in own.items()}

    def _array(self, name: str, own: np.ndarray) -> np.ndarray:
        def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
            if shape != own.shape or dtype != own.dtype:
                self._misfit(name)

        return self._archive.array(name, check)

    def _misfit(self, name: str) -> NoReturn:
        raise TinynetError(
            f"{self._path} is the checkpoint of another network: its array {name} does not fit"
        )


@contextmanager
def open_checkpoint(path: str | os.PathLike) -> Iterator[Checkpoint]:
    """Open a checkpoint for reading; raises TinynetError for any other file."""
    path = Path(path)
    try:
        with open_seekable(path) as file:
            yield Checkpoint(Archive(file, str(path), "checkpoint", _NoCheckpoint), path)
    except _NoCheckpoint:
        _refuse(path)
    except FileNotFoundError:
        raise TinynetError(f"there is no checkpoint {path}: start without resuming") from None
    except OSError as error:
        raise TinynetError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error


class _NoCheckpoint(TinynetError):
    """The archive reader's error for a broken file, which is turned into one that says what to do about a checkpoint."""


def _refuse(path: str | os.PathLike) -> NoReturn:
    raise TinynetError(f"{path} is not a checkpoint, or was cut off: start without resuming") from None


# ---- who writes a file ----


@contextmanager
def exclusive(path: str | os.PathLike | None) -> Iterator[None]:
    """Keep other trainings from writing this checkpoint; raises TinynetError if one is doing so.

    This is a lock on a file beside it, which ends with its process, however that ends. On a file system without locks there
    is none.
    """
    if path is None:
        yield
        return
    place = Path(f"{os.path.realpath(path)}.lock")
    try:
        handle = _lock_patiently(place)
    except BlockingIOError:
        raise TinynetError(
            f"another training is still writing {path}: wait until it ends, or choose another file"
        ) from None
    except OSError:
        handle = None
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                _unlock(handle, place)


def _lock_patiently(place: Path) -> int:
    """Lock a file as `_lock` does, after a moment if it must: a process that is killed while it starts another leaves its lock to that
    until the other has begun.
    """
    last = time.monotonic() + PATIENCE
    while time.monotonic() < last:
        with suppress(BlockingIOError):
            return _lock(place)
        time.sleep(PAUSE)
    return _lock(place)


def _lock(place: Path) -> int:
    """Open and lock a file; raises BlockingIOError if another process holds it."""
    while True:
        if fcntl is None:
            # Windows does not remove a file that is open.
            with suppress(FileNotFoundError):
                try:
                    os.unlink(place)
                except PermissionError:
                    raise BlockingIOError from None
        handle = os.open(place, os.O_CREAT | os.O_RDWR, 0o600)
        if fcntl is None:
            return handle
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(place)):
                    return handle
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise BlockingIOError from None
            raise
        os.close(handle)  # its last owner has removed it in the meantime


def _unlock(handle: int, place: Path) -> None:
    if fcntl is None:
        os.close(handle)
        os.unlink(place)
    else:  # removed while it is still locked, or it could be another's by then
        os.unlink(place)
        os.close(handle)


def check_new(path: str | os.PathLike, resumed: str | os.PathLike | None) -> None:
    """Raise TinynetError if a checkpoint would replace a file other than the one that is resumed."""
    path = Path(path)
    if not path.is_file() or not path.stat().st_size:
        return
    if resumed is None or os.path.realpath(resumed) != os.path.realpath(path):
        raise TinynetError(
            f"{path} exists already: resume={str(path)!r} continues that training; to start anew, delete the file or give "
            "another checkpoint"
        )
