"""A network that begins with a trained one: which layers it takes, which stay as they are, and what its file says of that."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import run_here as run
from PIL import Image
from sounds import KINDS, wav, word

import tinynet as tn
from tinynet import recipes
from tinynet.data.text.characters import encode, vocabulary_of
from tinynet.errors import DataError, TinynetError, UsageError
from tinynet.recipes.base import Choices
from tinynet.recipes.digits import nano
from tinynet.recipes.transfer import begin
from tinynet.training.schedules import peak_rate

RHYME = "The owl and the pussycat went to sea in a beautiful pea-green boat.\n"


@pytest.fixture(autouse=True)
def reference(default_setting):
    """Small networks, for which compiling would take longer."""
    tn.set_device("reference")


def save(path, layers, shape, **more):
    """A model file with random weights."""
    tn.Sequential(layers, shape, seed=7, name=f"{path.stem}-cnn", **more).save(path)
    return str(path)


@pytest.fixture
def base(tmp_path):
    """A CNN that tells two classes of pictures of 12×10 apart."""
    layers = [
        tn.Conv2D(4, 3, activation="relu"), tn.BatchNorm(), tn.MaxPool2D(2), tn.Flatten(),
        tn.Dense(6, activation="relu"), tn.Dense(2, activation="softmax"),
    ]  # fmt: skip
    metadata = {"task": "pictures", "input": {"kind": "image", "background": "dark", "trim": True}}
    return save(tmp_path / "base.npz", layers, (12, 10, 1), labels=["u", "v"], metadata=metadata)


@pytest.fixture
def folder(tmp_path):
    """Pictures of three classes, in colour and of another size than the base's."""
    rng = np.random.default_rng(0)
    for label in ("a", "b", "c"):
        (tmp_path / "shapes" / label).mkdir(parents=True)
        for number in range(5):
            pixels = rng.integers(0, 255, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "shapes" / label / f"{number}.png")
    return str(tmp_path / "shapes")


def changed(model, base):
    """The arrays of a base that are no longer what they were, by name."""
    before = tn.load(base).state()
    return {name for name, array in model.state().items() if not np.array_equal(array, before.get(name))}


@pytest.mark.parametrize("freeze", [2, "2", "batch_norm_1"])
def test_frozen_layers_stay_as_they_are_and_the_others_learn(base, folder, freeze):
    made = recipes.plan(folder, Choices(base=base, freeze=freeze, epochs=2, learning_rate=0.1))
    made.fit(verbose=False)
    assert changed(made.model, base) == {
        "dense_1.kernel", "dense_1.bias", "dense_2.kernel", "dense_2.bias",
    }  # fmt: skip
    assert [layer.trainable for layer in made.model.layers] == [False, False, True, True, True, True]


def test_without_freezing_all_layers_are_fine_tuned_at_a_smaller_rate(base, folder):
    made, new = (recipes.plan(folder, Choices(base=b, epochs=1)) for b in (base, None))
    made.fit(verbose=False)
    assert changed(made.model, base) == {*made.model.state()}
    rates = [peak_rate(each.settings["optimizer"].learning_rate) for each in (made, new)]
    assert rates[0] < rates[1]
    asked = recipes.plan(folder, Choices(base=base, learning_rate=0.02))
    assert peak_rate(asked.settings["optimizer"].learning_rate) == 0.02


def test_pictures_are_prepared_as_those_of_the_base_and_the_classes_are_new(base, folder, tmp_path):
    made = recipes.plan(folder, Choices(base=base, freeze=5, epochs=1))
    assert made.x.shape[1:] == (12, 10, 1) == made.model.input_shape
    assert made.model.labels == ["a", "b", "c"] and made.name == "shapes-cnn"
    history = made.fit(verbose=False)
    made.model.metadata["training"] = made.training_record(folder, history, history.epochs[-1])
    made.model.save(tmp_path / "m.npz")
    back = tn.load(tmp_path / "m.npz")
    assert back.metadata["input"] == tn.load(base).metadata["input"]
    record = back.metadata["training"]
    assert (record["base"], record["freeze"], len(record["base weights"])) == (base, 5, 16)
    assert "base" not in back.metadata and back.classify(f"{folder}/a/0.png")


