"""Tables of labels and texts."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet.data.text.labelled import LabelledTexts, holds_labelled_texts, read_labelled, read_polarity
from tinynet.errors import DataError


def table(tmp_path, content, name="texts.tsv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_columns_are_found_by_their_names_wherever_they_stand(tmp_path):
    path = table(tmp_path, 'id,Text,stars,label\n1,"good, really",5,yes\n2,bad,1,no\n', "texts.csv")
    found = read_labelled(path)
    assert holds_labelled_texts(path)
    assert found.labels == ["no", "yes"] and found.y.tolist() == [1, 0]
    assert found.texts == [["good", ",", "really"], ["bad"]]


def test_a_first_line_for_excel_names_the_delimiter(tmp_path):
    path = table(tmp_path, "\ufeffsep=;\r\nlabel;text\r\nyes;good, really\r\nno;bad\r\n", "texts.csv")
    assert holds_labelled_texts(path)
    assert read_labelled(path).texts == [["good", ",", "really"], ["bad"]]


def test_two_columns_without_a_header_are_label_and_text(tmp_path):
    path = table(tmp_path, '1\ta good film\n0\t"a "" bad "" film"\n1\tgood\n')
    found = read_polarity(path)
    assert holds_labelled_texts(path)
    assert found.labels == ["negative", "positive"] and found.y.tolist() == [1, 0, 1]
    assert found.texts[1] == ["a", '"', "bad", '"', "film"]


def test_a_first_text_without_a_header_may_be_long(tmp_path):
    found = read_polarity(table(tmp_path, "1\t" + "good " * 1000 + "\n0\tbad film\n1\tgood film\n"))
    assert len(found.texts[0]) == 1000


@pytest.mark.parametrize(
    "content, name",
    [
        ("time\tvalue\n2020-01-01\t3.5\n2020-01-02\t4.5\n", "series.tsv"),
        ("survived,age\n1,30\n", "titanic.csv"),
        ("label\ttext\n1\tgood\n", "texts.txt"),
        ("", "empty.tsv"),
        (b"\x00\xff\x00", "binary.tsv"),
    ],
)
def test_other_tables_are_left_to_others(tmp_path, content, name):
    assert not holds_labelled_texts(table(tmp_path, content, name))


def test_there_may_be_no_such_file(tmp_path):
    assert not holds_labelled_texts(tmp_path / "none.tsv") and not holds_labelled_texts(tmp_path)


def test_rows_without_label_or_word_are_left_out_and_counted(tmp_path):
    found = read_labelled(table(tmp_path, "label\ttext\na\tone two\n\tthree\nb\t \nb\tfour\n"))
    assert (len(found), found.left_out) == (2, 2)


@pytest.mark.parametrize(
    "content, problem",
    [
        ("label\ttext\na\tone\na\ttwo\n", r"texts\.tsv has only the label a;"),
        ("label\ttext\n", r"has no row with both a label and a word; give texts of 2 to"),
        (
            "name\tage\tplace\nx\t1\ty\n",
            r"has the columns name, age, place; texts to tell apart need a column label",
        ),
        (b"label\ttext\na\t\x00\n", r"is a binary file"),
        (b"label\ttext\na\t\xff\n", r"is not UTF-8"),
    ],
)
def test_what_is_no_such_table_is_refused_in_a_sentence(tmp_path, content, problem):
    with pytest.raises(DataError, match=problem):
        read_labelled(table(tmp_path, content))


def test_the_held_out_tenth_is_the_same_for_everybody():
    data = LabelledTexts([[str(i)] for i in range(50)], np.arange(50) % 2, ["a", "b"])
    (rest, tenth), again = data.held_out(), data.held_out()[1]
    assert tenth.texts == again.texts and (len(rest), len(tenth)) == (45, 5)
    assert sorted(map(tuple, rest.texts + tenth.texts)) == sorted(map(tuple, data.texts))
