from __future__ import annotations

import math
import signal
import threading
import time

import numpy as np
import pytest
from helpers import BACK_ENDS, back_end
from tiny import equal, line, network, samples

import tinynet as tn
from tinynet.errors import DataError, ShapeError, TinynetError
from tinynet.training import SGD, Adam, Callback, DivergedError, EarlyStopping

X, Y = samples()


class At(Callback):
    """Does something once, after a step counted from 1."""

    def __init__(self, step: int, action) -> None:
        self.step, self.action, self.weights = step, action, {}

    def on_batch_end(self, training) -> None:
        if training.step == self.step:
            self.action(training)


class Weights(Callback):
    """Keeps the weights of every epoch's end."""

    def __init__(self) -> None:
        self.epochs = []

    def on_epoch_end(self, training) -> None:
        self.epochs.append({name: value.copy() for name, value in training.model.state().items()})


def raise_ctrl_c(training) -> None:
    raise KeyboardInterrupt


# ---- learning ----


def test_training_learns_and_writes_a_history():
    net = network()
    history = net.fit(
        X, Y, epochs=15, batch_size=16, optimizer=Adam(1e-2), validation_data=samples(40, seed=9)
    )
    assert net.evaluate(X, Y)["accuracy"] > 0.9
    assert list(history.epochs[0]) == [
        "epoch",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "learning_rate",
        "seconds",
    ]
    assert history.history["epoch"] == list(range(1, 16)) and not history.stopped and not history.interrupted
    assert net.evaluate(*samples(40, seed=9)) == {
        name: history.epochs[-1][f"val_{name}"] for name in ("loss", "accuracy")
    }
    assert net.metadata["loss"] == "cross_entropy"


def test_one_step_is_the_gradient_of_the_mean_over_the_batch():
    # the loss mean (w x - t)² has the slope mean 2 x (w x - t)
    net, x, t = line(0.5), np.array([[1.0], [2.0], [3.0]]), np.array([1.0, 0.0, -1.0])
    history = net.fit(x, t, loss="mse", optimizer=SGD(0.1), shuffle=False)
    slope = np.mean(2 * x[:, 0] * (0.5 * x[:, 0] - t))
    assert net.get_weights()[0][0, 0] == pytest.approx(0.5 - 0.1 * slope)
    assert history.epochs[0]["loss"] == pytest.approx(np.mean((0.5 * x[:, 0] - t) ** 2))
    assert history.epochs[0]["mae"] == pytest.approx(np.mean(np.abs(0.5 * x[:, 0] - t)))


def test_the_loss_of_an_epoch_counts_samples_not_batches():
    history = line().fit(
        [[1.0]] * 3, [0.0, 0.0, 3.0], loss="mse", optimizer=SGD(1e-12), batch_size=2, shuffle=False
    )
    assert history.epochs[0]["loss"] == pytest.approx(3.0)


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(device):
    if device == "cpu":
        pytest.importorskip("numba")
    tn.set_device(device)
    states = []
    for seed, threads in ((4, 1), (4, 2), (5, 1)):
        tn.set_threads(threads)
        net = network()
        net.fit(X, Y, epochs=2, seed=seed, ema=0.9, clip_norm=1.0)
        states.append(net.state())
    assert equal(states[0], states[1]) and not equal(states[0], states[2])


def test_shuffling_changes_the_order_and_nothing_is_left_out():
    def order(shuffle: bool) -> list[float]:
        # the loss of each step, at a rate too small to change anything, tells which sample it saw
        losses = []
        line().fit(
            [[1.0]] * 6,
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            loss="mae",
            optimizer=SGD(1e-30),
            batch_size=1,
            epochs=2,
            shuffle=shuffle,
            callbacks=[Each(lambda training: losses.append(training.sums.loss))],
        )
        steps = np.diff(np.array(losses).reshape(2, 6), prepend=0)
        return steps.round().tolist()

    assert order(False) == [[1, 2, 3, 4, 5, 6]] * 2
    first, second = order(True)
    assert sorted(first) == sorted(second) == [1, 2, 3, 4, 5, 6] and first != second


class Each(Callback):
    """Does something after every step."""

    def __init__(self, action) -> None:
        self.action = action

    def on_batch_end(self, training) -> None:
        self.action(training)


