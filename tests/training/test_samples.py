from __future__ import annotations

import numpy as np
import pytest
from tiny import line

import tinynet as tn
from tinynet.errors import DataError, TinynetError
from tinynet.training import Callback
from tinynet.training.samples import Samples

RNG = np.random.default_rng(0)
X, Y = RNG.random((20, 4), dtype=np.float32), np.arange(20) % 3


def net(**settings) -> tn.Sequential:
    return tn.Sequential([tn.Dense(3, activation="softmax")], (4,), **settings)


def trained(x=X, y=Y, **settings):
    """The loss and the weights after two epochs."""
    model = net()
    history = model.fit(x, y, batch_size=7, epochs=2, **settings)
    found = [history.epochs[-1]["loss"], *(w for weights in model.get_weights() for w in weights.ravel())]
    return np.array(found)


def same(*results) -> bool:
    return all(np.allclose(results[0], result, rtol=1e-6) for result in results)


# ---- weights ----


@pytest.mark.parametrize("scale", [1e38, 1e300, 1e-45, 1e-300, 5e-324, 2.0**60])
def test_only_the_ratios_of_weights_count_whatever_their_size(scale):
    assert same(trained(sample_weight=np.full(20, scale)), trained(sample_weight=np.ones(20)))
    assert same(trained(class_weight={0: scale, 1: scale, 2: scale}), trained(sample_weight=np.ones(20)))


def test_weights_of_very_different_size_stay_finite():
    weights = np.full(20, 1e-300)
    weights[:5] = 1e300
    assert np.isfinite(trained(sample_weight=weights)[0])
    both = trained(sample_weight=np.full(20, 1e-200), class_weight={0: 1e-200, 1: 1e-200, 2: 1e-200})
    assert same(both, trained(sample_weight=np.ones(20)))
    assert net().evaluate(X, Y, sample_weight=np.full(20, 1e38)) == net().evaluate(X, Y)


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0], [0.0, 0.0]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(DataError, match="sample_weight must hold finite numbers of at least 0"):
        net().fit(X[:2], Y[:2], sample_weight=weights)
    with pytest.raises(DataError, match="class_weight must hold finite numbers of at least 0"):
        net().fit(X, Y, class_weight=dict(enumerate([*weights, 0.0])))


def test_a_weight_beyond_all_numbers_is_no_finite_one():
    with pytest.raises(DataError, match="class_weight must hold finite numbers"):
        net().fit(X, Y, class_weight={0: 10**400})


def test_weights_that_leave_nothing_are_refused():
    only_class_2 = {0: 0, 1: 0, 2: 1}
    with pytest.raises(DataError, match="every sample has the weight 0"):
        net().fit(X, np.zeros(20, int), class_weight=only_class_2)
    with pytest.raises(DataError, match="every sample has the weight 0"):
        net().fit(X, Y, class_weight=only_class_2, sample_weight=Y != 2)
    with pytest.raises(DataError, match="leaves only samples of weight 0 to validate on"):
        net().fit(X, Y, sample_weight=np.arange(20) < 10, validation_split=0.5)
    with pytest.raises(DataError, match="leaves only samples of weight 0 to train on"):
        net().fit(X, Y, sample_weight=np.arange(20) >= 10, validation_split=0.5)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0], np.ones(2), np.float64(1)])
def test_a_list_of_class_weights_has_one_for_each_class(weights):
    with pytest.raises(TinynetError, match="class_weight must "):
        net().fit(X, Y, class_weight=weights)
    assert same(
        trained(class_weight=[1, 1, 2]),
        trained(class_weight={2: 2}),
        trained(class_weight=np.array([1, 1, 2])),
    )


def test_balanced_weights_make_each_class_count_the_same():
    y = np.array([0] * 12 + [1] * 6 + [2] * 2)
    assert same(
        trained(y=y, class_weight="balanced"), trained(y=y, class_weight={0: 1 / 12, 1: 1 / 6, 2: 1 / 2})
    )
    missing = np.array([0] * 15 + [2] * 5)
    assert same(
        trained(y=missing, class_weight="balanced"), trained(y=missing, class_weight={0: 1 / 15, 2: 1 / 5})
    )


def test_class_weights_may_go_by_the_names_of_classes():
    named, numbered = net(labels=["cat", "dog", "owl"]), net()
    named.fit(X, Y, class_weight={"owl": 3.0})
    numbered.fit(X, Y, class_weight={2: 3.0})
    assert all(map(np.array_equal, named.get_weights(), numbered.get_weights()))
    with pytest.raises(TinynetError, match="names the class 'cow', but the classes are 0…2 or cat, dog, owl"):
        named.fit(X, Y, class_weight={"cow": 3.0})


# ---- nothing to learn from ----


@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy", "cross_entropy"])
def test_sequences_without_steps_are_one_sentence(loss):
    layers = [
        tn.LSTM(8, return_sequences=True),
        tn.Dense(2, "sigmoid" if loss != "cross_entropy" else "softmax"),
    ]
    model, x = tn.Sequential(layers, (None, 1)), np.zeros((2, 0, 1))
    y = np.zeros((2, 0) if loss == "cross_entropy" else (2, 0, 2), int)
    for use in (model.fit, model.evaluate):
        with pytest.raises(DataError, match=r"x of shape \(2, 0, 1\) has no steps"):
            use(x, y, loss=loss)
    assert model.predict(x).shape == (2, 0, 2)


def test_no_samples_are_one_sentence_and_predicted_to_nothing():
    for use in (net().fit, net().evaluate):
        with pytest.raises(DataError, match="there are no samples"):
            use(X[:0], Y[:0])
    with pytest.raises(DataError, match="validation_data: there are no samples"):
        net().fit(X, Y, validation_data=(X[:0], Y[:0]))
    assert net().predict(X[:0]).shape == (0, 3)


def test_a_mask_that_leaves_nothing_trains_nothing():
    layers = [tn.Masking(), tn.GRU(3, return_sequences=True), tn.Dense(1)]
    model = tn.Sequential(layers, (None, 2))
    before = model.get_weights()
    history = model.fit(np.zeros((4, 3, 2)), np.ones((4, 3, 1)), loss="mse", optimizer=tn.SGD(0.1))
    assert history.epochs[0]["loss"] == 0 and all(map(np.array_equal, before, model.get_weights()))
    assert model.evaluate(np.zeros((4, 3, 2)), np.ones((4, 3, 1)), loss="mse")["loss"] == 0


class Each(Callback):
    """Does something after every step."""

    def __init__(self, do) -> None:
        self.on_batch_end = do


def test_one_batch_is_fetched_ahead_and_none_that_is_not_needed(monkeypatch):
    taken, steps = [], []
    take = Samples.take
    monkeypatch.setattr(Samples, "take", lambda samples, index: taken.append(index) or take(samples, index))
    each = Each(lambda training: steps.append(len(taken)))
    line().fit([[1.0]] * 6, [1.0] * 6, loss="mae", batch_size=2, epochs=2, callbacks=[each])
    assert steps == [2, 3, 3, 5, 6, 6]
    taken.clear()
    stopping = Each(lambda training: training.stop("enough"))
    line().fit([[1.0]] * 6, [1.0] * 6, loss="mae", batch_size=1, callbacks=[stopping])
    assert len(taken) == 2
