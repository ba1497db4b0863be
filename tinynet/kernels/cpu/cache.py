"""Compiled kernels on disk, so that each machine compiles a kernel once.

One file holds one kernel for one set of argument types. The folder's name is a hash of everything the machine code depends
on (the sources of this package, the versions of Python, Numba and llvmlite, the processor), so a changed source never meets
old code, and no file is ever checked by date. Where a folder is made, those that nobody has opened for long are removed.
A file that is damaged or cannot be read counts as absent; a folder that cannot be written is replaced by a temporary one, and
that by nothing: kernels are then compiled again in each process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import llvmlite
import numba
from llvmlite import binding
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from ...files import user_folder

KEPT = 90 * 24 * 3600
"""Seconds that a folder is kept after a process last opened it."""

# Called with a kernel's name just before it is compiled, never when it is loaded: for «compiling …» messages.
on_compile: Callable[[str], None] | None = None


class KernelCache(_Cache):
    """What Numba asks of a dispatcher's cache, for one kernel."""

    def __init__(self, name: str):
        self._name = name

    @property
    def cache_path(self) -> str:
        return str(folder() or "")

    def load_overload(self, sig, target_context):
        """The kernel compiled earlier for these argument types; None if there is none, and then it will be compiled."""
        try:
            payload = _read(self._path(sig))
            if payload is not None:
                target_context.refresh()
                return CompileResult._rebuild(target_context, *pickle.loads(payload))
        except Exception:  # whatever a damaged file does, compiling again is right
            pass
        if on_compile is not None:
            on_compile(self._name)
        return None

    def save_overload(self, sig, data) -> None:
        """Keep a compiled kernel; a full or vanished disk is no reason to stop."""
        with contextlib.suppress(OSError):
            _write(self._path(sig), dumps(data._reduce()))

    def enable(self) -> None:
        """Numba's interface; the cache is always on."""

    def disable(self) -> None:
        """Numba's interface; the cache is always on."""

    def flush(self) -> None:
        """Numba's interface; a new folder replaces an old one instead."""

    def _path(self, sig) -> Path | None:
        place = folder()
        return place and place / f"{self._name}-{hashlib.sha256(str(sig).encode()).hexdigest()[:16]}.bin"


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
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


@functools.cache
def folder() -> Path | None:
    """The folder of this version's kernels, made if need be; None where nothing can be written."""
    usual = user_folder("cache")
    for place in (*([usual / "kernels"] if usual else []), _temporary_folder()):
        try:
            place = place / key()
            new = not place.exists()
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            tempfile.TemporaryFile(dir=place).close()
            os.utime(place)  # the time of its last use, for `_prune`
        except OSError:
            continue
        if _is_ours(place):
            if new:
                _prune(place.parent)
            return place
    return None


def _prune(kernels: Path) -> None:
    """Remove what other versions and processors left behind; a process that still runs such code only compiles again."""
    with contextlib.suppress(OSError):
        for other in kernels.iterdir():
            old = time.time() - other.stat().st_mtime > KEPT
            if old and re.fullmatch("[0-9a-f]{16}", other.name) and _is_ours(other):
                shutil.rmtree(other, ignore_errors=True)


def _temporary_folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"tinynet-kernels-{user}"


def _is_ours(place: Path) -> bool:
    """Whether only this user can have put files there: they hold code that will run."""
    if not hasattr(os, "getuid"):
        return True
    return all(p.stat().st_uid == os.getuid() and not p.stat().st_mode & 0o022 for p in (place, place.parent))


@functools.cache
def key() -> str:
    """A hash of everything that the machine code depends on."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    facts = (
        sys.version,
        platform.machine(),
        numba.__version__,
        llvmlite.__version__,
        binding.get_host_cpu_name(),
        binding.get_host_cpu_features().flatten(),
        os.environ.get("TINYNET_LANES", ""),
    )
    digest = hashlib.sha256(repr(facts).encode())
    for source in sources:
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]
