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
        r"samples of shape \(12, 8, 1\), but this network takes only its own, \(16, 12, 1\): leave out",
    )
    with pytest.raises(TinynetError, match=wrong):
        flat.fit(x, y, augment=smaller)
    with pytest.raises(TinynetError, match="leave out resolution"):
        tn.Sequential([tn.Conv2D(1, 3)], (16, 12, 1)).fit(x, x[:, 1:-1, 1:-1], loss="mse", augment=smaller)
    assert all(map(np.array_equal, flat.get_weights(), same))
