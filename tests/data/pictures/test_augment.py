from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinynet.data.pictures.augment import (
    DIGITS,
    FASHION,
    GRID,
    PHOTOS,
    Augment,
    augment,
    cut_out,
    draw_boxes,
    draw_colours,
    draw_cuts,
    draw_grid,
    draw_matrices,
)
from tinynet.errors import TinynetError
from tinynet.kernels import reference
from tinynet.kernels.reference.warp import spline_basis, warp

IDENTITY = np.eye(2, 3, dtype=np.float32)


def pictures(*shape, dtype=np.float32):
    return np.random.default_rng(0).random(shape).astype(dtype)


def naive_warp(images, matrices, grid):
    """One output value at a time, from the docstring of warp; the spline by de Boor's recursion."""
    n, h, w, c = images.shape
    out = np.zeros_like(images)
    for i, y, x, k in np.ndindex(n, h, w, c):
        v, u = y - (h - 1) / 2, x - (w - 1) / 2
        row = matrices[i, 0] @ [v, u, 1] + (h - 1) / 2
        column = matrices[i, 1] @ [v, u, 1] + (w - 1) / 2
        for a, b in np.ndindex(grid.shape[2:]):
            weight = bump(knot(y, h, grid.shape[2]) - a + 1) * bump(knot(x, w, grid.shape[3]) - b + 1)
            row += grid[i, 0, a, b] * weight
            column += grid[i, 1, a, b] * weight
        for r, s in np.ndindex(h, w):
            out[i, y, x, k] += max(0, 1 - abs(row - r)) * max(0, 1 - abs(column - s)) * images[i, r, s, k]
    return out


def knot(pixel, size, knots):
    return pixel * (knots - 3) / (size - 1) if size > 1 else 0.0


def bump(t):
    return de_boor(t + 2, 3)


def de_boor(t, order):
    if order == 0:
        return float(0 <= t < 1)
    return (t * de_boor(t, order - 1) + (order + 1 - t) * de_boor(t - 1, order - 1)) / order


@pytest.mark.parametrize(
    ("shape", "grid_shape"),
    [((2, 6, 5, 1), (4, 5)), ((2, 1, 7, 3), (5, 4)), ((1, 4, 1, 2), (4, 4)), ((1, 1, 1, 1), (4, 4))],
)
def test_warp_is_its_equation(shape, grid_shape):
    rng = np.random.default_rng(1)
    images = pictures(*shape, dtype=np.float64)
    matrices = np.eye(2, 3) + rng.normal(0, 0.3, (len(images), 2, 3))
    grid = rng.normal(0, 1, (len(images), 2, *grid_shape))
    np.testing.assert_allclose(warp(images, matrices, grid), naive_warp(images, matrices, grid), atol=1e-12)
    np.testing.assert_allclose(warp(images, matrices), naive_warp(images, matrices, 0 * grid), atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (2, 5, 8, 3), (1, 1, 1, 1)])
def test_the_identity_returns_pictures_to_the_bit(shape):
    images = pictures(*shape)
    matrices = np.tile(IDENTITY, (shape[0], 1, 1))
    assert warp(images, matrices).tobytes() == images.tobytes()
    assert (
        warp(images, matrices, np.zeros((shape[0], 2, GRID, GRID), np.float32)).tobytes() == images.tobytes()
    )
    assert augment(images, Augment(), reference, 0).tobytes() == images.tobytes()


def test_whole_pixel_shifts_and_mirrors_are_exact():
    images = pictures(1, 6, 7, 2)
    shift = IDENTITY[None] + np.array([[[0, 0, 1], [0, 0, -2]]], np.float32)
    expected = np.zeros_like(images)
    expected[:, :-1, 2:] = images[:, 1:, :-2]
    np.testing.assert_array_equal(warp(images, shift), expected)
    mirror = np.array([[[1, 0, 0], [0, -1, 0]]], np.float32)
    np.testing.assert_array_equal(warp(images, mirror), images[:, :, ::-1])


def test_far_outside_is_zero_and_so_is_nowhere():
    images = pictures(2, 4, 4, 1)
    matrices = np.stack([IDENTITY * 1e9 + 1e9, IDENTITY * np.nan])
    assert (warp(images, matrices) == 0).all()


@pytest.mark.parametrize(("size", "knots"), [(1, 4), (2, 4), (28, 7), (5, 12)])
def test_spline_weights_sum_to_one(size, knots):
    basis = spline_basis(size, knots)
    assert basis.shape == (size, knots) and (basis >= 0).all()
    np.testing.assert_allclose(basis.sum(axis=1), 1)


def test_the_seed_decides_everything():
    images = pictures(4, 12, 10, 1)
    first = augment(images, DIGITS, reference, 7)
    assert first.dtype == np.float32 and first.shape == images.shape
    assert first.tobytes() == augment(images, DIGITS, reference, np.random.default_rng(7)).tobytes()
    assert not np.array_equal(first, augment(images, DIGITS, reference, 8))
    before = images.copy()
    augment(images, DIGITS, reference, 7)
    assert images.tobytes() == before.tobytes()


