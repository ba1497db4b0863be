"""Tables that follow from shapes alone, kept within a number of bytes: what was not used for longest goes first."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from .. import forking

LIMIT = 32 * 2**20
"""Bytes that are kept in all; of one call that takes more, while it is the last."""
PLANS = 16
"""Plans that are made of one layout of tables, for as many numbers of pictures."""
OVERHEAD = 1024
"""Bytes that an entry, or a plan, takes beside its tables, about."""


class _Entry:
    __slots__ = ("size", "used", "value")

    def __init__(self, value: Any) -> None:
        self.value, self.size = value, OVERHEAD + _bytes(value)
        self.used = next(_clock)


_clock = itertools.count()
_memories: list[dict[tuple, _Entry]] = []
_lock = forking.held(Lock())


def kept(function: Callable) -> Callable:
    """Keep what a function of shapes returns: arrays, tuples of them, or a `Layout`."""
    memory: dict[tuple, _Entry] = {}
    _memories.append(memory)

    @functools.wraps(function)
    def look_up(*shapes: Any) -> Any:
        entry = memory.get(shapes)
        if entry is None:
            entry = _Entry(function(*shapes))
            with _lock:
                memory[shapes] = entry
                _forget()
        entry.used = next(_clock)
        return entry.value

    return look_up


def kept_bytes() -> int:
    """How many bytes are kept now."""
    return sum(entry.size for memory in _memories for entry in memory.values())


def _forget() -> None:
    """Drop what was not used for longest, until the rest is within the limit; the last entry stays."""
    excess = kept_bytes() - LIMIT
    if excess <= 0:
        return
    entries = [(entry.used, shapes, memory) for memory in _memories for shapes, entry in memory.items()]
    for _, shapes, memory in sorted(entries, key=lambda found: found[0])[:-1]:
        excess -= memory.pop(shapes).size
        if excess <= 0:
            return


def _bytes(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):  # the plans of a layout
        return PLANS * OVERHEAD
    return sum(map(_bytes, value)) if isinstance(value, tuple) else 0
