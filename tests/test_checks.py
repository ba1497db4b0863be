"""What a user gives comes out in its canonical form, or is answered by a sentence that names owner and setting."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from tinynet.checks import (
    as_array,
    check_choice,
    check_count,
    check_counts,
    check_flag,
    check_number,
    check_seed,
    check_shape,
)
from tinynet.errors import DataError, ShapeError, TinynetError


@pytest.mark.parametrize(
    ("check", "value", "bounds", "expected"),
    [
        (check_count, np.int64(3), {}, 3),
        (check_count, 0, {"least": 0}, 0),
        (check_seed, np.uint8(7), {}, 7),
        (check_counts, 2, {"rank": 2}, (2, 2)),
        (check_counts, [1, np.int32(2)], {"rank": 2}, (1, 2)),
        (check_number, np.float32(0.5), {"below": 1}, 0.5),
        (check_number, 3, {"above": 2, "most": 3}, 3.0),
        (check_number, -1, {"least": -math.inf}, -1.0),
        (check_flag, np.bool_(True), {}, True),
        (check_choice, "b", {"choices": ("a", "b")}, "b"),
        (check_shape, [28, np.int64(28), None], {}, (28, 28, None)),
    ],
)
def test_a_value_comes_out_in_its_canonical_form(check, value, bounds, expected):
    found = check("owner", "setting", value, **bounds)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("check", "value", "bounds", "sentence"),
    [
        (check_count, True, {}, "a whole number of at least 1, not True"),
        (check_count, 2.0, {}, "a whole number of at least 1, not 2.0"),
        (check_count, 5, {"most": 4}, "a whole number of at most 4"),
        (check_seed, -1, {}, "a whole number of at least 0, not -1"),
        (check_counts, (1, 2, 3), {"rank": 2}, "one number or 2 numbers, not (1, 2, 3)"),
        (check_number, 1, {"below": 1}, "a number of at least 0 and below 1, not 1"),
        (check_number, 0, {"above": 0}, "a number above 0, not 0"),
        (check_number, 2, {"above": 0, "most": 1}, "a number above 0 and at most 1, not 2"),
        (check_number, math.nan, {}, "a number of at least 0, not nan"),
        (check_number, True, {}, "a number of at least 0, not True"),
        (check_number, math.inf, {"least": -math.inf}, "a finite number, not inf"),
        (check_flag, 1, {}, "True or False, not 1"),
        (check_shape, 28, {}, "the shape of one sample, a tuple such as (28, 28, 1), not 28"),
    ],
)
def test_what_is_none_is_answered_by_one_sentence(check, value, bounds, sentence):
    with pytest.raises(TinynetError, match=f"^{re.escape(f'owner: setting must be {sentence}')}$"):
        check("owner", "setting", value, **bounds)


def test_an_unknown_name_is_answered_by_those_there_are():
    with pytest.raises(TinynetError, match=r"^owner: setting 'c' is unknown; choose one of a, b$"):
        check_choice("owner", "setting", "c", ("a", "b"))


def test_arrays_have_one_shape_and_no_hidden_values():
    assert as_array([[1, 2]], "y").shape == (1, 2)
    with pytest.raises(ShapeError, match=r"^y must be one array, but its parts differ in shape$"):
        as_array([[1], [2, 3]], "y")
    with pytest.raises(DataError, match=r"^y has masked values"):
        as_array(np.ma.array([1, 2], mask=[0, 1]), "y")
