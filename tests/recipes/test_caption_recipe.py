from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import tinynet as tn
from tests.captioned import box, write_folder
from tinynet import recipes
from tinynet.data.captions.words import Vocabulary
from tinynet.errors import DataError
from tinynet.recipes.base import Choices
from tinynet.recipes.captions import calibrate, network


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path, 4)
    return tmp_path


def test_pictures_are_held_out_for_validation_with_their_captions(folder):
    made = recipes.plan(str(folder), Choices())
    (x, before), (xv, before_v) = made.x, made.settings["validation_data"][0]
    assert len(x) == len(before) == len(made.y) == 14 and len(xv) == len(before_v) == 2
    assert x.dtype == np.uint8 and made.name == f"{folder.name}-cnn-gru"
    assert made.model.metadata["task"] == "caption" and made.model.metadata["input"]["kind"] == "image"
    assert "14 pictures" in made.reason and "CNN, then a GRU" in made.reason


def test_the_users_choices_win(folder):
    made = recipes.plan(
        str(folder), Choices(arch="cnn-lstm", units=7, epochs=3, batch_size=5, learning_rate=0.1)
    )
    (cell,) = [layer for _, layer in made.model.walk() if isinstance(layer, tn.LSTM)]
    assert cell.units == 7
    assert made.settings["epochs"] == 3 and made.settings["batch_size"] == 5


def test_padded_words_do_not_count_in_the_loss():
    vocabulary = Vocabulary.learn(["a b", "a b c d e f"])
    model = network((8, 8, 1), vocabulary)
    x = np.random.default_rng(0).random((1, 8, 8, 1), np.float32)
    short, after = vocabulary.encode(["a b"])
    padded = np.pad(short, ((0, 0), (0, 9))), np.pad(after, ((0, 0), (0, 9)))
    alone, with_padding = model.evaluate((x, short), after), model.evaluate((x, padded[0]), padded[1])
    assert alone["loss"] == pytest.approx(with_padding["loss"], rel=1e-6)
    assert alone["accuracy"] == with_padding["accuracy"]


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 50, 3), (64, 64, 1), (7, 7, 3)])
def test_pictures_of_any_shape_are_encoded(shape):
    model = network(shape, Vocabulary.learn(["a b"]))
    assert model.predict((np.zeros((2, *shape), np.float32), np.zeros((2, 3), np.int32))).shape == (2, 4, 4)


def test_what_is_learnt_is_told_beside_the_most_frequent_caption(folder):
    made = recipes.plan(str(folder), Choices(epochs=1))
    history = made.fit(verbose=False)
    best = history.epochs[-1]
    record = made.training_record("boxes", history, best)
    assert 0 <= record["validation exact match"] <= record["validation words"] <= 1
    assert "of the sentences" in made.result_line(best)
    assert "always 'a " in made.comparison()
    assert all("it writes the same" in note for note in made.notes())


@pytest.mark.parametrize("factor", [0.5, 1.0, 4.0])
def test_probabilities_are_settled_by_how_often_they_are_right(factor):
    """Logits that were divided by a factor are multiplied by it again, whatever stands behind the end of a caption."""
    rng, n, steps = np.random.default_rng(0), 400, 4
    layers = [tn.Parallel([tn.Sequential([tn.Flatten(), tn.Dense(5)]), tn.Embedding(7, 5)], "prepend")]
    model = tn.Sequential([*layers, tn.Dense(7, activation="softmax")], ((2, 2, 1), (None,)))
    for array in model.state().values():
        array[...] = rng.standard_normal(array.shape)
    x = rng.standard_normal((n, 2, 2, 1)).astype(np.float32), rng.integers(1, 7, (n, steps)).astype(np.int32)
    drawn = (rng.random((n, steps + 1, 1)) > model.predict(x).cumsum(axis=-1)).sum(axis=-1)
    y = drawn * np.cumprod(drawn > 0, axis=1)
    for array in model.layers[-1].parameters.values():
        array /= np.float32(factor)
    assert calibrate(model, x, y) == pytest.approx(factor, rel=0.2)


def test_one_picture_is_too_few(tmp_path):
    Image.fromarray(box("red", "left")).save(tmp_path / "one.png")
    (tmp_path / "captions.tsv").write_text("one.png\ta box\none.png\ta red box\n")
    with pytest.raises(DataError, match="only one picture"):
        recipes.plan(str(tmp_path), Choices())


def test_scenes_need_digits_and_clothes(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"mnist\.npz"):
        recipes.plan("scenes", Choices())
