"""Locks that are free in a forked child.

A child has one thread and a copy of all memory: a lock that another thread held when it was forked stays taken in it for ever, and what
that thread was changing stays half changed. So a fork waits until it has every lock itself, in the order in which they are taken
elsewhere, and gives them back on both sides.
"""

from __future__ import annotations

import os
from threading import RLock
from typing import Any, TypeVar

Held = TypeVar("Held")
loading = RLock()
"""Of whoever loads a back end."""
_locks: list[Any] = [loading]
_taken: list[Any] = []


def held(lock: Held) -> Held:
    """Have a lock taken while a process forks, after those that were given here before; returns it."""
    _locks.append(lock)
    return lock


def _take_all() -> None:
    for lock in _locks:  # the first of them may wait for a thread that adds more
        lock.__enter__()
        _taken.append(lock)


def _give_back() -> None:
    while _taken:
        _taken.pop().__exit__(None, None, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_take_all, after_in_parent=_give_back, after_in_child=_give_back)
