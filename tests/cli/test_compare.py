import json

import numpy as np
import pytest

from tests.helpers import run_here
from tinynet.cli.compare import _verdict
from tinynet.recipes.scores import ACCURACY, MASE


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A class that depends on the product of two columns, which a linear model cannot tell."""
    path = tmp_path_factory.mktemp("compare") / "signs.csv"
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, 400)).round(3)
    lines = (f"{x},{y},{'same' if x * y > 0 else 'other'}" for x, y in zip(a, b, strict=True))
    path.write_text("\n".join(["a,b,sign", *lines]))
    return path


def test_networks_and_baselines_stand_in_one_table_with_what_they_cost(table):
    status, out, said = run_here("compare", table, "--target", "sign", "--threads", 1, "--json")
    network, linear, frequent = map(json.loads, out.splitlines())
    assert status == 0 and "columns of a table have no order" in said
    assert (network["name"], linear["name"], frequent["name"]) == (
        "mlp",
        "a linear model",
        "always the most frequent class",
    )
    low, high = network["interval"]
    assert 0.9 < low < network["value"] < high + 1e-9 and linear["value"] < 0.8 and frequent["baseline"]
    assert all(network[cost] > 0 for cost in ("parameters", "seconds", "milliseconds"))


def test_a_training_that_would_take_too_long_gets_fewer_epochs_and_ends(table):
    status, out, _ = run_here("compare", table, "--target", "sign", "--time-limit", 0.4, "--threads", 1)
    head, mlp, *_ = out.splitlines()
    assert status == 0 and head.split()[:4] == ["accuracy", "95", "%", "interval"] and mlp.startswith("mlp ")


def test_what_does_not_fit_is_refused_before_anything_is_trained(table, tmp_path):
    assert (
        "--arch cnn does not fit this data"
        in run_here("compare", table, "--target", "sign", "--arch", "cnn")[2]
    )
    assert "does not exist" in run_here("compare", tmp_path / "nothing.csv")[2]
    status, _, said = run_here("compare", table, "--target", "sing", "--threads", 1)
    assert status == 1 and said.count("sing") == 1


@pytest.mark.parametrize(
    ("stopped", "said"),
    [(None, "is too short to hold out a part"), ("time limit", "broken off before it could be measured")],
)
def test_a_network_that_could_not_be_measured_is_no_row_without_a_value(table, monkeypatch, stopped, said):
    found = {"value": None, "stopped": stopped, "pace": 1.0, "epochs": 1}
    monkeypatch.setattr("tinynet.cli.trials.train", lambda *arguments: found)
    status, out, error = run_here("compare", table, "--target", "sign")
    assert (status, out) == (1, "") and said in error


def test_what_is_finished_is_shown_when_the_user_stops_the_rest(table, monkeypatch):
    done = {
        "measure": "accuracy", "value": 0.9, "interval": (0.8, 0.95), "parameters": 7, "epochs": 1, "seconds": 1.0,
        "memory": None, "milliseconds": 0.1, "baselines": {"always the most frequent class": 0.5},
    }  # fmt: skip
    calls = iter([done])

    def run(*arguments):
        try:
            return next(calls)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr("tinynet.cli.trials.run", run)
    status, out, said = run_here("compare", table, "--target", "sign", "--arch", "mlp,mlp", "--json")
    assert status == 130 and json.loads(out.splitlines()[0])["value"] == 0.9
    assert "interrupted while training mlp" in said


@pytest.mark.parametrize(
    ("second", "baseline", "said"),
    [
        (0.5, 0.4, "a is best on this data"),
        (0.88, 0.4, "a is best on this data, but b may be as good: the difference is within chance"),
        (0.5, 0.9, "a is best on this data, but c may be as good: the difference is within chance"),
        (0.88, 0.95, "c does better than any of these networks on this data"),
    ],
)
def test_the_verdict_tells_chance_from_difference(second, baseline, said):
    networks = [
        {"name": "a", "value": 0.9, "interval": (0.85, 0.93)},
        {"name": "b", "value": second, "interval": None},
    ]
    rows = [*networks, {"name": "c", "value": baseline, "baseline": True}]
    assert _verdict(rows, ACCURACY) == said


def test_of_an_error_less_is_better():
    rows = [
        {"name": "gru", "value": 0.7, "interval": None},
        {"name": "seasonal naive", "value": 0.9, "baseline": True},
    ]
    assert _verdict(rows, MASE) == "gru is best on this data"
