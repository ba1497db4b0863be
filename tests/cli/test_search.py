"""`tinynet search`: which trials go on, what is left out, and that a kill loses one trial at most."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from test_commands import ROOT

import tinynet as tn
from tests.helpers import run_here
from tinynet.cli import halving
from tinynet.cli.halving import rungs
from tinynet.cli.journal import Journal
from tinynet.cli.search import _verdict
from tinynet.errors import TinynetError
from tinynet.recipes.scores import ACCURACY


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A class that depends on the product of two columns."""
    monkeypatch.chdir(tmp_path)
    a, b = np.random.default_rng(0).uniform(-1, 1, (2, 60)).round(3)
    lines = (f"{x},{y},{'same' if x * y > 0 else 'other'}" for x, y in zip(a, b, strict=True))
    (tmp_path / "signs.csv").write_text("\n".join(["a,b,sign", *lines]))
    return "signs.csv"


class Trainings:
    """Stand for `tinynet train`: an epoch takes a tenth of a second, and a wider network does better."""

    def __init__(self):
        self.seen, self.clock, self.fails, self.breaks = [], 0.0, lambda settings: None, None

    def __call__(self, data, options, output, limit):
        given = dict(zip(options[::2], options[1::2], strict=False))
        if self.breaks == len(self.seen):
            raise KeyboardInterrupt
        self.seen.append(given)
        if said := self.fails(given):
            raise TinynetError(said)
        epochs, width = int(given.get("--epochs", 100)), float(given.get("--width", 1))
        done = min(limit / 0.1 / epochs, 1)
        self.clock += 0.1 * done * epochs
        output.write_bytes(f"{width} {epochs}".encode())
        return {
            "measure": "accuracy", "value": 0.5 + 0.1 * width + 0.001 * done * epochs, "interval": None,
            "parameters": round(1000 * width**2), "epochs": epochs, "done": done, "seconds": 0.1 * done * epochs,
            "stopped": None if done == 1 else "time limit", "milliseconds": width, "learning_rate": 0.003, "pace": 0.1, "baselines": {},
        }  # fmt: skip


@pytest.fixture
def trainings(table, monkeypatch):
    stand_in = Trainings()
    monkeypatch.setattr(halving, "train", stand_in)
    monkeypatch.setattr(halving, "time", SimpleNamespace(monotonic=lambda: stand_in.clock))
    return stand_in


def search(*options, trials=9, time_limit=30):
    given = ("--target", "sign", "--trials", trials, "--time-limit", time_limit, *options)
    return run_here("search", "signs.csv", *given)


def results(out):
    return [json.loads(line) for line in out.splitlines()]


def test_a_third_of_the_trials_goes_on_each_time():
    assert [[*rungs(n)] for n in (1, 2, 9, 20)] == [[1], [2], [9, 3, 1], [20, 6, 2]]


def test_the_best_gets_the_most_epochs_and_the_recipes_own_settings_stay_in_to_the_end(trainings, tmp_path):
    status, out, said = search("--json")
    rows = results(out)
    assert status == 0 and sorted(row["trial"] for row in rows) == [*range(1, 10)]
    best, own = rows[0], next(row for row in rows if row["trial"] == 1)
    assert best["best"] and best["rung"] == own["rung"] == 3 and best["settings"]["width"] == 2.0
    assert own["settings"] == {"arch": "mlp"} and not own["best"]
    assert max(row["epochs"] for row in rows if row["rung"] == 1) < own["epochs"]
    assert f"trial {best['trial']} does better than the recipe's own settings: " in said
    assert best["command"] in said and f"--epochs {best['epochs']}" in best["command"]
    assert (tmp_path / "signs-search.npz").read_bytes() == f"2.0 {best['epochs']}".encode()


