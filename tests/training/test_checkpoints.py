from __future__ import annotations

import copy
import json
import os
import shutil
import threading
import tracemalloc

import numpy as np
import pytest
from test_fit import At, raise_ctrl_c
from tiny import equal, network, samples

import tinynet as tn
from tinynet.errors import TinynetError
from tinynet.training import (
    SGD,
    AdamW,
    Callback,
    EarlyStopping,
    OneCycle,
    ReduceOnPlateau,
    RMSprop,
    Schedule,
    StepDecay,
    checkpoints,
)
from tinynet.training.checkpoints import save_checkpoint

X, Y = samples()
SETTINGS = {
    "epochs": 4,
    "batch_size": 16,
    "validation_split": 0.2,
    "augment": tn.Augment(shift=0.1),
    "ema": 0.9,
}
KINDS = {
    "AdamW": {"optimizer": AdamW(OneCycle(1e-2)), "early_stopping": EarlyStopping(patience=9)},
    "SGD": {"optimizer": SGD(ReduceOnPlateau(0.1, patience=1), momentum=0.9), "ema": None, "clip_norm": 0.1},
    "RMSprop": {
        "optimizer": RMSprop(1e-3),
        "class_weight": {1: 2.0},
        "early_stopping": EarlyStopping(patience=1),
    },
}


def rows(history) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history.epochs]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 3, 5, 10])
def test_resuming_gives_the_bits_of_an_unbroken_training(kind, step, tmp_path):
    # 48 samples to train on, so 3 steps an epoch: broken off inside an epoch, and at its end
    settings, file = SETTINGS | KINDS[kind], tmp_path / "run.npz"
    unbroken = network()
    expected = unbroken.fit(X, Y, **settings)
    broken = network()
    assert broken.fit(X, Y, **settings, checkpoint=file, callbacks=[At(step, raise_ctrl_c)]).interrupted
    resumed = network(seed=7)
    history = resumed.fit(X, Y, **settings, checkpoint=file, resume=file)
    assert equal(resumed.state(), unbroken.state())
    assert rows(history) == rows(expected)
    assert (history.stopped, history.best_epoch) == (expected.stopped, expected.best_epoch)


def test_resuming_twice_and_after_the_end(tmp_path):
    file = tmp_path / "run.npz"
    unbroken, net = network(), network()
    unbroken.fit(X, Y, **SETTINGS)
    net.fit(X, Y, **SETTINGS, checkpoint=file, time_limit=1e-9)
    net.fit(X, Y, **SETTINGS, checkpoint=file, resume=file, callbacks=[At(7, raise_ctrl_c)])
    net.fit(X, Y, **SETTINGS, checkpoint=file, resume=file)
    assert equal(net.state(), unbroken.state())
    finished = network()
    assert len(finished.fit(X, Y, **SETTINGS, resume=file).epochs) == 4
    assert equal(finished.state(), unbroken.state())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"batch_size": 8},
            "belongs to another training: batch_size was 32, now 8; give the same data and settings",
        ),
        ({"seed": 1}, "seed was 0, now 1"),
        ({"shuffle": False}, "shuffle was True, now False"),
        ({"optimizer": "sgd"}, "optimizer was Adam, now SGD;"),
        ({"optimizer": tn.Adam(0.01)}, "learning_rate was 0.001, now 0.01;"),
        (
            {"optimizer": tn.Adam(StepDecay(0.001))},
            "learning_rate was 0.001, now StepDecay;",
        ),
        ({"clip_norm": 1.0}, "clip_norm was None, now 1.0"),
        ({"ema": 0.9}, "ema was None, now 0.9"),
        ({"augment": tn.Augment(shift=0.1)}, "augment was None, now Augment"),
        ({"sample_weight": np.arange(60.0)}, "the weights of samples or classes have changed since"),
        ({"class_weight": {1: 2.0}}, "the weights of samples or classes have changed since"),
        ({"validation_data": (X, Y)}, "the validation data have changed since"),
    ],
)
def test_a_checkpoint_of_a_training_with_other_settings_is_refused(settings, message, tmp_path):
    file = tmp_path / "run.npz"
    network().fit(X, Y, checkpoint=file)
    net, start = network(), network()
    with pytest.raises(TinynetError, match=message):
        net.fit(X, Y, resume=file, **settings)
    assert equal(net.state(), start.state())


