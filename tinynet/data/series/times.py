"""Times as people write them: which form a column has, the moments it stands for, and the same form again for later ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
YEAR, YEAR2 = r"(?P<Y>\d{4})", r"(?P<Y>\d{4}|\d\d)"
MONTH, DAY, NAME = r"(?P<m>\d{1,2})", r"(?P<d>\d{1,2})", r"(?P<b>[A-Za-z]{3,9})"
SEPARATOR = r"(?P<s>[-/. ])"
CLOCK = (
    r"(?:[T ]+(?P<H>\d{1,2}):(?P<M>\d\d)(?::(?P<S>\d\d)(?P<f>\.\d+)?)?)?"
    r"(?: ?(?P<z>Z|UTC|[+-]\d\d(?::?\d\d)?))?"
)
DATES = (
    rf"{YEAR}{SEPARATOR}{MONTH}(?P=s){DAY}",
    rf"{YEAR}(?P<m>\d\d)(?P<d>\d\d)",
    rf"{DAY}{SEPARATOR}{MONTH}(?P=s){YEAR2}",
    rf"{MONTH}{SEPARATOR}{DAY}(?P=s){YEAR2}",
    rf"{DAY}[-/. ]?{NAME}\.?[-/., ]*{YEAR2}",
    rf"{NAME}\.? {DAY},? {YEAR}",
)
SPANS = (
    r"(?P<Y>\d{1,4})[-/.](?P<m>\d{1,2})",
    rf"{YEAR}[- ]?M(?P<m>\d\d?)",
    rf"{MONTH}[-/.]{YEAR}",
    rf"{NAME}\.?[-/., ]*{YEAR2}",
    rf"{YEAR}[-/., ]*{NAME}",
    rf"{YEAR}[-/ ]?[Qq](?P<Q>[1-4])",
    rf"[Qq](?P<Q>[1-4])[-/ ]?{YEAR}",
    r"(?P<Y>[12]\d{3})",
)
"""Months, quarters and years."""
FORMS = [re.compile(form + CLOCK) for form in DATES] + [re.compile(form) for form in SPANS]
CENTURY = 69
"""Years of two digits from this one on are of the 20th century, as in POSIX."""
DAY_MS = 86_400_000
WRITTEN = "YymdbQHMSf"


@dataclass(frozen=True)
class Moments:
    """A column of times. months: since 1970, (n,) int64; days: of the month, all 1 where the form has none; clock: milliseconds of the
    day; form: how such a time is written, with the fields of `str.format`.
    """

    months: np.ndarray
    days: np.ndarray
    clock: np.ndarray
    form: str

    @property
    def milliseconds(self) -> np.ndarray:
        """Since 1970, (n,) int64."""
        dates = self.months.astype("M8[M]").astype("M8[D]").astype(np.int64) + self.days - 1
        return dates * DAY_MS + self.clock


def readings(texts: Sequence[str]) -> Iterator[Moments]:
    """What a column of times may mean: one reading for each form that all of its fields have, 02/03/2024 with two of them."""
    for form in FORMS:
        matches = [form.fullmatch(text) for text in texts]
        if all(matches) and (found := _moments([match for match in matches if match])) is not None:
            yield found


def write(moment: np.datetime64, form: str) -> str:
    """A moment, datetime64[ms], in a form."""
    date = moment.astype("M8[D]")
    month = int(moment.astype("M8[M]").astype(np.int64))
    clock = int((moment - date).astype(np.int64))
    year, m = 1970 + month // 12, month % 12 + 1
    name = MONTHS[m - 1]
    return form.format(
        Y=year, y=year % 100, m=m, Q=(m + 2) // 3, d=int((date - date.astype("M8[M]")).astype(int)) + 1,
        b=name[:3].title(), B=name.title(), u=name[:3].upper(), l=name[:3],
        H=clock // 3_600_000, M=clock // 60_000 % 60, S=clock // 1000 % 60, f=clock % 1000,
    )  # fmt: skip


def _moments(matches: list[re.Match[str]]) -> Moments | None:
    """The moments of a column in one form; None where a field is no such time, as the 31st of a 13th month."""
    groups = {name: [match[name] for match in matches] for name in matches[0].re.groupindex}
    n = len(matches)
    years = np.array(groups["Y"], np.int64)
    if all(len(text) == 2 for text in groups["Y"]) and "d" in groups:
        years += np.where(years < CENTURY, 2000, 1900)
    if "Q" in groups:
        month = np.array(groups["Q"], np.int64) * 3 - 2
    elif "b" in groups:
        month = np.array([_month(name) for name in groups["b"]])
        if all(len(text) == 2 for text in groups["Y"]) and "d" not in groups:
            years += np.where(years < CENTURY, 2000, 1900)
    else:
        month = np.array(groups.get("m", [1] * n), np.int64)
    days = np.array(groups.get("d", [1] * n), np.int64)
    clock = _clock(groups, n)
    if clock is None or month.min() < 1 or month.max() > 12 or days.min() < 1:
        return None
    months = (years - 1970) * 12 + month - 1
    if (days > _length(months)).any():
        return None
    return Moments(months, days, clock, _form(matches[-1], groups))


def _month(name: str) -> int:
    """The number of a month by its name or the start of it; 0 for none."""
    found = [
        i
        for i, month in enumerate(MONTHS, 1)
        if month.startswith(name.lower().replace("sept", "sep", len(name) == 4))
    ]
    return found[0] if len(found) == 1 else 0


def _length(months: np.ndarray) -> np.ndarray:
    """Days of months."""
    starts = [(months + shift).astype("M8[M]").astype("M8[D]") for shift in (0, 1)]
    return (starts[1] - starts[0]).astype(np.int64)


def _clock(groups: dict[str, list], n: int) -> np.ndarray | None:
    """Milliseconds of the day, in UTC where the offset from it changes within the column; None for 25 o'clock."""
    if groups.get("H", [None])[0] is None:
        return np.zeros(n, np.int64) if not any(groups.get("H", [])) else None
    if None in groups["H"]:
        return None
    hours, minutes, seconds = (np.array([int(x or 0) for x in groups[key]]) for key in "HMS")
    if hours.max() > 23 or minutes.max() > 59 or seconds.max() > 59:
        return None
    thousandths = np.array([round(float(x or 0) * 1000) for x in groups["f"]])
    clock = ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths
    if len(set(groups["z"])) > 1:
        clock = clock - np.array([_offset(zone) for zone in groups["z"]]) * 60_000
    return clock.astype(np.int64)