def test_networks_that_are_too_large_are_tried_again_at_half_the_width(trainings):
    status, out, said = search("--json", "--max-parameters", 300)
    rows = results(out)
    kept = [row for row in rows if not row["left_out"]]
    assert status == 0 and len(kept) == 8 and all(row["parameters"] <= 300 for row in kept)
    assert [row["left_out"] for row in rows if row["trial"] == 1] == ["it has 1,000 parameters"]
    assert "is best of those within the limits" in said


def test_answers_that_take_too_long_are_left_out_and_so_may_all_be(trainings):
    assert all(row["milliseconds"] <= 0.6 for row in results(search("--json", "--max-ms", 0.6)[1])[:-1])
    status, _, said = search("--max-ms", 0.001, "--force")
    assert status == 1 and "no trial is within the limits: one answer takes 1.000 ms; raise" in said


def test_without_time_for_an_epoch_there_is_a_sentence_and_nothing_is_left(trainings, tmp_path):
    status, _, said = search(time_limit=1.5)
    assert (status, "there is no time for one trial: an epoch takes 0.1 s" in said) == (1, True)
    assert "--time-limit" in said and "--trials" in said and [*tmp_path.iterdir()] == [tmp_path / "signs.csv"]


def test_of_one_trial_nothing_is_called_best(trainings, monkeypatch):
    def slow(*arguments):
        result = trainings(*arguments)
        trainings.clock += 100
        return result

    monkeypatch.setattr(halving, "train", slow)
    status, _, said = search()
    assert status == 0 and "time for only 1 of 9 trials; a longer time limit tries more" in said
    assert "are best" not in said


def test_a_trial_that_fails_is_left_out_and_the_first_one_ends_the_search(trainings):
    trainings.fails = lambda given: "the loss is NaN" if given.get("--width") == "2.0" else None
    status, out, _ = search("--json")
    assert status == 0 and "the loss is NaN" in [row["left_out"] for row in results(out)]
    trainings.fails = lambda given: "column sign is missing"
    assert search("--force")[::2] == (1, "column sign is missing")


def test_a_search_that_is_broken_off_goes_on_and_ends_as_without_a_break(trainings, tmp_path):
    kept = ("trial", "rung", "epochs", "parameters", "command", "best")
    whole = [[row[key] for key in kept] for row in results(search("--json", "--output", "whole.npz")[1])]
    asked = trainings.seen.copy()
    for count in (5, 12):
        trainings.seen.clear()
        trainings.breaks = count
        status, _, said = search("--output", "broken.npz", *["--force"] * (count == 12))
        assert status == 130 and "to continue: tinynet" in said
        trainings.breaks = None
        status, out, _ = search("--output", "broken.npz", "--resume", "--json")
        assert status == 0 and [[row[key] for key in kept] for row in results(out)] == whole
    assert (tmp_path / "broken.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert len(asked) - 1 <= len(trainings.seen) <= len(asked) + 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:2] + [b"{]"] + lines[3:], "signs-search.jsonl is damaged in line 3; begin anew"),
        (lambda lines: [lines[0], b'{"trial": 0}'], "damaged in line 2"),
        (lambda lines: [lines[0], lines[1].replace(b'"accuracy"', b'"beauty"')], "damaged in line 2"),
        (lambda lines: [lines[0], lines[1].replace(b'"mlp"', b'"elm"')], "damaged in line 2"),
        (lambda lines: [lines[0], re.sub(rb'"interval": (null|[^]]*])', b'"interval": 5', lines[1])], "damaged in line 2"),
        (lambda lines: [lines[0], re.sub(rb'"pace": [^,]*', b'"pace": 0', lines[1])], "damaged in line 2"),
        (lambda lines: [b"\xff" * 9], "damaged in line 1"),
        (lambda lines: lines[1:], "is of a search with another DATA"),
        (lambda lines: [lines[0].replace(b"--trials\": 9", b"--trials\": 8")], "with another --trials:"),
    ],
)  # fmt: skip
def test_a_journal_that_is_damaged_or_of_another_search_is_a_sentence(change, said, trainings, tmp_path):
    search()
    journal = tmp_path / "signs-search.jsonl"
    journal.write_bytes(b"\n".join(change(journal.read_bytes().splitlines())) + b"\n")
    status, _, error = search("--resume")
    assert status == 1 and said in error and "\n" not in error


