"""Compiled kernels on disk, so that each machine compiles a kernel once.

One file holds one kernel for one set of argument types. The folder's name is a hash of everything the machine code depends
on (the sources of a back end, the versions of Python, Numba and llvmlite, the processor or the compiler for GPUs, Numba's settings), so
a changed source never meets old code, and no file is ever checked by date. Where a folder is made, those that nobody has opened for
long are removed.
A file that is damaged or cannot be read counts as absent; a folder that cannot be written is replaced by a temporary one, and
that by nothing: kernels are then compiled again in each process.

Who can put a file there has it run by whoever loads a kernel. So the folders that are made here are their owner's alone, whatever the
umask; and no folder above may let anybody else, but for the system itself, put another in their place.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..files import check_folder, replacing, user_folder

KEPT = 90 * 24 * 3600
"""Seconds that a folder is kept after a process last opened it."""

# Called with a kernel's name just before it is compiled, never when it is loaded: for «compiling …» messages.
on_compile: Callable[[str], None] | None = None
compile_seconds = 0.0
"""How long this process has compiled."""


class KernelCache(ABC):
    """What Numba asks of a dispatcher's cache, for one kernel; a back end says where it lies and what is in its file."""

    def __init__(self, name: str) -> None:
        self._name = name

    @abstractmethod
    def folder(self) -> Path | None:
        """Where this back end keeps its kernels."""

    @abstractmethod
    def written(self, kernel: Any) -> bytes:
        """A compiled kernel as its file has it."""

    @abstractmethod
    def loaded(self, content: bytes, target_context: Any) -> Any:
        """The kernel again, ready to run; whatever it raises, the kernel is compiled."""

    def variant(self, sig: Any) -> str:
        """What the machine code of a kernel depends on beside the folder: the types of its arguments."""
        return str(sig)

    @property
    def cache_path(self) -> str:
        """Numba's interface: the folder."""
        return str(self.folder() or "")

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel compiled earlier for these argument types; None if there is none, and then it will be compiled."""
        try:
            content = _read(self._path(sig))
            if content is not None:
                return self.loaded(content, target_context)
        except Exception:  # whatever a damaged file does, compiling again is right
            pass
        if on_compile is not None:
            on_compile(self._name)
        self._began = time.perf_counter()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel; a full or vanished disk is no reason to stop, nor a kernel that cannot be kept."""
        global compile_seconds
        compile_seconds += time.perf_counter() - self._began
        with contextlib.suppress(Exception):
            _write(self._path(sig), self.written(data))

    def _path(self, sig: Any) -> Path | None:
        place, kind = self.folder(), hashlib.sha256(self.variant(sig).encode()).hexdigest()[:16]
        return place and place / f"{self._name}-{kind}.bin"


def _read(path: Path | None) -> bytes | None:
    """The content of a cache file, None if it is absent or its checksum is wrong."""
    if path is None or not path.exists():
        return None
    data = path.read_bytes()
    return data[32:] if hashlib.sha256(data[32:]).digest() == data[:32] else None


def _write(path: Path | None, payload: bytes) -> None:
    """Write atomically: another process sees the whole file or none."""
    if path is None:
        return
    with replacing(path, mode=0o600, durable=False) as file:
        file.write(hashlib.sha256(payload).digest() + payload)


@functools.cache
def folder(key: str) -> Path | None:
    """The folder of the kernels of this key, made if need be; None where nothing can be written."""
    for own in (_in_user_folder(), _in_temporary_folder()):
        with contextlib.suppress(OSError):
            if own and (place := _opened([*own, own[-1] / key])):
                return place
    return None


def _in_user_folder() -> list[Path]:
    """The folders of ours round the one of this version, from the outside in; none for a user without a home."""
    tinynet = user_folder("cache")
    return [tinynet, tinynet / "kernels"] if tinynet and tinynet.is_absolute() else []


def _in_temporary_folder() -> list[Path]:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    kernels = Path(tempfile.gettempdir()) / f"tinynet-kernels-{user}"
    return [] if kernels.is_symlink() else [kernels]


def _opened(own: list[Path]) -> Path | None:
    """The last of these folders of ours, made if need be, as are those above; None where others could put files there.

    Raises OSError where it cannot be written.
    """
    place = Path(os.path.realpath(own[-1]))
    own = [place, *place.parents][: len(own)]
    missing = [path for path in place.parents if not path.exists()]
    if not all(_is_safe(path) for path in place.parents if path not in own and path not in missing):
        return None
    new = not place.exists()
    for path in [*reversed(missing), place]:
        path.mkdir(mode=0o700, exist_ok=True)
    for path in own[1:]:
        if _is_own(path) and not _is_ours(path):
            path.chmod(0o700)  # made with the umask once, as 0775; what is inside is looked at for itself
    if not all(map(_is_ours, own)):
        return None
    check_folder(place)
    os.utime(place)  # the time of its last use, for `_prune`
    if new:
        _prune(place.parent)
    return place


def _prune(kernels: Path) -> None:
    """Remove what other versions and processors left behind; a process that still runs such code only compiles again."""
    with contextlib.suppress(OSError):
        for other in kernels.iterdir():
            old = time.time() - other.stat().st_mtime > KEPT
            if old and re.fullmatch("[0-9a-f]{16}", other.name) and _is_ours(other):
                shutil.rmtree(other, ignore_errors=True)


def _is_safe(path: Path) -> bool:
    """Whether only this user and the system can rename what this user has in a folder; its group is trusted."""
    if not hasattr(os, "getuid"):
        return True
    status = path.stat()
    owners = (
        os.getuid(),
        0,
        os.stat(path.anchor).st_uid,
    )  # in a container the system's own user may have another number
    return status.st_uid in owners and (
        not status.st_mode & stat.S_IWOTH or bool(status.st_mode & stat.S_ISVTX)
    )


def _is_own(path: Path) -> bool:
    return not hasattr(os, "getuid") or path.stat().st_uid == os.getuid()


def _is_ours(path: Path) -> bool:
    """Whether only this user can have put files there: they hold code that will run."""
    return _is_own(path) and (not hasattr(os, "getuid") or not path.stat().st_mode & 0o022)


def key_of(sources: Iterable[Path], *facts: Any) -> str:
    """A hash of everything that machine code depends on: the sources in some folders, Python, and what else a back end names."""
    digest = hashlib.sha256(repr((sys.version, platform.machine(), *facts)).encode())
    for kernels in sources:
        for source in sorted(kernels.rglob("*.py")):
            digest.update(source.relative_to(kernels).as_posix().encode() + source.read_bytes())
    return digest.hexdigest()[:16]
