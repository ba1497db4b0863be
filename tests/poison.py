"""Memory that is known to be wrong: what a kernel reads without having written it, or beside what it was given, shows."""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from tinynet.kernels.cpu import jit, memory, plans
from tinynet.kernels.reference import recurrent

POISONS = (math.nan, 7e5)
"""A number that spoils whatever it meets, and a large one, since a maximum or a comparison may leave NaN out."""
MARGIN = 64
"""Elements before and behind each array: as many as keep it where a cache line begins."""
LIBRARY = ctypes.CDLL(None) if sys.platform == "linux" else None
M_PERTURB = -6
"""The option of `mallopt` that fills blocks with a byte: 255 less the given one."""
LARGEST_KEPT, KEPT = 1040, 7
"""Bytes of the largest blocks of which the C library keeps some of each size ready, as they were, and how many."""


class Poison:
    """Hands out arrays that hold a value everywhere, with more of it around them, which nobody may touch."""

    def __init__(self, value: float) -> None:
        self.value = value
        self._rooms: list[tuple[np.ndarray, int]] = []

    def empty(self, shape: Any, dtype: Any = np.float32) -> np.ndarray:
        """As np.empty; whole numbers are 0 or 1, so that those that are places lie within most arrays."""
        size, dtype = math.prod(shape), np.dtype(dtype)
        room = np.full(size + 2 * MARGIN, self.value if dtype.kind == "f" else self.value > 0, dtype)
        self._rooms.append((room, size))
        return room[MARGIN : MARGIN + size].reshape(shape)

    def empty_like(self, array: np.ndarray) -> np.ndarray:
        return self.empty(array.shape, array.dtype)

    def copy(self, array: np.ndarray) -> np.ndarray:
        """A copy with poison around it."""
        copied = self.empty_like(array)
        copied[...] = array
        return copied

    def margins_are_whole(self) -> bool:
        """Whether nobody wrote beside an array."""
        for room, size in self._rooms:
            expected = np.full(MARGIN, room[0]).tobytes()
            if room[:MARGIN].tobytes() != expected or room[MARGIN + size :].tobytes() != expected:
                return False
        return True

    def stain_heap(self, kernel: jit.Kernel, *call: Any) -> None:
        """Before a kernel that asks the C library itself: small blocks hold the value, large ones huge numbers (GNU's library alone)."""
        if "scratch" not in kernel.__wrapped__.__code__.co_names or not hasattr(LIBRARY, "mallopt"):
            return
        LIBRARY.malloc.restype, LIBRARY.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        for size in range(24, LARGEST_KEPT, 16):
            blocks = [LIBRARY.malloc(size) for _ in range(KEPT)]
            content = np.full(size // 4, self.value, np.float32).tobytes()
            for block in blocks:
                ctypes.memmove(block, content, len(content))
                LIBRARY.free(block)
        LIBRARY.mallopt(M_PERTURB, 0x80 if self.value > 0 else 0x01)


@contextmanager
def poisoned(value: float) -> Iterator[Poison]:
    """The kernels of both back ends get their memory from a Poison, and plan anew."""
    poison = Poison(value)
    for kept in plans._memories:
        kept.clear()
    numpy = SimpleNamespace(**{**vars(np), "empty": poison.empty, "empty_like": poison.empty_like})
    with (
        mock.patch.object(memory, "empty", poison.empty),
        mock.patch.object(recurrent, "np", numpy),
        mock.patch.object(jit, "recorder", poison.stain_heap),
    ):
        try:
            yield poison
        finally:
            if hasattr(LIBRARY, "mallopt"):
                LIBRARY.mallopt(M_PERTURB, 0)
    assert poison.margins_are_whole(), "a kernel wrote beside an array"
