"""Ctrl-C, SIGTERM and SIGHUP: the first one lets a training end in order, a second one acts at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
SECOND_HANGUP = 1.0
"""Seconds in which another SIGHUP counts as the same: a closing terminal sends one, and its shell another."""


@contextmanager
def first_signal(act: Callable[[int], None]) -> Iterator[None]:
    """Have the first of these signals call `act` with its number; after that they do what they did before.

    A signal that is ignored, such as SIGHUP under nohup, stays so, and a program's own handler of SIGTERM or SIGHUP stays.
    Outside the main thread nothing changes.
    """
    usual = {number: signal.getsignal(number) for number in ENDING}
    if threading.current_thread() is threading.main_thread():
        usual = {number: handler for number, handler in usual.items() if _is_ours(number, handler)}
    else:
        usual = {}
    came: list[float] = []

    def handle(number: int, frame: Any) -> None:
        if came and time.monotonic() - came[0] < SECOND_HANGUP:
            return
        restore(keep=None if came else "SIGHUP")
        if came:
            signal.raise_signal(number)
            return
        came.append(time.monotonic())
        act(number)

    def restore(keep: str | None = None) -> None:
        for number, handler in usual.items():
            if number.name != keep:
                signal.signal(number, handler)

    for number in usual:
        signal.signal(number, handle)
    try:
        yield
    finally:
        restore()


def _is_ours(number: int, handler: Any) -> bool:
    """Whether a signal would end the program now: Ctrl-C by its exception, the others by the system's default."""
    return callable(handler) if number == signal.SIGINT else handler is signal.SIG_DFL
