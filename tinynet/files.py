"""Writing files so that nothing is lost, and the folders that a system keeps for a user."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .errors import TinynetError


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` and move it there once it is whole; on failure the old file stays.

    A link stays a link: what it points to is replaced. Raises TinynetError where the place cannot be written or the
    disk is full.
    """
    try:
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise TinynetError(f"cannot write {path}: {error.strerror or error}; choose another place") from error


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """`atomic_write` for callers who explain an OSError themselves."""
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".tinynet-{os.urandom(8).hex()}.tmp")
    if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
        raise PermissionError(None, "it is no file that may be written", str(path))
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def user_folder(kind: str) -> Path:
    """Where this system keeps a user's "data" or "cache", with `tinynet` under it; it may not exist yet.

    Linux: $XDG_DATA_HOME or ~/.local/share, $XDG_CACHE_HOME or ~/.cache. macOS: ~/Library/Application Support, ~/Library/
    Caches. Windows: %LOCALAPPDATA%.
    """
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "tinynet" / kind
    if sys.platform == "darwin":
        base = home / "Library" / {"data": "Application Support", "cache": "Caches"}[kind]
    else:
        usual = home / {"data": ".local/share", "cache": ".cache"}[kind]
        base = Path(os.environ.get(f"XDG_{kind.upper()}_HOME") or usual)
    return base / "tinynet"
