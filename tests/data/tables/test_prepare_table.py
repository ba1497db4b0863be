"""Rows as numbers: what is learnt of each column, what is ignored and why, what other tables become."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinynet.data.tables.prepare import Column, Preparation, learn, learn_column
from tinynet.data.tables.read import Table
from tinynet.errors import DataError, ModelFileError


def table(**columns):
    return Table("t.csv", [*columns], [list(row) for row in zip(*columns.values(), strict=True)])


def test_numbers_are_scaled_and_missing_ones_are_the_mean_and_flagged():
    preparation, notes = learn(table(a=["1", "3", "", "5"]), ["a"])
    root = np.sqrt(8 / 3)
    np.testing.assert_allclose(
        preparation.apply(table(a=["3", "5", "?"])), [[0, 0], [2 / root, 0], [0, 1]], rtol=1e-6
    )
    assert not notes and preparation.size == 2


def test_a_wrong_entry_does_not_outweigh_all_others():
    preparation, _ = learn(table(a=["1", "2", "4"]), ["a"])
    assert np.abs(preparation.apply(table(a=["1e30", "-1e30"]))).max() == 8


def test_each_value_of_a_category_has_a_number_and_an_unseen_one_has_none():
    preparation, _ = learn(table(a=["x", "y", "x", "x", "y"]), ["a"])
    other = table(b=["0"] * 4, a=["y", "x", "z", ""])
    np.testing.assert_array_equal(preparation.apply(other), [[0, 1], [1, 0], [0, 0], [0, 0]])
    assert preparation.notes(other) == ["1 row has a value of a that was not seen in training: z"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (["", "NA", "?"], "it is empty"),
        (["5", "5", "5"], "it is the same in all rows"),
        (["x", "x", "x"], "it is the same in all rows"),
        (["Anna B.", "Bo C.", "Cy D.", "Cy D."], "it holds a name or text of its own in most rows"),
        (["2020-01-05", "2020-01-05", "2021-02-28"], "it holds dates or times"),
        (["5.1.2020", "5.1.2020", "5.1.2020", "28.2.2021"], "it holds dates or times"),
        (["7", "8", "9", "10"], "it numbers the rows"),
    ],
)
def test_what_tells_nothing_is_ignored_and_why(fields, why):
    assert learn_column(table(a=fields), "a") == why


def test_columns_of_codes_and_of_a_few_words_among_numbers():
    assert learn_column(table(a=["01", "02", "01", "02"]), "a") == Column("a", values=["01", "02"])
    found = learn_column(table(a=["1.5", "2", "4"] * 7 + ["none yet"]), "a")
    assert not found.values and found.missing


def test_no_column_to_learn_from_is_an_error_that_names_the_reasons():
    with pytest.raises(DataError, match=r"no column to learn from \(column a is ignored: it is the same"):
        learn(table(a=["1", "1"]), ["a"])


def test_a_missing_column_is_named_and_more_columns_are_no_fault():
    preparation, _ = learn(table(a=["1", "2", "4", "5"], b=["x", "y", "x", "y"]), ["a", "b"])
    with pytest.raises(DataError, match=r"^t\.csv lacks the column b, which the model was trained with"):
        preparation.apply(table(a=["1"]))
    with pytest.raises(
        DataError, match=r"lacks the columns a, b, .*; add them, empty where they are not known$"
    ):
        preparation.apply(table(c=["1"]))
    assert preparation.apply(table(c=["?"], b=["y"], a=["1"])).shape == (1, 3)


def test_the_preparation_survives_json_and_a_damaged_one_is_refused():
    preparation, _ = learn(table(a=["1", "2", "4", "5"], b=["x", "y", "x", "y"]), ["a", "b"])
    found = json.loads(json.dumps(preparation.as_json()))
    assert Preparation.from_json(found, "m") == preparation
    for damaged in (
        None,
        3,
        [3],
        [{}],
        [{**found[0], "scale": 0}],
        [{**found[0], "values": [1]}],
        [{**found[0], "mean": "x"}],
        [{**found[0], "mean": "3"}],
        [{**found[0], "missing": []}],
    ):
        with pytest.raises(ModelFileError, match="m does not say how rows"):
            Preparation.from_json(damaged, "m")


def test_words_in_a_column_of_numbers_are_told_and_count_as_missing():
    preparation, notes = learn(table(a=["1", "2.5", "7", "?", *"345689", "big"]), ["a"])
    assert notes == ["1 row has a value of a that is no number, and counts as missing: big"]
    other = table(a=["1", "", "heavy", "1e300"])
    assert preparation.notes(other) == [
        "2 rows have a value of a that is no number, and counts as missing: heavy"
    ]
    assert preparation.apply(other)[:, 1].tolist() == [0, 1, 1, 1]