def test_augmentation_sees_training_pictures_only():
    plain, same, changed = network(), network(), network()
    plain.fit(X, Y)
    same.fit(X, Y, augment=tn.Augment())
    changed.fit(X, Y, augment=tn.Augment(shift=0.2))
    assert equal(plain.state(), same.state()) and not equal(plain.state(), changed.state())
    with pytest.raises(TinynetError, match="augment needs pictures"):
        line().fit([[1.0]], [1.0], loss="mse", augment=tn.Augment(shift=0.1))


def test_each_input_is_augmented_in_its_own_way():
    x, y = (np.ones((6, 8, 8, 1), np.float32), np.ones((6, 2), np.float32)), np.eye(6, 4, dtype=np.float32)

    def trained(augment) -> list[np.ndarray]:
        branches = [tn.Sequential([tn.Flatten(), tn.Dense(2)]) for _ in range(2)]
        net = tn.Sequential([tn.Parallel(branches)], ((8, 8, 1), (2,)))
        net.fit(x, y, loss="mse", augment=augment)
        return net.get_weights()

    def same(augment) -> list[bool]:
        return [bool((a == b).all()) for a, b in zip(trained(augment), trained(None), strict=True)]

    assert same((None, None)) == [True] * 4
    moved = same((tn.Augment(shift=0.4), None))
    assert not moved[0] and moved[2]
    with pytest.raises(TinynetError, match="2 inputs: augment needs a tuple of one for each"):
        trained(tn.Augment(shift=0.4))
    with pytest.raises(TinynetError, match="augment needs words"):
        trained((None, tn.WordAugment(0.5)))
    with pytest.raises(TinynetError, match="2 parts, but the network has one input"):
        network().fit(X, Y, augment=(None, None))
    with pytest.raises(TinynetError, match=r"augment must be a tinynet.Augment, such as .*, not 0.4"):
        trained((0.4, None))
    with pytest.raises(TinynetError, match="mixes samples, which needs one input"):
        trained((tn.Augment(mix=0.2), None))


def test_mixup_needs_one_label_of_a_class():
    with pytest.raises(TinynetError, match="one input, loss='cross_entropy' and one label per sample"):
        network().fit(X, np.eye(2)[Y], loss="mse", augment=tn.Augment(mix=0.2))


# ---- weights of samples and classes ----


def test_a_sample_of_weight_two_is_a_sample_given_twice():
    weighted, repeated = line(), line()
    weighted.fit([[1.0], [2.0]], [1.0, -1.0], loss="mse", sample_weight=[2, 1], optimizer=SGD(0.1))
    repeated.fit([[1.0], [1.0], [2.0]], [1.0, 1.0, -1.0], loss="mse", optimizer=SGD(0.1))
    assert weighted.get_weights()[0] == pytest.approx(repeated.get_weights()[0])


def test_a_class_weight_is_the_weight_of_its_samples():
    states = []
    for settings in (
        {"class_weight": {1: 3.0}},
        {"class_weight": [1.0, 3.0]},
        {"sample_weight": np.where(Y == 1, 3.0, 1.0)},
        {"class_weight": {1: 1.5}, "sample_weight": np.where(Y == 1, 2.0, 1.0)},
    ):
        net = network()
        history = net.fit(X, Y, **settings)
        states.append(net.state() | {"loss": np.array(history.epochs[0]["loss"])})
    assert all(equal(states[0], state) for state in states)
    net = network()
    net.fit(X, Y)
    assert not equal(net.state(), {name: states[0][name] for name in net.state()})


def test_class_weights_of_a_sigmoid():
    one, other = network(1, "sigmoid"), network(1, "sigmoid")
    one.fit(X, Y, loss="binary_cross_entropy", class_weight={0: 2.0})
    other.fit(X, Y, loss="binary_cross_entropy", sample_weight=np.where(Y == 0, 2.0, 1.0))
    assert equal(one.state(), other.state())


