"""What a model is measured on: pictures of classes that it knows, numbered as it numbers them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet.data.pictures.read import read_image
from tinynet.errors import DataError, TinynetError, UsageError
from tinynet.tasks import expect, of
from tinynet.tasks.pictures import Pictures


@pytest.fixture
def y(monkeypatch, tmp_path):
    """The test labels of small data sets under the names of the real ones."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 28, 28), np.uint8), rng.integers(0, 10, 20)
    for stem in ("mnist", "fashion_mnist"):
        np.savez(tmp_path / f"{stem}.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    return y


DIGIT = Path(__file__).parent.parent / "pictures" / "digit.png"
SEVERAL = "digits", "digits-gru", "digits-rnn"


def reader(labels):
    """A network for pictures of 28×28 with these classes."""
    return tn.Sequential([tn.Flatten(), tn.Dense(10)], (28, 28, 1), labels=labels)


def test_a_data_set_of_other_classes_is_refused_as_a_folder_of_other_classes_is(y):
    with pytest.raises(
        DataError, match=r"^T-shirt/top in fashion is not one of this model's classes \(0, 1, 2"
    ):
        of(tn.load("digits-lstm")).read("fashion")
    assert len(of(tn.load("fashion")).read("fashion").y) == 20


def test_classes_are_numbered_as_the_model_numbers_them(y):
    assert (of(reader(None)).read("digits").y == y).all()
    assert (of(reader("0123456789")).read("digits").y == y).all()
    assert (of(reader("9876543210")).read("digits").y == 9 - y).all()


# ---- whom it is for ----


def test_a_model_is_for_what_its_file_names_or_else_for_what_it_has():
    assert (
        of(tn.load("digits-lstm")).name == "pictures" and of(tn.load("shakespeare-rnn")).name == "characters"
    )
    assert of(reader(None)).name == "pictures"
    named = reader("0123456789")
    named.metadata.update(task="characters", input={"kind": "digit"})
    assert tn.load("digits-lstm").metadata.get("task") is None
    with pytest.raises(TinynetError):
        of(named)
    named.metadata["task"] = ["of", "somebody"]
    assert of(named).name == "pictures"


def test_a_model_of_another_task_is_told_with_the_verb_that_fits():
    model = tn.load("shakespeare-rnn")
    told = r"does not read pictures; choose one that does \(digits, .*, fashion\) or train your own; .* is for generate$"
    with pytest.raises(TinynetError, match=told):
        expect(Pictures, model)
    with pytest.raises(TinynetError, match=told):
        model.classify(DIGIT)


# ---- several that vote ----


def test_an_ensemble_answers_with_the_mean_of_the_probabilities():
    ensemble, models = tn.Ensemble(SEVERAL), [tn.load(name) for name in SEVERAL]
    x = np.random.default_rng(0).random((5, 28, 28, 1), dtype=np.float32)
    expected = sum(model.predict(x) for model in models) / 3
    assert np.array_equal(ensemble.predict(x), expected)
    votes = [dict(model.classify(DIGIT)) for model in models]
    assert repr(ensemble) == "Ensemble(digits-cnn, digits-gru, digits-rnn)"
    for label, probability in ensemble.classify(DIGIT):
        assert probability == pytest.approx(sum(vote[label] for vote in votes) / 3, abs=1e-6)
    assert ensemble.classify([DIGIT], top=1) == [ensemble.classify(DIGIT)[:1]]


def test_an_ensemble_is_measured_by_the_mean_of_the_probabilities():
    ensemble, y = tn.Ensemble([*SEVERAL]), np.arange(10)
    x = np.random.default_rng(0).random((10, 28, 28, 1), dtype=np.float32)
    p = ensemble.predict(x)
    found = ensemble.evaluate(x, y)
    assert found["loss"] == pytest.approx(-np.log(p[y, y]).mean(), rel=1e-5)
    assert found["accuracy"] == (p.argmax(axis=1) == y).mean()
    one = tn.Ensemble(["digits"])
    assert one.evaluate(x, y) == tn.load("digits").evaluate(x, y)
    assert one.classify(DIGIT) == tn.load("digits").classify(DIGIT)


def test_each_model_of_an_ensemble_prepares_a_picture_its_own_way(tmp_path):
    from PIL import Image

    whole = tn.Sequential([tn.Flatten(), tn.Dense(10, "softmax")], (9, 9), labels="0123456789", seed=3)
    whole.metadata["input"] = {"kind": "image"}
    digits = tn.load("digits")
    (answer,) = expect(Pictures, digits, whole).answer(DIGIT)
    assert [view.shape for view in answer.views] == [(28, 28, 1), (9, 9)]
    votes = [dict(model.classify(DIGIT)) for model in (digits, whole)]
    for label, probability in answer.ranking:
        assert probability == pytest.approx((votes[0][label] + votes[1][label]) / 2, abs=1e-6)
    for label in "35":  # of each class a digit, and a page on which only the other model sees something
        (tmp_path / label).mkdir()
        Image.open(DIGIT).save(tmp_path / label / "a.png")
        Image.new("L", (50, 50), 250).save(tmp_path / label / "b.png")
    task = expect(Pictures, whole, digits)
    data = task.read(str(tmp_path))
    assert [x.shape for x in data.xs] == [(2, 9, 9), (2, 28, 28, 1)]
    assert data.y.tolist() == [3, 5] and sorted(data.blank.tolist()) == [3, 5]
    assert "which count as wrong" in data.remarks[-1]
    found = task.evaluate(data)
    assert found.nothing_found == 2 and found.confusion[:, 10].sum() == 2


def test_models_that_know_other_classes_make_no_ensemble():
    with pytest.raises(UsageError, match="digits-cnn and fashion-resnet have different classes"):
        tn.Ensemble(["digits", "fashion"])
    with pytest.raises(UsageError, match="have their classes in another order and cannot be averaged"):
        tn.Ensemble([reader("0123456789"), reader("9876543210")])
    with pytest.raises(TinynetError, match="shakespeare-rnn does not read pictures"):
        tn.Ensemble(["digits", tn.load("shakespeare-rnn")])
    for nothing in ([], "digits", tn.load("digits")):
        with pytest.raises(TinynetError, match="an ensemble takes a list of models"):
            tn.Ensemble(nothing)


# ---- what is shown ----


def test_answers_are_shown_in_one_line():
    task = of(tn.load("digits"))
    (line,) = task.show(task.answer(read_image(DIGIT)), top=2)
    assert line.startswith("3 (") and line.count("%") == 2
    assert list(task.show(task.answer(np.ones((50, 50))))) == ["no digit found"]
    with pytest.raises(
        UsageError, match="every reads the digits of a picture, but fashion-resnet names one thing"
    ):
        of(tn.load("fashion")).check_options({"every": True})
