"""What a model is measured on: pictures of classes that it knows, numbered as it numbers them."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import DataError
from tinynet.recipes import test_data as data_for


@pytest.fixture
def y(monkeypatch, tmp_path):
    """The test labels of small data sets under the names of the real ones."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 28, 28), np.uint8), rng.integers(0, 10, 20)
    for stem in ("mnist", "fashion_mnist"):
        np.savez(tmp_path / f"{stem}.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    return y


def reader(labels):
    """A network for pictures of 28×28 with these classes."""
    return tn.Sequential([tn.Flatten(), tn.Dense(10)], (28, 28, 1), labels=labels)


def test_a_data_set_of_other_classes_is_refused_as_a_folder_of_other_classes_is(y):
    with pytest.raises(
        DataError, match=r"^T-shirt/top in fashion is not one of this model's classes \(0, 1, 2"
    ):
        data_for("fashion", tn.load("digits-lstm"))
    assert len(data_for("fashion", tn.load("fashion"))[0]) == 20


def test_classes_are_numbered_as_the_model_numbers_them(y):
    assert (data_for("digits", reader(None))[1] == y).all()
    assert (data_for("digits", reader("0123456789"))[1] == y).all()
    assert (data_for("digits", reader("9876543210"))[1] == 9 - y).all()
