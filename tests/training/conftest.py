from __future__ import annotations

import pytest

import tinynet as tn


@pytest.fixture(autouse=True)
def on_the_reference(default_setting: None) -> None:
    """Nothing here should wait for a compiler: the kernels have tests of their own."""
    tn.set_device("reference")