def test_a_checkpoint_of_other_data_is_refused(tmp_path):
    file, net = tmp_path / "run.npz", network()
    net.labels = ["above", "below"]
    net.fit(X, Y, checkpoint=file)
    with pytest.raises(TinynetError, match="another training: the pictures have changed since; give"):
        net.fit(X[::-1], Y, resume=file)
    with pytest.raises(TinynetError, match="the labels have changed since"):
        net.fit(X, 1 - Y, resume=file)
    net.labels = ["below", "above"]
    with pytest.raises(TinynetError, match="the names of the classes have changed since"):
        net.fit(X, Y, resume=file)
    larger = network(extra=(tn.Dense(3),))
    larger.labels = ["above", "below"]
    with pytest.raises(
        TinynetError, match=r"network was Conv2D BatchNorm Flatten Dropout Dense, now .* Dense Dense"
    ):
        larger.fit(X, Y, resume=file)


def deep(filters: int = 4, blocks: int = 1) -> tn.Sequential:
    blocks_inside = [tn.Conv2D(filters, 3, padding="same"), tn.BatchNorm(), tn.Conv2D(4, 3, padding="same")]
    layers = [
        tn.Conv2D(4, 3, padding="same"),
        *[tn.Residual(copy.deepcopy(blocks_inside)) for _ in range(blocks)],
    ]
    return tn.Sequential([*layers, tn.Flatten(), tn.Dense(2, activation="softmax")], (5, 5, 1))


def test_a_refused_checkpoint_names_what_differs_however_deep_it_lies(tmp_path):
    file = tmp_path / "run.npz"
    deep().fit(X, Y, checkpoint=file)
    with pytest.raises(TinynetError, match=r"training: residual_1/conv2d_1.filters was 4, now 6; give"):
        deep(filters=6).fit(X, Y, resume=file)
    file.unlink()
    deep(blocks=3).fit(X, Y, checkpoint=file)
    with pytest.raises(
        TinynetError, match=r"network was …Conv2D Flatten Dense, now …Conv2D Residual .* Dense; give"
    ):
        deep(blocks=4).fit(X, Y, resume=file)


def test_more_epochs_continue_where_the_rate_does_not_follow_from_their_number(tmp_path):
    file, whole, longer = tmp_path / "run.npz", network(), network()
    whole.fit(X, Y, epochs=5)
    longer.fit(X, Y, epochs=2, checkpoint=file)
    longer.fit(X, Y, epochs=5, checkpoint=file, resume=file)
    assert equal(whole.state(), longer.state())
    with pytest.raises(TinynetError, match="has already done 5 epochs: set epochs to at least 5"):
        longer.fit(X, Y, epochs=4, resume=file)
    file.unlink()
    network().fit(X, Y, epochs=2, optimizer=tn.Adam(OneCycle(0.01)), checkpoint=file)
    with pytest.raises(TinynetError, match="epochs was 2, now 5"):
        network().fit(X, Y, epochs=5, optimizer=tn.Adam(OneCycle(0.01)), resume=file)


class Halving(Schedule):
    """A schedule of a user's own."""

    def __init__(self, first):
        self.first, self.own = first, self

    def rate(self, position):
        return self.first / 2**position.epoch


def test_settings_of_a_users_own_are_known_by_what_they_hold(tmp_path):
    file = tmp_path / "run.npz"
    network().fit(X, Y, optimizer=tn.Adam(Halving(0.1)), checkpoint=file)
    network().fit(X, Y, optimizer=tn.Adam(Halving(0.1)), resume=file)
    with pytest.raises(TinynetError, match=r"first was 0.1, now 0.2"):
        network().fit(X, Y, optimizer=tn.Adam(Halving(0.2)), resume=file)


