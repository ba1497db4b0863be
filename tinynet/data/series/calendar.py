"""The regular grid that the times of a series lie on: how far apart they are, and which comes next."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DataError
from .times import DAY_MS, Moments, readings, write

MONTH, WEEKDAY, MILLISECOND, NUMBER = "month", "weekday", "millisecond", "number"
UNITS = (MONTH, WEEKDAY, MILLISECOND, NUMBER)
FULL = 0.5
"""Least share of a grid's places that must be filled; with fewer the times are not regular."""
TWO_WEEKS = 10
"""From so many different dates, none at a weekend, a week is taken to have five days."""
EPOCHS = ((1e8, 4e9, 1000.0), (1e11, 4e12, 1.0), (1e14, 4e15, 1e-3))
"""(lowest, highest, milliseconds per unit): such numbers are seconds, milliseconds or microseconds since 1970, others plain numbers."""
YEAR_DAYS = 365.2425
TOLERANCE = 0.02
"""Fraction of a step by which numbers may lie off the grid, as decimal years do."""
ROUND = 6
"""Decimals with which a number that stands for a time is written."""
FORM = re.compile(r"(?:[^{}]|\{\{|\}\}|\{[YymdbBulQHMSf](?::0\d)?\}){0,99}")
"""The forms of a time that are accepted from a model's file."""
FARTHEST = 1e16
"""Largest distance of a time from 1970, in any unit; larger numbers are no times."""
NAMES = {1: "month", 3: "quarter", 12: "year"}
PARTS = (
    ("week", 7 * DAY_MS),
    ("day", DAY_MS),
    ("hour", DAY_MS // 24),
    ("minute", 60_000),
    ("second", 1000),
    ("millisecond", 1),
)


@dataclass(frozen=True)
class Calendar:
    """Place i of the grid is origin + i · every, in units that are months, working days (Monday to Friday), milliseconds or numbers.

    origin: since 1970; day: of the month, 0 for its last; form: how a time is written (see `times`), "" for a number.
    """

    unit: str
    every: float
    origin: float
    day: int = 1
    form: str = ""

    def __post_init__(self) -> None:
        if self.unit not in UNITS or not 0 < self.every < FARTHEST or not abs(self.origin) < FARTHEST:
            raise ValueError("its calendar has no such unit, step or origin")
        if not FORM.fullmatch(self.form) or not 0 <= int(self.day) <= 31:
            raise ValueError("its calendar writes times in a form that nobody does")

    def time(self, place: int | np.integer) -> str:
        """The time at a place, as the series writes times."""
        at = self.origin + place * self.every
        if self.unit == NUMBER:
            return f"{round(at, ROUND):.{ROUND}f}".rstrip("0").rstrip(".")
        return write(self._moment(at), self.form)

    def _moment(self, at: float) -> np.datetime64:
        if self.unit == MONTH:
            month = np.int64(at).astype("M8[M]")
            if self.day == 0:
                return (np.int64(at + 1).astype("M8[M]").astype("M8[D]") - 1).astype("M8[ms]")
            return (month.astype("M8[D]") + (self.day - 1)).astype("M8[ms]")
        if self.unit == WEEKDAY:
            return np.busday_offset("1970-01-01", int(at), roll="forward").astype("M8[ms]")
        return np.int64(at).astype("M8[ms]")

    def place_of(self, other: Calendar) -> int:
        """Where the first place of another grid lies on this one; raises ValueError for a grid with another step."""
        if (self.unit, self.every) != (other.unit, other.every):
            raise ValueError(f"its times lie {other.step()} apart")
        return round((other.origin - self.origin) / self.every)

    def step(self) -> str:
        """How far apart times are, in words."""
        if self.unit == MONTH:
            number, name = (1.0, NAMES[int(self.every)]) if self.every in NAMES else (self.every, "month")
        elif self.unit == WEEKDAY:
            number, name = self.every, "working day"
        elif not self._milliseconds():
            return f"{round(self.every, ROUND):g}"
        else:
            every = self._milliseconds()
            name, size = next(((name, size) for name, size in PARTS if every % size == 0), PARTS[-1])
            number = every / size
        return f"one {name}" if number == 1 else f"{number:g} {name}s"

    def periods(self) -> list[float]:
        """How many steps a day, a week and a year have, where at least two; [] where times are plain numbers."""
        if self.unit == MONTH:
            found = [12 / self.every]
        elif self.unit == WEEKDAY:
            found = [5 / self.every, YEAR_DAYS * 5 / 7 / self.every]
        elif every := self._milliseconds():
            found = [days * DAY_MS / every for days in (1, 7, YEAR_DAYS)]
        else:
            years = self.every < 1 and 1000 < self.origin < 3000
            found = [round(1 / self.every)] if years else []
        return [period for period in found if period >= 2]

    def _milliseconds(self) -> float:
        """Length of a step; 0 where steps differ in length, as months do, or are plain numbers."""
        if self.unit == NUMBER:
            return next((self.every * size for low, high, size in EPOCHS if low <= self.origin <= high), 0.0)
        return self.every if self.unit == MILLISECOND else 0.0

    def as_json(self) -> dict[str, Any]:
        """As a model's file keeps it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def place(texts: Sequence[str], table: str) -> tuple[Calendar, np.ndarray] | None:
    """The grid that a column of times lies on, and the place of each on it, (n,) int64; None for a column of no times.

    Of two readings, days before months or the reverse, the one holds whose times are regular; raises DataError where both are, and
    for times that are not regular, with what to do.
    """
    found, problems = [], []
    for moments in readings(texts):
        try:
            found.append(_grid(moments))
        except DataError as error:
            problems.append(error)
    if not found and (numbers := _numbers(texts)) is not None:
        try:
            found.append(_number_grid(numbers))
        except DataError as error:
            problems.append(error)
    if len(found) > 1:
        found.sort(key=lambda each: _fullness(each[1]), reverse=True)
        first, second = found[:2]
        if math.isclose(_fullness(first[1]), _fullness(second[1])):
            both = " or ".join(_plainly(calendar, int(places[1])) for calendar, places in (first, second))
            raise DataError(
                f"{table}: {texts[1]} may be {both}, and no other time tells; write dates as year-month-day"
            )
    if found:
        return found[0]
    if problems:
        raise DataError(f"{table}: {problems[0]}")
    return None


def _plainly(calendar: Calendar, place: int) -> str:
    """The time at a place as ISO 8601 has it."""
    return str(calendar._moment(calendar.origin + place * calendar.every).astype("M8[D]"))


def _fullness(places: np.ndarray) -> float:
    """Share of the grid's places that are filled."""
    return len(np.unique(places)) / (int(places.max()) - int(places.min()) + 1)


def _grid(moments: Moments) -> tuple[Calendar, np.ndarray]:
    """The grid of months, working days or milliseconds that moments lie on."""
    months, days = moments.months, moments.days
    ends = (months.astype("M8[M]").astype("M8[D]") + days).astype("M8[M]").astype(np.int64) > months
    last = bool(ends.all() and len(set(days.tolist())) > 1)
    if not moments.clock.any() and (last or (days == days[0]).all()) and len(set(months.tolist())) > 1:
        return _spread(months, MONTH, day=0 if last else int(days[0]), form=moments.form)
    at = moments.milliseconds
    if not moments.clock.any():
        dates = (at // DAY_MS).astype("M8[D]")
        if len(set(dates.tolist())) >= TWO_WEEKS and np.is_busday(dates).all():
            working = np.busday_count("1970-01-01", dates)
            if _step(working) == 1:
                return _spread(working, WEEKDAY, form=moments.form)
    return _spread(at, MILLISECOND, form=moments.form)


def _step(at: np.ndarray) -> int:
    """The largest step of a grid that all of these lie on."""
    return int(np.gcd.reduce(np.diff(np.unique(at)))) if len(np.unique(at)) > 1 else 1


def _spread(at: np.ndarray, unit: str, **more: Any) -> tuple[Calendar, np.ndarray]:
    """The grid of whole numbers, and the places on it; raises DataError where most of it would be empty."""
    every, origin = _step(at), int(at.min())
    calendar, places = Calendar(unit, every, origin, **more), (at - origin) // every
    if _fullness(places) < FULL:
        gaps, counts = np.unique(np.diff(np.unique(at)), return_counts=True)
        usual = int(gaps[counts.argmax()])
        odd = np.flatnonzero((at - at.min()) % usual)
        where = f"; {calendar.time(int(places[odd[0]]))} does not lie on it" if len(odd) else ""
        raise DataError(
            f"its times are not regular: most lie {Calendar(unit, usual, 0).step()} apart{where}; give a row for each step, "
            "with an empty field where nothing was measured"
        )
    return calendar, places


def _numbers(texts: Sequence[str]) -> np.ndarray | None:
    try:
        numbers = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return numbers if (np.abs(numbers) < FARTHEST).all() else None


def _number_grid(numbers: np.ndarray) -> tuple[Calendar, np.ndarray]:
    """The grid that plain numbers lie on: counts, decimal years, seconds since 1970."""
    distinct = np.unique(numbers)
    if len(distinct) < 2:
        return Calendar(NUMBER, 1.0, float(distinct[0])), np.zeros(len(numbers), np.int64)
    every = float(np.median(np.diff(distinct)))
    if every >= 1 and (distinct == np.round(distinct)).all():
        every = float(_step(distinct.astype(np.int64)))
    else:
        every = (distinct[-1] - distinct[0]) / round((distinct[-1] - distinct[0]) / every)
    if every < 10**-ROUND:
        raise DataError(f"its times lie only {every:g} apart; count them in a smaller unit")
    exact = (numbers - distinct[0]) / every
    places = np.round(exact).astype(np.int64)
    if np.abs(exact - places).max() > TOLERANCE or _fullness(places) < FULL:
        raise DataError(
            f"its times are not regular: most lie {every:g} apart, others do not; give a row for each step, with an empty field "
            "where nothing was measured"
        )
    return Calendar(NUMBER, every, float(distinct[0])), places
