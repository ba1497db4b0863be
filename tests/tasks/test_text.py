"""Naming the class of texts: files, lines, what is no text, and when the answer is neutral."""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import run_here as run

import tinynet as tn
from tinynet.data.text.words import MOST_CHARACTERS
from tinynet.errors import DataError, TinynetError
from tinynet.tasks.text import NEUTRAL, Texts, vocabulary_of

TERMS = ["", "?", "good", "bad", "film", "good film"]


@pytest.fixture
def model():
    """Answers by the words good and bad alone."""
    bag = tn.EmbeddingBag(len(TERMS), 2, embeddings_initializer="zeros")
    order = tn.Sequential(
        [tn.Embedding(5, 2, True, "zeros"), tn.GRU(2), tn.Dense(2, kernel_initializer="zeros")]
    )
    net = tn.Sequential([tn.Parallel([order, bag], "add"), tn.Activation("softmax")], ((None,), (None,)),
                        labels=["negative", "positive"], vocabulary=TERMS, name="poles")  # fmt: skip
    bag.parameters["embeddings"][2:4] = [[-1, 1], [1, -1]]
    net.metadata.update(task="text", input={"kind": "words", "words": 3}, **{NEUTRAL: 0.6})
    return net


def labels(answers, **options):
    return [found["label"] for found in Texts.as_json(None, answers, **options)]


def test_a_text_is_named_or_neutral_or_nothing(model):
    task = Texts(model)
    said = b"A GOOD film!\nbad\ngood, bad\n\nxyzzy\nfilm"
    assert labels(task.answer(said, lines=True)) == ["positive", "negative", "neutral", None, None, "neutral"]
    assert labels(task.answer(said)) == ["neutral"]


def test_programs_get_the_line_and_never_neutral_among_the_classes(model):
    task = Texts(model)
    good, both, blank = task.as_json(task.answer(b"good\ngood bad\n\n", lines=True), top=2)
    assert (good["line"], both["line"], blank["line"]) == (1, 2, 3)
    assert both["label"] == "neutral" and [c["label"] for c in both["top"]] == ["negative", "positive"]
    assert blank["label"] is None and blank["top"] == []
    assert json.dumps(good) and "line" not in next(iter(task.as_json(task.answer(b"good"))))


def test_people_get_a_line_each(model):
    task = Texts(model)
    shown = list(task.show(task.answer(b"good\ngood bad\n\n", lines=True)))
    assert shown == [
        "line 1: positive (88.08 %)",
        "line 2: neutral, rather negative (50.00 %)",
        "line 3: no known word found",
    ]


def test_a_text_comes_from_a_file_an_open_file_bytes_or_standard_input(model, tmp_path, monkeypatch):
    path = tmp_path / "review.txt"
    path.write_bytes(b"\xef\xbb\xbfa good\r\nfilm")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"good")))
    for given in (str(path), path, io.BytesIO(b"good"), b"good", "-"):
        assert Texts(model).answer(given)[0].ranking[0][0] == "positive"
    assert model.classify(path, top=1)[0][0] == "positive"


@pytest.mark.parametrize("content", [b"", b" \n\t", b"\x01\x1b[31m\x07"])
def test_where_there_is_nothing_the_answer_is_nothing(model, content):
    assert labels(Texts(model).answer(content)) == [None]


@pytest.mark.parametrize("content, problem", [(b"good\x00bad", "binary file"), (b"go\xffod", "not UTF-8")])
def test_what_is_no_text_is_refused_in_a_sentence(model, content, problem):
    with pytest.raises(DataError, match=problem):
        Texts(model).answer(content)
    with pytest.raises(
        DataError, match=r"good film does not exist; give the name of a text file, or - for standard input"
    ):
        Texts(model).answer("good film")


def test_an_enormous_line_is_read_from_its_beginning_and_that_is_said(model):
    (answer,) = Texts(model).answer(b"good " * 200_000)
    assert answer.ranking[0][0] == "positive" and answer.note == "only the first 100,000 characters are read"


def test_several_models_vote(model):
    other = tn.Sequential([tn.Parallel([tn.EmbeddingBag(4, 2), tn.EmbeddingBag(4, 2)], "add"), tn.Activation("softmax")],
                          ((None,), (None,)), labels=model.labels, vocabulary=["", "?", "bad", "good"])  # fmt: skip
    other.metadata.update(task="text", input={"kind": "words", "words": 2})
    for bag in other.layers[0].layers:
        bag.parameters["embeddings"][...] = [[0, 0], [0, 0], [9, -9], [-9, 9]]
    (answer,) = Texts(model, other).answer(b"good")
    mean = (model.predict(vocabulary_of(model).encode([["good"]])) + [[0, 1]]) / 2
    np.testing.assert_allclose([p for _, p in answer.ranking], mean[0][::-1], atol=1e-3)


