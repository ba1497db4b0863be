"""Mixup: what is shown is labelled with what it shows, in the same shares."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet.kernels import reference
from tinynet.training import CrossEntropy
from tinynet.training.mixing import mixed
from tinynet.training.samples import Batch


def batch(labels, weights=None):
    """Samples that are their labels as one-hot rows."""
    y = np.asarray(labels)
    return Batch(np.eye(4, dtype=np.float32)[y], y, len(y), weights)


def test_labels_are_mixed_as_the_samples_are():
    given = batch([0, 1, 2, 3, 3, 0])
    for seed in range(5):
        made = mixed(given, 1.0, 4, reference, seed)
        np.testing.assert_allclose(made.targets, made.x, atol=1e-6)
        assert made.targets.dtype == np.float32 and (made.targets > 0).sum() > len(made.targets)
        again = mixed(given, 1.0, 4, reference, seed)
        assert made.x.tobytes() == again.x.tobytes() and made.targets.tobytes() == again.targets.tobytes()
    assert (given.x == np.eye(4)[given.targets]).all()


def test_rows_of_probabilities_are_mixed_too():
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 5).astype(np.float32)
    made = mixed(Batch(rows, rows, 5, None), 0.5, 4, reference, 1)
    np.testing.assert_allclose(made.targets, made.x, atol=1e-6)


def test_the_loss_is_that_for_both_labels_each_with_its_weight():
    weights = np.array([1.0, 0.0, 0.5, 0.25, 0.0, 1.0])
    given = batch([0, 1, 2, 3, 1, 2], weights)
    made = mixed(given, 1.0, 4, reference, 3)
    rng = np.random.default_rng([3, 1])
    share, order = rng.beta(1.0, 1.0), rng.permutation(6)
    logits = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    loss = CrossEntropy(0.1)
    found, _ = loss(reference, logits, made.targets, made.weights.astype(np.float32))
    own, _ = loss(reference, logits, given.targets, (share * weights).astype(np.float32))
    other, _ = loss(
        reference, logits, given.targets[order], ((1 - share) * weights[order]).astype(np.float32)
    )
    assert found == pytest.approx(own + other, rel=1e-5)


def test_a_small_alpha_mixes_little():
    given = batch(np.arange(40) % 4)
    largest = [mixed(given, 0.05, 4, reference, seed).targets.max(axis=1).mean() for seed in range(40)]
    assert np.median(largest) > 0.99
    strong = [mixed(given, 10.0, 4, reference, seed).targets.max(axis=1).mean() for seed in range(40)]
    assert np.median(strong) < 0.8


def test_mixed_pictures_are_learned_from_to_the_same_bits():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = rng.random((80, 6, 6, 1), dtype=np.float32) * 0.5 + 0.5 * y[:, None, None, None]
    nets = []
    for mix in (0.4, 0.4, 0.0):
        net = tn.Sequential([tn.Flatten(), tn.Dense(2, activation="softmax")], (6, 6, 1))
        net.fit(x, y, epochs=20, optimizer=tn.Adam(0.02), augment=tn.Augment(mix=mix), verbose=False)
        nets.append(net)
    assert (nets[0].get_weights()[0] == nets[1].get_weights()[0]).all()
    assert (nets[0].get_weights()[0] != nets[2].get_weights()[0]).any()
    assert nets[0].evaluate(x, y)["accuracy"] > 0.95
