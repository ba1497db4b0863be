"""Functions of a user's own as metrics: in history, progress and evaluate, watched, and after a break."""

from __future__ import annotations

import io

import numpy as np
import pytest
from tiny import equal, network, samples

import tinynet as tn
from tinynet.errors import TinynetError
from tinynet.training.callbacks import Progress

X, Y = samples(70)


def hits(labels, outputs):
    return np.mean(outputs.argmax(axis=1) == labels)


def largest(labels, outputs):
    return outputs.max(axis=1)


def squares(labels, outputs):
    return np.mean((labels - outputs) ** 2)


def test_a_function_is_measured_beside_the_loss_and_its_own_metric():
    net, plain = network(), network()
    settings = {"epochs": 2, "batch_size": 32, "validation_split": 0.3}
    history = net.fit(X, Y, metrics=["accuracy", hits, largest], **settings)
    plain.fit(X, Y, **settings)
    assert equal(net.state(), plain.state()), "what is measured changes nothing"
    assert list(history.history)[:9] == [
        "epoch", "loss", "accuracy", "hits", "largest", "val_loss", "val_accuracy", "val_hits", "val_largest"
    ]  # fmt: skip
    for row in history.epochs:
        assert row["hits"] == pytest.approx(row["accuracy"]) and row["val_hits"] == pytest.approx(
            row["val_accuracy"]
        )
        assert 0.5 <= row["largest"] <= 1 and 0.5 <= row["val_largest"] <= 1, "probabilities, not logits"
    found = net.evaluate(X, Y, metrics=[hits, largest], batch_size=32)  # the last batch is shorter
    assert found["hits"] == pytest.approx(found["accuracy"])
    assert found["largest"] == pytest.approx(net.predict(X).max(axis=1).mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "units", "activation", "labels"),
    [
        ("mse", 1, None, Y.astype(float)),
        ("binary_cross_entropy", 1, "sigmoid", Y),
        ("mse", 2, "relu", np.eye(2)[Y]),
    ],
)
def test_labels_and_outputs_have_the_same_shape_where_both_are_numbers(loss, units, activation, labels):
    net = network(units, activation)
    found = net.evaluate(X, labels, loss=loss, metrics=[squares])
    assert found["squares"] == pytest.approx(
        ((labels.reshape(70, units) - net.predict(X)) ** 2).mean(), rel=1e-5
    )


def test_what_does_not_count_is_not_shown_to_a_function():
    shown = []

    def rows(labels, outputs):
        shown.append(len(labels))
        labels[:] = 9  # its own copy
        return len(outputs)

    weights = np.arange(70) % 2
    assert network().evaluate(X, Y, sample_weight=weights, metrics=[rows]) == pytest.approx(
        network().evaluate(X, Y, sample_weight=weights) | {"rows": 35}
    )
    net = tn.Sequential([tn.Masking(), tn.LSTM(2, return_sequences=True), tn.Dense(2, "softmax")], (5, 1))
    x = np.ones((3, 5, 1))
    x[:, 3:] = 0
    net.evaluate(x, np.zeros((3, 5), int), metrics=[rows])
    assert shown == [35, 9]


def test_a_function_is_watched_in_the_direction_that_is_said():
    turns = iter([0.1, 0.5, 0.3, 0.2, 0.4] * 2)

    def f(labels, outputs):
        return next(turns) if len(labels) == 10 else 0  # the samples to validate on

    settings = {"epochs": 5, "batch_size": 50, "validation_data": (X[:10], Y[:10]), "metrics": [f]}
    history = network().fit(
        X, Y, early_stopping=tn.EarlyStopping("val_f", patience=2, mode="max"), **settings
    )
    assert (history.best_epoch, len(history.epochs)) == (2, 4)
    turns = iter([0.1, 0.5, 0.3])
    history = network().fit(
        X, Y, early_stopping=tn.EarlyStopping("val_f", patience=2, mode="min"), **settings
    )
    assert (history.best_epoch, len(history.epochs)) == (1, 3)
    for watcher in ({"early_stopping": tn.EarlyStopping("f")},
                    {"optimizer": tn.Adam(tn.ReduceOnPlateau(0.1, monitor="val_f"))}):  # fmt: skip
        with pytest.raises(
            TinynetError, match=r"watches (val_)?f: give mode='max' if higher is better, or mode='min'"
        ):
            network().fit(X, Y, **settings, **watcher)
    with pytest.raises(TinynetError, match="EarlyStopping: mode must be 'min' or 'max', or None, not 'up'"):
        tn.EarlyStopping(mode="up")