def test_a_table_of_texts_is_measured_as_the_model_numbers_classes(model, tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("label\ttext\npositive\tgood\nnegative\tbad film\nnegative\tgood film\n")
    task = Texts(model)
    found = task.evaluate(task.read(str(path)))
    assert found.confusion.tolist() == [[1, 1], [0, 1]] and found.labels == ["negative", "positive"]


@pytest.mark.parametrize("words, terms", [(None, TERMS), (9, TERMS), (2, "abc"), (-1, TERMS), (3, None)])
def test_a_model_that_does_not_say_its_words_is_refused(model, words, terms):
    model.metadata["input"]["words"], model.vocabulary = words, terms
    with pytest.raises(TinynetError, match=r"^poles does not say which words it knows"):
        Texts(model)


def test_models_with_other_words_vote_each_with_its_own(model, tmp_path):
    other = tn.Sequential([tn.Embedding(4, 2, True), tn.GRU(3), tn.Dense(2, "softmax")], (None,), seed=3,
                          labels=["negative", "positive"], vocabulary=["", "?", "film", "bad"], name="other")  # fmt: skip
    other.metadata.update(task="text", input={"kind": "words", "words": 2})
    both = tn.Ensemble([model, other])
    votes = [dict(each.classify(b"a good film")) for each in (model, other)]
    for label, probability in both.classify(b"a good film"):
        assert probability == pytest.approx((votes[0][label] + votes[1][label]) / 2, abs=1e-6)
    (tmp_path / "t.tsv").write_text("label\ttext\npositive\tgood film\nnegative\tbad film\n")
    task = Texts(model, other)
    found = task.evaluate(task.read(str(tmp_path / "t.tsv")))
    p = [
        dict(both.classify(text.encode()))[label]
        for label, text in (("positive", "good film"), ("negative", "bad film"))
    ]
    assert found.measured["loss"] == pytest.approx(-np.log(p).mean(), abs=1e-5)


def run_on(model, tmp_path, command, table, *options, name="new.csv"):
    (tmp_path / name).write_text(table)
    model.save(tmp_path / "poles.npz")
    return run(command, tmp_path / name, "--model", tmp_path / "poles.npz", *options)


def test_of_a_very_long_text_it_is_said_that_only_the_first_part_is_read(model, tmp_path):
    status, printed, said = run_on(model, tmp_path, "classify", "good film " * 20_000, name="long.txt")
    assert status == 0 and "long.txt: positive (" in printed
    assert said.endswith(f"long.txt: only the first {MOST_CHARACTERS:,} characters are read\n")


# ---- tables ----


def test_texts_of_a_table_are_named_row_by_row(model, tmp_path):
    table = 'id,Text\n1,"a GOOD, good film"\n2,bad\n3,xyzzy\n4,film\n'
    status, printed, said = run_on(model, tmp_path, "predict", table)
    assert status == 0 and not said and printed.splitlines() == [
        "id,Text,prediction,probability",
        '1,"a GOOD, good film",positive,0.8808',
        "2,bad,negative,0.8808",
        "3,xyzzy,,",
        "4,film,neutral,0.5000",
    ]  # fmt: skip
    rows = [json.loads(line) for line in run_on(model, tmp_path, "predict", table, "--json")[1].splitlines()]
    assert rows[1] == {"row": 2, "prediction": "negative", "probability": 0.880797}
    assert rows[2] == {"row": 3, "prediction": None, "probability": None}


def test_a_table_without_texts_is_told_which_column_it_needs(model, tmp_path):
    status, printed, said = run_on(model, tmp_path, "predict", "id,said\n1,good\n")
    assert (
        status == 1
        and not printed
        and "has the columns id, said; texts to tell apart need a column text" in said
    )


@pytest.mark.parametrize("options", [(), ("--lines",)])
def test_a_table_that_is_read_as_a_text_is_told_what_names_its_rows(options, model, tmp_path):
    status, _, said = run_on(model, tmp_path, "classify", "label,text\npositive,good\n", *options)
    assert status == 0 and said.count("this is a table: tinynet predict names the text of each row") == 1
    assert not run_on(model, tmp_path, "classify", "good\nbad\n", *options)[2]
