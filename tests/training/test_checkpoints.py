from __future__ import annotations

import numpy as np
import pytest
from test_fit import At, raise_ctrl_c
from tiny import equal, network, samples

import tinynet as tn
from tinynet.errors import TinynetError
from tinynet.training import SGD, AdamW, EarlyStopping, OneCycle, ReduceOnPlateau, RMSprop, check_writable
from tinynet.training.checkpoints import load_checkpoint, save_checkpoint

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


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    file = tmp_path / "run.npz"
    network().fit(X, Y, checkpoint=file)
    for settings, message in (
        ({"batch_size": 8}, "belongs to a training with batch_size 32, not 8: give the same settings"),
        ({"seed": 1}, "with seed 0, not 1"),
        ({"optimizer": "sgd"}, "with optimizer 'Adam', not 'SGD'"),
        ({"ema": 0.9}, "with ema None, not 0.9"),
    ):
        with pytest.raises(TinynetError, match=message):
            network().fit(X, Y, resume=file, **settings)
    with pytest.raises(TinynetError, match="of another network"):
        network(extra=(tn.Dense(3),)).fit(X, Y, resume=file)


def test_files_that_are_no_checkpoint(tmp_path):
    file = tmp_path / "run.npz"
    with pytest.raises(TinynetError, match=r"there is no checkpoint .*run.npz: start without resuming"):
        network().fit(X, Y, resume=file)
    network().save(file)
    with pytest.raises(TinynetError, match="is not a checkpoint"):
        load_checkpoint(file)
    save_checkpoint(file, {"epoch": 1}, {"model": {"a": np.ones(3)}})
    whole = file.read_bytes()
    config, groups = load_checkpoint(file)
    assert config["epoch"] == 1 and groups["model"]["a"].tolist() == [1, 1, 1]
    np.savez(tmp_path / "pickled.npz", config=np.array([{}], object))
    contents = {
        "empty.npz": b"",
        "text.npz": b"hello",
        "cut.npz": whole[:-40],
        "half.npz": whole[: len(whole) // 2],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "pickled.npz"):
        with pytest.raises(TinynetError, match="is not a checkpoint, or was cut off: start without resuming"):
            load_checkpoint(tmp_path / name)


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    file = tmp_path / "run.npz"
    save_checkpoint(file, {"epoch": 1}, {})

    def full(*arguments, **entries):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(TinynetError, match="No space left on device"):
        save_checkpoint(file, {"epoch": 2}, {})
    assert load_checkpoint(file)[0]["epoch"] == 1 and [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_places_that_cannot_be_written_are_found_before_training(tmp_path, monkeypatch):
    check_writable(tmp_path / "new.npz")
    with pytest.raises(TinynetError, match="it is a folder"):
        check_writable(tmp_path)
    net, start = network(), network()
    with pytest.raises(TinynetError, match=r"there is no folder .*missing; create it first"):
        net.fit(X, Y, checkpoint=tmp_path / "missing" / "run.npz")
    assert equal(net.state(), start.state())

    def forbidden(**settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", forbidden)
    with pytest.raises(TinynetError, match="Permission denied; choose another place"):
        check_writable(tmp_path / "new.npz")


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