def test_a_weight_of_zero_leaves_a_sample_out_even_of_a_batch_of_its_own():
    net = line()
    history = net.fit(
        [[1.0], [1.0]], [1.0, 9.0], loss="mse", sample_weight=[1, 0], batch_size=1, optimizer=SGD(0.1)
    )
    assert net.get_weights()[0][0, 0] == pytest.approx(0.2)
    assert history.epochs[0]["loss"] == pytest.approx(1.0) and history.epochs[0]["mae"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_weight": {2: 1.0}}, "class_weight names the class 2, but the classes are 0…1"),
        ({"class_weight": {"cat": 1.0}}, "names the class 'cat'"),
        ({"class_weight": {0: "a"}}, "gives the class 0 the weight 'a', which is not a number"),
        ({"class_weight": 3}, "class_weight must be 'balanced' or a dict"),
        ({"callbacks": 3}, "callbacks must be a list"),
        ({"augment": 3}, "augment must be a tinynet.Augment"),
        ({"class_weight": {0: -1.0}}, "class_weight must hold finite numbers of at least 0"),
        ({"sample_weight": [1.0]}, r"sample_weight must hold one number per sample, shape \(60,\)"),
        ({"sample_weight": np.zeros(60)}, "not only zeros"),
        ({"sample_weight": np.full(60, np.nan)}, "sample_weight must hold finite numbers"),
        ({"loss": "mse", "class_weight": {0: 2.0}}, "class_weight needs labels that are classes"),
    ],
)
def test_weights_that_do_not_fit_are_named(settings, message):
    y = np.eye(2)[Y] if "loss" in settings else Y
    with pytest.raises(TinynetError, match=message):
        network().fit(X, y, **settings)


# ---- validation and early stopping ----


def test_validation_split_takes_the_last_samples():
    split, given = network(), network()
    one = split.fit(X, Y, validation_split=0.25)
    other = given.fit(X[:45], Y[:45], validation_data=(X[45:], Y[45:]))
    assert equal(split.state(), given.state())
    assert one.epochs[0]["val_loss"] == other.epochs[0]["val_loss"]


def test_validation_data_is_checked_and_named():
    with pytest.raises(DataError, match="validation_data: the label 7 at index 0 is outside"):
        network().fit(X, Y, validation_data=(X[:1], [7]))
    with pytest.raises(ShapeError, match="validation_data: conv2d_1 takes"):
        network().fit(X, Y, validation_data=(X[:, :4], Y))
    with pytest.raises(TinynetError, match="validation_data or validation_split, not both"):
        network().fit(X, Y, validation_data=(X, Y), validation_split=0.1)
    with pytest.raises(TinynetError, match="validation_data must be a pair"):
        network().fit(X, Y, validation_data=X)
    with pytest.raises(DataError, match=r"validation_split=0.9 of 1 samples leaves none"):
        network().fit(X[:1], Y[:1], validation_split=0.9)


def overfitted(**settings):
    """Validation labels are the opposite: the more it learns, the worse it gets."""
    net, weights = network(), Weights()
    history = net.fit(
        X, Y, epochs=12, optimizer=Adam(1e-2), validation_data=(X, 1 - Y), callbacks=[weights], **settings
    )
    best = int(np.argmin(history.history["val_loss"]))
    return net, history, weights.epochs, best


def test_early_stopping_restores_the_best_weights():
    net, history, weights, best = overfitted(early_stopping=EarlyStopping(patience=3))
    assert history.stopped == "early stopping" and len(history.epochs) == best + 1 + 3 < 12
    assert history.best_epoch == best + 1
    assert equal(net.state(), weights[best]) and not equal(net.state(), weights[-1])
    assert net.evaluate(X, 1 - Y)["loss"] == history.epochs[best]["val_loss"]


def test_early_stopping_in_its_other_forms():
    _, history, _, best = overfitted(early_stopping=2)
    assert len(history.epochs) == best + 3
    net, history, weights, best = overfitted(
        early_stopping=EarlyStopping(patience=2, restore_best_weights=False)
    )
    assert equal(net.state(), weights[-1])
    history = network().fit(X, 1 - Y, epochs=9, callbacks=[EarlyStopping("loss", patience=1, min_delta=99)])
    assert len(history.epochs) == 2


def test_without_early_stopping_the_last_weights_stay():
    net, history, weights, best = overfitted()
    assert len(history.epochs) == 12 and history.best_epoch == best + 1
    assert equal(net.state(), weights[-1])


def test_an_accuracy_is_watched_upwards():
    rows = [{"val_accuracy": a, "val_loss": 1.0} for a in (0.5, 0.7, 0.7, 0.6)]
    stopping = EarlyStopping("val_accuracy", patience=2)
    assert [stopping.best(rows[:n]) for n in range(5)] == [None, 0, 1, 1, 1]
    assert [stopping.is_over(rows[:n]) for n in range(5)] == [False, False, False, False, True]