def test_a_base_whose_layers_were_frozen_is_trained_again_unless_asked(base, folder, tmp_path):
    made = recipes.plan(folder, Choices(base=base, freeze=5))
    made.model.save(tmp_path / "frozen.npz")
    again = recipes.plan(folder, Choices(base=str(tmp_path / "frozen.npz")))
    assert all(layer.trainable for layer in again.model.layers)


def test_the_command_says_what_is_frozen_and_what_is_new(base, folder, tmp_path):
    command = ("train", folder, "--base", base, "--freeze", "batch_norm_1", "-o", tmp_path / "m.npz")
    status, _, said = run(*command, "--epochs", 1)
    assert status == 0
    lines = [" ".join(line.split()) for line in said.splitlines()]
    for line in (
        f"1 conv2d_1 40 from {base}, frozen", f"2 batch_norm_1 8 from {base}, frozen", f"3 max_pool2d_1 0 from {base}",
        f"5 dense_1 486 from {base}, fine-tuned", "6 output new",
    ):  # fmt: skip
        assert line in lines
    assert json.loads(run("info", tmp_path / "m.npz", "--json")[1])["metadata"]["training"]["freeze"] == 2


def test_a_training_is_resumed_only_with_the_same_base_and_the_same_layers_frozen(base, folder, tmp_path):
    settings = {"checkpoint": tmp_path / "c.npz", "verbose": False}
    made = recipes.plan(folder, Choices(base=base, freeze=2, epochs=6))
    made.fit(**settings, time_limit=1e-9)

    def resume(**other):
        made = recipes.plan(folder, Choices(**{"base": base, "freeze": 2, "epochs": 6, **other}))
        made.fit(**settings, resume=tmp_path / "c.npz")
        return made.model.get_weights()

    with pytest.raises(TinynetError, match="freeze was 2, now 5"):
        resume(freeze=5)
    with pytest.raises(TinynetError, match=r"base was .*, now None"):
        resume(base=None, freeze=None)
    model = tn.load(base)
    model.set_weights([2 * array for array in model.get_weights()])
    model.save(tmp_path / "base.npz")
    with pytest.raises(TinynetError, match="the weights of the base have changed since"):
        resume()
    model.set_weights([array / 2 for array in model.get_weights()])
    model.save(tmp_path / "base.npz")
    whole = recipes.plan(folder, Choices(base=base, freeze=2, epochs=6))
    whole.fit(verbose=False)
    assert all(np.array_equal(a, b) for a, b in zip(resume(), whole.model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"base": "nosuch"}, "no model 'nosuch'"),
        ({"base": "spoken-digits"}, r"does not read pictures; choose .*spoken-digits is for classify"),
        ({"base": "shakespeare-rnn"}, "does not read pictures; choose .*is for generate"),
        ({"base": "digits", "freeze": 7}, "freeze 7 is too many: digits gives 6 layers, .*: 1 conv2d_1, 2 "),
        ({"base": "digits", "freeze": "conv2d_3"}, r"not a layer that digits gives; did you mean conv2d_2 or conv2d_1\? Give a number"),
        ({"base": "digits", "freeze": "-1"}, "-1 is not a layer"),
        ({"freeze": 3}, "freeze keeps layers of a trained model as they are; give it as base"),
        ({"base": "digits", "arch": "cnn"}, "arch is that of the base; leave it out"),
        ({"base": "digits", "arch": "transformer"}, "arch is that of the base; leave it out"),
    ],
)  # fmt: skip
def test_a_base_that_does_not_fit_is_answered_in_a_sentence(choices, told, folder):
    with pytest.raises(TinynetError, match=told):
        recipes.plan(folder, Choices(**choices))


