"""Odd samples are a note before training, once, and never an error."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet.training import remarks

RNG = np.random.default_rng(0)
X = RNG.random((60, 3)).astype(np.float32)


def network(units=3, labels=None, features=3):
    return tn.Sequential([tn.Dense(units, "softmax" if units > 1 else None)], (features,), labels=labels)


def notes(capsys, net, x, y, **settings):
    net.fit(x, y, **settings)
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]


def test_sorted_classes_that_validation_split_leaves_out_are_a_note(capsys):
    y = np.arange(60) // 20  # as a folder of folders is read
    net = network(labels=["cat", "dog", "hen"])
    advice = ": shuffle x and y together"
    assert notes(capsys, net, X, y, validation_split=0.4) == [
        f"note: validation_split takes the last samples, which leaves none of class hen to train on{advice}",
        f"note: validation_split takes the last samples, which leaves none of class cat to validate on{advice}",
    ]
    assert notes(capsys, net, X, y, validation_split=0.4) == [], "once"
    one_hot = notes(capsys, network(), X, np.eye(3)[y], validation_split=0.1)
    assert len(one_hot) == 1 and "none of class 0, 1 to validate on" in one_hot[0]
    assert notes(capsys, network(), X, np.arange(60) % 3, validation_split=0.4) == []
    assert notes(capsys, network(), X, y, validation_data=(X, y)) == []
    many = notes(capsys, network(60), X, np.arange(60), validation_split=0.5)
    assert "none of class 30, 31, 32, 33, 34 and 25 more to train on" in many[0]


@pytest.mark.parametrize(
    ("units", "settings", "y"),
    [(3, {}, np.ones(60, int)), (1, {"loss": "binary_cross_entropy"}, np.ones(60)), (1, {"loss": "mse"}, np.ones(60)),
     (3, {"validation_split": 0.4}, np.arange(60) // 36)],
)  # fmt: skip
def test_labels_that_are_all_the_same_are_a_note(units, settings, y, capsys):
    assert notes(capsys, network(units), X, y, **settings) == [
        "note: all labels to train on are the same, so there is nothing to learn"
    ]
    assert notes(capsys, network(units), X, y, verbose=False, **settings) == []


def test_constant_columns_are_a_note(capsys, monkeypatch):
    monkeypatch.setattr(remarks, "PIECE", 1000)
    x, y = RNG.random((600, 9)), np.arange(600) % 3
    x[:, 4] = 7
    x[:300, 2] = 7  # not constant, though at first it looks like it
    told = "of x has the same value in all samples, which tells nothing"
    assert notes(capsys, network(features=9), x, y) == [f"note: column 4 {told}"]
    x[:, 1:8] = 0
    told = "of x have the same value in all samples, which tells nothing"
    assert notes(capsys, network(features=9), x.astype(int), y) == [
        f"note: columns 0, 1, 2, 3, 4 and 4 more {told}"
    ]
    assert notes(capsys, network(), X[:9] * 0, y[:9]) == [], "too few to say"


def test_pictures_texts_and_sequences_have_no_columns(capsys):
    y = np.arange(60) % 2
    pictures = tn.Sequential([tn.Flatten(), tn.Dense(2, "softmax")], (2, 2, 1))
    assert notes(capsys, pictures, np.zeros((60, 2, 2, 1)), y, validation_split=0.2) == []
    rows = network(2)
    rows.metadata["input"] = {}
    assert notes(capsys, rows, X * 0, y) == []
    text = tn.Sequential(
        [tn.Embedding(5, 2), tn.GRU(2, return_sequences=True), tn.Dense(5, "softmax")], (None,)
    )
    ids = np.zeros((60, 3), int)
    assert notes(capsys, text, ids, np.arange(180).reshape(60, 3) // 36, validation_split=0.2) == []
