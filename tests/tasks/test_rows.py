"""Rows from the table to the prediction, as the commands do it: trained, measured beside a linear model, predicted."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from helpers import run_here as run

import tinynet as tn


def cars(rows, seed, price=True):
    """A table like those of car makers: curved, with missing values, names, an origin, a constant and a date."""
    rng = np.random.default_rng(seed)
    lines = ["name,cylinders,horsepower,weight,origin,wheels,tested,mpg"]
    for i in range(rows):
        cylinders = rng.choice([4, 6, 8])
        weight = 1500 + 400 * (cylinders - 3) + rng.normal(0, 200)
        power = 20 * cylinders + rng.normal(0, 10)
        origin = rng.choice(["usa", "japan", "europe"])
        mpg = 60000 / weight * (1.15 if origin == "japan" else 1) - (power / 60) ** 2 + rng.normal(0, 0.5)
        shown = "" if rng.random() < 0.05 else f"{power:.0f}"
        lines.append(
            f'"car, {i}",{cylinders},{shown},{weight:.0f},{origin},4,2020-01-{i % 28 + 1:02d},{mpg if price else 0:.1f}'
        )
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of cars, and what its training said."""
    folder = tmp_path_factory.mktemp("cars")
    (folder / "cars.csv").write_text(cars(300, 0))
    (folder / "new.csv").write_text(cars(200, 1))
    out = folder / "cars.npz"
    said = run("train", folder / "cars.csv", "--target", "mpg", "-o", out, "--threads", 1)
    assert said[0] == 0, said
    return folder, out, said[2]


def test_what_is_ignored_is_said_and_the_result_stands_beside_baselines(trained):
    _, _, said = trained
    for words in (
        "300 rows, 4 columns, a number to predict: training a plain network",
        "note: column name is ignored: it holds a name",
        "note: column wheels is ignored: it is the same in all rows",
        "note: column tested is ignored: it holds dates",
        "for comparison, mean absolute error: a linear model ",
        "to use it: tinynet predict TABLE.csv --model",
    ):
        assert words in said


def test_info_names_the_columns(trained):
    assert "columns ['cylinders', 'horsepower', 'weight', 'origin']" in run("info", trained[1])[1]


def test_new_rows_are_predicted_better_than_by_a_linear_model(trained):
    folder, out, _ = trained
    found = json.loads(run("evaluate", out, folder / "new.csv", "--json")[1])
    rows = [*csv.DictReader(io.StringIO((folder / "new.csv").read_text()))]
    old = [*csv.DictReader(io.StringIO((folder / "cars.csv").read_text()))]

    def features(table):
        origins = [[row["origin"] == each for each in ("usa", "japan")] for row in table]
        numbers = [
            [float(row[c] or 110) for c in ("cylinders", "horsepower", "weight")] + [1] for row in table
        ]
        return np.hstack([origins, numbers]).astype(float), np.array([float(row["mpg"]) for row in table])

    (x, y), (xn, yn) = features(old), features(rows)
    linear = np.abs(xn @ np.linalg.lstsq(x, y, rcond=None)[0] - yn).mean()
    assert found["samples"] == 200 and found["mae"] < 0.9 * linear and found["r2"] > 0.9


def test_predict_prints_the_table_with_a_column_more_in_order(trained):
    _, out, _ = trained
    without = "\n".join(line.rpartition(",")[0] for line in cars(5, 2).splitlines())
    status, stdout, _ = run("predict", "-", "--model", out, given=without.encode())
    rows = [*csv.DictReader(io.StringIO(stdout))]
    assert status == 0 and [row["name"] for row in rows] == [f"car, {i}" for i in range(5)]
    assert list(rows[0])[-1] == "prediction" and all("e" not in row["prediction"] for row in rows)
    as_json = run("predict", "-", "--model", out, "--json", given=without.encode())[1]
    assert [json.loads(line)["prediction"] for line in as_json.splitlines()] == [
        r["prediction"] for r in rows
    ]
    assert run("predict", "-", "--model", out, given=without.splitlines()[0].encode())[1].count("\n") == 1


def test_unseen_values_are_counted_missing_columns_named_and_a_column_named_prediction_kept(trained):
    _, out, _ = trained
    head = "prediction,origin,weight,horsepower,cylinders\n"
    status, stdout, stderr = run("predict", "-", "--model", out, given=(head + "7,mars,2000,,4\n").encode())
    assert status == 0 and "1 row has a value of origin that was not seen in training" in stderr
    assert stdout.splitlines()[0] == head.strip() + ",prediction_2"
    assert (
        "lacks the column origin"
        in run("predict", "-", "--model", out, given=b"weight,horsepower,cylinders\n1,2,3\n")[2]
    )


