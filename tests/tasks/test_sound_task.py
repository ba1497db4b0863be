from __future__ import annotations

import io

import numpy as np
import pytest

import tinynet as tn
from tests.sounds import KINDS, noise, wav, word
from tinynet import tasks
from tinynet.data.sounds.prepare import Preparation
from tinynet.errors import SoundError, TinynetError, UsageError
from tinynet.recipes import plan
from tinynet.recipes.base import Choices
from tinynet.tasks.sound import Sounds


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of words per kind, at several rates."""
    path = tmp_path_factory.mktemp("words")
    for kind in KINDS:
        (path / kind).mkdir()
        for seed in range(24):
            rate = (8000, 16000)[seed % 8 == 0]
            (path / kind / f"{seed:02d}.wav").write_bytes(wav(word(kind, seed, rate), rate))
    return path


@pytest.fixture(scope="module")
def model(folder):
    made = plan(str(folder), Choices(epochs=12, batch_size=16, learning_rate=4e-3, augment=False))
    made.model.fit(made.x, made.y, **made.settings, verbose=False)
    return made.model


def test_a_folder_of_sounds_is_learnt_and_new_ones_are_named(model, folder):
    assert model.labels == sorted(KINDS)
    for kind in KINDS:
        label, probability = model.classify(wav(word(kind, 1000), 8000))[0]
        assert label == kind and probability > 0.5
    task = tasks.of(model)
    found = task.evaluate(task.read(str(folder)))
    assert found.measured["accuracy"] > 0.95


def test_rate_width_channels_and_loudness_do_not_change_the_answer(model):
    for kind in KINDS:
        stereo = np.repeat(word(kind, 7, 44100)[:, None], 2, axis=1)
        for content in (
            wav(word(kind, 7)),
            wav(word(kind, 7) / 30, bits=24),
            wav(stereo, 44100, 32, "float"),
            wav(word(kind, 7, 48000), 48000, 8),
        ):
            assert model.classify(content)[0][0] == kind


@pytest.mark.parametrize("samples", [np.zeros(8000), noise(0), noise(1), np.zeros(0)])
def test_silence_is_an_answer_of_its_own(model, samples):
    assert model.classify(wav(samples)) == []
    task = Sounds(model)
    assert list(task.as_json(task.answer(wav(samples)))) == [{"label": None, "probability": None, "top": []}]
    assert list(task.show(task.answer(wav(samples)))) == ["silence"]


def test_arrays_paths_and_open_files_are_sounds(model, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav(word("rise", 3)))
    expected = model.classify(str(path))
    with open(path, "rb") as file:
        assert model.classify(file) == expected
    assert model.classify([path, path]) == [expected, expected]
    assert model.classify(word("rise", 3))[0][0] == "rise"
    with pytest.raises(SoundError):
        model.classify(np.zeros((3, 3)))


def stream(*kinds: str) -> bytes:
    pause = np.zeros(5000)
    samples = np.concatenate([pause, *(p for i, k in enumerate(kinds) for p in (word(k, 50 + i), pause))])
    return np.round(samples * 32767).astype("<i2").tobytes()


def test_a_stream_is_answered_word_by_word(model):
    task = Sounds(model)
    kinds = ["rise", "hiss", "fall", "hum", "rise"]
    answers = [
        answer
        for found in task.answers(io.BytesIO(stream(*kinds)), stream=True, rate=8000)
        for answer in found
    ]
    assert [answer.ranking[0][0] for answer in answers] == kinds
    objects = list(task.as_json(answers))
    assert all(0 < each["start"] < each["end"] for each in objects)


class Trickle:
    """A pipe that gives a few bytes at a time, and says how many it has given."""

    def __init__(self, content: bytes) -> None:
        self.content, self.given = content, 0

    def read(self, most: int) -> bytes:
        piece = self.content[self.given : self.given + min(most, 333)]
        self.given += len(piece)
        return piece


def test_answers_come_before_the_stream_is_over(model):
    pipe = Trickle(stream("rise", "fall"))
    first = next(iter(Sounds(model).answers(pipe, stream=True, rate=8000)))
    assert first[0].ranking[0][0] == "rise"
    assert pipe.given < len(pipe.content) * 0.6


def test_a_silent_stream_is_silence(model):
    for content in (b"", b"\0", bytes(40000)):
        assert list(Sounds(model).answers(io.BytesIO(content), stream=True, rate=8000)) == [
            [([], (), None, None, None)]
        ]


def test_models_vote(model):
    ensemble = tn.Ensemble([model, model])
    assert ensemble.classify(wav(word("fall", 9))) == model.classify(wav(word("fall", 9)))
    answers = Sounds(model, model).answers(io.BytesIO(stream("hiss")), stream=True, rate=8000)
    assert [a[0].ranking[0][0] for a in answers] == ["hiss"]


@pytest.mark.parametrize(
    ("given", "words"),
    [({"stream": True}, "needs rate"), ({"rate": 8000}, "needs stream"), ({"stream": True, "rate": 5}, "samples per second"),
     ({"lines": True}, "does not apply"), ({"every": True}, "does not apply")],
)  # fmt: skip
def test_options_that_do_not_fit_are_wrong_usage(model, given, words):
    with pytest.raises(UsageError, match=words):
        Sounds(model).check_options(given)


def test_a_network_that_takes_something_else_than_its_file_says_is_refused(model):
    other = tn.Sequential([tn.Masking(), tn.Flatten(), tn.Dense(2, activation="softmax")], (3, 4, 5, 1))
    other.metadata.update(task="sound", input=Preparation().settings())
    with pytest.raises(TinynetError, match="prepared as"):
        Sounds(other)


def test_it_is_told_what_the_network_hears(model):
    task = Sounds(model)
    (picture,) = task.views(task.answer(wav(word("rise")))[0])
    assert picture.count("\n") >= 10


def test_a_saved_model_answers_the_same(model, tmp_path):
    model.save(tmp_path / "words.npz")
    loaded = tn.load(tmp_path / "words.npz")
    assert loaded.classify(wav(word("hum", 5))) == model.classify(wav(word("hum", 5)))
    assert loaded.metadata["input"]["kind"] == "sound"