def test_of_epochs_with_the_same_accuracy_the_lower_loss_is_best():
    # a few validation pictures are all right long before a network has learnt
    found = [(0.5, 0.7), (1.0, 0.69), (0.5, 0.1), (1.0, 0.2), (1.0, 0.3), (1.0, 0.2)]
    rows = [{"val_accuracy": accuracy, "val_loss": loss} for accuracy, loss in found]
    watched = EarlyStopping("val_accuracy", patience=None)
    assert [watched.best(rows[:n]) for n in range(1, 7)] == [0, 1, 1, 3, 3, 3]
    # patience waits for an improvement, which the same accuracy is not
    assert not EarlyStopping("val_accuracy", patience=3).is_over(rows[:4])
    assert EarlyStopping("val_accuracy", patience=3).is_over(rows[:5])


def test_the_weights_of_the_best_of_equal_epochs_are_kept():
    weights = Weights()
    history = (net := network()).fit(
        X, Y, epochs=12, batch_size=16, optimizer=Adam(1e-2), validation_data=(X[:2], Y[:2]),
        callbacks=[weights], early_stopping=EarlyStopping("val_accuracy", patience=None),
    )  # fmt: skip
    right = [row for row in history.epochs if row["val_accuracy"] == 1]
    assert len(right) > 1 and right[0]["epoch"] != history.best_epoch
    assert history.best_epoch == min(right, key=lambda row: row["val_loss"])["epoch"]
    assert equal(net.state(), weights.epochs[history.best_epoch - 1])


@pytest.mark.parametrize(
    ("stopping", "message"),
    [
        (EarlyStopping(), "watches val_loss, which needs validation_data or validation_split"),
        (EarlyStopping("f1"), "watches 'f1', but the history has loss, accuracy"),
    ],
)
def test_early_stopping_needs_something_to_watch(stopping, message):
    with pytest.raises(TinynetError, match=message):
        network().fit(X, Y, early_stopping=stopping)


def test_the_moving_average_is_what_is_validated_and_kept():
    plain, averaged = network(), network()
    plain.fit(X, Y, epochs=3)
    history = averaged.fit(X, Y, epochs=3, ema=0.9, validation_data=(X, Y))
    assert not equal(plain.state(), averaged.state())
    assert averaged.evaluate(X, Y)["loss"] == history.epochs[-1]["val_loss"]


# ---- ends ----


