from __future__ import annotations

import pytest
from model_file import small_net


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.npz"
    small_net().save(path)
    return path