def test_classes_come_as_the_table_writes_them_with_their_probability(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["größe;art"]
    for _ in range(200):
        kind = rng.choice(["01", "ja!"])
        lines.append(f"{rng.normal(2 if kind == '01' else -2):.3f};{kind}".replace(".", ","))
    (tmp_path / "t.csv").write_bytes(("\ufeff" + "\r\n".join(lines)).encode())
    out = tmp_path / "t.npz"
    status, _, said = run("train", tmp_path / "t.csv", "--target", "art", "-o", out, "--epochs", 20)
    assert status == 0 and "2 classes to predict" in said and "always the most frequent class" in said
    printed = run("predict", "-", "--model", out, given="größe;x\n3,5;a\n-3,5;b\n".encode())[1].splitlines()
    assert printed[0] == "größe;x;prediction;probability"
    assert [line.split(";")[2] for line in printed[1:]] == ["01", "ja!"]
    assert printed[1].split(";")[3].startswith(("0,9", "1,0"))
    assert tn.load(out).labels == ["01", "ja!"]
    (tmp_path / "u.csv").write_text("größe;art\n1;nein\n")
    assert "nein in the column art" in run("evaluate", out, tmp_path / "u.csv")[2]
    measured = json.loads(run("evaluate", out, tmp_path / "t.csv", "--json")[1])
    assert measured["accuracy"] > 0.95 and set(measured["classes"]) == {"01", "ja!"}


def test_a_column_that_tells_the_target_alone_is_named(tmp_path):
    lines = ["a,alive,survived"] + [f"{i % 7},{'yes' if i % 2 else 'no'},{i % 2}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    said = run("train", tmp_path / "t.csv", "--target", "survived", "--epochs", 1, "-o", tmp_path / "m.npz")[
        2
    ]
    assert "note: the column alive alone tells survived" in said and "column a alone" not in said
    said = run(
        "train",
        tmp_path / "t.csv",
        "--target",
        "survived",
        "--drop",
        "alive",
        "--epochs",
        1,
        "-o",
        tmp_path / "n.npz",
    )
    assert said[0] == 0 and "alone" not in said[2]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "--target: one of name, age, survived"),
        (["--task", "rows"], "which column of"),
        (["--target", "survved"], "did you mean survived?"),
        (["--target", "survived", "--drop", "x"], "'x' is not a column"),
        (["--target", "survived", "--drop", "survived"], "which is the column to predict"),
        (["--target", "survived", "--arch", "cnn"], "does not fit this data"),
        (["--target", "survived", "--units", "8"], "units"),
        (["--target", "name", "--target-type", "number"], "is not a number"),
    ],
)
def test_wrong_choices_are_answered_in_a_sentence(options, told, tmp_path):
    lines = ["name,age,survived"] + [f"n{i},{i % 9},{i % 2}" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    status, _, said = run("train", tmp_path / "t.csv", *options, "-o", tmp_path / "m.npz")
    assert status != 0 and told in said and not (tmp_path / "m.npz").exists()


def test_a_few_rows_are_too_few(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    assert (
        "too few to learn from"
        in run("train", tmp_path / "t.csv", "--target", "b", "-o", tmp_path / "m.npz")[2]
    )


def test_a_model_of_another_task_names_its_verb_and_a_damaged_one_is_refused(trained, tmp_path):
    folder, out, _ = trained
    assert "digits is for classify" in run("predict", folder / "new.csv", "--model", "digits")[2]
    model = tn.load(out)
    model.metadata["input"]["columns"] = model.metadata["input"]["columns"][:1]
    model.save(tmp_path / "damaged.npz")
    assert (
        "does not fit the columns"
        in run("predict", folder / "new.csv", "--model", tmp_path / "damaged.npz")[2]
    )


def test_a_table_of_dates_that_is_no_series_is_told_to_take_a_target(tmp_path):
    (tmp_path / "t.csv").write_text("when,a\n" + "2024-01-01,1\n2024-01-02,2\n" * 20)
    status, _, said = run("train", tmp_path / "t.csv")
    assert status == 1 and "to predict a column from the others, give --target" in said


def test_an_empty_name_of_a_table_is_refused_in_a_sentence(trained):
    _, out, _ = trained
    assert "the file name is empty; give the name of a file" in run("predict", "", "--model", out)[2]


def test_several_models_of_a_table_are_averaged_each_with_its_own_columns(trained, tmp_path):
    folder, out, _ = trained
    other, third = tmp_path / "other.npz", tmp_path / "third.npz"
    train = ("train", folder / "cars.csv", "--threads", 1, "--epochs", 5)
    run(*train, "--target", "mpg", "--drop", "origin", "-o", other)
    run(*train, "--target", "weight", "-o", third)

    def predicted(*models):
        chosen = [word for model in models for word in ("--model", model)]
        lines = run("predict", folder / "new.csv", *chosen, "--json")[1].splitlines()
        return np.array([float(json.loads(line)["prediction"]) for line in lines])

    one, two, both = predicted(out), predicted(other), predicted(out, other)
    np.testing.assert_allclose(both, (one + two) / 2, atol=0.11)  # written with one decimal
    true = [float(row["mpg"]) for row in csv.DictReader(io.StringIO((folder / "new.csv").read_text()))]
    measured = json.loads(run("evaluate", f"{out},{other}", folder / "new.csv", "--json")[1])
    assert measured["mae"] == pytest.approx(np.abs(both - true).mean(), abs=0.1)
    told = run("predict", folder / "new.csv", "--model", out, "--model", third)[2]
    assert "predict mpg and weight and cannot be averaged" in told


def test_a_series_with_a_target_is_told_to_leave_it_out(tmp_path):
    (tmp_path / "s.csv").write_text("day,v\n" + "".join(f"2024-01-{i:02},{i % 7}.5\n" for i in range(1, 31)))
    status, _, said = run("train", tmp_path / "s.csv", "--target", "v")
    assert status == 1 and "to forecast a series, leave out --target" in said
