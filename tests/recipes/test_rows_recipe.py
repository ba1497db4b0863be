"""The network for rows: where it begins, and the linear models that it is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.recipes.base import Choices
from tinynet.recipes.rows import (
    MANY_ROWS,
    MEMBERS,
    Linear,
    Rows,
    average,
    linear_classes,
    linear_numbers,
    network,
)


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


def test_the_average_of_networks_is_one_network_with_the_mean_of_what_they_say():
    rng = np.random.default_rng(0)
    x, members = rng.normal(size=(20, 4)).astype(np.float32), []
    for seed in range(3):
        linear = Linear(rng.normal(size=(4, 2)).astype(np.float32), rng.normal(size=2).astype(np.float32))
        member = network(linear, ["a", "b"], 50, seed, "m")
        member.set_weights([rng.normal(0, 0.3, w.shape).astype(np.float32) for w in member.get_weights()])
        members.append(member)
    members[0].metadata["about"] = "what it does"
    found = average(members)
    mean = np.exp(np.mean([np.log(member.predict(x)) for member in members], axis=0))
    np.testing.assert_allclose(found.predict(x), mean / mean.sum(axis=1, keepdims=True), rtol=1e-4)
    assert found.name == "m" and found.labels == ["a", "b"] and found.metadata["about"] == "what it does"
    assert average(members[:1]) is members[0]


@pytest.mark.parametrize("target", ["kind", "size"])
def test_a_training_ends_with_several_networks_or_where_it_is_stopped_with_one(target, tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{x:.3f},{y:.3f},{'ab'[int(x > y)]},{x * y:.4f}" for x, y in rng.normal(size=(80, 2))]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,kind,size", *lines]))
    plans = [
        Rows().plan(str(tmp_path / "t.csv"), Choices(arch="mlp", target=target, epochs=2)) for _ in range(3)
    ]
    one, count = plans[0].model.parameter_count(), MEMBERS[False]
    linear = sum(array.size for array in plans[0].model.get_weights()[-2:])
    alone = plans[0].fit(verbose=False, time_limit=1e-6)
    assert alone.stopped == "time limit" and plans[0].model.parameter_count() == one
    for plan in plans[1:]:
        best = plan.fit(verbose=False).epochs[-1]
        assert plan.model.parameter_count() == count * one - (count - 1) * linear
        assert plan.result_line(best) and plan.record(best)["networks"] == count and plan.baselines
    for a, b in zip(plans[1].model.get_weights(), plans[2].model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("asked", "noted"), [(None, True), ("classes", False), ("number", False)])
def test_a_few_whole_numbers_are_taken_as_classes_and_that_is_said(asked, noted, tmp_path):
    lines = ["a,years"] + [f"{i % 9},{10 + i % 4}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    plan = Rows().plan(str(tmp_path / "t.csv"), Choices(arch="mlp", target="years", target_type=asked))
    assert any("the 4 numbers in years are taken as classes" in each for each in plan.warnings) is noted
