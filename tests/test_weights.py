"""Every shipped model has a card, and what the card says is true."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import tinynet as tn
from tinynet import tasks
from tinynet.storage import shipped_models

ROOT = Path(__file__).parent.parent
GOALS = {
    "digits": 0.995,
    "fashion": 0.935,
    "digits-rnn": 0.975,
    "digits-lstm": 0.988,
    "digits-gru": 0.988,
    "digits-nano": 0.988,
    "spoken-digits": 0.98,
    "moving-digits": 0.97,
    "sentiment": 0.79,
}
LOSSES = {"shakespeare": 1.47, "shakespeare-gru": 1.52, "shakespeare-rnn": 1.56}
"""Nats a character of the held-out tenth, in windows of 512 characters from a zero state."""
MASES = {"temperature": 0.7}
"""Of forecasts from all days of the last fifth, in units of the seasonal naive error before it."""
SENTENCES = {"scenes": 0.95}
"""Share of sentences that are right word for word, on scenes of things that training never shows together."""
NAMES = sorted(shipped_models())
shipped = pytest.mark.parametrize("name", NAMES)


def card(name: str) -> str:
    """The text of a model's card."""
    return (ROOT / "weights" / f"{name}.md").read_text()


@shipped
def test_a_card_says_size_parameters_data_and_command(name):
    text, model = card(name), tn.load(name)
    assert f"{model.parameter_count():,} parameters" in text
    assert f"{shipped_models()[name].stat().st_size:,} bytes" in text
    assert f"tinynet train {model.metadata['training']['data']} " in text
    assert f"--random-seed {model.metadata['training']['seed']}" in text


@pytest.mark.parametrize("name", [name for name in NAMES if name in GOALS])
@pytest.mark.skipif("TINYNET_DATA" not in os.environ, reason="TINYNET_DATA is not set: no test set here")
def test_the_accuracy_on_the_card_is_reached(name):
    model = tn.load(name)
    task = tasks.of(model)
    accuracy = task.evaluate(task.read(model.metadata["training"]["data"])).measured["accuracy"]
    said = float(re.search(r"test accuracy \| ([\d.]+) %", card(name)).group(1))
    assert accuracy >= GOALS[name]
    assert abs(100 * accuracy - said) < 0.02


@pytest.mark.parametrize("name", [name for name in NAMES if name in LOSSES])
@pytest.mark.skipif("TINYNET_DATA" not in os.environ, reason="TINYNET_DATA is not set: no text here")
def test_the_loss_on_the_card_is_reached(name):
    model = tn.load(name)
    task = tasks.of(model)
    loss = task.evaluate(task.read(model.metadata["training"]["data"])).loss
    said = float(re.search(r"validation loss \| ([\d.]+) nats", card(name)).group(1))
    assert loss <= LOSSES[name]
    assert abs(loss - said) < 0.002


@pytest.mark.parametrize("name", [name for name in NAMES if name in MASES])
@pytest.mark.skipif("TINYNET_DATA" not in os.environ, reason="TINYNET_DATA is not set: no series here")
def test_the_error_on_the_card_is_reached(name):
    model = tn.load(name)
    task = tasks.of(model)
    found = task.evaluate(task.read(model.metadata["training"]["data"]))
    said = float(re.search(r"all days \| MASE ([\d.]+)", card(name)).group(1))
    assert found.mase <= MASES[name]
    assert abs(found.mase - said) < 0.002


@pytest.mark.parametrize("name", [name for name in NAMES if name in SENTENCES])
@pytest.mark.skipif("TINYNET_DATA" not in os.environ, reason="TINYNET_DATA is not set: no pictures here")
def test_the_sentences_on_the_card_are_right(name):
    model = tn.load(name)
    task = tasks.of(model)
    found = task.evaluate(task.read(model.metadata["training"]["data"]))
    said = [
        float(part) for part in re.search(r"test set \| ([\d.]+) % of .*, ([\d.]+) % of", card(name)).groups()
    ]
    assert found.exact_match >= SENTENCES[name]
    assert abs(100 * found.exact_match - said[0]) < 0.05 and abs(100 * found.word_accuracy - said[1]) < 0.05


def test_every_shipped_model_has_a_goal():
    assert set(NAMES) <= GOALS.keys() | LOSSES.keys() | MASES.keys() | SENTENCES.keys()


def test_all_shipped_models_are_small():
    assert sum(path.stat().st_size for path in shipped_models().values()) < 10e6


@pytest.mark.parametrize("name", [name for name in NAMES if name in LOSSES])
@pytest.mark.parametrize("seed", ["KING", "QUEEN MARGARET:", "h", "?!", "3"])
def test_no_begin_makes_a_model_write_one_letter_for_ever(name, seed):
    written = tn.load(name).generate(seed, 300, random_seed=2)[len(seed) :]
    assert max(written.count(letter) for letter in set(written) - {" "}) < 0.3 * len(written)
