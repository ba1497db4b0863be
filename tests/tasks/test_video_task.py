from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

import tinynet as tn
from tests.clips import animation, clip, save_folder, save_frames
from tinynet import tasks
from tinynet.data.video.prepare import Preparation
from tinynet.errors import ImageError, TinynetError, UsageError
from tinynet.recipes import plan
from tinynet.recipes.base import Choices
from tinynet.tasks.video import Video

KINDS = ("left", "right", "grow")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_folder(tmp_path_factory.mktemp("clips") / "kinds", KINDS, 12, side=32, colour=False, count=8)


@pytest.fixture(scope="module")
def model(folder):
    made = plan(str(folder), Choices(epochs=40, batch_size=12, learning_rate=5e-3, augment=False, units=24))
    made.model.fit(made.x, made.y, **made.settings, verbose=False)
    return made.model


def gif(kind, seed, **settings):
    return animation(clip(kind, seed, side=32, colour=False, **settings))


def test_a_folder_of_clips_is_learnt_and_those_are_named(model, folder):
    assert model.labels == sorted(KINDS)
    task = tasks.of(model)
    found = task.evaluate(task.read(str(folder)))
    assert found.measured["accuracy"] > 0.9


def test_the_same_frames_are_the_same_clip_in_any_form(model, tmp_path):
    frames = clip("left", 1, side=32, colour=False, count=8)
    expected = model.classify(animation(frames, "PNG"))
    folder = save_frames(frames, tmp_path / "clip")
    (tmp_path / "a.webp").write_bytes(animation(frames, "WEBP", lossless=True))
    given = [folder, str(folder), tmp_path / "a.webp", io.BytesIO(animation(frames, "PNG")), np.stack(frames)]
    for ranking in model.classify(given):
        assert [label for label, _ in ranking] == [label for label, _ in expected]
        np.testing.assert_allclose([p for _, p in ranking], [p for _, p in expected], atol=0.02)


def test_the_order_of_frames_matters(model):
    frames = clip("left", 1, side=32, colour=False, count=8)
    assert model.classify(animation(frames))[0][0] == "left"
    assert model.classify(animation(frames[::-1]))[0][0] != "left"


def test_clips_of_any_length_and_size_get_an_answer(model):
    for side, count in ((16, 2), (32, 5), (100, 40), (300, 9)):
        ranking = model.classify(animation(clip("right", 2, side=side, count=count)))
        assert len(ranking) == 3 and abs(sum(p for _, p in ranking) - 1) < 1e-4


def test_nothing_to_be_seen_is_an_answer_of_its_own(model):
    plain = np.full((5, 30, 30), 0.4)
    assert model.classify(plain) == []
    task = Video(model)
    assert list(task.show(task.answer(plain))) == ["nothing to be seen"]
    assert list(task.as_json(task.answer(plain))) == [{"label": None, "probability": None, "top": []}]


def test_a_picture_is_answered_by_which_models_read_it(model, tmp_path):
    for given in (animation(clip("left")[:1]), np.zeros((30, 30, 3)), Image.new("L", (9, 9))):
        with pytest.raises(ImageError, match=r"clip has|has only one frame"):
            model.classify(given)


def test_a_clip_given_to_a_model_of_pictures_is_read_as_its_first_frame(tmp_path):
    frames = [Image.new("L", (60, 60), 255) for _ in range(3)]
    for row in range(10, 50):
        frames[0].putpixel((30, row), 0)
        frames[0].putpixel((31, row), 0)
    (tmp_path / "one.gif").write_bytes(animation(frames))
    (tmp_path / "still.gif").write_bytes(animation(frames[:1]))
    digits = tn.load("digits")
    answers = tasks.of(digits).answer(tmp_path / "one.gif")
    assert answers[0].note == "only the first frame is read; clips are read by models such as moving-digits"
    still = tasks.of(digits).answer(tmp_path / "still.gif")
    assert still[0].note is None and still[0].ranking == answers[0].ranking


def test_models_vote(model):
    ensemble, content = tn.Ensemble([model, model]), gif("grow", 3)
    assert ensemble.classify(content) == model.classify(content)


@pytest.mark.parametrize("given", [{"lines": True}, {"every": True}, {"stream": True}])
def test_options_that_do_not_fit_are_wrong_usage(model, given):
    with pytest.raises(UsageError, match=r"does not apply to .* which reads clips"):
        Video(model).check_options(given)


def test_a_network_that_takes_something_else_than_its_file_says_is_refused(model):
    other = tn.Sequential([tn.Flatten(), tn.Dense(2, activation="softmax")], (3, 4, 5, 1))
    other.metadata.update(task="video", input=Preparation().settings())
    with pytest.raises(TinynetError, match="its clips are prepared as"):
        Video(other)


def test_it_is_told_what_the_network_sees(model):
    task = Video(model)
    (seen,) = task.views(task.answer(gif("grow", 1, count=5))[0])
    assert len(seen.split("\n\n")) >= 5 and set(seen) & set("░▒▓█")


def test_a_saved_model_answers_the_same(model, tmp_path):
    model.save(tmp_path / "kinds.npz")
    loaded = tn.load(tmp_path / "kinds.npz")
    assert loaded.classify(gif("right", 5)) == model.classify(gif("right", 5))


def test_data_for_another_task_is_refused(model, tmp_path):
    with pytest.raises(TinynetError, match=r"does not read clips.*is for classify"):
        tasks.expect(Video, tn.load("digits"))


def test_where_no_model_is_shipped_for_a_task_none_is_offered(monkeypatch):
    monkeypatch.setattr(tasks.base, "_shipped", lambda name: iter(()))
    with pytest.raises(TinynetError, match="does not read clips; train your own on a folder"):
        tasks.expect(Video, tn.load("digits"))
