"""Shapes in a plane: components, sliding extremes, openings."""

from __future__ import annotations

import numpy as np

from tinynet.data.pictures.digit.morphology import components, dilate, opening, sliding_max


def test_components_against_flooding():
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 9), (9, 1), (13, 17), (40, 31)):
        for density in (0.1, 0.4, 0.6, 1.0):
            mask = rng.random(shape) < density
            found = components(mask)
            label = np.zeros(shape, int)
            for start in np.argwhere(mask):
                if label[tuple(start)]:
                    continue
                label[tuple(start)] = label.max() + 1
                todo = [tuple(start)]
                while todo:
                    y, x = todo.pop()
                    for near in ((y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                        if (
                            0 <= near[0] < shape[0]
                            and 0 <= near[1] < shape[1]
                            and mask[near]
                            and not label[near]
                        ):
                            label[near] = label[y, x]
                            todo.append(near)
            np.testing.assert_array_equal(found.labels, label)
            for i, (top, left, bottom, right) in enumerate(found.box):
                place = np.argwhere(label == i + 1)
                assert found.area[i] == len(place)
                assert [top, left] == place.min(0).tolist() and [bottom, right] == (place.max(0) + 1).tolist()


def test_sliding_extremes():
    plane = np.random.default_rng(0).random((11, 14)).astype(np.float32)
    for size in (1, 2, 3, 5, 8):
        expected = np.lib.stride_tricks.sliding_window_view(plane, size, axis=1).max(-1)
        np.testing.assert_array_equal(sliding_max(plane, size, 1), expected)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(plane, 2, mode="edge"), (5, 5))
    np.testing.assert_array_equal(dilate(plane, 2), windows.max((-1, -2)))


def test_opening_removes_what_is_narrow_and_leaves_edges():
    step = np.zeros((30, 40), np.float32)
    step[:, 20:] = 1
    np.testing.assert_array_equal(opening(step, 9), step)
    stroke = np.zeros((30, 40), np.float32)
    stroke[:, 10:15] = 1
    assert opening(stroke, 6).max() == 0
    np.testing.assert_array_equal(opening(stroke, 5), stroke)
