"""Which network fits which data: one table, read by every recipe."""

from __future__ import annotations

import numpy as np
import pytest

from tinynet import layers, recipes
from tinynet.data.pictures.mnist import Dataset
from tinynet.errors import DataError, Setting, TinynetError, UsageError
from tinynet.recipes import fashion
from tinynet.recipes.architectures import ARCHITECTURES, RULES, choose
from tinynet.recipes.base import RECURRENT, Choices
from tinynet.tasks import TASKS


def test_the_first_that_fits_is_what_auto_means():
    assert (choose("grid", "auto"), choose("small grid", "auto"), choose("sequence", "auto")) == (
        "resnet",
        "cnn",
        "lstm",
    )
    assert choose("small grid", "gru") == "gru"
    with pytest.raises(
        TinynetError, match=r"^arch cnn does not fit .*, rnn or transformer, since text is a sequence"
    ) as caught:
        choose("sequence", "cnn")
    assert caught.value.parts[0] == "arch" and isinstance(caught.value.parts[0], Setting)


def test_a_misspelt_architecture_is_answered_with_the_one_that_was_meant():
    with pytest.raises(TinynetError, match=r"^arch resnt is no kind of network; did you mean resnet\?$"):
        choose("grid", "resnt")
    with pytest.raises(TinynetError, match=r"^arch svm is no kind of network; choose gru, lstm or cnn$"):
        choose("series", "svm")


def test_every_rule_and_recipe_goes_by_what_the_tables_know():
    assert {name for rule in RULES.values() for name in rule.architectures} == ARCHITECTURES.keys()
    assert tuple(TASKS) == recipes.TASKS
    assert {name: getattr(layers, name.upper()) for name in RECURRENT} == RECURRENT
    for recipe in recipes.recipes():
        assert recipe.kind in RULES and recipe.task in TASKS and recipe.options <= recipes.OPTIONS.keys()
    assert all(setting in Choices.__dataclass_fields__ for setting in recipes.OPTIONS)


def test_recipes_are_asked_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "poem.txt").touch()
    found = {
        data: type(recipes.find(data, Choices())).__name__
        for data in ("digits", "./digits", "fashion", "poem.txt", "none.txt")
    }
    assert found == {
        "digits": "Digits", "./digits": "Folder", "fashion": "Fashion", "poem.txt": "Text", "none.txt": "NoneType",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["cat.JPG", "wave.gif", "word.wav"])
def test_one_picture_is_no_data_to_train_on(name, tmp_path):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match="is one sample, and a network learns from many: give a folder"):
        recipes.plan(str(tmp_path / name), Choices())


@pytest.mark.parametrize("augment", [True, False])
def test_settings_that_a_recipe_does_not_take_are_refused_before_data_is_read(augment, tmp_path):
    (tmp_path / "poem.txt").touch()
    with pytest.raises(
        UsageError, match=r"^augment is for pictures, sounds and clips, but DATA is text; leave it out$"
    ):
        recipes.plan(str(tmp_path / "poem.txt"), Choices(augment=augment))
    with pytest.raises(
        UsageError,
        match=r"^units is the size of a recurrent layer, which a residual network does not have; leave it out$",
    ):
        recipes.plan(str(tmp_path), Choices(units=3))


@pytest.mark.parametrize("arch", ["resnet", "cnn", "vgg", "inception", "mobilenet"])
def test_pictures_of_clothes_have_networks_of_at_most_a_quarter_of_a_million_parameters(arch, monkeypatch):
    pictures, classes = np.zeros((5010, 28, 28, 1), np.uint8), np.zeros(5010, np.uint8)
    clothes = Dataset("fashion", pictures, classes, pictures, classes, [*"abcdefghij"])
    monkeypatch.setattr(fashion, "load_fashion", lambda: clothes)
    made = recipes.plan("fashion", Choices(arch=arch))
    assert made.name == f"fashion-{arch}" and 150_000 < made.model.parameter_count() <= 250_000
    assert ARCHITECTURES[arch].title in made.reason
