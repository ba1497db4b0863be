"""Texts on the command line: files, lines, standard input, tables to train on, and what is no text."""

from __future__ import annotations

import json

import pytest
from test_commands import DIGIT, fails, run

SAID = b"A moving, funny film!\n\nTHE PLOT DOESN'T MAKE SENSE, AND IT'S DULL.\nxqzt wvrk\n"


def found(done):
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def test_a_text_is_named_from_stdin_and_from_a_file(tmp_path):
    (tmp_path / "review.txt").write_bytes(SAID.splitlines()[0])
    done = run("classify", "-", "--model", "sentiment", stdin=SAID.splitlines()[0])
    assert done.stdout.decode().startswith("-: positive (")
    (answer,) = found(
        run("classify", tmp_path / "review.txt", "--model", "sentiment", "--json", "--top", "2")
    )
    assert answer["label"] == "positive" and {c["label"] for c in answer["top"]} == {"positive", "negative"}


def test_each_line_is_a_text_of_its_own():
    answers = found(run("classify", "-", "--model", "sentiment", "--lines", "--json", stdin=SAID))
    assert [answer["line"] for answer in answers] == [1, 2, 3, 4]
    assert [answer["label"] for answer in answers] == ["positive", None, "negative", "neutral"]
    assert answers[3]["top"][0]["label"] in ("positive", "negative")


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n"])
def test_an_empty_text_is_an_answer(content):
    (answer,) = found(run("classify", "-", "--model", "sentiment", "--json", stdin=content))
    assert answer == {"file": "-", "label": None, "probability": None, "top": []}


def test_what_is_no_text_ends_in_a_sentence_and_the_others_are_answered(tmp_path):
    (tmp_path / "good.txt").write_text("a moving, funny film")
    done = run(
        "classify", DIGIT, tmp_path / "none.txt", tmp_path / "good.txt", "--model", "sentiment", "--json"
    )
    fails(done, "is a binary file, not text", "none.txt does not exist")
    picture, none, good = map(json.loads, done.stdout.decode().splitlines())
    assert picture["error"] and none["error"] and good["label"] == "positive"
    fails(run("classify", "-", "--lines", stdin=b""), "--lines does not apply to digits", status=2)


def test_a_table_of_texts_trains_evaluates_and_classifies(tmp_path):
    rows = ["sport\tthe ball is in the goal", "food\tthe soup is in the bowl"] * 20
    (tmp_path / "kinds.tsv").write_text("label\ttext\n" + "\n".join(rows))
    done = run("train", "kinds.tsv", "--epochs", "4", "--learning-rate", "0.01", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.strip() == b"kinds-gru.npz"
    assert b"naive Bayes on the same words" in done.stderr
    done = run("evaluate", "kinds-gru.npz", "kinds.tsv", cwd=tmp_path)
    assert done.stdout.startswith(b"accuracy 100.00 %") and b"too optimistic" in done.stderr
    done = run("classify", "-", "--model", "kinds-gru.npz", cwd=tmp_path, stdin=b"a goal! a ball!")
    assert done.stdout.startswith(b"-: sport (")


def test_a_table_that_cannot_be_learnt_from_ends_in_a_sentence(tmp_path):
    (tmp_path / "one.tsv").write_text("label\ttext\na\tone two\na\ttwo one\n")
    fails(run("train", "one.tsv", cwd=tmp_path), "one.tsv has only the label a")
    (tmp_path / "nul.tsv").write_bytes(b"label\ttext\na\t\x00\n")
    fails(run("train", "nul.tsv", cwd=tmp_path), "binary")
