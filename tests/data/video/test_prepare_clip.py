from __future__ import annotations

import numpy as np
import pytest

from tests.clips import animation, clip
from tinynet.data.video.prepare import (
    Preparation,
    frames_of,
    lengths_of,
    mean_frames,
    pairs,
    prepare,
    prepare_all,
)
from tinynet.data.video.read import read_clip
from tinynet.errors import TinynetError


def frames(kind="left", seed=0, **settings):
    return read_clip(animation(clip(kind, seed, **settings)), 16)


def test_frames_are_fitted_into_the_shape_of_the_model():
    x = prepare(frames(count=7), Preparation(20, 30, "colour"))
    assert x.shape == (7, 20, 30, 3) and x.dtype == np.uint8 and x.min() >= 1
    assert prepare(frames(count=7), Preparation(20, 30)).shape == (7, 20, 30, 1)


def test_frames_of_different_sizes_and_colours_become_alike():
    rng = np.random.default_rng(0)
    odd = [rng.random(shape, dtype=np.float32) for shape in ((9, 8, 1), (5, 20, 3), (1, 1, 4), (40, 3, 1))]
    for preparation in (Preparation(16, 16), Preparation(16, 16, "colour"), Preparation(16, 16, ink=True)):
        assert prepare(odd, preparation).shape == (4, *preparation.frame_shape)


def test_ink_looks_alike_in_any_colours():
    """Light on dark, dark on light, and colours that are equally bright."""
    shape = np.zeros((4, 32, 32, 1), np.float32)
    for t in range(4):
        shape[t, 10:20, 5 + 3 * t : 12 + 3 * t] = 1
    expected = prepare(shape, Preparation(ink=True))
    for ground, ink in (((1, 1, 1), (0, 0, 0)), ((0.2, 0.3, 0.2), (0.6, 0.3, 0.2)), ((0.5,) * 3, (0.4,) * 3)):
        coloured = np.float32(ground) + shape * (np.float32(ink) - np.float32(ground))
        assert np.array_equal(prepare(coloured.astype(np.float32), Preparation(ink=True)), expected)


@pytest.mark.parametrize(("side", "size", "part"), [(200, 20, 0.2), (60, 50, 0.38), (64, 22, 0.34)])
def test_a_thing_is_of_a_usual_size_in_its_frame(side, size, part):
    """Tiny ones that go far take what their way leaves, large ones what is usual; the others stay as they are."""
    frames = np.zeros((5, side, side, 1), np.float32)
    for t in range(5):
        left = 1 + t * (side - size - 2) // 10
        frames[t, 4 : 4 + size, left : left + size] = 1
    x = prepare(frames, Preparation(ink=True)) > 128
    widths = x.any(axis=(1, 3)).sum(axis=1) / 32
    assert np.abs(widths - part).max() < 0.06
    places = [np.flatnonzero(columns).mean() for columns in x.any(axis=(1, 3))]
    assert places[-1] > places[0] and (np.diff(places) >= 0).all()


@pytest.mark.parametrize("ink", [False, True])
def test_a_clip_of_one_plain_colour_shows_nothing(ink):
    plain = [np.full((9, 9, 1), 0.7, np.float32)] * 5
    assert prepare(plain, Preparation(ink=ink)) is None
    assert prepare([*plain, plain[0] - 0.3], Preparation()) is not None  # the light goes out


def test_black_frames_are_no_padding():
    black = np.zeros((6, 32, 32, 1), np.float32)
    black[2] = 1
    assert lengths_of(prepare(black, Preparation())[None]).tolist() == [6]


def test_clips_of_any_length_lie_side_by_side():
    x = prepare_all(
        [frames(count=5), frames(seed=1, count=9), [np.zeros((4, 4, 1), np.float32)] * 3], Preparation(8, 8)
    )
    assert x.shape == (3, 9, 8, 8, 2) and lengths_of(x).tolist() == [5, 9, 0]
    expected = frames_of(x)[0, :5].mean(axis=0) / 255
    np.testing.assert_allclose(mean_frames(x)[0], expected, rtol=1e-5)


def test_a_step_sees_its_own_frame_and_the_one_before():
    x = np.zeros((2, 4, 3, 3, 2), np.uint8)
    x[0], x[1, :2] = np.arange(1, 5).reshape(4, 1, 1, 1), 7
    found = pairs(x)
    assert np.array_equal(frames_of(found), x)
    assert found[:, :, 0, 0, 2].tolist() == [[1, 1, 2, 3], [7, 7, 0, 0]]


def test_it_stays_what_the_file_says():
    found = Preparation(24, 40, "colour", 12, True)
    assert Preparation.from_settings(found.settings()) == found
    assert found.settings()["kind"] == "video" and found.input_shape == (None, 24, 40, 6)


@pytest.mark.parametrize(
    "change",
    [
        {"height": 0},
        {"width": 1000},
        {"frames": 1},
        {"colours": "sepia"},
        {"ink": 1},
        {"kind": "sound"},
        {"side": 3},
    ],
)
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(TinynetError):
        Preparation.from_settings({**Preparation().settings(), **change})