@pytest.mark.parametrize("how", ["raised", "signal"])
def test_ctrl_c_ends_cleanly_with_the_best_weights(how):
    act = raise_ctrl_c if how == "raised" else lambda training: signal.raise_signal(signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    net, weights = network(), Weights()
    history = net.fit(
        X, Y, epochs=9, optimizer=Adam(1e-2), validation_data=(X, 1 - Y), callbacks=[weights, At(17, act)]
    )
    assert history.interrupted and history.stopped == "interrupted"
    # 2 steps an epoch: the 17th is in the middle of the 9th
    assert [row["epoch"] for row in history.epochs] == list(range(1, 10))
    assert history.best_epoch < 9 and equal(net.state(), weights.epochs[history.best_epoch - 1])
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_in_the_first_epoch_keeps_what_was_learned():
    net, start = network(), network()
    history = net.fit(X, Y, batch_size=10, callbacks=[At(3, raise_ctrl_c)])
    assert history.interrupted and len(history.epochs) == 1 and not equal(net.state(), start.state())


def test_a_second_ctrl_c_is_immediate():
    def twice(training):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    assert network().fit(X, Y, callbacks=[At(1, twice)]).interrupted


def test_fit_works_outside_the_main_thread():
    net, other = network(), network()
    thread = threading.Thread(target=net.fit, args=(X, Y))
    thread.start()
    thread.join()
    other.fit(X, Y)
    assert equal(net.state(), other.state())


def test_the_time_limit_ends_training_after_the_step_that_passes_it():
    net, start = network(), network()
    sleep = At(3, lambda training: time.sleep(0.3))
    history = net.fit(
        X, Y, epochs=1000, batch_size=10, time_limit=0.3, callbacks=[sleep], validation_data=(X, Y)
    )
    assert history.stopped == "time limit" and not history.interrupted
    assert not equal(net.state(), start.state()) and "val_loss" in history.epochs[0]
    assert net.evaluate(X, Y)["loss"] == min(history.history["val_loss"])


def test_a_callback_can_stop():
    history = network().fit(X, Y, epochs=9, callbacks=[At(4, lambda training: training.stop("enough"))])
    assert history.stopped == "enough" and len(history.epochs) == 2
    with pytest.raises(TinynetError, match="callbacks must be instances"):
        network().fit(X, Y, callbacks=[print])


# ---- numbers that are none ----


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_nan_and_infinity_in_the_data_are_found_before_training(value, name):
    x = X.copy()
    x[17, 2, 2] = value
    net, start = network(), network()
    with pytest.raises(DataError, match=f"the sample at index 17 holds {name}"):
        net.fit(x, Y)
    assert equal(net.state(), start.state())


def test_large_numbers_are_not_mistaken_for_infinity():
    assert line().evaluate(np.full((9, 1), 3e38), np.zeros(9))["loss"] == 0


def test_divergence_is_an_error_that_keeps_the_best_weights():
    net, weights = network(), Weights()

    def break_it(training):
        next(iter(training.parameters.values()))[:] = np.nan

    with pytest.raises(
        DivergedError, match=r"epoch 3, step 2: try a lower learning rate, or clip_norm=1.0"
    ) as caught:
        net.fit(X, Y, epochs=9, callbacks=[weights, At(5, break_it)])
    history = caught.value.history
    assert len(history.epochs) == 2 and equal(net.state(), weights.epochs[history.best_epoch - 1])


def test_divergence_at_the_last_step_and_in_the_first_epoch():
    net, start = line(1.0), line(1.0)
    with pytest.raises(DivergedError, match="epoch 1"):
        net.fit([[1e20]], [0.0], loss="mse", optimizer=SGD(1e30))
    assert equal(net.state(), start.state())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rate", [1e30, 1e300])
@pytest.mark.parametrize("device", BACK_ENDS)
def test_a_rate_far_too_high_is_one_error_without_warnings(rate, device):
    back_end(device)
    tn.set_device(device)
    net = tn.Sequential([tn.Embedding(5, 3), tn.GRU(3), tn.Dense(2, "softmax")], (4,))
    with pytest.raises(DivergedError, match="try a lower learning rate"):
        net.fit(np.ones((40, 4), int), np.arange(40) % 2, batch_size=4, optimizer=tn.AdamW(rate))


def test_bad_settings_are_answered_before_training():
    for settings, message in (
        ({"epoch": 3}, r"fit has no setting epoch; did you mean epochs\?"),
        (
            {"metrics": ["f1"]},
            "there is no metric 'f1' for cross_entropy, which has accuracy; other metrics are functions",
        ),
        ({"momentum": 0.9}, "fit has no setting momentum; it has x, y, epochs, batch_size, "),
        ({"shuffle": "batch"}, "fit: shuffle must be True or False, not 'batch'"),
        ({"stateful": 1}, "fit: stateful must be True or False, not 1"),
        ({"epochs": 0}, "fit: epochs must be a whole number of at least 1, not 0"),
        ({"batch_size": 2.5}, "fit: batch_size must be"),
        ({"seed": -1}, "fit: seed must be"),
        ({"loss": "mean"}, "there is no loss 'mean'"),
        ({"optimizer": "sdg"}, "there is no optimizer 'sdg'"),
        ({"time_limit": 0}, "fit: time_limit must be a number above 0, not 0"),
        ({"clip_norm": -1}, "Adam: clip_norm must be a number above 0, not -1"),
        ({"ema": 2}, "ema: decay must be a number"),
        ({"validation_split": 1}, "fit: validation_split must be"),
        ({"early_stopping": -2}, "EarlyStopping: patience must be"),
    ):
        with pytest.raises(TinynetError, match=message):
            network().fit(X, Y, **settings)
    with pytest.raises(DataError, match="no samples"):
        network().fit(X[:0], Y[:0])
    with pytest.raises(ShapeError, match="conv2d_1 takes a batch of shape"):
        network().fit(X[:, :3], Y)
    assert math.isfinite(network().fit(X, Y, batch_size=1000).epochs[0]["loss"])


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_ids_and_labels_that_are_changed_while_training_lead_no_kernel_astray(device):
    tn.set_device(device)
    ids, labels = np.zeros((8, 3), np.int32), np.zeros(8, np.int64)

    class Change(Callback):
        def on_batch_end(self, training):
            ids[...] = labels[...] = 10**7

    net = tn.Sequential([tn.Embedding(5, 2), tn.LSTM(3), tn.Dense(2, activation="softmax")], (3,))
    history = net.fit(ids, labels, epochs=2, batch_size=4, callbacks=[Change()], verbose=False)
    assert len(history.epochs) == 2
