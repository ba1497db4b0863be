"""Writing text: exact lengths, the same text from the same seed, what temperature, top-k and top-p leave."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import TinynetError
from tinynet.generation import characters

VOCABULARY = "\n abcdeλ太🦉"
LAYERS = {"lstm": tn.LSTM, "gru": tn.GRU, "rnn": tn.RNN}


def writer(kind="lstm", vocabulary=VOCABULARY, activation="softmax", **settings):
    """A network with weights large enough that what it read decides what comes next."""
    net = tn.Sequential(
        [
            tn.Embedding(len(VOCABULARY), 6),
            LAYERS[kind](12, **{"return_sequences": True, **settings}),
            tn.Dense(len(VOCABULARY), activation=activation),
        ],
        (None,),
        vocabulary=vocabulary,
        name="poet",
    )
    rng = np.random.default_rng(0)
    net.set_weights([rng.standard_normal(w.shape).astype(np.float32) for w in net.get_weights()])
    return net


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("length", [0, 1, 50])
@pytest.mark.parametrize("seed", ["a", "", "abλ太🦉", "abcde" * 150])
def test_the_seed_and_exactly_so_many_characters_more(kind, length, seed):
    written = writer(kind).generate(seed, length, random_seed=1)
    assert written.startswith(seed) and len(written) == len(seed) + length
    assert set(written) <= set(VOCABULARY)
    written.encode("utf-8")


def test_the_same_seed_gives_the_same_text():
    net = writer()
    assert net.generate("a", 60, random_seed=3) == net.generate("a", 60, random_seed=3)
    assert net.generate("a", 60, random_seed=3) != net.generate("a", 60, random_seed=4)
    assert net.generate("a", 60) != net.generate("a", 60)
    assert net.generate("a", 60, random_seed=3).startswith(net.generate("a", 20, random_seed=3))


def test_each_character_is_what_the_whole_text_before_it_makes_most_probable():
    net = writer()
    written = net.generate("ab", 12, temperature=0)
    ids = [VOCABULARY.index(c) for c in written]
    for end in range(2, len(ids)):
        assert net.predict(np.array([ids[:end]]))[0, -1].argmax() == ids[end]


def test_top_k_1_and_a_tiny_top_p_are_temperature_0():
    net = writer()
    likely = net.generate("ab", 40, temperature=0)
    assert net.generate("ab", 40, top_k=1) == net.generate("ab", 40, top_p=1e-9) == likely
    assert net.generate("ab", 40, temperature=1e-3, random_seed=1) == likely
    assert net.generate("ab", 40, temperature=3.0, random_seed=1) != likely


def test_an_output_of_logits_writes_the_same():
    assert writer().generate("a", 30, random_seed=1) == writer(activation="linear").generate(
        "a", 30, random_seed=1
    )


def test_a_network_that_gives_only_the_last_output_writes_the_same():
    one = writer(return_sequences=False)
    assert one.generate("ab" * 300, 30, random_seed=1) == writer().generate("ab" * 300, 30, random_seed=1)


def test_a_list_of_characters_is_a_vocabulary():
    net = writer(vocabulary=list(VOCABULARY))
    assert net.generate("a🦉", 30, random_seed=1) == writer().generate("a🦉", 30, random_seed=1)


def test_an_empty_seed_begins_a_line():
    net = writer()
    assert "\n" + net.generate("", 30, random_seed=1) == net.generate("\n", 30, random_seed=1)
    lineless = writer(vocabulary="x" + VOCABULARY[1:])
    assert "x" + lineless.generate("", 30, random_seed=1) == lineless.generate("x", 30, random_seed=1)


def test_unknown_characters_are_shown_or_skipped():
    net = writer()
    with pytest.raises(
        TinynetError, match=r"the seed has .*: '0', '€'; leave them out, or have them skipped \(--skip"
    ):
        net.generate("a€b0", 5)
    written = net.generate("a€b0", 30, skip_unknown=True, random_seed=1)
    assert written == "a€b0" + net.generate("ab", 30, random_seed=1)[2:]
    assert net.generate("€", 9, skip_unknown=True, random_seed=1)[1:] == net.generate("", 9, random_seed=1)


def test_characters_come_one_by_one():
    net, heard = writer(), []
    written = net.generate("ab", 20, random_seed=1, on_text=heard.append)
    assert "ab" + "".join(heard) == written and len(heard) == 20
    endless = characters(net, "ab", 10**9, random_seed=1)
    assert "".join(itertools.islice(endless, 20)) == written[2:]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": -1}, "length must be a whole number of at least 0"),
        ({"length": 1.5}, "length must be a whole number"),
        ({"temperature": -0.1}, "temperature must be a number of at least 0"),
        ({"temperature": float("nan")}, "temperature must be a number"),
        ({"top_k": -1}, "top_k must be a whole number of at least 0"),
        ({"top_p": 0}, "top_p must be a number above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p must be a number above 0 and at most 1"),
        ({"random_seed": -1}, "random_seed must be a whole number of at least 0"),
        ({"seed": b"a"}, "generate takes a seed of text, not bytes"),
    ],
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(TinynetError, match=message):
        writer().generate(**{"seed": "a", "length": 5, **settings})


def both_ways():
    layers = [
        tn.Embedding(3, 2),
        tn.Bidirectional(tn.GRU(2, return_sequences=True)),
        tn.Dense(3, activation="softmax"),
    ]
    return tn.Sequential(layers, (None,), vocabulary="abc")


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (tn.Sequential([tn.Dense(2)], (3,)), "model neither reads nor writes text; choose"),
        (writer(vocabulary=None), "poet neither reads nor writes text"),
        (writer(vocabulary=["one", "two"]), "poet has a vocabulary of words"),
        (
            writer(vocabulary="abc"),
            "poet has 3 characters in its vocabulary, but its output is another number",
        ),
        (both_ways(), "bidirectional_1 needs the whole sequence"),
    ],
)
def test_models_that_write_no_text(net, message):
    with pytest.raises(TinynetError, match=message):
        net.generate("a", 5)


def test_a_saved_model_writes_the_same(tmp_path):
    net = writer()
    net.save(tmp_path / "poet.npz")
    loaded = tn.load(tmp_path / "poet.npz")
    assert loaded.vocabulary == VOCABULARY
    assert loaded.generate("🦉", 40, random_seed=1) == net.generate("🦉", 40, random_seed=1)
