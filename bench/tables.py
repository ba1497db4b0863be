"""How well does the plain network predict rows of a table that it has not seen, beside a linear model and boosted trees?

    python -m bench.tables [SEEDS]

Five-fold cross-validation over several seeds, of the 54,000 diamonds one fold of each seed. The network is what `tinynet train`
makes of the other folds, at its defaults, a part of them kept back to choose the epoch; the peers of scikit-learn, where it is
installed, learn from all of them, prepared as the network's rows are. Of classes prints the rows predicted right, of a number
the mean absolute error, and by how much the network is better than the linear model on the same folds: the mean over the seeds and its
standard error.
"""

from __future__ import annotations

import csv
import math
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinynet import recipes
from tinynet.data.tables.prepare import learn
from tinynet.data.tables.read import Table, read_table
from tinynet.data.tables.target import as_target_numbers, with_target
from tinynet.recipes.base import Choices
from tinynet.tasks.rows import Rows

from .measure import table

FOLDS = 5
TABLES = {
    "titanic": ("survived", ("alive",)),
    "penguins": ("species", ()),
    "iris": ("species", ()),
    "diamonds": ("price", ()),
}
"""The target, and columns that would give it away."""
LARGE = 10_000
"""Rows from which one fold per seed tells enough."""
HEAD = (
    "table", "rows", "measure", "plain network", "linear model", "better by", "gradient boosting", "majority or mean", "parameters",
    "seconds",
)  # fmt: skip


class Result(NamedTuple):
    """Of one fold. scores: network, linear model, gradient boosting, majority or mean."""

    scores: list[float]
    parameters: int
    seconds: float


def part(rows: Table, indices: np.ndarray) -> Table:
    """Some rows of a table."""
    return replace(rows, rows=[rows.rows[i] for i in indices])


def fold(rows: Table, target: str, drop: tuple[str, ...], seed: int, number: int) -> Result:
    """Learn from all folds but one, and predict that."""
    order = np.random.default_rng(seed).permutation(len(rows))
    test, training = part(rows, order[number::FOLDS]), part(rows, np.delete(order, np.s_[number::FOLDS]))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "training.csv"))
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([training.columns, *training.rows])
        start = time.perf_counter()
        plan = recipes.plan(path, Choices(target=target, drop=drop or None, seed=seed))
        plan.fit(verbose=False)
        seconds = time.perf_counter() - start
    task = Rows(plan.model)
    names = [name for name in rows.columns if name not in (target, *drop)]
    preparation, _ = learn(training, names)
    x, xt = preparation.apply(training), preparation.apply(test)
    if task.number is None:
        y, true = (np.array(each.column(target)) for each in (training, test))
        values, counts = np.unique(y, return_counts=True)
        answers = np.array([each.value for each in task.predict(test)])
        found = [answers, *peers(x, y, xt, classes=True), np.full(len(true), values[counts.argmax()])]
        scores = [100 * float((each == true).mean()) for each in found]
    else:
        y, true = (
            as_target_numbers(each.column(target), rows.decimal, rows.name, target)
            for each in (training, test)
        )
        answers = task.number.value(plan.model.answer(task.preparations[0].apply(test))[0])
        found = [answers, *peers(x, y, xt, classes=False), np.full(len(true), y.mean())]
        scores = [float(np.abs(each - true).mean()) for each in found]
    return Result(scores, plan.model.parameter_count(), seconds)


def peers(x: np.ndarray, y: np.ndarray, xt: np.ndarray, classes: bool) -> list[np.ndarray]:
    """What scikit-learn's linear model and gradient boosting say; NaN where it is not installed."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from sklearn.linear_model import LogisticRegression, Ridge
    except ImportError:
        return [np.full(len(xt), np.nan)] * 2
    if classes:
        models = LogisticRegression(max_iter=2000), HistGradientBoostingClassifier(random_state=0)
    else:
        models = Ridge(), HistGradientBoostingRegressor(random_state=0)
    return [model.fit(x, y).predict(xt) for model in models]


def line(name: str, seeds: range) -> list[str]:
    """One line of the table."""
    target, drop = TABLES[name]
    rows, fields = with_target(read_table(Path(os.environ["TINYNET_DATA"], "tables", f"{name}.csv")), target)
    folds = 1 if len(rows) > LARGE else FOLDS
    found = [fold(rows, target, drop, seed, number) for seed in seeds for number in range(folds)]
    scores = np.array([each.scores for each in found])
    better = (scores[:, 0] - scores[:, 1]).reshape(len(seeds), folds).mean(axis=1)
    error = better.std(ddof=1) / math.sqrt(len(seeds)) if len(seeds) > 1 else math.nan
    numeric = len({*fields}) > 100
    shown = [f"{mean:.0f}" if numeric else f"{mean:.1f} %" for mean in scores.mean(axis=0)]
    shown.insert(
        2, f"{-better.mean():.0f} ± {error:.0f}" if numeric else f"{better.mean():.2f} ± {error:.2f} points"
    )
    measure = f"mean error of {target}" if numeric else f"{target} right"
    seconds = f"{np.mean([each.seconds for each in found]):.1f}"
    return [name, f"{len(rows):,}", measure, *shown, f"{found[0].parameters:,}", seconds]


def main(seeds: int = 5) -> None:
    """Print the table, a line as soon as it is measured."""
    print(table(HEAD, []), flush=True)
    for name in TABLES:
        print(f"| {' | '.join(line(name, range(seeds)))} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
