from __future__ import annotations

import io
import itertools
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from test_fit import At, raise_ctrl_c
from tiny import line, network, samples

from tinynet.errors import TinynetError
from tinynet.training import History
from tinynet.training.callbacks import Progress

ROWS = [
    {"epoch": 1, "loss": 0.9, "accuracy": 0.5, "val_loss": 0.8, "val_accuracy": 0.6},
    {"epoch": 2, "loss": 0.4, "accuracy": 0.7, "val_loss": 0.85, "val_accuracy": 0.65},
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_history_is_also_keras_history():
    assert History(ROWS).history["val_loss"] == [0.8, 0.85] and History().history == {}


def test_csv(tmp_path):
    History(ROWS).save_csv(tmp_path / "run.csv")
    assert (tmp_path / "run.csv").read_bytes() == (
        b"epoch,loss,accuracy,val_loss,val_accuracy\n1,0.9,0.5,0.8,0.6\n2,0.4,0.7,0.85,0.65\n"
    )
    with pytest.raises(TinynetError, match="cannot write"):
        History(ROWS).save_csv(tmp_path / "missing" / "run.csv")


def test_the_drawing_has_each_curve_in_its_colour_and_place(tmp_path):
    from PIL import Image

    History(ROWS).draw(tmp_path / "run.png")
    pixels = np.asarray(Image.open(tmp_path / "run.png")).astype(int)
    assert pixels.shape == (300, 960, 3)
    blue = np.argwhere((pixels == (31, 119, 180)).all(axis=2))
    loss = blue[blue[:, 1] < 480]
    # the loss falls from the top left to the bottom right of its panel
    assert loss[loss[:, 1].argmin()][0] < 40 and loss[loss[:, 1].argmax()][0] > 255
    assert ((pixels == (214, 39, 40)).all(axis=2)).any()


@pytest.mark.parametrize("rows", [[], ROWS[:1], [{"epoch": 1, "loss": 1.0, "mae": 2.0}] * 2])
def test_short_and_level_histories_can_be_drawn(rows, tmp_path):
    History(rows).draw(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 100


def curve_of(path, colour=(31, 119, 180)):
    """(row, column) of the pixels of a colour below the legend, in the first panel."""
    from PIL import Image

    pixels = np.asarray(Image.open(path)).astype(int)
    found = np.argwhere((pixels == colour).all(axis=2))
    return found[(found[:, 1] < 480) & (found[:, 0] > 25)]


def falling(values):
    return [{"epoch": number + 1, "loss": value} for number, value in enumerate(values)]


def test_a_loss_that_falls_far_has_a_logarithmic_axis(tmp_path):
    History(falling([1.0, 0.1, 0.01])).draw(tmp_path / "far.png")
    History(falling([1.0, 0.9, 0.8])).draw(tmp_path / "near.png")
    for name in ("far.png", "near.png"):  # both are a straight line
        rows = curve_of(tmp_path / name)
        middle = rows[abs(rows[:, 1] - 260) < 2][:, 0].mean()
        assert abs(middle - rows[:, 0].mean()) < 6, name


def test_the_kept_epoch_is_marked_and_a_broken_off_one_left_out(tmp_path):
    History(falling([3.0, 2.0, 1.0]), kept_epoch=2).draw(tmp_path / "whole.png")
    History(falling([3.0, 2.0, 1.0, 2.9]), "interrupted", 3, 2, broken_off=True).draw(tmp_path / "broken.png")
    assert (tmp_path / "whole.png").read_bytes() == (tmp_path / "broken.png").read_bytes()
    mark = curve_of(tmp_path / "whole.png", (150, 150, 150))
    assert len(mark) > 100 and set(mark[:, 1]) == {260}


@pytest.mark.parametrize(
    "values",
    [[np.nan], [np.nan, 1.0, np.inf, 0.5], [0.0, 1e308, -1e308], [5e-324, 1e-323], [1e-30, 1e30], [2.0]],
)
@pytest.mark.parametrize("broken_off", [True, False])
def test_any_values_can_be_drawn(values, broken_off, tmp_path):
    History(falling(values), kept_epoch=1, broken_off=broken_off).draw(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 100


def test_a_history_is_shown_as_a_short_table():
    lines = repr(History(falling([1 / n for n in range(1, 31)]), "early stopping", 30, 30)).splitlines()
    assert lines[0] == "History of 30 epochs, kept: epoch 30, stopped: early stopping"
    assert lines[1].split() == ["epoch", "loss"] and lines[2].split() == ["1", "1"] and len(lines) == 11
    assert lines[-1].split() == ["30", "0.03333"] and "… 22 more" in lines
    assert repr(History()) == "History of 0 epochs"
    assert repr(History(falling([1.0]))).startswith("History of 1 epoch\n")


def test_an_epoch_that_was_broken_off_says_so():
    whole = network().fit(*samples(), epochs=1, batch_size=10)
    stopped = network().fit(*samples(), epochs=2, batch_size=10, callbacks=[At(1, raise_ctrl_c)])
    assert not whole.broken_off and stopped.broken_off


def test_a_notebook_shows_a_line_an_epoch(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    network().fit(*samples(), epochs=2)
    network().fit(*samples(), epochs=2, verbose=False)
    shown = capsys.readouterr()
    assert shown.out.count("\n") == 2 and shown.out.startswith("epoch 1/2  loss ") and not shown.err


def train_with(progress: Progress, **settings) -> str:
    network().fit(
        *samples(), epochs=2, batch_size=10, callbacks=[progress, *settings.pop("callbacks", [])], **settings
    )
    return progress.stream.getvalue()


def test_progress_is_a_line_an_epoch_where_there_is_no_terminal():
    lines = train_with(Progress(io.StringIO())).splitlines()
    assert len(lines) == 2 and lines[1].startswith("epoch 2/2  loss ") and " accuracy " in lines[1]
    assert "\r" not in "".join(lines)


def test_progress_is_a_bar_on_a_terminal(monkeypatch):
    ticks = itertools.count()  # a busy machine would show that seconds are left
    monkeypatch.setattr(
        "tinynet.training.callbacks.time", SimpleNamespace(perf_counter=lambda: next(ticks) / 1e3)
    )
    monkeypatch.setattr("tinynet.training.callbacks.SECONDS_BETWEEN_DRAWINGS", 0)
    monkeypatch.setenv("COLUMNS", "200")
    shown = train_with(Progress(Terminal()))
    assert "\repoch 1/2  [" in shown and " images/s  0:00 left" in shown and "accuracy" in shown
    monkeypatch.setenv("COLUMNS", "60")
    assert "accuracy 25.00 %  0:00 left\r" in train_with(Progress(Terminal()))
    monkeypatch.setenv("COLUMNS", "30")
    lines = train_with(Progress(Terminal())).split("\n")
    drawings = [drawing for line in lines for drawing in line.split("\r")[1:-1]]
    assert len(drawings) > 2 and all(len(drawing) < 30 for drawing in drawings)
    assert all("left" in drawing or not drawing.strip() for drawing in drawings)


def test_progress_says_why_training_stopped():
    shown = train_with(Progress(io.StringIO()), callbacks=[At(9, raise_ctrl_c)], validation_split=0.1)
    assert shown.splitlines()[-1].startswith("stopped: interrupted, kept the weights of epoch ")


def test_progress_shows_only_where_it_is_wanted(capsys):
    for verbose, count in ((None, 0), (False, 0), (True, 1)):
        line().fit([[1.0]], [1.0], loss="mse", verbose=verbose)
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == count
