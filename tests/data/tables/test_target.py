"""The column to predict: classes as they are written, or a number; told from its values."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.tables.read import Table
from tinynet.data.tables.target import Number, classes_of, is_number, number_of, with_target
from tinynet.errors import DataError, ModelFileError


@pytest.mark.parametrize(
    ("fields", "numeric"),
    [
        (["0", "1"] * 9, False),
        (["1", "2", "3"] * 9, False),
        (["yes", "no"], False),
        (["1.0", "2.0"] * 5, False),
        (["1.5", "2.5", "9"], True),
        ([str(i) for i in range(30)], True),
        ([str(i) for i in range(12)], True),
        (["1.5", "2.5", "x"], False),
    ],
)
def test_what_is_predicted_is_told_from_its_values(fields, numeric):
    assert is_number(fields, ".") is numeric


def test_classes_stand_as_they_are_written_numbers_by_size():
    assert classes_of(["10", "9", "9.50", "10"], ".", "t", "c") == ["9", "9.50", "10"]
    assert classes_of(["b", "B", "a"] * 2, ".", "t", "c") == ["B", "a", "b"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (["x", "x"], "holds only 'x'"),
        ([f"n{i}" for i in range(5000)], "5,000 different values in 5,000 rows"),
    ],
)
def test_what_are_no_classes_is_refused(fields, told):
    with pytest.raises(DataError, match=told):
        classes_of(fields, ".", "t.csv", "c")


def test_skewed_positive_numbers_are_learnt_by_their_logarithm_and_come_back():
    fields = [f"{x:.2f}" for x in np.exp(np.linspace(0, 8, 50))]
    number = number_of(fields, ".", "t", "c")
    values = np.array([float(each) for each in fields])
    assert number.log and number.decimals == 3
    np.testing.assert_allclose(number.value(number.scaled(values)), values, rtol=1e-5)
    assert not number_of(["1", "2", "3", "4"], ".", "t", "c").log


@pytest.mark.parametrize(
    ("fields", "value", "written"),
    [
        (["100000", "250000", "300000"], 123456.789, "123456.8"),
        (["1e-6", "2e-6", "5e-6"], 1.5e-6, "0.00000150"),
        (["1.25", "2.5", "3"], 2.0, "2.000"),
    ],
)
def test_numbers_are_written_plainly(fields, value, written):
    assert number_of(fields, ".", "t", "c").written(value) == written


def test_numbers_that_cannot_be_learnt_are_refused():
    with pytest.raises(DataError, match="'x' in the column c of t is not a number"):
        number_of(["1", "x"], ".", "t", "c")
    with pytest.raises(DataError, match="holds only 2"):
        number_of(["2", "2"], ".", "t", "c")


def test_rows_without_a_target_are_left_out():
    table = Table("t.csv", ["a", "c"], [["1", "x"], ["2", "NA"], ["3", " y "]])
    rows, fields = with_target(table, "c")
    assert rows.rows == [["1", "x"], ["3", " y "]] and fields == ["x", "y"]
    with pytest.raises(DataError, match=r"the column c of t\.csv is empty"):
        with_target(Table("t.csv", ["c"], [[""]]), "c")


@pytest.mark.parametrize(
    "found", [None, {}, {"mean": 0, "scale": 0, "log": False, "decimals": 1}, {"mean": "x"}]
)
def test_a_damaged_description_is_refused(found):
    with pytest.raises(ModelFileError, match="does not say what number"):
        Number.from_json(found, "m")


def test_none_is_a_class_among_words_but_missing_among_numbers():
    words = Table("t.csv", ["c"], [["none"], ["mild"], ["NA"], ["severe"]])
    assert with_target(words, "c")[1] == ["none", "mild", "severe"]
    assert with_target(Table("t.csv", ["c"], [["1"], ["None"], ["2.5"]]), "c")[1] == ["1", "2.5"]


@pytest.mark.filterwarnings("error")
def test_numbers_of_any_size_are_learnt_or_refused_in_a_sentence():
    assert number_of(["1e38", "-1e38", "0"], ".", "t", "c").scale > 1e37
    assert number_of(["1e-300", "1", "1e30"], ".", "t", "c").log
    with pytest.raises(DataError, match="too small to tell apart"):
        number_of(["1e-300", "2e-300"], ".", "t", "c")
    with pytest.raises(DataError, match="'1e300' in the column c of t is not a number"):
        number_of(["1", "1e300"], ".", "t", "c")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([*map(str, range(40))], r"too many for classes; predict a number \(target_type\)$"),
        ([f"{i}.5" for i in range(39)] + ["x"], "too many for classes; if it is a number, correct 'x'$"),
        ([f"name {i}" for i in range(40)], r"too many for classes; predict another column \(target\)$"),
    ],
)
def test_a_target_with_too_many_values_is_refused_with_what_would_help(fields, told):
    with pytest.raises(DataError, match=told):
        classes_of(fields, ".", "t.csv", "c")
