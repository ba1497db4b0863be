from __future__ import annotations

import pytest

import tinynet as tn


@pytest.fixture(autouse=True)
def on_the_reference(default_setting: None) -> None:
    """Layers are held to their equations on the definition of the kernels."""
    tn.set_device("reference")
