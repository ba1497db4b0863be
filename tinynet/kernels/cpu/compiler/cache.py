"""The kernels of this back end on disk: see caching.py. One file holds machine code, as Numba writes it."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path

import llvmlite
import numba
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from ... import caching
from . import environment


class KernelCache(caching.KernelCache, _Cache):
    """Of one kernel."""

    def folder(self) -> Path | None:
        return folder()

    def written(self, kernel) -> bytes:
        return dumps(kernel._reduce())

    def loaded(self, content: bytes, target_context):
        target_context.refresh()
        return CompileResult._rebuild(target_context, *pickle.loads(content))

    def enable(self) -> None:
        """Numba's interface; the cache is always on."""

    def disable(self) -> None:
        """Numba's interface; the cache is always on."""

    def flush(self) -> None:
        """Numba's interface; a new folder replaces an old one instead."""


def folder() -> Path | None:
    """Where this version's kernels are kept; None where nothing can be written."""
    return caching.folder(key())


@functools.cache
def key() -> str:
    """A hash of everything that the machine code depends on."""
    versions = numba.__version__, llvmlite.__version__
    return caching.key_of([Path(__file__).parents[1]], versions, environment.code_settings())
