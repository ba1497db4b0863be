from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image

from tests.clips import animation, clip, save_frames
from tinynet.data.pictures.read import is_animated
from tinynet.data.video import read
from tinynet.data.video.read import evenly, frame_files, is_clip, read_clip
from tinynet.errors import ImageError


def shades(count, side=8):
    """Frames of one shade each, which says which they are."""
    return [Image.new("L", (side, side), 10 * t) for t in range(count)]


def numbers(frames):
    return [round(float(frame.mean()) * 25.5) for frame in frames]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_read_frame_by_frame(kind, tmp_path):
    settings = {"lossless": True} if kind == "WEBP" else {}
    content = animation(shades(12), kind, **settings)
    path = tmp_path / f"clip.{kind.lower()}"
    path.write_bytes(content)
    for source in (content, path, str(path), io.BytesIO(content), Image.open(path)):
        assert numbers(read_clip(source, 20)) == [*range(12)]
    assert is_animated(path)


def test_frames_are_taken_evenly_from_the_first_to_the_last():
    assert evenly(5, 16) == [0, 1, 2, 3, 4]
    assert evenly(31, 4) == [0, 10, 20, 30]
    assert numbers(read_clip(animation(shades(25)), 3)) == [0, 12, 24]


def test_a_folder_of_frames_is_read_in_the_natural_order_of_names(tmp_path):
    folder = save_frames(shades(12), tmp_path / "clip")
    (folder / ".frame99.png").write_bytes(b"")
    (folder / "notes.txt").write_text("hello")
    assert [path.name for path in frame_files(folder)][8:] == [
        "frame8.png",
        "frame9.png",
        "frame10.png",
        "frame11.png",
    ]
    assert numbers(read_clip(folder, 20)) == [*range(12)]
    assert is_clip(folder) and not is_clip(tmp_path)


def test_a_frame_shows_what_a_viewer_would(tmp_path):
    """GIFs keep only what changes; frames of few colours have a palette; some are transparent."""
    expected = [np.asarray(frame, np.float32) / 255 for frame in clip("left", 3, count=7)]
    for kind in ("GIF", "PNG"):
        for frame, seen in zip(
            expected, read_clip(animation(clip("left", 3, count=7), kind), 7), strict=True
        ):
            assert seen.shape == frame.shape and np.abs(seen - frame).mean() < 0.01
    clear = [Image.new("RGBA", (8, 8), (255, 0, 0, 255 * (t % 2))) for t in range(4)]
    assert read_clip(animation(clear, "PNG"), 4)[0].shape == (8, 8, 4)


def test_arrays_are_clips():
    frames = np.random.default_rng(0).random((5, 6, 7), dtype=np.float32)
    assert np.array_equal(np.stack(read_clip(frames, 9))[..., 0], frames)
    assert [frame.shape for frame in read_clip(np.zeros((5, 6, 7, 3), np.uint8), 2)] == [(6, 7, 3)] * 2


def test_frames_of_different_sizes_are_read(tmp_path):
    frames = [Image.new("RGB", size) for size in ((8, 9), (20, 5), (1, 1))]
    assert [f.shape for f in read_clip(save_frames(frames, tmp_path / "clip"), 9)] == [
        (9, 8, 3),
        (5, 20, 3),
        (1, 1, 3),
    ]


def test_a_pillow_image_is_afterwards_where_it_was():
    image = Image.open(io.BytesIO(animation(shades(5))))
    image.seek(2)
    read_clip(image, 9)
    assert image.tell() == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (animation(shades(1)), "has only one frame, but a clip has two or more; pictures are read by models such as digits"),
        (animation(clip("left"))[:500], "is damaged or cut off"),
        (b"", "is empty"),
        (b"hello " * 20, "is a text, not a picture"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "is a video; convert it first: ffmpeg -i VIDEO.mp4 .* VIDEO.gif"),
        (b"RIFF\0\0\0\0AVI " + bytes(40), "is a video; convert it first"),
        (b"RIFF\0\0\0\0WAVE" + bytes(40), "is a sound"),
        (np.zeros((6, 7)), r"a clip has the shape \(t, h, w\)"),
        (np.zeros((1, 6, 7)), "two frames or more"),
        (np.zeros((30, 40, 3)), "two frames or more"),
        (np.zeros((4, 6, 7, 2)), "a picture has the shape"),
        (None, "a picture is a path"),
        ("nowhere.gif", "nowhere.gif does not exist"),
    ],
)  # fmt: skip
def test_what_is_no_clip_ends_in_a_sentence(given, words):
    with pytest.raises(ImageError, match=words):
        read_clip(given, 9)


def test_a_video_is_answered_by_the_line_that_converts_it(tmp_path):
    path = tmp_path / "my holiday.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(40))
    with pytest.raises(
        ImageError, match=r"ffmpeg -i '.*my holiday\.mp4' -vf fps=10,scale=128:-2 '.*my holiday\.gif'"
    ):
        read_clip(path, 9)
    assert is_clip(path)


def test_a_folder_without_frames_ends_in_a_sentence(tmp_path):
    with pytest.raises(ImageError, match="holds no frames"):
        read_clip(tmp_path, 9)
    save_frames(shades(1), tmp_path / "one")
    with pytest.raises(ImageError, match="one has only one frame"):
        read_clip(tmp_path / "one", 9)


def test_a_gif_of_thousands_of_frames_is_read():
    """Each frame reads some of the file anew, which is no reason to refuse it."""
    frames = [Image.fromarray(np.full((4, 4), 250 * (t % 2), np.uint8)) for t in range(3000)]
    assert len(read_clip(animation(frames), 16)) == 16


def test_what_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(read, "MAX_SECONDS", 0.0)  # however fast the processor is
    frames = [
        Image.fromarray(np.random.default_rng(t).integers(0, 256, (300, 300), np.uint8)) for t in range(40)
    ]
    content = animation(frames)
    start = time.thread_time()
    for source in (content, Image.open(io.BytesIO(content))):
        with pytest.raises(ImageError, match="s to unpack its 40 frames; make it smaller first"):
            read_clip(source, 9)
    assert time.thread_time() - start < 2


def test_a_bomb_is_refused_before_it_is_unpacked():
    content = bytearray(animation(shades(3)))
    content[6:10] = b"\xff\xff\xff\xff"  # the size of the screen
    with pytest.raises(ImageError, match="pixels"):
        read_clip(bytes(content), 9)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_damaged_animations_end_in_an_answer_or_a_sentence(kind):
    rng = np.random.default_rng(0)
    whole = animation(clip("grow", 1, side=24, count=6), kind)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(damaged), rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        try:
            assert all(
                frame.ndim == 3 for frame in read_clip(bytes(damaged[: rng.integers(1, 2 * len(damaged))]), 9)
            )
        except ImageError as error:
            assert "\n" not in str(error)


def test_an_animation_is_known_by_its_content(tmp_path):
    for name, count in (("one.gif", 1), ("two.gif", 2)):
        (tmp_path / name).write_bytes(animation(shades(count)))
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    found = {path.name: is_animated(path) for path in sorted(tmp_path.iterdir())}
    assert found == {"broken.gif": False, "one.gif": False, "two.gif": True}
    assert not is_animated("-") and not is_animated(b"GIF89a") and not is_animated(tmp_path)