def test_progress_and_drawing_show_a_function(tmp_path):
    stream = io.StringIO()
    history = network().fit(X, Y, metrics=[largest], callbacks=[Progress(stream)])
    assert "  largest 0." in stream.getvalue()
    history.draw(tmp_path / "h.png")
    history.save_csv(tmp_path / "h.csv")
    assert (tmp_path / "h.csv").read_text().startswith("epoch,loss,accuracy,largest,learning_rate")


def test_a_training_resumes_with_the_same_functions_only(tmp_path):
    class Stop(tn.Callback):
        def on_batch_end(self, training):
            if training.step == 5:
                training.stop("interrupted")

    settings = {"epochs": 3, "batch_size": 20, "metrics": [largest]}
    path = tmp_path / "c.npz"
    network().fit(X, Y, **settings, callbacks=[Stop()], checkpoint=path)
    with pytest.raises(TinynetError, match="metrics was largest, now None"):
        network().fit(X, Y, **settings | {"metrics": []}, resume=path)
    rows = [net.fit(X, Y, **settings, **more).history["largest"] for net, more in
            ((network(), {"resume": path}), (network(), {}))]  # fmt: skip
    assert rows[0] == rows[1]


@pytest.mark.parametrize("name", ["accuracy", "acc", "sparse_categorical_accuracy"])
def test_the_metric_of_the_loss_may_be_named(name):
    assert list(network().evaluate(X, Y, metrics=[name])) == ["loss", "accuracy"]


def test_what_is_no_metric_is_a_sentence():
    def loss(labels, outputs):
        return 0

    def nothing(labels, outputs):
        return None

    def nan(labels, outputs):
        return np.nan

    for metrics, message in (
        (
            ["f1"],
            "there is no metric 'f1' for cross_entropy, which has accuracy; other metrics are functions",
        ),
        ([None], "there is no metric None"),
        ([dict], "there is no metric <class 'dict'>"),
        ("accuracy", r"metrics must be a list, such as \['accuracy', f\], not 'accuracy'"),
        ([loss], "the history already has a loss: give the metric loss another name"),
        ([hits, hits], "the history already has a hits"),
        ([nothing], "the metric nothing must return a finite number for each batch, but returned None"),
        ([nan], "the metric nan must return a finite number for each batch, but returned nan"),
    ):
        for call in (network().fit, network().evaluate):
            with pytest.raises(TinynetError, match=message):
                call(X, Y, metrics=metrics)


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_divergence_is_told_before_a_metric_sees_what_came_of_it(device):
    tn.set_device(device)
    net = network()
    before = net.get_weights()
    with pytest.raises(tn.training.DivergedError, match="try a lower learning rate"):
        net.fit(X * 1e30, Y, epochs=3, optimizer=tn.SGD(1e30), metrics=[lambda y, p: float(p.mean())])
    assert all(map(np.array_equal, net.get_weights(), before))


def test_a_layer_that_a_callback_freezes_keeps_its_weights_from_then_on():
    class Freeze(tn.training.Callback):
        def on_epoch_end(self, training):
            layer = training.model.layers[0]
            self.kept = (
                [array.copy() for array in layer.parameters.values()] if layer.trainable else self.kept
            )
            layer.trainable = False

    net, freeze = network(), Freeze()
    last = net.get_weights()[-1]
    net.fit(X, Y, epochs=3, callbacks=[freeze])
    assert all(map(np.array_equal, net.layers[0].parameters.values(), freeze.kept))
    assert not np.array_equal(net.get_weights()[-1], last)
