"""Arrays that are kept: made once, and anew whenever what they follow from, or the file, has changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinynet.data import cache
from tinynet.data.cache import kept


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "user_folder", lambda kind: tmp_path / kind / "tinynet")
    return tmp_path / "cache" / "tinynet"


class Maker:
    """Counts how often it is asked."""

    count = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.count += 1
        return {"x": np.arange(6, dtype=np.uint8).reshape(2, 3), "y": np.float32([0.5, self.count])}


def test_the_same_inputs_are_made_once_and_read_back_as_they_were(folder: Path):
    make = Maker()
    first, second = (kept("drawn.npz", [b"a", b"b"], make) for _ in range(2))
    assert make.count == 1 and list(first) == list(second)
    for name, array in first.items():
        assert array.dtype == second[name].dtype
        np.testing.assert_array_equal(array, second[name])


@pytest.mark.parametrize("inputs", [[b"a"], [b"ab"], [b"b", b"a"], [b"a", b"b", b""]])
def test_other_inputs_are_made_anew_in_the_place_of_the_old(folder: Path, inputs: list[bytes]):
    make = Maker()
    kept("drawn.npz", [b"a", b"b"], make)
    for _ in range(2):
        assert kept("drawn.npz", inputs, make)["y"][1] == 2
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("damage", ["empty", "short", "changed", "folder"])
def test_a_damaged_file_is_made_anew(folder: Path, damage: str):
    make, path = Maker(), folder / "drawn.npz"
    kept(path.name, [b"a"], make)
    content = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes({"empty": b"", "short": content[:-9], "changed": content[:-1] + b"?"}[damage])
    assert kept(path.name, [b"a"], make)["y"][1] == 2
    assert kept(path.name, [b"a"], make)["y"][1] == (3 if damage == "folder" else 2)


def test_nothing_is_kept_that_follows_from_what_cannot_be_read(folder: Path, tmp_path: Path):
    make = Maker()
    for _ in range(2):
        kept("drawn.npz", (path.read_bytes() for path in [tmp_path / "packed.py"]), make)
    assert make.count == 2 and not folder.exists()


def test_where_nothing_can_be_kept_the_arrays_are_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make = Maker()
    (tmp_path / "file").write_bytes(b"")
    for place in (None, tmp_path / "file" / "under"):
        monkeypatch.setattr(cache, "user_folder", lambda kind, place=place: place)
        assert kept("drawn.npz", [b"a"], make)["x"].shape == (2, 3)
    assert make.count == 2
