"""Clips that the project draws itself: things on plain ground that move, turn, grow or blink, and the files that they come in.

`clip(kind, seed)` gives frames; the same arguments give the same frames. `animation(frames)` gives the bytes of a file.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def clip(
    kind: str, seed: int = 0, side: int = 48, count: int | None = None, colour: bool = True
) -> list[Image.Image]:
    """Frames of a disc that goes one of four ways and comes back in on the other side, grows, or blinks."""
    rng = np.random.default_rng([seed, *kind.encode()])
    count = count or int(rng.integers(6, 14))
    ground, ink = (
        tuple(map(int, rng.integers(*ends, 3 if colour else 1))) for ends in ((190, 256), (0, 100))
    )
    place, speed, radius = rng.uniform(0, side, 2), rng.uniform(2, 5), rng.uniform(5, 9)
    frames = []
    for t in range(count):
        frame = Image.new("RGB" if colour else "L", (side, side), ground if colour else ground[0])
        centre = (place + speed * t * np.array(WAYS.get(kind, (0, 0)))) % side
        size = radius * (0.3 + 1.4 * t / count) if kind == "grow" else radius
        if kind != "blink" or t % 4 < 2:
            for x in (-side, 0, side):
                for y in (-side, 0, side):
                    left, top = centre + (x, y) - size
                    box = left, top, left + 2 * size, top + 2 * size
                    ImageDraw.Draw(frame).ellipse(box, fill=ink if colour else ink[0])
        frames.append(frame)
    return frames


def animation(frames: list[Image.Image], kind: str = "GIF", **settings) -> bytes:
    """The bytes of a file with these frames."""
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], **settings)
    return file.getvalue()


def save_frames(frames: list[Image.Image], folder: Path, name: str = "frame{}.png") -> Path:
    """A folder of frames, numbered from 0 without leading zeros."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        frame.save(folder / name.format(number))
    return folder


def save_folder(path: Path, kinds: tuple[str, ...], each: int, first: int = 0, **settings) -> Path:
    """A folder with a folder of clips per kind, every third a folder of frames, the others GIFs."""
    for kind in kinds:
        (path / kind).mkdir(parents=True)
        for seed in range(first, first + each):
            frames = clip(kind, seed, **settings)
            if seed % 3:
                (path / kind / f"{seed}.gif").write_bytes(animation(frames))
            else:
                save_frames(frames, path / kind / f"clip{seed}")
    return path
