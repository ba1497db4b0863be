from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from test_fit import At, raise_ctrl_c
from tiny import equal, network, samples

import tinynet as tn
from tinynet.errors import TinynetError
from tinynet.training import SGD, DivergedError

X, Y = samples()


# ---- several trainings of one network ----


def trained(net: tn.Sequential, *epochs: int) -> tn.Sequential:
    for count in epochs:
        net.fit(X, Y, epochs=count, batch_size=16, optimizer=SGD(0.05))
    return net


def test_a_loop_of_single_epochs_goes_on_as_one_training_would():
    # plain SGD remembers nothing, so only order and dropout can differ
    whole = trained(network(), 4)
    assert equal(whole.state(), trained(network(), 1, 1, 1, 1).state())
    assert equal(whole.state(), trained(network(), 2, 2).state()) and whole.epochs_trained == 4


def test_the_first_training_after_making_or_loading_repeats_to_the_bit(tmp_path):
    net = trained(network(), 1)
    net.save(tmp_path / "net.npz")
    loaded = [tn.load(tmp_path / "net.npz") for _ in range(2)]
    assert equal(trained(loaded[0], 1).state(), trained(loaded[1], 1).state())
    assert not equal(loaded[0].state(), trained(net, 1).state())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_goes_on_as_its_original_does(duplicate):
    net = trained(network(), 1)
    other = duplicate(net)
    assert equal(trained(net, 1).state(), trained(other, 1).state())


def test_an_epoch_that_was_broken_off_is_not_repeated():
    net = network()
    net.fit(X, Y, epochs=3, batch_size=10, callbacks=[At(8, raise_ctrl_c)])
    assert net.epochs_trained == 2


# ---- what cannot be learnt ----


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "cross_entropy"])
@pytest.mark.parametrize(
    "last",
    [
        [tn.Dense(1, "softmax")],
        [tn.Dense(1), tn.Activation("softmax")],
        [tn.Dense(1, "softmax"), tn.Dense(2)],
    ],
)
def test_a_softmax_over_one_unit_is_refused(loss, last):
    net = tn.Sequential(copy.deepcopy(last), (3,))
    with pytest.raises(TinynetError, match="is a softmax over one unit, which is always 1"):
        net.fit(np.ones((4, 3)), np.ones(4), loss=loss)


def test_a_sigmoid_of_one_unit_takes_any_loss():
    for loss in ("mse", "mae", "binary_cross_entropy"):
        tn.Sequential([tn.Dense(1, "sigmoid")], (3,)).fit(np.ones((4, 3)), np.ones(4), loss=loss)


@pytest.mark.parametrize("batch_size", [64, 32])
@pytest.mark.parametrize("validated", [False, True])
def test_weights_worse_than_those_at_the_start_are_not_the_best(batch_size, validated):
    # features far too large for the rate: the first epoch already explodes, though its loss is finite
    x = np.random.default_rng(0).normal(size=(64, 4)) * 1e3
    y = x.sum(axis=1)
    net = tn.Sequential([tn.Dense(16), tn.Dense(1)], (4,))
    before = net.get_weights()
    with pytest.raises(DivergedError, match="holds the weights that it began with") as caught:
        net.fit(
            x, y, loss="mse", epochs=50, batch_size=batch_size, optimizer=SGD(1e-3),
            validation_data=(x, y) if validated else None,
        )  # fmt: skip
    assert caught.value.history.best_epoch is None
    assert all(map(np.array_equal, before, net.get_weights()))