def test_a_checkpoint_is_never_replaced_by_another_training(tmp_path):
    file = tmp_path / "run.npz"
    network().fit(X, Y, checkpoint=file)
    whole = file.read_bytes()
    for settings in ({}, {"resume": shutil.copy(file, tmp_path / "copy.npz")}):
        with pytest.raises(
            TinynetError,
            match=r"run.npz exists already: resume='.*run.npz' continues that training; to start",
        ):
            network().fit(X, Y, checkpoint=file, **settings)
    assert file.read_bytes() == whole
    network().fit(X, Y, checkpoint=file, resume=file)
    file.write_bytes(b"")  # as tempfile makes it
    network().fit(X, Y, checkpoint=file)


def test_two_trainings_cannot_write_one_checkpoint_at_once(tmp_path):
    file = tmp_path / "run.npz"

    def another(training):
        for settings in ({}, {"resume": file}):
            with pytest.raises(TinynetError, match=r"another training is still writing .*run.npz: wait"):
                network().fit(X, Y, checkpoint=file, **settings)

    network().fit(X, Y, epochs=3, checkpoint=file, callbacks=[At(5, another)])
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    (tmp_path / "run.npz.lock").touch()  # what a killed one leaves
    network().fit(X, Y, epochs=3, checkpoint=file, resume=file)


@pytest.mark.skipif(not checkpoints.fcntl, reason="Windows has other locks")
def test_a_lock_that_a_killed_process_leaves_for_a_moment_is_waited_for(tmp_path):
    handle = os.open(tmp_path / "run.npz.lock", os.O_CREAT | os.O_RDWR)
    checkpoints.fcntl.flock(handle, checkpoints.fcntl.LOCK_EX)
    threading.Timer(checkpoints.PATIENCE / 10, os.close, [handle]).start()
    network().fit(X, Y, epochs=1, checkpoint=tmp_path / "run.npz")


def test_where_there_are_no_locks_there_is_a_checkpoint_still(tmp_path, monkeypatch):
    def none(*arguments):
        raise OSError(95, "Operation not supported")

    if checkpoints.fcntl:
        monkeypatch.setattr(checkpoints.fcntl, "flock", none)
    network().fit(X, Y, checkpoint=tmp_path / "run.npz")
    assert (tmp_path / "run.npz").exists()


def test_a_full_disk_at_a_checkpoint_ends_no_training(tmp_path, monkeypatch, capsys):
    file, net, plain = tmp_path / "run.npz", network(), network()
    real, tries = checkpoints.write_arrays, []

    def sometimes_full(*arguments):
        tries.append(1)
        if len(tries) < 4:
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(checkpoints, "write_arrays", sometimes_full)
    history = net.fit(X, Y, epochs=5, checkpoint=file)
    assert len(history.epochs) == 5 and len(tries) == 5 and file.exists()
    told = capsys.readouterr().err
    assert told.count("No space left on device") == 1 and "training continues" in told
    plain.fit(X, Y, epochs=5)
    assert equal(net.state(), plain.state())


def test_a_folder_that_vanishes_ends_no_training(tmp_path):
    (tmp_path / "gone").mkdir()
    history = network().fit(
        X, Y, epochs=3, checkpoint=tmp_path / "gone" / "run.npz",
        callbacks=[At(3, lambda training: shutil.rmtree(tmp_path / "gone"))],
    )  # fmt: skip
    assert len(history.epochs) == 3


# ---- callbacks ----


