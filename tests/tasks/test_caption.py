"""Captions: what a network has learnt to say of pictures, how the sentence is found, and how right it is."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

import tinynet as tn
from tests.captioned import COLOURS, SIDES, box, caption, write_folder
from tinynet import tasks
from tinynet.data.captions.words import END, UNKNOWN, Vocabulary
from tinynet.errors import DataError, ImageError, TinynetError, UsageError
from tinynet.recipes import plan
from tinynet.recipes.base import Choices
from tinynet.recipes.captions import network
from tinynet.tasks.caption import Answer, CaptionMeasures, Captions, score, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("boxes")
    write_folder(path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    made = plan(str(folder), Choices(epochs=40, batch_size=12))
    made.fit(verbose=False)
    return made.model


@pytest.fixture(scope="module")
def unsure():
    """A network with random weights, which finds many sentences nearly as probable."""
    vocabulary = Vocabulary.learn(["one two three four"])
    model = network((8, 8, 1), vocabulary, name="unsure")
    rng = np.random.default_rng(3)
    for array in model.trained().values():
        array[...] = 0.5 * rng.standard_normal(array.shape)
    model.metadata.update(task="caption", input={"kind": "image"})
    return model


def test_new_pictures_are_described(model):
    task = Captions(model)
    for colour, side in itertools.product(COLOURS, SIDES):
        sentence, probability, note = task.answer(box(colour, side, 1000))
        assert sentence == caption(colour, side) and probability > 0.5 and note is None


def test_files_bytes_and_pillow_images_are_pictures(model, tmp_path):
    task, picture = Captions(model), Image.fromarray(box("blue", "left", 5))
    picture.save(tmp_path / "box.png")
    content = (tmp_path / "box.png").read_bytes()
    answers = [
        task.answer(given) for given in (str(tmp_path / "box.png"), content, io.BytesIO(content), picture)
    ]
    assert len(set(answers)) == 1 and answers[0].caption == "a blue box"
    with pytest.raises(ImageError):
        task.answer(b"no picture")


def test_a_picture_of_one_colour_is_an_answer_of_its_own(model):
    task = Captions(model)
    answer = task.answer(np.full((30, 40, 3), 200, np.uint8))
    assert task.as_json(answer) == {"caption": None, "probability": None}
    assert list(task.show(answer)) == ["nothing found"]


def test_a_saved_model_says_the_same(model, tmp_path):
    model.save(tmp_path / "boxes.npz")
    loaded = tn.load(tmp_path / "boxes.npz")
    picture = box("red", "right", 7)
    assert Captions(loaded).answer(picture) == Captions(model).answer(picture)
    assert loaded.vocabulary == model.vocabulary and loaded.metadata["task"] == "caption"


def log_probability(model, picture, ids):
    """That of a sentence, from one pass over all of it; a sentence ends in END unless it is as long as it may be."""
    outputs = model.predict((picture[None], np.array([ids[:-1]], np.int32).reshape(1, -1)))[0]
    return float(np.log(outputs[np.arange(len(ids)), ids]).sum())


def sentences(words, longest):
    """All sentences of up to so many words."""
    for length in range(longest + 1):
        for ids in itertools.product(range(UNKNOWN + 1, words), repeat=length):
            yield [*ids, END]


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_likeliest_sentence_of_all(unsure, seed):
    picture, words, longest = (
        np.random.default_rng(seed).random((8, 8, 1), np.float32),
        len(unsure.vocabulary),
        3,
    )
    (ids,), (log,) = write(unsure, picture[None], beams=500, longest=longest)
    known = {tuple(s): log_probability(unsure, picture, s) for s in sentences(words, longest)}
    best = max(known, key=known.get)
    found = tuple(ids[: list(ids).index(END) + 1])
    assert found == best and abs(known[best] - log) < 1e-4
    (greedy,), (less,) = write(unsure, picture[None], beams=1, longest=longest)
    assert abs(known[tuple(greedy[: list(greedy).index(END) + 1])] - less) < 1e-4 and less <= log + 1e-6


def test_pictures_are_described_alike_alone_and_together(unsure):
    pictures = np.random.default_rng(0).random((20, 8, 8, 1), np.float32)
    for beams in (1, 3):
        ids, logs = write(unsure, pictures, beams)
        for i in (0, 7, 19):
            (alone,), (log,) = write(unsure, pictures[i : i + 1], beams)
            np.testing.assert_array_equal(np.trim_zeros(alone, "b"), np.trim_zeros(ids[i], "b"))
            assert abs(log - logs[i]) < 1e-5


def test_an_unknown_word_is_never_written_and_no_sentence_is_endless(unsure):
    bias = unsure.state()["dense_1.bias"]
    kept, bias[UNKNOWN] = bias.copy(), 50.0
    bias[END] = -50.0
    try:
        ids, _ = write(unsure, np.zeros((1, 8, 8, 1), np.float32), beams=2, longest=6)
    finally:
        bias[...] = kept
    assert UNKNOWN not in ids and ids[0, -1] == END and (ids[0, :-1] != END).all() and ids.shape == (1, 7)


def test_sentences_and_words_are_counted():
    known = [["a red box", "something red"], ["a box"], ["a b c d"]]
    assert score(["something red", "a bag", "a b"], known) == (1 / 3, (2 + 1 + 2) / (2 + 2 + 4))
    assert score(["", "a box"], [["a"], ["a box"]]) == (0.5, 2 / 3)


def test_a_folder_is_measured(model, folder):
    task = tasks.of(model)
    given = task.read(str(folder))
    assert "too optimistic" not in " ".join(given.remarks)  # the record is written by the command
    found = task.evaluate(given)
    assert found.exact_match > 0.9 and found.word_accuracy > 0.95 and found.loss < 0.5
    assert set(found.as_json()) == {"exact_match", "word_accuracy", "loss", "pictures", "unreadable"}
    (line,) = task.show(found)
    assert "of the sentences" in line and "48 pictures" in line


def test_words_of_captions_that_a_model_does_not_know_are_told(unsure, tmp_path):
    write_folder(tmp_path, 1)
    table = tmp_path / "captions.tsv"
    table.write_text(table.read_text() + "red-left-0.png\tan Emu, a zebra\n")
    told = " ".join(Captions(unsure).read(str(tmp_path)).remarks)
    assert "unsure does not know" in told and "of the captions, which it never writes" in told
    assert "emu" in told and "zebra" in told


def test_models_for_something_else_are_refused_with_the_verb_that_fits(model):
    with pytest.raises(TinynetError, match=r"does not describe pictures.* is for classify"):
        tasks.expect(Captions, tn.load("digits"))
    with pytest.raises(TinynetError, match=r"is for caption"):
        model.classify(box("red", "left"))
    with pytest.raises(UsageError, match="not for writing captions"):
        Captions(model, model)
    with pytest.raises(TinynetError, match="beams"):
        Captions(model).answer(box("red", "left"), beams=0)


def test_a_network_that_its_file_does_not_fit_is_refused():
    metadata = {"task": "caption", "input": {"kind": "image"}}
    other = tn.Sequential(
        [tn.Flatten(), tn.Dense(3, activation="softmax")], (4, 4, 1), vocabulary=["", "?", "a"]
    )
    other.metadata.update(metadata)
    with pytest.raises(TinynetError, match="does not read a picture and words"):
        Captions(other)
    good = network((8, 8, 1), Vocabulary.learn(["a b"]))
    good.metadata.update(metadata)
    for vocabulary in (None, "?abc", good.vocabulary[:-1]):
        good.vocabulary = vocabulary
        with pytest.raises(TinynetError, match="no vocabulary"):
            Captions(good)


def test_a_model_for_other_pictures_is_not_measured_on_the_scenes(unsure):
    with pytest.raises(
        DataError,
        match=r"unsure reads pictures of \(8, 8, 1\), but scenes are \(64, 64, 1\); evaluate it on a folder",
    ):
        Captions(unsure).read("scenes")


def test_one_picture_is_counted_as_one(unsure):
    (line,) = Captions(unsure).show(CaptionMeasures(1.0, 1.0, 0.5, 1, 0))
    assert line.endswith("(1 picture)")


def test_a_sentence_without_a_word_is_told_in_words(unsure):
    assert list(Captions(unsure).show(Answer("", 0.5))) == ["no words (50.00 %)"]
