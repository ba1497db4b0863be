"""After `tinynet warmup` nothing compiles any more, whatever is trained, measured or run with the recipes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from test_commands import run

pytest.importorskip("numba")

SIZES = {"tiny": (6, 7), "grey": (28, 40), "colour": (64, 58, 3), "large": (200, 300, 3)}
"""Of pictures in folders: height and width, and colours."""
CPU = ("--device", "cpu")


def draw_folder(path, shape, rng):
    """Two classes of noise."""
    for label in ("light", "dark"):
        (path / label).mkdir(parents=True)
        for index in range(20):
            pixels = rng.integers(0, 255, shape).astype(np.uint8)
            Image.fromarray(pixels // (2 if label == "dark" else 1)).save(path / label / f"{index}.png")


def draw_digits(path, rng):
    """A data set of noise in the form of MNIST, of which the last 5,000 are the validation set."""
    arrays = {}
    for half, count in (("train", 5200), ("test", 200)):
        arrays[f"x_{half}"] = rng.integers(0, 255, (count, 28, 28)).astype(np.uint8)
        arrays[f"y_{half}"] = np.arange(count) % 10
    path.mkdir()
    np.savez(path / "mnist.npz", **arrays)


@pytest.mark.slow
def test_warmup_leaves_nothing_to_compile_for_any_recipe(tmp_path):
    rng = np.random.default_rng(0)
    draw_digits(tmp_path / "data", rng)
    for name, shape in SIZES.items():
        draw_folder(tmp_path / name, shape, rng)
    (tmp_path / "poem.txt").write_text("to be or not to be, that is the question\n" * 100)
    picture = tmp_path / "grey" / "light" / "0.png"
    places = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TINYNET_DATA": str(tmp_path / "data")}

    def says(*arguments):
        done = run(*arguments, cwd=tmp_path, **places)
        assert done.returncode == 0, done.stderr
        return done.stderr.decode()

    assert "compiling kernels" in says("warmup")
    runs = [(arch, "digits", picture) for arch in ("cnn", "lstm", "gru", "rnn")]
    runs += [("cnn", name, picture) for name in SIZES]
    runs += [(arch, "poem.txt", None) for arch in ("lstm", "gru", "rnn")]
    compiled = []
    for arch, data, shown in runs:
        model = f"{data}-{arch}.npz"
        use = ("classify", shown) if shown else ("generate", "--length", 100, "--seed", "to be")
        for command in (
            ("train", data, "--arch", arch, "--epochs", 2, "--output", model),
            ("evaluate", model, data, *CPU),
            (*use, "--model", model, *CPU),
        ):
            if "compiling kernels" in says(*command):
                compiled.append(" ".join(map(str, command)))
    assert not compiled