class Watch(Callback):
    """Lowers the rate as the validation asks, and keeps what it saw."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, training):
        self.seen.append((training.epoch, dict(training.logs)))
        if training.epoch == 1:
            training.learning_rate /= 4


def test_callbacks_see_the_means_of_the_epoch_and_set_the_learning_rate(tmp_path):
    watch, whole = Watch(), network()
    history = whole.fit(X, Y, epochs=4, validation_split=0.2, callbacks=[watch])
    assert [epoch for epoch, _ in watch.seen] == [0, 1, 2, 3]
    for row, (_, logs) in zip(history.epochs, watch.seen, strict=True):
        assert logs == {name: row[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
    assert history.history["learning_rate"] == [1e-3, 1e-3, 2.5e-4, 2.5e-4]
    file, broken = tmp_path / "run.npz", network()
    broken.fit(
        X, Y, epochs=4, validation_split=0.2, checkpoint=file, callbacks=[Watch(), At(5, raise_ctrl_c)]
    )
    broken.fit(X, Y, epochs=4, validation_split=0.2, checkpoint=file, resume=file, callbacks=[Watch()])
    assert equal(whole.state(), broken.state())
    with pytest.raises(TinynetError, match="learning_rate must be a number above 0, not nan"):
        network().fit(
            X, Y, callbacks=[At(1, lambda training: setattr(training, "learning_rate", float("nan")))]
        )


def test_a_callback_that_fails_costs_no_epoch(tmp_path):
    file, whole, resumed = tmp_path / "run.npz", network(), network()

    class Fail(Callback):
        def on_epoch_end(self, training):
            if training.epoch == 1:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        network().fit(X, Y, epochs=3, checkpoint=file, callbacks=[Fail()])
    resumed.fit(X, Y, epochs=3, checkpoint=file, resume=file, callbacks=[At(4, raise_ctrl_c)])
    whole.fit(X, Y, epochs=3)
    assert equal(whole.state(), resumed.fit(X, Y, epochs=3, resume=file) and resumed.state())


# ---- files ----


def test_files_that_are_no_checkpoint(tmp_path):
    file = tmp_path / "run.npz"
    with pytest.raises(TinynetError, match=r"there is no checkpoint .*run.npz: start without resuming"):
        network().fit(X, Y, resume=file)
    network().save(file)
    contents = {"model.npz": file.read_bytes(), "empty.npz": b"", "text.npz": b"hello"}
    file.unlink()
    network().fit(X, Y, checkpoint=file)
    whole = file.read_bytes()
    contents |= {"cut.npz": whole[:-40], "half.npz": whole[: len(whole) // 2]}
    np.savez(tmp_path / "pickled.npz", config=np.array([{}], object))
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "pickled.npz"):
        with pytest.raises(TinynetError, match="is not a checkpoint, or was cut off: start without resuming"):
            network().fit(X, Y, resume=tmp_path / name)
    with pytest.raises(TinynetError, match=r"cannot read the checkpoint .* it is a folder"):
        network().fit(X, Y, resume=tmp_path)


def configs():
    """Entries of a checkpoint's config that no training writes."""
    yield from (
        (key, None) for key in ("version", "identity", "epoch", "batch", "step", "sums", "learning_rate")
    )
    yield from (("epoch", value) for value in ("a", -5, 1.5, True, 3, 1))
    yield from (("batch", value) for value in (10**6, "a", -1, 2))
    yield from (("step", value) for value in (-100, 10**400, 1, "a", 4.0))
    yield from (
        ("sums", value)
        for value in ({"loss": 0, "evil": 1}, [1], {}, {"loss": 0, "weight": 0, "score": "a", "rows": 0})
    )
    sums = {"loss": 0, "weight": 0, "score": 0, "rows": 0}
    yield from (("sums", sums | {"metrics": value}) for value in ([], None, 5, {"f": 1}, {"f": "a"}))
    yield from (("learning_rate", value) for value in ("a", [], 10**400))
    yield from (("chosen_rate", value) for value in ("a", -1, 0, {}))
    yield from (("device", value) for value in ("auto", "abacus", 3, {}, ["cpu"]))
    yield from (("best_epoch", value) for value in (1.5, 7, -1, "a", 0))
    yield from (("identity", value) for value in ([], 5, {}, {"seed": [[[]]]}))


