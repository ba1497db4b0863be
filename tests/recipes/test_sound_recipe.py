from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.sounds import KINDS, noise, wav, word
from tinynet import recipes
from tinynet.data.sounds.augment import SPOKEN, SoundAugment
from tinynet.errors import DataError, TinynetError
from tinynet.recipes.base import Choices
from tinynet.recipes.sounds import Sounds, linear


@pytest.fixture
def folder(tmp_path):
    for kind in KINDS[:2]:
        (tmp_path / kind).mkdir()
        for seed in range(8):
            (tmp_path / kind / f"{seed}.wav").write_bytes(wav(word(kind, seed)))
    return tmp_path


def test_a_folder_of_sounds_is_told_from_one_of_pictures(folder, tmp_path_factory):
    assert isinstance(recipes.find(str(folder), Choices()), Sounds)
    pictures = tmp_path_factory.mktemp("pictures")
    (pictures / "a").mkdir()
    Image.new("L", (8, 8)).save(pictures / "a" / "1.png")
    assert not isinstance(recipes.find(str(pictures), Choices()), Sounds)
    assert not isinstance(recipes.find(str(folder / "rise" / "0.wav"), Choices()), Sounds)


def test_the_plan_says_how_sounds_are_prepared(folder):
    made = recipes.plan(str(folder), Choices())
    assert made.name.endswith("-cnn-gru") and "a CNN, then a GRU" in made.reason
    assert made.x.dtype == np.uint8 and made.x.shape[2:] == (16, 40, 1)
    assert made.model.metadata["input"] == {
        "kind": "sound", "rate": 8000, "mels": 40, "step": 8, "steady": False,
    }  # fmt: skip
    assert made.model.metadata["task"] == "sound"
    assert made.settings["augment"] == SPOKEN
    assert recipes.plan(str(folder), Choices(augment=False)).settings["augment"] == SoundAugment()


def test_what_most_sounds_have_decides_what_a_model_hears(folder):
    for kind in KINDS[:2]:
        for seed in range(5):
            (folder / kind / f"{seed}.wav").write_bytes(wav(word(kind, seed, 44100), 44100))
    assert recipes.plan(str(folder), Choices()).model.metadata["input"]["rate"] == 16000


def test_machines_are_heard_though_they_are_steady(tmp_path):
    for colour, kind in enumerate(("drill", "fan")):
        (tmp_path / kind).mkdir()
        for seed in range(6):
            (tmp_path / kind / f"{seed}.wav").write_bytes(wav(noise(2 * colour, 0.5, seed=seed)))
        (tmp_path / kind / "off.wav").write_bytes(wav(np.zeros(4000)))
    made = recipes.plan(str(tmp_path), Choices())
    assert made.model.metadata["input"]["steady"]
    assert len(made.x) + len(made.settings["validation_data"][0]) == 12
    assert "nothing was heard in 2 sounds" in " ".join(made.warnings)


def test_an_lstm_can_be_asked_for_and_a_plain_cnn_cannot(folder):
    assert recipes.plan(str(folder), Choices(arch="cnn-lstm", units=5)).name.endswith("-cnn-lstm")
    with pytest.raises(TinynetError, match="sound is both"):
        recipes.plan(str(folder), Choices(arch="cnn"))


def test_what_is_odd_is_told(folder):
    (folder / "rise" / "a.mp3").write_bytes(b"ID3\4" + bytes(50))
    (folder / "rise" / "b.wav").write_bytes(wav(noise(1)))
    (folder / "fall" / "notes.txt").write_text("hello")
    warnings = "\n".join(recipes.plan(str(folder), Choices()).warnings)
    assert "convert it first: ffmpeg -i" in warnings
    assert "nothing was heard in 1 sound of" in warnings
    assert "skipped 1 file or folder" in warnings


def test_a_folder_of_other_kinds_of_sound_is_answered_by_the_line_that_converts_them(tmp_path):
    for kind in "ab":
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.mp3").write_bytes(b"ID3\4" + bytes(50))
    with pytest.raises(DataError, match="ffmpeg -i"):
        recipes.plan(str(tmp_path), Choices())


def test_a_long_sound_is_cut(folder):
    (folder / "rise" / "long.wav").write_bytes(wav(np.concatenate([word("rise", i) for i in range(30)])))
    assert recipes.plan(str(folder), Choices()).x.shape[1] == 51


def test_the_linear_baseline_tells_simple_words_apart(folder):
    made = recipes.plan(str(folder), Choices())
    assert (linear(made.x, made.y, made.x) == made.y).mean() > 0.9


def test_spoken_digits_need_their_file(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYNET_DATA", raising=False)
    with pytest.raises(DataError, match=r"fsdd\.npz"):
        recipes.plan("spoken-digits", Choices())
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    np.savez(tmp_path / "fsdd.npz", samples=np.zeros(3))
    with pytest.raises(DataError, match="lacks one of the arrays"):
        recipes.plan("spoken-digits", Choices())


def test_spoken_digits_never_train_on_the_test_set(monkeypatch, tmp_path):
    samples = [np.round(word(KINDS[i % 4], i) * 32767).astype(np.int16) for i in range(24)]
    arrays = {
        "samples": np.concatenate(samples),
        "lengths": np.array([len(s) for s in samples], np.int32),
        "label": np.repeat(np.arange(2, dtype=np.uint8), 12), "speaker": np.array(["a"] * 24),
        "index": np.tile(np.arange(12), 2).astype(np.int16),
    }  # fmt: skip
    np.savez(tmp_path / "fsdd.npz", **arrays)
    monkeypatch.setenv("TINYNET_DATA", str(tmp_path))
    made = recipes.plan("spoken-digits", Choices())
    assert len(made.x) == 2 * 2 and len(made.settings["validation_data"][0]) == 2 * 5
    assert np.isin(made.y, [0, 1]).all()


def test_sounds_beside_each_other_are_not_taken_for_pictures(folder):
    with pytest.raises(DataError, match="put the sounds of each class into a folder named after it"):
        recipes.plan(str(folder / "rise"), Choices())


def test_folders_of_silence_are_refused_in_a_sentence(tmp_path):
    for kind in "ab":
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "1.wav").write_bytes(wav(np.zeros(8000)))
    with pytest.raises(DataError, match="nothing was found in any of the 2 sounds"):
        recipes.plan(str(tmp_path), Choices())
