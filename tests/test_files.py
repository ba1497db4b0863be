"""Where a user's files go."""

from __future__ import annotations

import sys

import pytest

from tinynet.files import user_folder


@pytest.mark.parametrize("kind", ["data", "cache"])
def test_the_user_folder_follows_the_platform(monkeypatch, tmp_path, kind):
    variable = f"XDG_{kind.upper()}_HOME"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv(variable, str(tmp_path))
    assert user_folder(kind) == tmp_path / "tinynet"
    monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder(kind) == tmp_path / {"data": ".local/share", "cache": ".cache"}[kind] / "tinynet"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert (
        user_folder(kind)
        == tmp_path / "Library" / {"data": "Application Support", "cache": "Caches"}[kind] / "tinynet"
    )
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert user_folder(kind) == tmp_path / "tinynet" / kind