def draw(settings, count=4000, height=20, width=40):
    return draw_matrices(settings, count, height, width, np.random.default_rng(3)).astype(float)


def test_shift_is_a_fraction_of_each_side():
    matrices = draw(Augment(shift=0.1))
    np.testing.assert_array_equal(matrices[:, :, :2], np.tile(np.eye(2), (len(matrices), 1, 1)))
    assert np.abs(matrices[:, 0, 2]).max() == pytest.approx(2, rel=0.01)
    assert np.abs(matrices[:, 1, 2]).max() == pytest.approx(4, rel=0.01)
    assert np.abs(matrices[:, :, 2].mean(axis=0)).max() < 0.1


def test_rotation_is_in_degrees():
    matrices = draw(Augment(rotate=30))[:, :, :2]
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1), np.tile(np.eye(2), (len(matrices), 1, 1)), atol=1e-6
    )
    angles = np.degrees(np.arcsin(matrices[:, 0, 1]))
    assert angles.max() == pytest.approx(30, rel=0.01) and angles.min() == pytest.approx(-30, rel=0.01)


def test_scale_is_a_factor_either_way():
    matrices = draw(Augment(scale=0.25))
    for factor in (matrices[:, 0, 0], matrices[:, 1, 1]):
        assert factor.max() == pytest.approx(1.25, rel=0.01) and factor.min() == pytest.approx(0.8, rel=0.01)
    assert abs(np.corrcoef(matrices[:, 0, 0], matrices[:, 1, 1])[0, 1]) < 0.1
    assert (matrices[:, 0, 1] == 0).all() and (matrices[:, 1, 0] == 0).all()


def test_shear_slants_vertical_strokes():
    matrices = draw(Augment(shear=45))
    assert np.abs(matrices[:, 1, 0]).max() == pytest.approx(1, rel=0.01)
    assert (matrices[:, 0, :2] == [1, 0]).all() and (matrices[:, 1, 1] == 1).all()


def test_flip_mirrors_every_second_picture():
    matrices = draw(Augment(flip=True))
    assert set(matrices[:, 1, 1]) == {-1.0, 1.0} and abs(matrices[:, 1, 1].mean()) < 0.1
    assert (matrices[:, 0, 0] == 1).all()


def test_elastic_is_the_root_mean_square_displacement():
    grid = draw_grid(Augment(elastic=0.05), 500, 40, 60, np.random.default_rng(0))
    assert grid.dtype == np.float32 and grid.shape == (500, 2, GRID, GRID)
    field = spline_basis(40, GRID) @ grid @ spline_basis(60, GRID).T
    assert np.sqrt(np.square(field).mean()) == pytest.approx(0.05 * 40, rel=0.03)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shift": -0.1}, "shift must be a number of at least 0, not -0.1"),
        ({"rotate": float("nan")}, "rotate must be"),
        ({"scale": float("inf")}, "scale must be"),
        ({"crop": 1.0}, "crop must be a number of at least 0 and below 1, not 1.0"),
        ({"erase": 1.5}, "erase must be a number of at least 0 and at most 1, not 1.5"),
        ({"hue": "red"}, "hue must be"),
        ({"resolution": 0}, "resolution must be a number above 0 and at most 1, not 0"),
        ({"shear": 90}, "shear must be a number of at least 0 and below 90, not 90"),
    ],
)
def test_refuses_amounts_that_make_no_sense(settings, message):
    with pytest.raises(TinynetError, match=message):
        Augment(**settings)


def test_presets_mirror_clothes_but_never_digits():
    assert FASHION.flip and PHOTOS.flip and not DIGITS.flip
    assert not replace(PHOTOS, flip=False).flip


def rng():
    return np.random.default_rng(3)


def test_cut_outs_lie_within_the_picture_and_leave_as_much_as_they_should():
    tall, wide, down, across = draw_cuts(Augment(crop=0.6), 4000, 20, 40, rng()).astype(float).T
    assert tall.max() <= 1 and wide.max() <= 1
    assert np.abs(down).max() <= 10 - 10 * tall[np.abs(down).argmax()] + 1e-5
    assert (np.abs(across) <= 20 - 20 * wide + 1e-4).all() and np.abs(across).max() > 5
    uncut = (tall < 1) & (wide < 1)
    assert (tall * wide)[uncut].min() == pytest.approx(0.4, abs=0.01)
    aspect = (tall / wide)[uncut]
    assert aspect.min() == pytest.approx(3 / 4, abs=0.01) and aspect.max() == pytest.approx(4 / 3, abs=0.01)


