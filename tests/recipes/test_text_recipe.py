"""The recipe for text: sizes that follow from the length, what is shown while it learns, what it is measured on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet.data.text.characters import encode
from tinynet.errors import DataError, TinynetError
from tinynet.recipes import plan, text
from tinynet.recipes.base import Choices

DIGIT = Path(__file__).parent.parent / "pictures" / "digit.png"
SENTENCE = "The quick brown fox jumps over the lazy dog. "


@pytest.fixture
def file(tmp_path):
    """Makes a text of so many characters."""

    def make(length):
        path = tmp_path / "fox.txt"
        path.write_text((SENTENCE * (length // len(SENTENCE) + 1))[:length])
        return str(path)

    return make


def units(made):
    return made.model.layers[1].units


def test_a_short_text_gets_a_small_network_and_few_streams(file):
    short, long = plan(file(3000), Choices()), plan(file(400_000), Choices())
    assert (units(short), units(long)) == (64, 256)
    assert (short.settings["batch_size"], long.settings["batch_size"]) == (2, 50)
    assert short.settings["epochs"] > long.settings["epochs"] > 1
    assert short.name == "fox-lstm" and "an LSTM" in short.reason


def test_the_choices_of_the_user_come_first(file):
    made = plan(file(3000), Choices(arch="gru", units=7, epochs=2, batch_size=4, learning_rate=0.1, seed=5))
    assert (units(made), made.settings["epochs"], made.settings["batch_size"]) == (7, 2, 4)
    assert made.settings["optimizer"].learning_rate.schedule.learning_rate == 0.1
    assert made.settings["seed"] == 5 and made.settings["stateful"]


def test_a_transformer_has_about_as_many_parameters_as_the_lstm(file):
    for length in (10_000, 60_000, 300_000, 1_000_000):
        lstm, transformer = (
            text.network(arch, "".join(map(chr, range(48, 113))), length).parameter_count()
            for arch in ("lstm", "transformer")
        )
        assert 0.8 < transformer / lstm < 1.2, (length, lstm, transformer)
    made = plan(file(3000), Choices(arch="transformer", units=10))
    assert made.name == "fox-transformer" and "a transformer" in made.reason and made.settings["stateful"]
    assert made.model.shapes[1] == (None, 10)


def test_a_transformer_is_trained_and_writes(file, tmp_path):
    tn.set_device("reference")
    made = plan(file(1500), Choices(arch="transformer", units=8, epochs=1))
    made.fit()
    made.model.save(tmp_path / "fox.npz")
    assert len(tn.load(tmp_path / "fox.npz").generate("The ", 150, random_seed=0)) == 154


def test_the_last_tenth_is_kept_for_validation(file):
    made = plan(file(3000), Choices())
    assert made.characters == 2700
    x, _, weights = made.settings["validation_data"]
    ids = encode((SENTENCE * 70)[2700:3000], made.model.vocabulary)
    assert (x[weights > 0] == ids[:-1]).all()


def test_a_text_that_is_too_short_is_named(file):
    assert plan(file(112), Choices()).settings["batch_size"] == 1
    with pytest.raises(
        DataError,
        match=r"fox.txt is too short: it has 111 characters, .* need 112, of which a tenth .*; give a longer text$",
    ):
        plan(file(111), Choices())
    assert plan(file(1112), Choices(batch_size=10)).settings["batch_size"] == 10
    with pytest.raises(
        DataError, match=r"1,111 characters, .*10 × 100 need 1,112, .* or a smaller batch size$"
    ):
        plan(file(1111), Choices(batch_size=10))


def test_a_text_by_another_ending_is_to_be_renamed(tmp_path):
    (tmp_path / "poems.md").write_text(SENTENCE * 10)
    with pytest.raises(
        DataError, match=r"poems.md is a file, but text ends in .txt and a table in .csv or .tsv: rename it"
    ):
        plan(str(tmp_path / "poems.md"), Choices())


def test_a_sample_is_shown_while_it_learns(file):
    tn.set_device("reference")
    made, stream = plan(file(1500), Choices(units=4, epochs=2)), io.StringIO()
    made.fit(callbacks=[text.Sample(stream, seconds=0)])
    shown = stream.getvalue()
    assert shown.count("    ") >= 2 and set(shown) <= set(SENTENCE) | {"\n"}


def test_units_are_of_recurrent_layers(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        f"{kind}_{half}": rng.integers(0, 10, (5100, 28, 28) if kind == "x" else 5100).astype(np.uint8)
        for kind in "xy"
        for half in ("train", "test")
    }
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    with pytest.raises(
        TinynetError, match=r"^units is the size of a recurrent layer, which a CNN does not have"
    ):
        plan("digits", Choices(units=3))
    with pytest.raises(TinynetError, match=r"^arch transformer does not fit this data; choose auto, cnn, "):
        plan("digits", Choices(arch="transformer"))
    tn.set_device("reference")
    for arch in ("lstm", "gru", "rnn"):
        made = plan("digits", Choices(arch=arch, units=5, epochs=1))
        assert made.name == f"digits-{arch}" and made.model.input_shape == (28, 28)
        made.model.fit(
            made.x[:64], made.y[:64], **{**made.settings, "validation_data": None, "early_stopping": None}
        )
        assert made.model.classify(DIGIT)
        assert made.model.evaluate(arrays["x_test"][:50, ..., None], arrays["y_test"][:50])["loss"] > 0
