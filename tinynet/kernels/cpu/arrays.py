"""Arrays of the cpu back end, which are NumPy's. Zeros come from a kernel, so that a replay has them anew: tasks of CHUNK elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.arrays import asarray, asnumpy, prefetch
from ..reference.definition import as_defined
from . import memory
from .compiler.jit import jit
from .flat import CHUNK, chunks
from .functions import clear

__all__ = ["asarray", "asnumpy", "prefetch", "zeros"]


@jit
def _zeros(task, y):
    clear(y, task * CHUNK, min(y.size, (task + 1) * CHUNK))


@as_defined
def zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    if dtype != np.float32:
        return np.zeros(shape, dtype)
    y = memory.empty(tuple(shape))
    if y.size:
        _zeros(chunks(y), y.size, y.reshape(-1))
    return y
