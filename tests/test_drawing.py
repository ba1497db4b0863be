"""What is drawn: charts, a sheet of pictures, a picture for a terminal."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from tinynet.drawing import CHART, COLOURS, TILE, Chart, draw_charts, save_contact_sheet, shades
from tinynet.errors import TinynetError


def colours(image: Image.Image) -> set[tuple[int, int, int]]:
    return {tuple(colour) for colour in np.asarray(image).reshape(-1, 3)}


def test_charts_stand_side_by_side_and_their_lines_have_colours():
    x = [1, 2, 3]
    one = Chart("loss", "epoch", x, {"training": [3.0, 0.1, 0.01]}, logarithmic=True)
    two = Chart("accuracy", "epoch", x, {"training": [0.1, math.nan, 0.3], "validation": [0.1, 0.2, 0.2]})
    image = draw_charts([one, two])
    assert image.size == (2 * CHART[0], CHART[1])
    left = image.crop((0, 0, *CHART))
    assert COLOURS[0] in colours(left) and COLOURS[1] not in colours(left)
    assert {*COLOURS} <= colours(image)


@pytest.mark.parametrize("values", [[], [math.nan], [1.0], [1e-320], [1e308, -1e308]])
def test_a_chart_of_odd_values_is_drawn(values):
    assert draw_charts([Chart("loss", "epoch", range(len(values)), {"training": values})]).size == CHART


def test_a_contact_sheet_holds_a_tile_and_a_caption_for_each(tmp_path):
    path = tmp_path / "sheet.png"
    assert save_contact_sheet(path, np.full((3, 7, 14, 1), 0.5), [("one", "line\x07"), (), ("é€",)]) == 3
    sheet = np.asarray(Image.open(path))
    assert sheet.shape[1] >= 3 * TILE and (sheet == 128).all(axis=2).sum() == 3 * TILE * TILE // 2
    assert save_contact_sheet(path, np.zeros((401, 2, 2)), [()] * 401) == 400
    with pytest.raises(TinynetError, match="create it first"):
        save_contact_sheet(tmp_path / "none" / "sheet.png", np.zeros((1, 2, 2)), [()])


def test_shades_are_a_line_a_row():
    pixels = np.zeros((28, 28), np.float32)
    pixels[3, 5:7] = 1
    lines = shades(pixels[..., None]).split("\n")
    assert len(lines) == 28
    assert lines[3] == " " * 10 + "████" and not lines[4]