def test_a_cut_out_fills_the_picture():
    images = pictures(1, 8, 8, 1)
    cut = np.float32([[0.5, 0.5, -2, 2]])  # the upper right quarter
    matrices = cut_out(IDENTITY[None], cut)
    shown = warp(images, matrices)
    np.testing.assert_allclose(shown[0, 1::4, 1::4].mean(), images[0, :4, 4:].mean(), atol=0.2)
    corner = warp(
        np.pad(images[:, :4, 4:], ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge"),
        cut_out(IDENTITY[None], np.float32([[0.5, 0.5, 0, 0]])),
    )
    np.testing.assert_allclose(shown[:, 2:6, 2:6], corner[:, 2:6, 2:6], atol=1e-6)


@pytest.mark.parametrize(
    ("size", "resolution", "expected"),
    [((16, 12), 0.75, (12, 8)), ((9, 1), 0.5, (5, 1)), ((2, 3), 0.01, (2, 1))],
)
def test_copies_of_a_lower_resolution_show_the_whole_picture(size, resolution, expected):
    down, across = (np.linspace(0, 1, each, dtype=np.float32) for each in size)
    images = np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1)[None]
    changed = augment(images, Augment(resolution=resolution), reference, 0)
    assert changed.shape[1:3] == expected == Augment(resolution=resolution).shape(images.shape[1:])[:2]
    for axis in (0, 1):
        line = changed[0].mean(axis=1 - axis)[:, axis]
        np.testing.assert_allclose(line, (np.arange(len(line)) + 0.5) / len(line), atol=0.6 / len(line))
        assert len(line) < 3 or np.allclose(np.diff(line), np.diff(line)[0], atol=1e-5)
    assert augment(images[..., 0], Augment(resolution=resolution), reference, 0).shape[1:] == expected


def colours(settings, channels=3):
    return draw_colours(settings, 2000, channels, rng()).astype(float)


def test_brightness_is_a_factor_and_contrast_spreads_from_the_middle():
    factors = colours(Augment(brightness=0.25))
    assert np.ptp(factors[:, 0, 0]) == pytest.approx(1.25 - 0.8, rel=0.01) and not factors[:, :, 3].any()
    spread = colours(Augment(contrast=0.25), channels=1)
    np.testing.assert_allclose(spread @ [0.5, 1], 0.5, atol=1e-6)
    assert spread[:, 0, 0].max() == pytest.approx(1.25, rel=0.01)


def test_saturation_and_hue_leave_grey_as_it_is():
    changed = colours(Augment(saturation=0.5, hue=30))
    np.testing.assert_allclose(changed @ [0.4, 0.4, 0.4, 1], 0.4, atol=1e-6)
    red = colours(Augment(hue=30)) @ [1, 0, 0, 1]
    assert np.ptp(red[:, 1]) > 0.3 and np.ptp(red[:, 2]) > 0.3
    luma = colours(Augment(saturation=0.5)) @ [1, 0, 0, 1] @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(luma, 0.299, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_colours_stay_within_their_range(channels):
    images = pictures(20, 5, 4, channels)
    strong = Augment(brightness=2, contrast=2, saturation=2, hue=90)
    changed = augment(images, strong, reference, 0)
    assert changed.dtype == np.float32 and changed.min() == 0 and changed.max() == 1
    assert not np.array_equal(changed, augment(images, strong, reference, 1))


def test_erased_rectangles_have_the_size_and_come_as_often_as_they_should():
    top, left, bottom, right = draw_boxes(Augment(erase=0.3), 4000, 30, 60, rng()).T
    drawn = bottom > top
    assert drawn.mean() == pytest.approx(0.3, abs=0.03)
    assert (top >= 0).all() and (left >= 0).all() and (bottom <= 30).all() and (right <= 60).all()
    tall, wide = (bottom - top)[drawn], (right - left)[drawn]
    assert tall.min() >= 1 and (tall * wide).min() >= 0.01 * 1800 and (tall * wide).max() <= 0.36 * 1800
    assert (tall / wide).min() < 0.4 and (tall / wide).max() > 2.5


def test_what_is_erased_is_noise_and_all_else_is_as_it_was():
    images = np.full((50, 12, 10, 3), 2, np.float32)
    changed = augment(images, Augment(erase=1.0), reference, 0)
    erased = changed != 2
    assert (erased.any(axis=3) == erased.all(axis=3)).all() and 0.02 < erased.mean() < 1 / 3
    noise = changed[erased]
    assert noise.min() >= 0 and noise.max() < 1 and noise.mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(changed, augment(images, Augment(erase=1.0), reference, 0))


def test_smallest_pictures_can_be_changed_too():
    everything = Augment(shift=0.1, crop=0.5, brightness=0.2, hue=10, erase=1.0, flip=True)
    for shape in ((2, 1, 1, 3), (0, 4, 4, 1), (3, 2, 5)):
        assert augment(pictures(*shape), everything, reference, 0).shape == shape
