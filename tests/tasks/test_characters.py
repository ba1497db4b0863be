"""Writing text: exact lengths, the same text from the same seed, what temperature, top-k and top-p leave."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

import tinynet as tn
from tinynet.errors import TinynetError
from tinynet.kernels import device
from tinynet.kernels.replay import Replay
from tinynet.tasks import characters as writing
from tinynet.tasks import expect, of
from tinynet.tasks.characters import Characters, characters

VOCABULARY = "\n abcdeλ太🦉"
LAYERS = {"lstm": tn.LSTM, "gru": tn.GRU, "rnn": tn.RNN}


def writer(kind="lstm", vocabulary=VOCABULARY, activation="softmax", mask_zero=False, **settings):
    """A network with weights large enough that what it read decides what comes next."""
    net = tn.Sequential(
        [
            tn.Embedding(len(VOCABULARY), 6, mask_zero=mask_zero),
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
        TinynetError,
        match=r"the seed has .*: '0', '€'; leave them out, or have them skipped \(skip_unknown\)",
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
        (writer(vocabulary=None), r"poet has no vocabulary, .*; make it with Sequential\(…, vocabulary=…\)"),
        (writer(vocabulary=["one", "two"]), "poet has a vocabulary of words"),
        (
            writer(vocabulary="abc"),
            "poet has 3 characters in its vocabulary, but its output has another size",
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


# ---- without Python in between ----


@pytest.fixture
def on_cpu():
    pytest.importorskip("numba")
    device.set_device("cpu")


def in_python(function, *arguments, **settings):
    """What a function returns where every step and every draw is a call of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Replay, "iterate", lambda *_: None)
        return function(*arguments, **settings)


def runs_of(monkeypatch):
    """A list that grows with every run that is written without Python in between."""
    found, iterate = [], Replay.iterate
    monkeypatch.setattr(Replay, "iterate", lambda *given: found.append(iterate(*given)) or found[-1])
    return found


def stack():
    layers = [
        tn.Embedding(len(VOCABULARY), 6),
        tn.GRU(7, return_sequences=True),
        tn.Dropout(0.5),
        tn.LSTM(20, return_sequences=True),
        tn.Dense(9, activation="gelu"),
        tn.RNN(5, return_sequences=True),
        tn.Dense(len(VOCABULARY), activation="softmax"),
    ]
    return tn.Sequential(layers, (None,), vocabulary=VOCABULARY, seed=3)


def transformer():
    """With a window that a text is longer than, and positions that begin again."""
    attention = tn.Residual([tn.LayerNorm(), tn.MultiHeadAttention(2, 5, causal=True, window=11)])
    network = tn.Residual([tn.LayerNorm(), tn.Dense(12, "gelu"), tn.Dense(6)])
    table, positions = (
        tn.Embedding(len(VOCABULARY), 6, embeddings_initializer="he_normal"),
        tn.PositionEmbedding(13),
    )
    layers = [table, positions, attention, network, tn.Dense(len(VOCABULARY), activation="softmax")]
    return tn.Sequential(layers, (None,), vocabulary=VOCABULARY, seed=3)


WRITERS = {
    "lstm": writer,
    "gru": lambda: writer("gru"),
    "gru before": lambda: writer("gru", reset_after=False),
    "rnn": lambda: writer("rnn"),
    "logits": lambda: writer(activation="linear"),
    "sigmoid": lambda: writer(activation="sigmoid"),
    "last": lambda: writer(return_sequences=False),
    "stack": stack,
    "transformer": transformer,
}
LONG = 5 * writing.AT_ONCE + 3


def test_a_transformer_writes_what_the_whole_text_before_makes_most_probable():
    net = transformer()
    written = net.generate("ab", 40, temperature=0)
    ids = [VOCABULARY.index(c) for c in written]
    assert net.predict(np.array([ids]))[0, 1:-1].argmax(axis=-1).tolist() == ids[2:]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "chosen", [{}, {"temperature": 0}, {"temperature": 2, "top_k": 3}, {"temperature": 1.5, "top_p": 0.6}]
)
def test_runs_write_what_single_steps_write(on_cpu, monkeypatch, name, chosen):
    net, runs = WRITERS[name](), runs_of(monkeypatch)
    seed = "ab c" * 3
    written = net.generate(seed, LONG, random_seed=5, **chosen)
    assert [run is not None for run in runs] == [False, *[True] * 5]  # a first run of steps is watched
    assert written == in_python(net.generate, seed, LONG, random_seed=5, **chosen)


@pytest.mark.parametrize("length", [writing.AT_ONCE + more for more in (-1, 0, 1, writing.AT_ONCE)])
def test_runs_end_with_the_text(on_cpu, length):
    net = writer()
    assert net.generate("a", length, random_seed=5) == net.generate("a", LONG, random_seed=5)[: 1 + length]


def test_runs_go_on_from_a_seed_that_is_read_in_pieces(on_cpu):
    net, seed = writer(), "abcde" * writing.PIECE
    assert net.generate(seed, LONG, random_seed=5) == in_python(net.generate, seed, LONG, random_seed=5)


