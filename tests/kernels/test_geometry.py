"""Every kernel on thousands of small sizes and settings that are drawn, in memory that is known to be wrong.

The cpu back end must give what the reference gives, and the same bits whatever lay in memory before.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from poison import POISONS, poisoned

from kernels.cases import FAMILIES, Case, assert_close, outputs
from tinynet.kernels import cpu, reference
from tinynet.kernels.cpu import functions
from tinynet.kernels.reference.conv import output_size

BATCHES = (0, 1, 1, 2, 2, 3, 4, 7, 8, 9)
EDGES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33)
"""Of a vector, of the register tile."""
TOLERANCE = 1e-4
"""Of the largest value: far more than rounding, also where a normalisation magnifies it, far less than a number too much."""


def one(rng, choices):
    """One of them, as a Python number."""
    return choices[rng.integers(len(choices))]


def pads(rng, size, reach, stride, most):
    """None, those of "same", or any up to `most` that leave a line of the picture; negative ones crop."""
    kind = rng.integers(3)
    if kind == 0:
        return 0, 0
    if kind == 1:
        both = max((-(-size // stride) - 1) * stride + reach - size, 0)
        return both // 2, both - both // 2
    return tuple(rng.integers(-((size - 1) // 2), most + 1, 2).tolist())


def axis(rng, size, windows, dilations, most=None):
    """(window, stride, pads, dilation) along an axis."""
    window, stride, dilation = one(rng, windows), one(rng, (1, 1, 2, 3)), one(rng, dilations)
    reach = dilation * (window - 1) + 1
    return window, stride, pads(rng, size, reach, stride, window - 1 if most is None else most), dilation


def convolution(rng):
    shape = one(rng, BATCHES), *rng.integers(1, 10, 2).tolist(), one(rng, EDGES[:11])
    axes = [axis(rng, size, (1, 2, 3, 3, 4, 5), (1, 1, 1, 2, 3, 8), 4) for size in shape[1:3]]
    window, strides, around, dilation = zip(*axes, strict=True)
    return shape, (*window, one(rng, EDGES)), strides, around, dilation


def depthwise(rng):
    shape, (kh, kw, _), *geometry = convolution(rng)
    return (*shape[:3], one(rng, EDGES)), (kh, kw, one(rng, (1, 1, 1, 2, 3))), *geometry


def pool(rng, shape=None):
    """Windows that meet a pixel each."""
    shape = shape or (one(rng, BATCHES), *rng.integers(1, 10, 2).tolist(), one(rng, EDGES))
    while True:
        axes = [axis(rng, size, (1, 2, 2, 3, 4), (1,)) for size in shape[1:3]]
        window, strides, around, _ = zip(*axes, strict=True)
        if all(size + sum(p) >= w for size, p, w in zip(shape[1:3], around, window, strict=True)):
            return shape, window, strides, around


def convolution_and_pool(rng):
    while True:
        shape, kernel, *geometry = convolution(rng)
        sizes = zip(shape[1:3], kernel[:2], *geometry, strict=True)
        out = [output_size(size, window, *rest) for size, window, *rest in sizes]
        if all(out):
            _, *pooling = pool(rng, (shape[0], *out, kernel[2]))
            return shape, kernel, tuple(geometry), one(rng, reference.FUSED), tuple(pooling)


def some(*choices):
    return lambda rng: tuple(one(rng, c) for c in choices)


def array(rng):
    return (*some(BATCHES, *[range(1, 6)] * rng.integers(3))(rng), one(rng, EDGES))


DRAWN = {
    "convolutions": (convolution, 800),
    "depthwise": (depthwise, 600),
    "convolutions_and_pools": (convolution_and_pool, 600),
    "matrices": (some((0, *EDGES, 64), EDGES, (*EDGES, 64)), 300),
    "pools": (pool, 700),
    "elements": (array, 120),
    "losses": (some((0, *EDGES), EDGES), 150),
    "steps": (lambda rng: one(rng, range(1, 200)), 60),
    "warps": (some(BATCHES, range(1, 10), range(1, 10), range(1, 5)), 200),
    "cells": (some(BATCHES, (0, 1, 2, 3, 4, 6), EDGES), 100),
    "sequences": (some(BATCHES, (0, 1, 2, 3, 4, 6), EDGES), 200),
    "attentions": (some(BATCHES, (0, 1, 2, 3, 5, 6, 13, 33), (0, 1, 2, 17, 40), (1, 2, 3), EDGES), 60),
    "draws": (lambda rng: one(rng, range(1, 100)), 40),
}
"""For each family of kernels: a geometry that is drawn, and how many of them the default run takes."""


def check(family: str, geometry) -> None:
    """Hold each kernel of a family to the reference, on one geometry."""
    for case in FAMILIES[family]([geometry]):
        try:
            _check_case(case)
        except AssertionError as error:
            raise AssertionError(f"{case.name}({', '.join(map(_shown, case.arguments))}): {error}") from None


def _check_case(case: Case) -> None:
    found = []
    for value in POISONS:
        with poisoned(value) as poison:
            found.append(outputs(cpu, case, copy=poison.copy))
            expected = outputs(reference, case, np.float64)
            assert all(np.isfinite(array).all() for array in expected), (
                "the reference reads what nobody wrote"
            )
        assert_close(found[-1], expected, TOLERANCE)
    one, other = ([array.tobytes() for array in arrays] for arrays in found)
    assert one == other, "the bits depend on what lay in memory"


def _shown(argument) -> str:
    return f"{argument.dtype} {argument.shape}" if isinstance(argument, np.ndarray) else repr(argument)


def check_many(family: str, seeds: range) -> None:
    draw, _ = DRAWN[family]
    for seed in seeds:
        geometry = draw(np.random.default_rng(seed))
        try:
            check(family, geometry)
        except AssertionError as error:
            again = f"from kernels.test_geometry import check; check({family!r}, {geometry})"
            raise AssertionError(f'seed {seed}: {error}\nagain, in tests: python -c "{again}"') from None


@pytest.mark.parametrize("family", DRAWN)
def test_drawn_geometries(family):
    check_many(family, range(DRAWN[family][1]))


@pytest.mark.slow
@pytest.mark.parametrize("family", DRAWN)
def test_ten_times_as_many(family):
    check_many(family, range(10**6, 10**6 + 10 * DRAWN[family][1]))


def test_every_family_of_kernels_is_drawn():
    """`test_one_face` asks for each kernel in a family."""
    assert DRAWN.keys() == FAMILIES.keys()


def test_all_memory_of_kernels_is_handed_out_in_one_place():
    """Else it could not be poisoned; that of `scratch` comes from the C library and is stained there."""
    folder = Path(inspect.getfile(cpu)).parent
    askers = {path.stem for path in folder.glob("*.py") if re.search(r"np\.empty", path.read_text("utf-8"))}
    assert askers == {"memory", "functions"}
    assert (
        inspect.getsource(functions).count("np.empty")
        == inspect.getsource(functions.scratch).count("np.empty")
        == 1
    )