def test_a_network_without_layers_below_a_dense_one_is_no_base(folder, tmp_path):
    metadata = {"task": "pictures", "input": {"kind": "image"}}
    plain = [tn.Flatten(), tn.Dense(2, activation="softmax")]
    pooled = [tn.Dense(3), tn.Conv2D(2, 3), tn.GlobalAveragePool2D(), tn.Activation("softmax")]
    for layers in (plain, pooled):
        path = save(tmp_path / "x.npz", layers, (9, 9, 1), labels=["u", "v"], metadata=metadata)
        with pytest.raises(TinynetError, match="cannot be a base: its layers do not end in a dense one"):
            recipes.plan(folder, Choices(base=path))


def test_tables_take_no_base(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,x\n2,y\n" * 20)
    status, _, said = run("train", tmp_path / "t.csv", "--target", "b", "--base", "digits")
    assert (
        status == 2
        and "--base is for pictures, sounds, clips and texts, but DATA is rows of a table; leave it out"
        in said
    )


def test_a_tiny_cnn_is_not_called_a_mobilenet(tmp_path):
    metadata = {"task": "pictures", "input": {"kind": "digit"}}
    base = save(tmp_path / "nano.npz", nano(2), (28, 28, 1), labels=["u", "v"], metadata=metadata)
    assert begin(base, None, "pictures", lambda model: model).architecture == "cnn"


def test_rows_of_pictures_are_read_by_a_base_that_reads_rows(folder, tmp_path):
    for number, label in enumerate(("a", "b", "c")):
        for file in (tmp_path / "shapes" / label).iterdir():
            page = np.full((60, 60), 255, np.uint8)
            page[10:50, 10 + 10 * number : 16 + 10 * number] = page[25:31, 15:45] = 0
            Image.fromarray(page).save(file)
    made = recipes.plan(folder, Choices(base="digits-gru", freeze="gru_1", epochs=1))
    assert made.x.shape[1:] == (28, 28) and made.name == "shapes-gru"
    assert [layer.trainable for layer in made.model.layers] == [False, True]
    made.fit(verbose=False)


def test_pictures_in_which_a_base_finds_nothing_are_refused_in_a_sentence(folder):
    with pytest.raises(DataError, match=r"nothing was found in any of the 15 pictures of .*shapes; give"):
        recipes.plan(folder, Choices(base="digits"))


def test_a_base_hears_new_words_as_it_heard_the_old_ones(tmp_path):
    for kind in KINDS[:2]:
        (tmp_path / "words" / kind).mkdir(parents=True)
        for seed in range(4):
            samples = word(kind, seed, 44100)
            (tmp_path / "words" / kind / f"{seed}.wav").write_bytes(wav(samples, 44100))
    made = recipes.plan(
        str(tmp_path / "words"), Choices(base="spoken-digits", freeze="time_distributed_1", epochs=1)
    )
    assert made.model.metadata["input"]["rate"] == 8000 and made.name == "words-cnn-gru"
    made.fit(verbose=False)
    untouched = {name for name in made.model.state() if name.startswith("time_distributed_1")}
    assert untouched and not untouched & changed(made.model, "spoken-digits")


# ---- texts: words that the base knows keep their ids ----

GOOD, BAD = ["moving", "funny", "zorbful", "bright"], ["dull", "flat", "quazzly", "tedious"]


@pytest.fixture
def reviews(tmp_path):
    lines = [f"{'ny'[i % 2]}\ta {(BAD, GOOD)[i % 2][i // 2 % 4]} film" for i in range(64)]
    (tmp_path / "reviews.tsv").write_text("label\ttext\n" + "\n".join(lines))
    return str(tmp_path / "reviews.tsv")


def test_words_of_the_base_keep_their_ids_and_new_ones_begin_as_the_unknown_word(reviews):
    base, made = tn.load("sentiment"), recipes.plan(reviews, Choices(base="sentiment", epochs=1))
    known = base.metadata["input"]["words"] + 2
    embedding = made.model.layers[0].layers[0].layers[0]
    rows, old = (
        embedding.parameters["embeddings"],
        base.layers[0].layers[0].layers[0].parameters["embeddings"],
    )
    assert made.model.vocabulary[:known] == base.vocabulary[:known]
    assert {*made.model.vocabulary[known : embedding.input_dim]} == {"zorbful", "quazzly"}
    np.testing.assert_array_equal(rows[:known], old)
    np.testing.assert_array_equal(rows[known:], np.stack([old[1]] * 2))
    made.fit(verbose=False)
    assert made.model.classify(b"a zorbful film")[0][0] in "ny"


def test_a_frozen_embedding_leaves_new_words_to_the_bag(reviews):
    made = recipes.plan(reviews, Choices(base="sentiment", freeze=3, epochs=1))
    words = made.model.metadata["input"]["words"]
    assert words == tn.load("sentiment").metadata["input"]["words"]
    assert "zorbful" in made.model.vocabulary[words + 2 :]
    made.fit(verbose=False)
    deep = made.model.layers[0].layers[0]
    old = tn.load("sentiment").layers[0].layers[0].state()
    assert all(np.array_equal(old[name], deep.state()[name]) for name in old if "dense" not in name)


# ---- characters ----


@pytest.fixture
def writer(tmp_path):
    """A model that writes what the rhyme consists of."""
    known = vocabulary_of(RHYME)
    layers = [tn.Embedding(len(known), 6), tn.GRU(8, return_sequences=True), tn.Dense(len(known), "softmax")]
    tn.Sequential(layers, (None,), seed=3, name="rhyme-gru", vocabulary=known).save(tmp_path / "rhyme.npz")
    return str(tmp_path / "rhyme.npz")


def test_a_writer_keeps_what_it_knows_and_learns_new_characters(writer, tmp_path):
    (tmp_path / "lied.txt").write_text(RHYME * 40 + "the süße öl\n")
    made = recipes.plan(str(tmp_path / "lied.txt"), Choices(base=writer, epochs=1))
    base = tn.load(writer)
    assert made.model.vocabulary[: len(base.vocabulary)] == base.vocabulary
    assert made.model.vocabulary[len(base.vocabulary) :] == "ßöü"
    ids = encode("the boat", base.vocabulary)[None]
    before, now = base.predict(ids), made.model.predict(ids)[..., : len(base.vocabulary)]
    np.testing.assert_allclose(now / now.sum(axis=-1, keepdims=True), before, atol=1e-6)
    assert now.sum(axis=-1).min() > 0.8
    assert made.layers[-1].endswith("new for new characters")
    made.fit(verbose=False)
    assert made.name == "lied-gru" and made.model.generate("süße", 20, random_seed=1).startswith("süße")


def test_a_base_may_have_any_name(writer, tmp_path):
    (tmp_path / "poem.txt").write_text(RHYME * 40)
    for name in ("poet", "poet-cnn", "ünï ✓-cnn-gru"):
        model = tn.load(writer)
        model.name = name
        model.save(tmp_path / "named.npz")
        made = recipes.plan(str(tmp_path / "poem.txt"), Choices(base=str(tmp_path / "named.npz"), freeze=2))
        assert made.name == "poem-gru" and "training a GRU" in made.reason


@pytest.mark.parametrize("name", ["resnet", "inception", "mobilenet"])
def test_a_base_made_of_blocks_is_told_by_them(name, folder, tmp_path):
    made = recipes.plan(folder, Choices(arch=name))
    made.model.save(tmp_path / "blocks.npz")
    again = recipes.plan(folder, Choices(base=str(tmp_path / "blocks.npz"), freeze=3))
    assert again.name == f"shapes-{name}" and not changed(again.model, tmp_path / "blocks.npz") - {
        "dense_1.kernel",
        "dense_1.bias",
    }


def test_new_characters_need_an_embedding_that_learns(writer, tmp_path):
    (tmp_path / "lied.txt").write_text(RHYME * 40 + "the süße öl\n")
    with pytest.raises(
        UsageError,
        match=r"freeze keeps the embedding of .*, which lacks 3 characters of .*\(ß ö ü\)",
    ):
        recipes.plan(str(tmp_path / "lied.txt"), Choices(base=writer, freeze=2))