def test_what_is_there_is_neither_replaced_nor_mixed_with_other_data(trainings, tmp_path):
    assert "there is no journal" in search("--resume")[2] or "does not exist" in search("--resume")[2]
    search()
    status, _, said = search()
    assert status == 1 and "--resume goes on with that search, --force begins anew" in said
    with (tmp_path / "signs.csv").open("a") as file:
        file.write("\n0.1,0.1,same")
    assert "another content of DATA" in search("--resume")[2]
    (tmp_path / "signs-search.jsonl").unlink()
    assert "signs-search.npz exists already" in search()[2]
    assert search("--force")[0] == 0
    (tmp_path / "signs-search.npz").unlink()
    assert "is no longer there; begin anew with --force" in search("--resume")[2]


def test_half_a_line_at_the_end_is_the_trial_that_was_lost(trainings, tmp_path):
    search("--json")
    path = tmp_path / "signs-search.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    journal = Journal(path, json.loads(lines[0]))
    journal.resume()
    assert len(journal.records) == len(lines) - 2 and path.read_bytes() == b"".join(lines[:-1])


def test_the_command_that_is_printed_makes_the_best_network_again(table, tmp_path):
    options = ("--trials", 2, "--time-limit", 200, "--device", "reference", "--threads", 1, "--json")
    status, out, said = run_here("search", table, "--target", "sign", *options)
    assert status == 0, said
    best = results(out)[0]
    command = [*shlex.split(best["command"]), "--output", "again.npz", "--threads", "1"]
    subprocess.run([sys.executable, "-m", *command], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    found, again = tn.load(tmp_path / "signs-search.npz"), tn.load(tmp_path / "again.npz")
    assert all(np.array_equal(*pair) for pair in zip(found.get_weights(), again.get_weights(), strict=True))


def test_after_a_kill_the_finished_trials_are_not_run_again(table, tmp_path):
    options = ["--target", "sign", "--trials", "2", "--time-limit", "200", "--device", "reference"]
    command = [sys.executable, "-m", "tinynet", "search", table, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        said = next(line for line in process.stderr if line.startswith("trial 1 of 2"))
        process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    before = (tmp_path / "signs-search.jsonl").read_text()
    assert "accuracy" in said and before.count("\n") == 2
    status, out, said = run_here("search", table, *options, "--resume", "--json")
    assert status == 0, said
    assert "trial 1 of 2" not in said and "trial 2 of 2" in said
    assert (tmp_path / "signs-search.jsonl").read_text().startswith(before) and len(results(out)) == 2


def test_a_trial_ends_with_the_process_that_started_it(table):
    options = ["--target", "sign", "--time-limit", "1h", "--epochs", "1000000", "--device", "reference"]
    command = [sys.executable, "-m", "tinynet.cli.trials", "train", table, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = dict.fromkeys(("stdin", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        next(line for line in process.stderr if line.startswith("first step"))
        process.stdin.close()
        assert process.wait(timeout=30) == 1


@pytest.mark.parametrize(
    ("best", "own", "said"),
    [
        (0.9, 0.8, "trial 2 does better than the recipe's own settings: 90.00 %, not 80.00 %"),
        (0.9, 0.88, "does better than the recipe's own settings: 90.00 %, not 88.00 %; but that is within chance"),
        (0.9, 0.9, "trial 2 does as well as the recipe's own settings, 90.00 %, with fewer parameters"),
        (0.9, None, "trial 2 is best of those within the limits"),
    ],
)  # fmt: skip
def test_the_verdict_tells_chance_from_difference(best, own, said):
    def record(trial, value):
        return halving.Record(trial, 0, {}, 1.0, {"value": value, "interval": (0.85, 0.93)})

    assert _verdict(record(1, best), None if own is None else record(0, own), ACCURACY).endswith(said)
