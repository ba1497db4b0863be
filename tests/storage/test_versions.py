"""What older versions wrote is read for ever, and means the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import close

import tinynet as tn

HERE = Path(__file__).parent
FILES = sorted((HERE / "version_1").glob("*.npz"))


def inputs(net):
    """The inputs that the outputs belong to which lie beside the files."""
    rng = np.random.default_rng(0)
    if net.vocabulary:
        return rng.integers(0, len(net.vocabulary), (2, 20))
    return rng.random((3, *net.input_shape)).astype(np.float32)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_version_1_gives_what_it_gave(file):
    """Products of matrices are added in another order on other processors, so it is not to the bit."""
    tn.set_device("reference")
    expected = np.load(HERE / "version_1_outputs.npz")
    net = tn.load(file)
    close(net.predict(inputs(net)), expected[file.stem], 1e-5)
    if net.vocabulary:
        close(net.step(inputs(net)[:, 0])[0], expected[f"{file.stem}-step"], 1e-5)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_of_version_1_is_written_as_it_was(file, tmp_path):
    net = tn.load(file)
    net.save(tmp_path / "again.npz", "float16")
    old, new = np.load(file), np.load(tmp_path / "again.npz")
    assert old.files == new.files
    assert all(np.array_equal(old[name], new[name]) for name in old.files)
