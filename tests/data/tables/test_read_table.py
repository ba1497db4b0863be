"""Tables as people write them, and files that are none: each is read, or answered in a sentence."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tinynet.data.tables.read import Table, as_numbers, is_missing, read_table
from tinynet.errors import DataError


def table(text, encoding="utf-8"):
    return read_table(io.BytesIO(text.encode(encoding) if isinstance(text, str) else text))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_delimiter_is_told_from_the_file(delimiter, end, mark):
    lines = [delimiter.join(row) for row in (["name", "size"], ["a", "1.5"], ["b", "2.5"])]
    found = table(mark + end.join(lines) + end)
    assert found == Table("the table", ["name", "size"], [["a", "1.5"], ["b", "2.5"]], delimiter)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=; ", "\ufeffsep=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_first_line_for_excel_names_the_delimiter(first, end):
    assert table(end.join([first, "a;b,c", "1;2,5"])) == Table(
        "the table", ["a", "b,c"], [["1", "2,5"]], ";", ","
    )
    with pytest.raises(DataError, match="line 3: 3 fields"):
        table(end.join([first, "a;b", "1;2;3"]))
    assert table("sep=,size\nx,2\n").columns == ["sep=", "size"]


def test_decimal_commas_are_told_from_points():
    assert table("a;b\n1,5;x\n2,25;y\n").decimal == ","
    assert table("a;b\n1.5;x, y\n2.25;y\n").decimal == "."
    assert table('a,b\n"1,5",x\n"2,25",y\n').decimal == ","
    np.testing.assert_array_equal(table("a;b\n1.234,5;x\n-2,25;y\n").numbers("a"), [1234.5, -2.25])
    np.testing.assert_array_equal(table('a,b\n"1,234.5",x\n2.25,y\n').numbers("a"), [1234.5, 2.25])


def test_commas_that_separate_thousands_are_no_decimal_marks():
    assert table('a,b\n"1,500",x\n"22,250",y\n').numbers("a").tolist() == [1500, 22250]
    assert table("a;b\n1,500;x\n22,250;y\n").numbers("a").tolist() == [1.5, 22.25]


def test_currencies_and_per_cent_are_numbers_and_infinite_ones_are_missing():
    found = table("a,b\n$12.50,x\n-€3,y\n7 %,z\ninf,u\n1e400,v\n").numbers("a")
    np.testing.assert_array_equal(found, [12.5, -3, 7, np.nan, np.nan])
    assert is_missing("-Infinity")


def test_quoted_fields_hold_delimiters_line_breaks_and_quotes():
    found = table('text,label\n"one, ""two""\nthree",x\n')
    assert found.rows == [['one, "two"\nthree', "x"]]


def test_a_single_quote_in_tab_separated_text_is_a_character():
    found = table('label\ttext\n0\t"they said\n1\tno\n')
    assert found.rows == [["0", '"they said'], ["1", "no"]]


@pytest.mark.parametrize("field", ["", "NA", "n/a", "NaN", "?", "null", "-", "inf", "1_000", "ten", "1e999"])
def test_what_is_no_finite_number_is_missing(field):
    assert np.isnan(as_numbers([field]))[0]


@pytest.mark.parametrize(
    ("field", "number"),
    [("1e3", 1000), ("+5", 5), (".5", 0.5), ("12 %", 12), ("1 234", 1234), ("1,234", 1234), ("1'000", 1000)],
)
def test_numbers_are_read_as_people_write_them(field, number):
    assert as_numbers([field])[0] == number


def test_empty_lines_trailing_delimiters_and_a_column_of_row_numbers_are_no_fault():
    assert table("a,b,\n\n1,2,\n,,\n").rows == [["1", "2"]]
    assert table(",b\n0,2\n").columns == ["index", "b"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "has no lines"),
        (b"a,b\n1,\x002\n", "binary file"),
        ("a,b\n1,ü\n".encode("utf-16"), "not UTF-8"),
        ("a,b\n1,ü\n".encode("latin-1"), "not UTF-8"),
        (b"a,b\n1,2,3\n", "line 2: 3 fields for 2 columns"),
        (b"a,b\n1,2\n3\n", "line 3: 1 field for 2 columns; add the fields that are missing"),
        (b"a,a\n1,2\n", "two columns named a"),
        (b"a,,b\n1,2,3\n", "a column without a name, number 2; give each column a name"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n", "line 2: field larger"),
        (b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n", "more than 4,096 columns"),
        (b"PK\x03\x04" + bytes(50), "binary file"),
    ],
)
def test_what_is_no_table_is_answered_in_a_sentence(content, told):
    with pytest.raises(DataError, match=told):
        table(content)


def test_an_unknown_column_is_answered_with_those_that_there_are(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"t\.csv has no column 'c'; its columns are a, b"):
        read_table(tmp_path / "t.csv").column("c")
    with pytest.raises(DataError, match=r"none\.csv does not exist"):
        read_table(tmp_path / "none.csv")


def test_a_name_of_two_lines_is_a_name_in_one():
    assert table(b'"weight\n (kg)",b\n1,2\n').columns == ["weight (kg)", "b"]


def test_a_message_shows_the_first_few_of_many_columns():
    with pytest.raises(DataError, match=r"its columns are c0, .*, c9 and 90 more$"):
        table(b",".join(b"c%d" % i for i in range(100)) + b"\n").column("d")


def test_a_row_of_empty_fields_keeps_its_place_unless_it_is_at_the_end():
    assert table(b",\na,b\n1,2\n,\n\n3,4\n,\n , \n").rows == [["1", "2"], ["", ""], ["3", "4"]]