@pytest.mark.parametrize(("key", "value"), list(configs()))
def test_a_hostile_config_is_refused_in_a_sentence(key, value, tmp_path):
    file, net, start = tmp_path / "run.npz", network(), network()
    network().fit(X, Y, epochs=2, checkpoint=file)
    arrays = dict(np.load(file))
    config = json.loads(str(arrays.pop("config")))
    config[key] = value
    np.savez(file, config=json.dumps(config), **arrays)
    with pytest.raises(TinynetError, match=r"run.npz"):
        net.fit(X, Y, epochs=4, resume=file)
    assert equal(net.state(), start.state())


@pytest.mark.parametrize(
    "name", ["model/dense_1.kernel", "best/dense_1.kernel", "moment/dense_1.kernel", "history"]
)
@pytest.mark.parametrize("change", ["missing", "longer", "text", "double", "objects", "infinite"])
def test_a_hostile_array_is_refused_before_anything_is_changed(name, change, tmp_path):
    file, net, start = tmp_path / "run.npz", network(), network()
    network().fit(X, Y, epochs=2, checkpoint=file)
    arrays = dict(np.load(file))
    array = arrays.pop(name)
    changed = {
        "longer": lambda: np.concatenate([array, array]),
        "text": lambda: np.zeros(array.shape, "U3"),
        "double": lambda: array.astype(np.float32 if array.dtype == np.float64 else np.float64),
        "objects": lambda: array.astype(object),
        "infinite": lambda: np.full_like(array, np.inf),
    }
    if (name, change) in (("best/dense_1.kernel", "infinite"), ("moment/dense_1.kernel", "infinite")):
        return  # which only makes a bad model of it
    if change != "missing":
        arrays[name] = changed[change]()
    np.savez(file, **arrays)
    with pytest.raises(TinynetError):
        net.fit(X, Y, epochs=4, resume=file)
    assert change == "infinite" or equal(net.state(), start.state())


def test_what_a_checkpoint_does_not_need_is_never_unpacked(tmp_path):
    file = tmp_path / "run.npz"
    network().fit(X, Y, checkpoint=file)
    np.savez_compressed(file, **np.load(file), **{"model/bomb": np.zeros(5_000_000, np.float32)})
    tracemalloc.start()
    with pytest.raises(TinynetError, match="its array model/bomb does not fit"):
        network().fit(X, Y, resume=file)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.npz"
    save_checkpoint(file, {"epoch": 1}, {})

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "write_arrays", full)
    with pytest.raises(TinynetError, match="No space left on device"):
        save_checkpoint(file, {"epoch": 2}, {})
    with checkpoints.open_checkpoint(file) as found:
        assert found.config["epoch"] == 1 and [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_places_that_cannot_be_written_are_found_before_training(tmp_path):
    net, start = network(), network()
    with pytest.raises(TinynetError, match=r"there is no folder .*missing; create it first"):
        net.fit(X, Y, checkpoint=tmp_path / "missing" / "run.npz")
    assert equal(net.state(), start.state())

    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        for place in (tmp_path / "pipe", "/dev/null"):
            with pytest.raises(
                TinynetError, match="it is not a file that may be written; choose another place"
            ):
                net.fit(X, Y, checkpoint=place)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_checkpoint(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(
        TinynetError, match=r"^cannot read the checkpoint .*it is a pipe, not a file; save its"
    ):
        network().fit(X, Y, resume=tmp_path / "pipe")


def test_a_second_training_of_a_network_is_resumed_where_it_stood(tmp_path):
    # its order follows from the epochs that came before it, which the network that resumes does not know
    file, unbroken, broken = tmp_path / "run.npz", network(), network()
    for net in (unbroken, broken):
        net.fit(X, Y, epochs=2)
    unbroken.fit(X, Y, **SETTINGS)
    broken.fit(X, Y, **SETTINGS, checkpoint=file, callbacks=[At(5, raise_ctrl_c)])
    resumed = network()
    resumed.fit(X, Y, **SETTINGS, resume=file)
    assert equal(resumed.state(), unbroken.state()) and resumed.epochs_trained == unbroken.epochs_trained == 6
