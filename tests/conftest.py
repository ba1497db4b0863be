"""Every test starts and ends with the default device and number of threads."""

from __future__ import annotations

import dataclasses

import pytest

from tinynet import kernels


@pytest.fixture(autouse=True)
def default_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_setting", dataclasses.replace(kernels._Setting()))
