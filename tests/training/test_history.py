from __future__ import annotations

import io

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
