"""Trained on smaller copies of pictures than are classified later."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import TinynetError


def test_copies_of_a_lower_resolution_go_to_networks_that_take_any_size_and_to_no_others():
    x, y = np.random.default_rng(0).random((12, 16, 12, 1), np.float32), np.arange(12) % 2
    smaller = tn.Augment(resolution=0.7)
    net = tn.Sequential([tn.Conv2D(4, 3), tn.GlobalAveragePool2D(), tn.Dense(2, "softmax")], (16, 12, 1))
    before = net.get_weights()
    net.fit(x, y, augment=smaller)
    assert [w.shape for w in net.get_weights()] == [w.shape for w in before]
    assert not np.array_equal(net.get_weights()[0], before[0]) and net.predict(x).shape == (12, 2)
    flat = tn.Sequential([tn.Conv2D(4, 3), tn.Flatten(), tn.Dense(2, "softmax")], (16, 12, 1))
    same, wrong = (
        flat.get_weights(),
        r"samples of shape \(12, 8, 1\), which a network for \(16, 12, 1\) cannot take: leave out",
    )
    with pytest.raises(TinynetError, match=wrong):
        flat.fit(x, y, augment=smaller)
    with pytest.raises(TinynetError, match="leave out resolution"):
        tn.Sequential([tn.Conv2D(1, 3)], (16, 12, 1)).fit(x, x[:, 1:-1, 1:-1], loss="mse", augment=smaller)
    assert all(map(np.array_equal, flat.get_weights(), same))


def test_a_shortcut_that_was_made_for_another_size_refuses_copies_that_it_cannot_bring_to_theirs():
    x, y = np.random.default_rng(0).random((6, 9, 9, 3), np.float32), np.arange(6) % 2
    block = tn.Residual([tn.Conv2D(8, 3, strides=3)])
    net = tn.Sequential([block, tn.GlobalAveragePool2D(), tn.Dense(2, "softmax")], (9, 9, 3))
    with pytest.raises(
        TinynetError, match=r"samples of shape \(7, 7, 3\), which a network for \(9, 9, 3\) cannot take"
    ):
        net.fit(x, y, augment=tn.Augment(resolution=0.78))