def _offset(zone: str | None) -> int:
    """Minutes of an offset from UTC."""
    digits = (zone or "").replace(":", "")
    if digits[:1] not in ("+", "-"):
        return 0
    minutes = int(digits[1:3]) * 60 + int(digits[3:5] or 0)
    return -minutes if digits[0] == "-" else minutes


def _form(match: re.Match[str], groups: dict[str, list]) -> str:
    """The way a time is written, told from one match: its fields in the place of its digits."""
    written, at = "", 0
    spans = sorted((match.span(name), name) for name in groups if name in WRITTEN + "z" and match[name])
    for (start, end), name in spans:
        written += match.string[at:start].replace("{", "{{").replace("}", "}}")
        at, text = end, match[name]
        if name == "z":
            written += "+00:00" if len(set(groups["z"])) > 1 else text
        elif name == "b":
            abbreviated = all(len(each) == 3 for each in groups["b"])
            written += (
                "{B}" if not abbreviated else "{u}" if text.isupper() else "{l}" if text.islower() else "{b}"
            )
        elif name == "f":
            written += ".{f:03}"
        elif name == "Y":
            two = len(text) == 2 and ("d" in groups or "b" in groups)
            written += "{y:02}" if two else "{Y}"
        else:
            padded = min(len(each) for each in groups[name] if each)
            written += f"{{{name}:0{padded}}}"
    return written + match.string[at:].replace("{", "{{").replace("}", "}}")
