"""Finding the digit: hard pictures of digits that are drawn here, and pictures without any."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import photographs
import pytest
from PIL import Image, ImageDraw

from tinynet.data.pictures.digit.crops import with_paper
from tinynet.data.pictures.digit.find_digit import prepare_digit
from tinynet.data.pictures.digit.mnist_form import centre_of_mass, mnist_form, stroke_thickness
from tinynet.data.pictures.digit.ruling import underline, without_lines
from tinynet.data.pictures.prepare import prepare_noted
from tinynet.data.pictures.read import read_image

STROKES = {  # in a box 10 wide and 14 high
    0: [[(5, 0), (1, 3), (0, 7), (1, 11), (5, 14), (9, 11), (10, 7), (9, 3), (5, 0)]],
    1: [[(3, 3), (6, 0), (6, 14)]],
    2: [[(0, 3), (3, 0), (8, 0), (10, 4), (7, 8), (0, 14), (10, 14)]],
    3: [[(0, 1), (5, 0), (9, 3), (4, 6), (9, 9), (8, 13), (4, 14), (0, 12)]],
    4: [[(5, 0), (0, 9), (10, 9)], [(8, 4), (8, 14)]],
    5: [[(9, 0), (1, 0), (1, 6), (6, 5), (10, 9), (7, 14), (0, 13)]],
    6: [[(8, 0), (2, 5), (0, 10), (3, 14), (8, 13), (9, 9), (5, 7), (1, 9)]],
    7: [[(0, 0), (10, 0), (4, 14)]],
    8: [[(5, 6), (1, 3), (5, 0), (9, 3), (5, 6), (0, 10), (5, 14), (10, 10), (5, 6)]],
    9: [[(9, 4), (5, 7), (1, 4), (4, 0), (9, 1), (9, 8), (6, 14)]],
}


def drawn(number: int, height: int = 200, width: float = 0.09) -> np.ndarray:
    """Ink coverage of a digit of straight strokes with a round pen, `width` of its height, in a margin of a tenth."""
    scale, margin = height / 14, height * 0.1 + height * width / 2
    size = [round(10 * scale + 2 * margin), round(height + 2 * margin)]
    image = Image.new("L", size)
    draw, pen = ImageDraw.Draw(image), max(1, round(height * width))
    for stroke in STROKES[number]:
        points = [(margin + x * scale, margin + y * scale) for x, y in stroke]
        draw.line(points, fill=255, width=pen, joint="curve")
        for x, y in points:
            draw.ellipse([x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2], fill=255)
    return np.asarray(image, dtype=np.float32) / 255


@cache
def mnist_like(number: int) -> np.ndarray:
    return mnist_form(drawn(number))


def nearest(pixels: np.ndarray) -> int:
    """Which of the ten drawn digits the pixels correlate with most, up to a shift of a pixel."""
    shifts = [np.roll(pixels, (dy, dx), (0, 1)).ravel() for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    best = [max(np.corrcoef(shift, mnist_like(n).ravel())[0, 1] for shift in shifts) for n in range(10)]
    return int(np.argmax(best))


def on_page(ink: np.ndarray, height: int, width: int, top: int, left: int) -> np.ndarray:
    page = np.zeros((height, width), dtype=np.float32)
    page[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return page


def read(grey: np.ndarray):
    return prepare_digit(np.asarray(grey, dtype=np.float32)[..., None])


# ---- pictures with a digit


@pytest.mark.parametrize("kind", photographs.KINDS)
def test_every_kind_of_photograph(kind):
    numbers = [len(kind) % 10, (len(kind) * 3 + 4) % 10]
    for number in numbers:
        picture = read_image(photographs.render(kind, mnist_like(number), seed=number))
        digit = prepare_digit(picture)
        assert digit is not None, number
        assert digit.pixels.shape == (28, 28) and digit.pixels.dtype == np.float32
        assert nearest(digit.pixels) == number


@pytest.mark.parametrize("number", range(10))
def test_the_drawn_digits_both_ways(number):
    ink = on_page(drawn(number, 120), 300, 400, 100, 40)
    dark, light = read(1 - ink), read(ink)
    assert nearest(dark.pixels) == nearest(light.pixels) == number
    # Dark ink alone is measured against the light on its paper, so the greys at its edges differ a little.
    np.testing.assert_allclose(dark.pixels, light.pixels, atol=0.1)
    assert dark.count == light.count == 1


def test_mnist_form_is_mnists():
    for number in range(10):
        pixels = mnist_like(number)
        rows, columns = np.flatnonzero(pixels.max(1) > 0.1), np.flatnonzero(pixels.max(0) > 0.1)
        assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
        assert np.abs(centre_of_mass(pixels) - 14).max() <= 0.51
        assert 1.4 < stroke_thickness(pixels) < 3.6
        assert 0.9 < pixels.max() <= 1 and pixels.min() >= 0


@pytest.mark.parametrize("width", [0.005, 0.02, 0.05, 0.15, 0.2])
def test_stroke_thickness_is_brought_to_mnists(width):
    digit = read(1 - on_page(drawn(5, 250, width), 400, 400, 30, 90))
    assert 1.4 < stroke_thickness(digit.pixels) < 3.8
    assert nearest(digit.pixels) == 5


@pytest.mark.parametrize("number", range(10))
def test_a_picture_in_mnist_form_is_left_as_it_is(number):
    pixels = np.round(mnist_like(number) * 255) / 255
    np.testing.assert_allclose(read(pixels).pixels, pixels, atol=1e-6)
    np.testing.assert_allclose(read(1 - pixels).pixels, pixels, atol=1e-6)


def test_mnist_itself_comes_through():
    path = Path(os.environ.get("TINYNET_DATA", "")) / "mnist.npz"
    if not os.environ.get("TINYNET_DATA") or not path.exists():
        pytest.skip("TINYNET_DATA has no mnist.npz")
    with np.load(path) as data:
        images = data["x_train"][:300].astype(np.float32) / 255
    same = [np.array_equal(read(image).pixels, image) for image in images]
    assert np.mean(same) >= 0.99


def test_sizes_from_tiny_to_large():
    ink = drawn(3, 200)
    for side in (12, 20, 27, 28, 29, 64, 400, 1500):
        image = Image.fromarray(np.uint8(255 * (1 - np.pad(ink, ((0, 0), (40, 40))))))
        height = max(1, round(image.height * side / image.width))
        digit = read(np.asarray(image.resize((side, height), Image.Resampling.LANCZOS)) / 255)
        assert digit is not None and nearest(digit.pixels) == 3, side


def test_the_box_is_where_the_digit_is():
    left, top, right, bottom = read(1 - on_page(drawn(8, 100), 600, 900, 350, 620)).box
    ink = np.argwhere(on_page(drawn(8, 100), 600, 900, 350, 620) > 0.5)
    expected = np.array([*ink.min(0), *(ink.max(0) + 1)])
    np.testing.assert_allclose([top, left, bottom, right], expected, atol=8)


def test_a_digit_may_fill_the_picture():
    for number in (0, 3, 6, 8):
        ink = drawn(number, 80, 0.12)
        rows, columns = np.flatnonzero(ink.max(1) > 0.5), np.flatnonzero(ink.max(0) > 0.5)
        cut = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        for picture in (cut, 1 - cut):
            digit = read(picture)
            assert digit is not None and nearest(digit.pixels) == number


def test_a_digit_on_a_sheet_on_a_grainy_desk():
    """The grain is longer than the digit, but faint beside it."""
    y, x = np.meshgrid(np.linspace(-1, 1, 400), np.linspace(-1, 1, 400), indexing="ij")
    wood = np.array([0.45, 0.3, 0.18]) * (1 + 0.12 * np.sin(40 * y + 3 * np.sin(3 * x)))[..., None]
    ink = on_page(drawn(5, 100, 0.07), 400, 400, 120, 130)[..., None]
    page = np.where((np.maximum(np.abs(x), np.abs(y)) < 0.65)[..., None], 0.93 - 0.5 * ink, wood)
    digit = prepare_digit(np.asarray(page, np.float32))
    assert digit.count == 1 and nearest(digit.pixels) == 5


def test_faint_ink_counts_where_nothing_else_is_to_be_seen():
    ink = on_page(drawn(2, 120), 300, 300, 80, 90)
    for grain in (0, 0.008):
        noise = np.random.default_rng(0).normal(0, grain, ink.shape)
        assert nearest(read(0.9 - 0.055 * ink + noise).pixels) == 2


def test_a_digit_between_dense_squares():
    plane = np.ones((480, 480), np.float32)
    plane[::15] = plane[:, ::15] = 0.7
    assert nearest(read(plane - 0.7 * plane * on_page(drawn(2, 130, 0.06), 480, 480, 150, 170)).pixels) == 2
    assert read(plane) is None


def test_several_digits_are_counted_and_the_largest_is_read():
    page = np.maximum(on_page(drawn(7, 100), 300, 600, 80, 60), on_page(drawn(2, 150), 300, 600, 60, 220))
    page = np.maximum(page, on_page(drawn(4, 110), 300, 600, 80, 440))
    digit = read(1 - page)
    assert digit.count == 3 and nearest(digit.pixels) == 2
    noted = prepare_noted(1 - page[..., None], {"kind": "digit"}, (28, 28, 1))
    assert noted.note == "3 digits found; reading the largest"
    assert noted.pixels.shape == (28, 28, 1)


def test_a_bar_that_hangs_loose_belongs_to_its_digit():
    ink = drawn(5, 200, 0.07)
    ink[:, :] = np.where(
        (np.arange(ink.shape[1]) > 55)
        & (np.arange(ink.shape[1]) < 68)
        & (np.arange(ink.shape[0]) < 60)[:, None],
        0,
        ink,
    )
    digit = read(1 - on_page(ink, 400, 400, 60, 100))
    assert digit.count == 1 and nearest(digit.pixels) == 5


def test_transparent_pictures_with_paper_of_their_own():
    ink = on_page(drawn(6, 120), 220, 220, 40, 50)
    layers = np.ones((220, 220, 4), np.float32)
    layers[..., :3] = 1 - ink[..., None]
    y, x = np.mgrid[:220, :220]
    layers[np.hypot(y - 110, x - 110) > 109, 3] = 0
    assert nearest(prepare_digit(layers).pixels) == 6


def test_equal_brightness_is_told_apart_by_colour():
    ink = on_page(drawn(9, 120), 200, 200, 30, 40)[..., None]
    paper, red = np.array([0.2, 0.5, 0.2], np.float32), np.array([0.7, 0.2, 0.3], np.float32)
    assert nearest(prepare_digit(paper + ink * (red - paper)).pixels) == 9


# ---- pictures without


def blanks():
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(np.linspace(-1, 1, 300), np.linspace(-1, 1, 400), indexing="ij")
    plain = np.ones((300, 400, 3), np.float32)
    yield "white", plain
    yield "black", plain * 0
    yield "grey", plain * 0.4
    yield "faint noise", 0.9 + rng.normal(0, 0.01, plain.shape)
    yield "noise", 0.5 + rng.normal(0, 0.1, plain.shape)
    yield "JPEG noise", read_image(photographs.encode(0.8 + rng.normal(0, 0.03, plain.shape), rng))
    yield "gradient", plain * (0.5 + 0.2 * x + 0.3 * y)[..., None]
    yield "vignette", plain * (1 - 0.4 * (x**2 + y**2))[..., None]
    yield "stain", plain * (1 - 0.4 * np.exp(-4 * (x**2 + y**2)))[..., None]
    yield "uneven light", plain * photographs.uneven_light((300, 400), rng)[..., None]
    yield "one pixel", plain[:1, :1]
    yield "a row", plain[:1]
    yield "transparent", np.zeros((50, 60, 4), np.float32)
    for squared in (False, True):
        cover, colour = photographs.printed((300, 400), rng, squared)
        yield f"lines, squared {squared}", photographs.inked(cover, np.ones(3), colour)
    cover, colour = photographs.printed((300, 400), rng, False)
    margin = photographs.lines((300, 400), rng, False, 9999, 0.9, 0.02, 3)
    yield (
        "lines with a margin",
        photographs.inked(margin, photographs.inked(cover, np.ones(3), colour), [0.8, 0.3, 0.3]),
    )
    blocks = 0.6 + photographs.blurred(rng.normal(0, 0.06, plain.shape), 1.2)
    yield "coarse JPEG noise", read_image(photographs.encode(blocks, format="JPEG", quality=8))
    yield "a hard shadow", plain * (0.5 + 0.5 * (x + 0.2 * y < 0.3))[..., None]
    for name, turn in (("a sheet on a desk", 0.1), ("a sheet that lies straight on a desk", 0.0)):
        grain = 1 + 0.1 * np.sin(40 * y + 3 * np.sin(3 * x))
        sheet = np.maximum(np.abs(x + turn * y), np.abs(y - turn * x)) < 0.7
        yield name, np.where(sheet[..., None], 0.93, np.array([0.45, 0.3, 0.18]) * grain[..., None])
    frame = np.pad(np.zeros((280, 380)), 3, constant_values=1)
    yield "frame", photographs.inked(np.pad(frame, 7), np.ones(3), np.zeros(3))
    specks = plain.copy()
    specks[rng.integers(0, 300, 20), rng.integers(0, 400, 20)] = 0
    yield "specks", specks


@pytest.mark.parametrize(("name", "picture"), list(blanks()))
def test_nothing_is_found_where_nothing_is(name, picture):
    assert prepare_digit(np.clip(picture, 0, 1).astype(np.float32)) is None


# ---- the pieces


def test_printed_lines_go_and_strokes_that_cross_them_stay():
    plane = np.ones((120, 160), np.float32)
    for row in (20, 50, 80, 110):
        for x in range(160):
            plane[row + x // 40, x] -= 0.3
    plane[10:100, 60:66] = 0
    cleaned, contrasts = without_lines(plane)
    assert len(contrasts) == 4 and 0.2 < contrasts.min() <= contrasts.max() < 0.4
    assert cleaned[:, 70:].min() > 0.9 and cleaned[12:98, 61:65].max() < 0.1
    alone = np.ones((120, 160), np.float32)
    alone[50] = 0
    np.testing.assert_array_equal(without_lines(alone)[0], alone)


def shaded_page(ramp: int) -> np.ndarray:
    """Paper whose left third lies in a shadow that ends within so many pixels."""
    across = np.clip((np.arange(200) - 60) / ramp, 0, 1)
    return np.tile(0.6 + 0.3 * across, (260, 1)).astype(np.float32)


def test_the_dark_side_of_a_page_is_no_digit_that_the_border_cuts():
    page = shaded_page(4)
    assert with_paper(page, page)[1]  # an upright bar at the border may be a 1
    page[120:150, 130:136] = 0.05
    assert with_paper(page, page)[1] == 0


def test_a_shadow_that_fades_is_no_digit_that_the_border_cuts():
    page = shaded_page(24)
    assert with_paper(page, page)[1] == 0


@pytest.mark.filterwarnings("error")
def test_specks_that_only_look_like_a_line_from_afar_are_no_underline():
    mask = np.zeros((30, 60), bool)
    mask[9, ::2] = mask[11, 1::2] = mask[10, 30] = True
    assert underline(mask, np.array([0, 0, 30, 60])) is None
