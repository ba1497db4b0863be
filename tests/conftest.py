"""Every test starts and ends with the default device and number of threads, and with the usual signals."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator

import pytest

from tinynet.data import cache
from tinynet.kernels import device


@pytest.fixture(scope="session", autouse=True)
def usual_signals() -> Iterator[None]:
    """What nohup or a shell's `&` ignores would stay ignored here and in every process that a test starts."""
    usual = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
    numbers = {getattr(signal, name): handler for name, handler in usual.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test draws does not take the place of what the user has in the cache."""
    monkeypatch.setattr(cache, "user_folder", lambda kind: None)


@pytest.fixture(autouse=True)
def default_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_setting", dataclasses.replace(device._Setting()))
