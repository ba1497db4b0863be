"""The recipe for texts: what it trains, how it is begun, when the answer is neutral."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet.data.text.words import log_count_ratios
from tinynet.errors import DataError
from tinynet.recipes import find, plan
from tinynet.recipes.base import Choices
from tinynet.recipes.scores import MOST_FREQUENT
from tinynet.recipes.sentences import CONFIDENCE, LEAST_RIGHT, VOTES, neutral_below
from tinynet.tasks.text import NEUTRAL

GOOD, BAD = ["moving", "funny", "warm", "bright"], ["dull", "flat", "weak", "tedious"]


@pytest.fixture
def file(tmp_path):
    """Texts of two poles, negated now and then."""
    rng, lines = np.random.default_rng(0), []
    for i in range(120):
        label, negated = i % 2, rng.random() < 0.3
        word = rng.choice(GOOD if (label == 1) != negated else BAD)
        lines.append(f"{('negative', 'positive')[label]}\ta {'not ' * negated}{word} film with a plot")
    path = tmp_path / "films.tsv"
    path.write_text("label\ttext\n" + "\n".join(lines))
    return str(path)


def test_labelled_texts_are_for_this_recipe_unless_a_column_is_to_be_predicted(file):
    assert type(find(file, Choices())).__name__ == "Sentences"
    assert type(find(file, Choices(target="label"))).__name__ == "Rows"
    assert type(find("sentence-polarity", Choices())).__name__ == "Sentences"


@pytest.mark.parametrize("arch", ["gru", "lstm"])
def test_both_readers_learn_and_the_model_is_their_mean(file, arch):
    made = plan(file, Choices(arch=arch, epochs=30, learning_rate=0.03, units=4))
    made.fit(verbose=False)
    x, y = made.settings["validation_data"]
    apart = made.apart.predict(x)
    together = np.exp(np.log(apart).mean(axis=1))
    np.testing.assert_allclose(
        made.model.predict(x), together / together.sum(axis=1, keepdims=True), atol=1e-5
    )
    assert (made.model.predict(x).argmax(axis=1) == y).mean() > 0.8 and apart.shape == (len(y), 1 + VOTES, 2)


@pytest.mark.parametrize("arch", ["cnn-gru", "cnn-lstm"])
def test_documents_are_read_in_their_order_alone(file, arch):
    made = plan(file, Choices(arch=arch, epochs=30, learning_rate=0.03, units=4))
    made.fit(verbose=False)
    x, y = made.settings["validation_data"]
    assert x.ndim == 2 and made.apart is None and len(made.model.vocabulary) == made.model.layers[0].input_dim
    assert (made.model.predict(x).argmax(axis=1) == y).mean() > 0.6 and "bag" not in made.reason
    assert made.model.classify(b"a warm film")


def test_the_bag_begins_as_naive_bayes(file):
    made = plan(file, Choices())
    bag, (_, bags) = made.model.layers[0].layers[1].layers[0], made.x
    ratios = log_count_ratios(bags, made.y, 2, bag.input_dim)
    np.testing.assert_allclose(bag.parameters["embeddings"], CONFIDENCE * ratios)
    assert list(made.baselines) == ["naive Bayes on the same words, pairs and pieces", MOST_FREQUENT]


def test_a_model_file_says_when_the_answer_is_neutral_and_knows_its_words(file, tmp_path):
    made = plan(file, Choices(epochs=4, learning_rate=0.01))
    history = made.fit(verbose=False)
    best = history.epochs[-1]
    made.model.metadata["training"] = made.training_record(file, history, best)
    assert 0.5 <= made.model.metadata[NEUTRAL] <= 1
    assert made.result_line(best).startswith("both readers together: ")
    made.model.save(tmp_path / "m.npz", "float16")
    loaded = tn.load(tmp_path / "m.npz")
    assert loaded.vocabulary == made.model.vocabulary and loaded.metadata["input"]["kind"] == "words"
    assert loaded.classify(b"a funny film")[0][0] == "positive"


def test_only_between_two_poles_is_there_a_neutral_answer(tmp_path):
    path = tmp_path / "kinds.tsv"
    path.write_text("label\ttext\n" + "sport\ta ball game\nfood\ta good soup\nart\ta good film\n" * 5)
    made = plan(str(path), Choices(epochs=1))
    history = made.fit(verbose=False)
    made.training_record(str(path), history, history.epochs[-1])
    assert NEUTRAL not in made.model.metadata and made.model.labels == ["art", "food", "sport"]


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0, 2.0])
def test_neutral_are_answers_that_are_right_too_seldom(power):
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 20_000)
    odds = (sure / (1 - sure)) ** power
    y = (rng.random(len(sure)) > odds / (1 + odds)).astype(int)  # 0 where it is right
    found = neutral_below(np.stack([sure, 1 - sure], axis=1), y)
    assert (found / (1 - found)) ** power == pytest.approx(LEAST_RIGHT / (1 - LEAST_RIGHT), rel=0.05)


def test_where_nothing_was_learnt_all_is_neutral():
    sure = np.linspace(0.5, 0.99, 100)
    assert neutral_below(np.stack([sure, 1 - sure], axis=1), np.arange(100) % 2) > 0.99


def test_columns_of_other_names_are_answered_with_those_they_need(tmp_path):
    table = tmp_path / "moods.tsv"
    rows = (f"day {i} was fine\t{['good', 'bad'][i % 2]}" for i in range(20))
    table.write_text("\n".join(["Sentence\tMood", *rows]))
    with pytest.raises(DataError, match="need a column label and a column text"):
        plan(str(table), Choices(task="text"))
    with pytest.raises(DataError, match="to learn from words, name the columns label and text"):
        plan(str(table), Choices(target="Mood"))


def test_texts_without_a_word_in_common_are_refused(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("label\ttext\na\tone\nb\ttwo\na\tthree\nb\tfour\n")
    with pytest.raises(DataError, match="no word of x stands in two texts"):
        plan(str(path), Choices())
