"""Series as people keep them: times of every common form, gaps, rows in disorder, files of strangers."""

from __future__ import annotations

import io
import os
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from tinynet.data.series.calendar import Calendar
from tinynet.data.series.read import is_series, read_series
from tinynet.errors import DataError


def table(times, values=None, head="when,sold"):
    values = range(len(times)) if values is None else values
    return io.BytesIO("\n".join([head, *(f"{t},{v}" for t, v in zip(times, values, strict=True))]).encode())


def read(times, values=None, **more):
    return read_series(table(times, values, **more))


DAYS = [date(2024, 2, 20) + timedelta(days=i) for i in range(20)]
HOURS = [datetime(2024, 1, 1) + timedelta(hours=i) for i in range(60)]
MONTHS = [(2023 + i // 12, i % 12 + 1) for i in range(24)]


@pytest.mark.parametrize(
    "times, following, step",
    [
        ([str(d) for d in DAYS], "2024-03-11", "one day"),
        ([f"{d:%Y/%m/%d}" for d in DAYS], "2024/03/11", "one day"),
        ([f"{d:%Y%m%d}" for d in DAYS], "20240311", "one day"),
        ([f"{d:%d.%m.%Y}" for d in DAYS], "11.03.2024", "one day"),
        ([f"{d:%d/%m/%y}" for d in DAYS], "11/03/24", "one day"),
        ([f"{d.month}/{d.day}/{d.year}" for d in DAYS], "3/11/2024", "one day"),
        ([f"{d:%d} {('Jan', 'Feb', 'Mar')[d.month - 1]} 2024" for d in DAYS], "11 Mar 2024", "one day"),
        ([f"{y}-{m:02}" for y, m in MONTHS], "2025-01", "one month"),
        ([f"{m:02}/{y}" for y, m in MONTHS], "01/2025", "one month"),
        ([f"{y}-{m:02}" for y, m in [(y - 2022, m) for y, m in MONTHS]], "3-01", "one month"),
        ([f"{m}/1/{y}" for y, m in MONTHS], "1/1/2025", "one month"),
        ([str(date(y + m // 12, m % 12 + 1, 1) - timedelta(days=1)) for y, m in MONTHS], "2025-01-31", "one month"),
        ([f"{y}Q{q}" for y in (2001, 2002, 2003) for q in (1, 2, 3, 4)], "2004Q1", "one quarter"),
        ([str(y) for y in range(1980, 2000)], "2000", "one year"),
        ([f"{h:%Y-%m-%dT%H:%M:%SZ}" for h in HOURS], "2024-01-03T12:00:00Z", "one hour"),
        ([f"{h:%d/%m/%Y %H:%M}" for h in HOURS], "03/01/2024 12:00", "one hour"),
        ([str(d) for d in DAYS if d.weekday() < 5], "2024-03-11", "one working day"),
    ],
)  # fmt: skip
def test_times_are_read_and_go_on_in_their_own_form(times, following, step):
    series = read(times)
    assert series.calendar.time(len(series)) == following
    assert series.calendar.time(0) == times[0]
    assert series.calendar.step() == step
    assert series.remarks == []
    np.testing.assert_array_equal(series.values[:, 0], np.arange(len(times)))


@pytest.mark.parametrize(
    "first, step, following",
    [
        (1_700_000_000, 3600, "1700072000"),
        (1_700_000_000_000, 60_000, "1700001200000"),
        (1, 1, "21"),
        (1960, 0.25, "1965"),
    ],
)
def test_plain_numbers_in_a_column_named_like_times_are_times(first, step, following):
    series = read([f"{first + i * step}" for i in range(20)], head="time,sold")
    assert series.calendar.time(len(series)) == following


def test_decimal_years_of_months_lie_on_a_grid_and_have_a_season():
    series = read([f"{1960 + i / 12:.3f}" for i in range(40)], head="time,sold")
    assert len(series) == 40
    assert series.calendar.periods() == [12]


def test_seconds_since_1970_have_the_seasons_of_hours():
    series = read([str(1_700_000_000 + 3600 * i) for i in range(60)], head="timestamp,load")
    assert series.calendar.periods()[:2] == [24, 168]
    assert series.calendar.step() == "one hour"


def test_days_before_months_are_told_by_the_whole_column():
    assert read([f"{d:%d/%m/%Y}" for d in DAYS]).calendar.time(1) == "21/02/2024"
    assert read([f"{d:%m/%d/%Y}" for d in DAYS]).calendar.time(1) == "02/21/2024"


def test_dates_that_may_be_read_both_ways_are_asked_for():
    with pytest.raises(
        DataError, match=r"02/01/2024 may be 2024-01-02 or 2024-02-01, .* write dates as year-month-day"
    ):
        read([f"{i:02}/01/2024" for i in range(1, 10)])


def test_a_missing_day_is_named_and_nothing_is_shifted():
    days = [str(date(2024, 2, 25) + timedelta(days=i)) for i in range(12)]
    del days[4]  # the leap day
    series = read(days, [*range(4), *range(5, 12)])
    assert len(series) == 12
    assert np.isnan(series.values[4, 0])
    np.testing.assert_allclose(series.filled()[:, 0], np.arange(12))
    assert "1 time not in the file: 2024-02-29" in series.remarks[0]


def test_a_leap_day_is_a_day():
    series = read([str(date(2024, 2, 25) + timedelta(days=i)) for i in range(12)])
    assert series.calendar.time(4) == "2024-02-29"


def test_missing_values_units_and_other_columns_are_named():
    file = io.BytesIO(
        "Datum;Temp (°C);Ort\n".encode()
        + "".join(
            f"{d:%d.%m.%Y};{'' if i == 3 else '-1,5' if i else 'viel'};Köln\n" for i, d in enumerate(DAYS)
        ).encode()
    )
    series = read_series(file)
    assert series.columns == ["Temp (°C)"]
    assert np.isnan(series.values[[0, 3], 0]).all()
    assert series.values[1, 0] == -1.5
    said = " ".join(series.remarks)
    assert "viel" in said and "23.02.2024" in said and "Ort" in said


def test_several_columns_of_numbers_are_read_together():
    file = io.BytesIO("\n".join(["day,a,b", *(f"{d},{i},{-i}" for i, d in enumerate(DAYS))]).encode())
    series = read_series(file)
    assert series.columns == ["a", "b"]
    np.testing.assert_array_equal(series.values[:, 0], -series.values[:, 1])


def test_rows_in_disorder_are_sorted_and_double_ones_averaged_with_a_note():
    times = [str(d) for d in DAYS]
    series = read([times[5], *times[::-1]], [15, *range(20)[::-1]])
    assert series.values[5, 0] == 10
    assert series.values[19, 0] == 19
    said = " ".join(series.remarks)
    assert "sorted" in said and "2024-02-25" in said


def test_rows_for_times_to_come_are_left_out():
    series = read([str(d) for d in DAYS], [*range(15), *[""] * 5])
    assert len(series) == 15
    assert any("5 rows without a number at the end" in remark for remark in series.remarks)


@pytest.mark.parametrize(
    "times, words",
    [
        (["2024-01-01", "2024-01-02", "2024-01-09", "2024-03-01", "2024-07-01", "2024-07-02", "2024-08-01", "2024-09-14"], "not regular"),
        (["2024-02-30"] * 9, "no column of times"),
        (["soon"] * 9, "no column of times"),
        ([str(DAYS[0]), str(DAYS[1])] * 9, "more than once"),
        ([str(d) for d in DAYS[:4]], "at least 8"),
        ([], "no row"),
    ],
)  # fmt: skip
def test_what_is_no_series_is_refused_in_a_sentence(times, words):
    with pytest.raises(DataError, match=words):
        read(times)


def test_a_series_is_told_from_rows_and_texts(tmp_path):
    def kept(name, text):
        (tmp_path / name).write_text(text)
        return is_series(str(tmp_path / name))

    assert kept("s.csv", "\n".join(["d,v", *(f"{d},1" for d in DAYS)]))
    assert not kept("rows.csv", "a,b\n1,2\n3,4\n")
    assert not kept("text.tsv", "label\ttext\n1\tgood\n0\tbad\n")
    assert not kept("nul.csv", "a\x00,b\n")
    assert not is_series(str(tmp_path / "none.csv"))


@pytest.mark.parametrize(
    "settings",
    [
        {"unit": "age"},
        {"every": 0},
        {"origin": float("nan")},
        {"form": "{Y.__class__}"},
        {"form": "{Y:0999999999}"},
        {"day": 99},
    ],
)
def test_a_calendar_from_a_file_is_checked(settings):
    with pytest.raises((ValueError, TypeError)):
        Calendar(**{"unit": "month", "every": 1, "origin": 0, "form": "{Y}-{m:02}", **settings})


@pytest.mark.skipif("TINYNET_DATA" not in os.environ, reason="TINYNET_DATA is not set")
def test_the_daily_temperatures_miss_two_days():
    series = read_series(os.path.join(os.environ["TINYNET_DATA"], "ts_daily-min-temperatures.csv"))
    assert len(series) == 3652
    assert "1984-12-31, 1988-12-31" in series.remarks[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([f"{i}e300" for i in range(20)], "holds no times"),
        ([f"1e{i}" for i in range(20)], "holds no times"),
        ([f"{i}e-300" for i in range(20)], "lie only 1e-300 apart; count them in a smaller unit"),
    ],
)
def test_times_beyond_all_bounds_are_refused_in_a_sentence(tmp_path, times, told):
    (tmp_path / "s.csv").write_text("time,v\n" + "".join(f"{time},{i % 7}\n" for i, time in enumerate(times)))
    with pytest.raises(DataError, match=told):
        read_series(tmp_path / "s.csv")
