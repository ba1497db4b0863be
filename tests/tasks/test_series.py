"""Series from the table to the forecast, as the commands do it: trained, measured beside the naive forecasts, continued."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from helpers import run_here as run

import tinynet as tn


def monthly(n, columns=1, start=2000, seed=0):
    """A table of months: a season, a trend and noise, the second column upside down."""
    places, rng = np.arange(n), np.random.default_rng(seed)
    values = 20 + 0.1 * places + 5 * np.sin(2 * np.pi * places / 12) + rng.normal(0, 0.5, n)
    lines = ["month,sold" + ",returned" * (columns > 1)]
    for i, v in enumerate(values):
        lines.append(f"{start + i // 12}-{i % 12 + 1:02},{v:.3f}" + f",{-v:.3f}" * (columns > 1))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    (folder / "sold.csv").write_text(monthly(96))
    status, printed, said = run("train", folder / "sold.csv", "--epochs", 3, "-o", folder / "sold.npz")
    assert status == 0 and printed.strip() == str(folder / "sold.npz")
    assert "season of 12 steps" in said and "seasonal naive" in said and "tinynet forecast" in said
    held_out = re.search(r"MASE (\S+) on the last fifth of the values, and (\d+) % of them", said)
    assert held_out and 0 < float(held_out[1]) < 0.8 and 60 <= int(held_out[2]) <= 100
    return folder


def rows_of(printed):
    return list(csv.DictReader(io.StringIO(printed)))


def test_a_series_is_continued_with_intervals_and_the_naive_forecast_beside(trained):
    status, printed, _ = run("forecast", trained / "sold.csv", "--steps", 6, "--model", trained / "sold.npz")
    rows = rows_of(printed)
    assert status == 0
    assert list(rows[0]) == ["time", "forecast", "lower", "upper", "seasonal_naive"]
    assert [row["time"] for row in rows] == [f"2008-{m:02}" for m in range(1, 7)]
    true = 20 + 0.1 * np.arange(96, 102) + 5 * np.sin(2 * np.pi * np.arange(96, 102) / 12)
    found = np.array([float(row["forecast"]) for row in rows])
    assert np.abs(found - true).max() < 1.5
    for row in rows:
        assert float(row["lower"]) < float(row["forecast"]) < float(row["upper"])


def test_json_holds_the_same_numbers(trained):
    _, printed, _ = run(
        "forecast", trained / "sold.csv", "--steps", 2, "--model", trained / "sold.npz", "--json"
    )
    first = json.loads(printed.splitlines()[0])
    assert list(first) == ["time", "forecast", "lower", "upper", "seasonal_naive"]
    assert first["time"] == "2008-01"


def test_beyond_the_horizon_it_goes_on_from_its_own_forecasts_less_surely(trained):
    _, printed, _ = run("forecast", trained / "sold.csv", "--steps", 60, "--model", trained / "sold.npz")
    rows = rows_of(printed)
    assert len(rows) == 60 and rows[-1]["time"] == "2012-12"
    width = [float(row["upper"]) - float(row["lower"]) for row in rows]
    assert width[-1] > 1.5 * width[11]
    assert abs(float(rows[59]["forecast"]) - (20 + 0.1 * 155 + 5 * np.sin(2 * np.pi * 155 / 12))) < 6


def test_a_longer_history_is_gone_on_from(trained, tmp_path):
    (tmp_path / "more.csv").write_text(monthly(120))
    _, printed, _ = run("forecast", tmp_path / "more.csv", "--steps", 1, "--model", trained / "sold.npz")
    assert rows_of(printed)[0]["time"] == "2010-01"


def test_the_end_of_a_series_alone_keeps_its_season(trained, tmp_path):
    lines = monthly(96).splitlines()
    (tmp_path / "end.csv").write_text("\n".join([lines[0], *lines[-26:]]))
    _, whole, _ = run("forecast", trained / "sold.csv", "--steps", 3, "--model", trained / "sold.npz")
    status, end, _ = run("forecast", tmp_path / "end.csv", "--steps", 3, "--model", trained / "sold.npz")
    assert status == 0
    for one, other in zip(rows_of(whole), rows_of(end), strict=True):
        assert one["time"] == other["time"]
        assert abs(float(one["forecast"]) - float(other["forecast"])) < 2


def test_a_higher_level_is_wider(trained):
    widths = []
    for level in (50, 90, 99):
        _, printed, _ = run(
            "forecast", trained / "sold.csv", "--steps", 1, "--model", trained / "sold.npz", "--level", level
        )
        row = rows_of(printed)[0]
        widths.append(float(row["upper"]) - float(row["lower"]))
    assert widths == sorted(widths) and widths[0] < widths[2]


def test_without_a_model_one_is_trained_and_that_is_said(trained):
    status, printed, said = run("forecast", trained / "sold.csv", "--steps", 3)
    assert status == 0 and len(rows_of(printed)) == 3
    assert "training one on this series now" in said
    # what it reaches stands beside what it is compared with, on the same values
    assert re.search(r"MASE \d\.\d+ on the last fifth.*\nfor comparison, MASE: the linear forecast", said)


def test_a_series_comes_from_a_pipe(trained):
    status, printed, _ = run(
        "forecast", "-", "--steps", 2, "--model", trained / "sold.npz", given=monthly(96)
    )
    assert status == 0 and len(rows_of(printed)) == 2


def test_several_columns_are_named(tmp_path):
    (tmp_path / "two.csv").write_text(monthly(72, columns=2))
    status, _, said = run(
        "train", tmp_path / "two.csv", "--epochs", 1, "--arch", "cnn", "-o", tmp_path / "two.npz"
    )
    assert status == 0, said
    _, printed, _ = run(
        "forecast",
        tmp_path / "two.csv",
        "--steps",
        2,
        "--model",
        tmp_path / "two.npz",
        "--plot",
        tmp_path / "two.png",
    )
    rows = rows_of(printed)
    assert list(rows[0])[:3] == ["time", "series", "forecast"]
    assert [row["series"] for row in rows] == ["sold", "returned"] * 2
    assert float(rows[1]["forecast"]) < 0 < float(rows[0]["forecast"])
    assert (tmp_path / "two.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_forecast_is_written_as_the_series_own_table_is(delimiter, trained):
    table = monthly(96).replace(",", delimiter).replace(".", ",")
    printed = run("forecast", "-", "--steps", 2, "--model", trained / "sold.npz", given=table)[1].splitlines()
    assert printed[0] == delimiter.join(("time", "forecast", "lower", "upper", "seasonal_naive"))
    assert re.fullmatch(r"2008-01(\D\d+,\d+){4}", printed[1])
    points = run("forecast", trained / "sold.csv", "--steps", 2, "--model", trained / "sold.npz")[1]
    assert printed == points.replace(",", delimiter).replace(".", ",").splitlines()


def test_large_numbers_are_forecast_in_full(trained):
    table = monthly(96).replace(".", "")  # thousandfold
    table = re.sub(r",(\d+)", r",\g<1>000", table)
    printed = run("forecast", "-", "--steps", 2, "--model", trained / "sold.npz", given=table)[1]
    assert "e+" not in printed and 1e7 < float(rows_of(printed)[0]["forecast"]) < 1e8


def test_evaluate_prints_the_error_beside_the_naive_ones(trained, tmp_path):
    (tmp_path / "later.csv").write_text(monthly(140))
    status, printed, said = run("evaluate", trained / "sold.npz", tmp_path / "later.csv", "--json")
    found = json.loads(printed)
    assert status == 0
    assert found["mase"] < found["seasonal_naive"] < found["persistence"]
    assert 0.6 < found["coverage"] <= 1
    assert "too optimistic" not in said
    status, printed, said = run("evaluate", trained / "sold.npz", trained / "sold.csv")
    assert "MASE" in printed and "90 % intervals" in printed and "too optimistic" in said


@pytest.mark.parametrize("arch", ["gru", "lstm", "cnn"])
def test_training_begins_at_the_linear_forecast_and_keeps_a_part(arch):
    from tinynet.data.series.read import read_series
    from tinynet.recipes.base import Choices
    from tinynet.recipes.series import KEPT, plan_for

    plan = plan_for(read_series(io.BytesIO(monthly(60).encode())), Choices(arch=arch, epochs=1), "sold")
    assert plan.start is not None
    x = plan.x.astype(np.float64).reshape(len(plan.x), -1)
    first = plan.model.predict(plan.x)
    np.testing.assert_allclose(first, x @ plan.start.kernel, atol=1e-4)
    twin = tn.Sequential(plan.model.layers, plan.model.input_shape)
    twin.fit(plan.x, plan.y, **plan.settings, verbose=False)
    whole = twin.predict(plan.x)
    again = plan_for(read_series(io.BytesIO(monthly(60).encode())), Choices(arch=arch, epochs=1), "sold")
    again.model.fit(again.x, again.y, **again.settings, callbacks=again.callbacks, verbose=False)
    part = again.model.predict(plan.x)
    assert np.abs(whole - first).max() > 1e-4
    assert np.abs(part - first).mean() < np.abs(whole - first).mean() * (KEPT + 0.2)


@pytest.mark.parametrize(
    "text, words",
    [
        ("day,v\n" + "\n".join(f"2024-01-{d:02},{d}" for d in range(1, 31)), "one day apart, and the model's one month"),
        ("\n".join(monthly(96).splitlines()[:5]), "at least 8"),
        ("month,v\n", "no row"),
        ("a,b\n1,2\n", "no column of times"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_a_model_is_refused_in_a_sentence(trained, tmp_path, text, words):
    (tmp_path / "other.csv").write_text(text)
    status, _, said = run("forecast", tmp_path / "other.csv", "--model", trained / "sold.npz")
    assert status == 1 and words in said


def test_a_drawing_is_not_written_over(trained, tmp_path):
    (tmp_path / "here.png").write_bytes(b"mine")
    status, _, said = run(
        "forecast", trained / "sold.csv", "--model", trained / "sold.npz", "--plot", tmp_path / "here.png"
    )
    assert status == 1 and "exists already" in said
    status, _, said = run(
        "forecast", trained / "sold.csv", "--model", trained / "sold.npz", "--plot", tmp_path / "here.jpg"
    )
    assert status == 2


def test_a_model_of_another_task_names_its_verb(trained):
    status, _, said = run("forecast", trained / "sold.csv", "--model", "digits")
    assert status == 1 and "digits is for classify PICTURE" in said
