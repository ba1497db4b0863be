"""The network for rows: where it begins, and the linear models that it is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.recipes.base import Choices
from tinynet.recipes.rows import MANY_ROWS, Rows, linear_classes, linear_numbers, network


def test_on_few_rows_the_network_begins_as_the_linear_model():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)).astype(np.float32), rng.normal(size=(60, 1))
    linear = linear_numbers(x, y)
    few, many = (network(linear, None, rows, 0, "m") for rows in (60, MANY_ROWS))
    np.testing.assert_allclose(few.predict(x), linear.answer(x), rtol=1e-5, atol=1e-6)
    assert not np.allclose(many.predict(x), linear.answer(x), atol=0.1)


def test_linear_regression_finds_a_plane_even_where_columns_say_the_same():
    x = np.random.default_rng(0).normal(size=(5000, 2)).astype(np.float32)
    x = np.column_stack([x, x[:, 0]])
    y = (3 * x[:, 0] - 2 * x[:, 1] + 5)[:, None]
    linear = linear_numbers(x, y)
    np.testing.assert_allclose(linear.answer(x), y, atol=0.01)
    assert linear.kernel[0, 0] == pytest.approx(1.5, abs=0.01) and linear.bias[0] == pytest.approx(
        5, abs=0.01
    )


def test_logistic_regression_parts_what_a_line_parts():
    x = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(int)
    assert (linear_classes(x, y, 2).answer(x).argmax(axis=1) == y).mean() > 0.97


@pytest.mark.parametrize(("asked", "noted"), [(None, True), ("classes", False), ("number", False)])
def test_a_few_whole_numbers_are_taken_as_classes_and_that_is_said(asked, noted, tmp_path):
    lines = ["a,years"] + [f"{i % 9},{10 + i % 4}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    plan = Rows().plan(str(tmp_path / "t.csv"), Choices(arch="mlp", target="years", target_type=asked))
    assert any("the 4 numbers in years are taken as classes" in each for each in plan.warnings) is noted
