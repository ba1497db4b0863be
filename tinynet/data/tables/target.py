"""The column of a table to predict: classes or a number, as the table writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...errors import DataError, ModelFileError, Setting, shown
from .read import Table, as_numbers, is_missing

MOST_CLASSES = 1000
FEW_VALUES = 20
"""Whole numbers with at most this many different values are classes."""
SKEWED = 0.5
"""From this skewness on, the logarithm of positive numbers is learnt."""
MOST_DIGITS = 12
WORDS = {"none", "nil"}
"""What stands for a missing number, but among words may be a class of its own."""


@dataclass(frozen=True)
class Number:
    """A number as the network learns it: (x − mean) / scale, of log x if `log`; printed with `decimals` decimals."""

    mean: float
    scale: float
    log: bool
    decimals: int

    def scaled(self, y: np.ndarray) -> np.ndarray:
        """Values of the target as the network learns them, (n, 1) float32."""
        learnt = np.log(np.maximum(y, np.finfo(np.float64).tiny)) if self.log else y
        return ((learnt - self.mean) / self.scale)[:, None].astype(np.float32)

    def value(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs (n, 1) of the network as values of the target, (n,) float64."""
        learnt = outputs[:, 0].astype(np.float64) * self.scale + self.mean
        return np.exp(np.minimum(learnt, 700.0)) if self.log else learnt

    def written(self, value: float, decimal: str = ".") -> str:
        """A value as text, with the table's decimal mark."""
        return f"{value:.{self.decimals}f}".replace(".", decimal)

    def as_json(self) -> dict[str, Any]:
        """The form in which a model's file stores it."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Any, owner: str) -> Number:
        """What `as_json` gave; raises ModelFileError for anything else."""
        try:
            mean, scale = float(found["mean"]), float(found["scale"])
            decimals = int(found["decimals"])
            if not (math.isfinite(mean) and 0 < scale < math.inf and 0 <= decimals <= MOST_DIGITS):
                raise ValueError
            return cls(mean, scale, bool(found["log"]), decimals)
        except (TypeError, KeyError, ValueError, OverflowError):
            raise ModelFileError(
                f"{owner} does not say what number its output stands for; train it again"
            ) from None


def is_number(fields: Sequence[str], decimal: str) -> bool:
    """Whether a target, without missing fields, is a number rather than classes.

    It is a number if all fields are numbers, and some have a fraction or there are many different ones.
    """
    numbers = as_numbers([*fields], decimal)
    if np.isnan(numbers).any():
        return False
    different = np.unique(numbers)
    few = len(different) <= 2 or (len(different) <= FEW_VALUES and 3 * len(different) <= len(fields))
    return not few or bool((different % 1).any() and len(different) > 2)


def classes_of(fields: Sequence[str], decimal: str, table: str, target: str) -> list[str]:
    """The classes in a target, as they are written: numbers by size, others in alphabetical order.

    Raises DataError if there are fewer than two, or too many to be classes.
    """
    different = {*fields}
    if len(different) < 2:
        only = f"only {shown(next(iter(different)))!r}" if different else "no value"
        raise DataError(f"the column {target} of {table} holds {only}, so there is nothing to learn")
    if len(different) > MOST_CLASSES or (len(different) > 20 and 2 * len(different) > len(fields)):
        raise DataError(*_too_many(fields, sorted(different), decimal, table, target))
    numbers = dict(zip(different, as_numbers([*different], decimal), strict=True))
    whole = not any(map(math.isnan, numbers.values()))
    return sorted(different, key=lambda value: (numbers[value] if whole else 0, value))


def _too_many(
    fields: Sequence[str], different: list[str], decimal: str, table: str, target: str
) -> tuple[str, ...]:
    """The error for a target with too many values for classes, which may be a number with a wrong entry."""
    said = f"the column {target} of {table} has {len(different):,} different values in {len(fields):,} rows, too many for classes; "
    wrong = [
        each
        for each, number in zip(different, as_numbers(different, decimal), strict=True)
        if np.isnan(number)
    ]
    if not wrong:
        return said, "predict a number (", Setting("target_type"), ")"
    if 2 * len(wrong) < len(different):
        return said, f"if it is a number, correct {shown(wrong[0])!r}"
    return said, "predict another column (", Setting("target"), ")"


def number_of(fields: Sequence[str], decimal: str, table: str, target: str) -> Number:
    """How the numbers of a target are learnt; raises DataError for other fields, and if all are the same."""
    numbers = as_target_numbers(fields, decimal, table, target)
    if np.ptp(numbers) == 0:
        raise DataError(
            f"the column {target} of {table} holds only {shown(fields[0])}, so there is nothing to learn"
        )
    if numbers.std() == 0:
        raise DataError(
            f"the numbers in the column {target} of {table} are too small to tell apart; scale them"
        )
    skewness = float((((numbers - numbers.mean()) / numbers.std()) ** 3).mean())
    log = bool(numbers.min() > 0 and skewness > SKEWED)
    learnt = np.log(numbers) if log else numbers
    places = max(len(match[1]) if (match := re.search(rf"\{decimal}(\d+)$", each)) else 0 for each in fields)
    small = math.ceil(2 - math.log10(float(numbers.std())))
    return Number(float(learnt.mean()), float(learnt.std()), log, min(max(places + 1, small), MOST_DIGITS))


def as_target_numbers(fields: Sequence[str], decimal: str, table: str, target: str) -> np.ndarray:
    """The numbers in a target, (n,) float64; raises DataError for a field that is not a number."""
    numbers = as_numbers([*fields], decimal)
    if np.isnan(numbers).any():
        wrong = fields[int(np.isnan(numbers).argmax())]
        raise DataError(
            f"{shown(wrong)!r} in the column {target} of {table} is not a number; correct it, or predict classes"
        )
    return numbers


def with_target(table: Table, target: str) -> tuple[Table, list[str]]:
    """The rows whose target is not missing, and their targets; raises DataError if there are none."""
    fields = table.column(target)
    present = {each for each in fields if not is_missing(each)}
    if np.isnan(as_numbers([*present], table.decimal)).any():
        present |= {each for each in fields if each.lower() in WORDS}
    kept = [i for i, each in enumerate(fields) if each in present]
    if not kept:
        raise DataError(f"the column {target} of {table.name} is empty; fill it in some rows")
    rows = [table.rows[i] for i in kept]
    return Table(table.name, table.columns, rows, table.delimiter, table.decimal), [fields[i] for i in kept]