def written_while_weights_change():
    """They change in place after two runs, and are replaced after a third."""
    net = writer()
    text = characters(net, "a", LONG, temperature=2.0, random_seed=5)
    written = list(itertools.islice(text, 2 * writing.AT_ONCE))
    for array in net.parameters.values():
        array *= -1
    written += itertools.islice(text, writing.AT_ONCE)
    for layer in net.layers:
        layer.parameters.update({name: array + 1 for name, array in layer.parameters.items()})
    return [*written, *text]


def test_runs_see_weights_that_change(on_cpu, monkeypatch):
    runs = runs_of(monkeypatch)
    written = written_while_weights_change()
    assert [run is not None for run in runs] == [False, True, True, False, True, True]
    assert written == in_python(written_while_weights_change)
    unchanged = list(writer().generate("a", LONG, temperature=2.0, random_seed=5)[1:])
    same = [a == b for a, b in zip(written, unchanged, strict=True)]
    assert all(same[: 2 * writing.AT_ONCE]) and not all(same[: 3 * writing.AT_ONCE])


def test_threads_that_write_with_one_network_write_their_own_texts(on_cpu):
    net = writer()
    expected = [net.generate("a", LONG, random_seed=seed) for seed in range(4)]
    written = [None] * 4

    def work(seed):
        written[seed] = [net.generate("a", LONG, random_seed=seed) for _ in range(10)]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written == [[text] * 10 for text in expected]


def test_runs_pass_over_padding(on_cpu, monkeypatch):
    padded, runs = writer(mask_zero=True), runs_of(monkeypatch)
    settings = {"temperature": 3.0, "random_seed": 5}
    written = padded.generate("ab c", LONG, **settings)
    assert written == in_python(padded.generate, "ab c", LONG, **settings) and any(runs)
    assert written.count(VOCABULARY[0]) > 5 and written != writer().generate("ab c", LONG, **settings)


@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_a_top_k_beyond_all_machine_numbers_is_all_characters(device):
    tn.set_device(device)
    net = tn.load("shakespeare-rnn")
    assert net.generate("h", 70, top_k=10**30, random_seed=1) == net.generate("h", 70, random_seed=1)


def test_a_vocabulary_larger_than_the_table_of_ids_is_refused_before_memory_is_read():
    layers = [tn.Embedding(2, 4), tn.RNN(2, return_sequences=True), tn.Dense(5, activation="softmax")]
    net = tn.Sequential(layers, (None,), vocabulary="abcde")
    with pytest.raises(tn.TinynetError, match="embedding_1 has only 2 rows"):
        net.generate("a", 10)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_with_broken_weights_writes_nothing(value):
    net = tn.load("shakespeare-rnn")
    net.set_weights([np.full_like(weights, value) for weights in net.get_weights()])
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(TinynetError, match="gives numbers that are not finite"),
    ):
        net.generate("a", 50, random_seed=1)


# ---- the task ----

SENTENCE = "The quick brown fox jumps over the lazy dog. "


def test_the_whole_of_a_text_is_measured_but_the_last_tenth_of_what_was_trained_on(tmp_path, monkeypatch):
    tn.set_device("reference")
    text = (SENTENCE * 70)[:3000]
    vocabulary = "".join(sorted(set(text)))
    layers = [tn.Embedding(30, 3), tn.RNN(4, return_sequences=True), tn.Dense(len(vocabulary), "softmax")]
    net = tn.Sequential(layers, (None,), vocabulary=vocabulary)
    (tmp_path / "fox.txt").write_text(text)
    task, file = of(net), str(tmp_path / "fox.txt")
    assert task.evaluate(task.read(file)).characters == 2999 and not task.read(file).remarks
    net.metadata["training"] = {"data": "elsewhere/fox.txt"}
    assert task.evaluate(task.read(file)).characters == 299
    assert task.read(file).remarks == ["measured on the last tenth of the text, which was not trained on"]
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    (tmp_path / "tinyshakespeare.txt").write_text(text)
    found = task.evaluate(task.read("shakespeare"))
    assert found.characters == 299
    assert found.loss == pytest.approx(np.log(len(vocabulary)), rel=0.1)
    assert found.as_json()["perplexity"] == pytest.approx(np.exp(found.loss))
    (line,) = task.show(found)
    assert line.startswith("loss ") and line.endswith("of the next characters predicted (299 characters)")


def test_characters_are_written_by_one_model_that_reads_them():
    with pytest.raises(TinynetError, match="model neither reads nor writes text"):
        expect(Characters, tn.Sequential([tn.Dense(2)], (3,)))
    with pytest.raises(
        TinynetError,
        match=r"digits-cnn neither .* trained on a .txt file; digits-cnn is for classify PICTURE$",
    ):
        tn.load("digits").generate("a")
    with pytest.raises(tn.errors.UsageError, match="not for writing text"):
        of(writer(), writer())
    assert (
        "".join(of(writer()).answer("ab", 9, random_seed=1)) == writer().generate("ab", 9, random_seed=1)[2:]
    )
