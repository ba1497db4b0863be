"""Every kernel of the cuda back end in the simulator: held to the reference, in both orders of threads, in memory known to be wrong."""

from __future__ import annotations

import inspect
import itertools

import numpy as np
import pytest

from kernels.cases import Case, assert_close, cells, normal, outputs
from kernels.cuda.simulator import simulator
from kernels.cuda.tables import quick_cases
from tinynet.kernels import cuda, reference
from tinynet.kernels.cuda import array, memory, product, recurrent
from tinynet.kernels.cuda.attention import FEW, KEY_TILES, TILES, tile_of
from tinynet.kernels.cuda.compiler.kernel import Kernel

THERE = {name for name in cuda.__all__ if name not in cuda.MISSING and callable(getattr(cuda, name))}
CASES = quick_cases(THERE)
TOLERANCE = 1e-5
"""Of the largest value, at least: NumPy's functions in the simulator are not CUDA's."""
EMPTY = {"asarray", "asnumpy", "capture", "prefetch", "seed_from"}
"""Kernels without work of their own."""


def ids(case: Case) -> str:
    return f"{case.name}-{case.label}"


def computed(case: Case, backwards: bool = False) -> list[np.ndarray]:
    with simulator(backwards):
        return outputs(cuda, case)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_reference(case):
    """The reference in float64 says what is right, and the other order of threads gives the same bits."""
    results = computed(case)
    assert all(r.dtype in (np.float32, np.uint8, bool, np.int32, np.int64) for r in results if r.ndim)
    assert_close(results, outputs(reference, case, np.float64), max(case.tolerance, TOLERANCE))
    for one, other in zip(results, computed(case, backwards=True), strict=True):
        assert one.tobytes() == other.tobytes()


def test_each_kernel_has_a_case_and_the_face_of_the_reference():
    assert {case.name for case in CASES} | EMPTY >= THERE
    for name in THERE:
        ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (cuda, reference))
        assert list(ours) == list(theirs), name
        assert [p.default for p in ours.values()] == [p.default for p in theirs.values()], name
        assert getattr(cuda, name).__doc__ == getattr(reference, name).__doc__, name


LARGE = [Case("dense", "130x9x129", (normal(130, 9), normal(9, 129), normal(129), "relu"))]
LARGE += [Case("dense", "129x13x5", (normal(129, 13), normal(13, 5), None))]
LARGE += [Case("dense_kernel_gradient", "130x12x132", (normal(12, 130), normal(12, 132)))]
LARGE += [Case("dense_input_gradient", "12x20x132", (normal(12, 20), normal(132, 20)))]
GEOMETRY = (1, 1), ((1, 1), (1, 1)), (1, 1)
LARGE += [Case("conv2d", "132-pixels", (normal(3, 4, 11, 4), normal(3, 3, 4, 8), normal(8), *GEOMETRY))]


@pytest.mark.parametrize("case", LARGE, ids=ids)
def test_the_large_tile(case, monkeypatch):
    """Which only large products take."""
    monkeypatch.setattr(product, "BLOCKS", 1)
    assert product.plan(130, 129, 9)[0] is product.LARGE
    assert_close(computed(case), outputs(reference, case, np.float64), 1e-5)


def test_a_long_sum_is_split_into_parts_that_are_added_in_their_order():
    tile, parts = product.plan(64, 10, 1000)
    assert tile is product.SMALL and parts > 1
    call = Case("dense", "parts", (normal(3, 301), normal(301, 5), normal(5), "leaky_relu"))
    assert product.plan(3, 5, 301)[1] == 4
    assert_close(computed(call), outputs(reference, call, np.float64), 1e-5)


def test_a_seed_that_lies_on_the_gpu_draws_as_a_number_does():
    x, ids = normal(2, 5, 3), np.arange(12, dtype=np.int32).reshape(3, 4)
    with simulator():
        for number in (0, 7, 2**31, 2**32 - 1):
            there = cuda.seed_from(np.array([number], np.int64))
            for inside in (1, 65_000, 2**32 - 1):
                seed, own = ((s * 1_000_003 + inside) % 2**32 * 1_000_003 % 2**32 for s in (number, there))
                for name, array in (("dropout", x), ("sequence_dropout", x), ("drop_ids", ids)):
                    drop = getattr(cuda, name)
                    assert drop(array, 0.4, own).numpy().tobytes() == drop(array, 0.4, seed).numpy().tobytes()
        with pytest.raises(ValueError, match="modulo"):
            there % 1000


# steps, steps before, numbers of a head; then causal, window, alibi
ATTENTIONS = {
    "a second tile of queries and of keys, pieces of a head": ((66, 5, 17), (True, 40, True)),
    "a window that leaves out tiles on both sides": ((130, 3, 3), (True, 5, False)),
    "a head of more than 32, a window without an end": ((65, 0, 36), (False, 60, False)),
    "a head of more than 64": ((34, 37, 68), (True, 0, True)),
    "a head wider than a tile, for few queries": ((9, 60, 131), (True, 0, False)),
    "few queries": ((8, 61, 16), (True, 50, True)),
}


@pytest.mark.parametrize("name", ["attention", "attention_gradient"])
@pytest.mark.parametrize("edge", ATTENTIONS)
def test_attention_across_the_edges_of_its_tiles(edge, name):
    (t, before, d), settings = ATTENTIONS[edge]
    z, past = normal(1, t, 3 * d), normal(1, before, 2 * d, seed=2)
    mask = normal(1, t, seed=3) > -1
    mask[0, :3] = False  # of causal attention without a past, some see nothing
    call = z, past, (normal(1, before) > -1).astype(np.float32), mask
    if name == "attention_gradient":
        call = normal(1, t, d, seed=1), *call, reference.attention(*call, 1, *settings)[1]
    case = Case(name, edge, (*call, 1, *settings))
    results = computed(case)
    assert_close(results, outputs(reference, case, np.float64), 1e-5)
    for one, other in zip(results, computed(case, backwards=True), strict=True):
        assert one.tobytes() == other.tobytes()


def test_every_tile_of_attention_has_a_case():
    heads = [d for (_, _, d), _ in ATTENTIONS.values()]
    assert {tile_of(d) for d in heads} == {*TILES}
    assert {tile_of(d, KEY_TILES) for d in heads} == {*KEY_TILES}
    assert min(t for (t, _, _), _ in ATTENTIONS.values()) == FEW.height


def test_the_memory_of_attention_grows_with_the_steps_not_with_their_square(monkeypatch):
    taken = []

    class Counted(memory.Piece):
        def __init__(self, size, dtype):
            taken.append(size)
            super().__init__(size, dtype)

    def numbers(t):
        taken.clear()
        z, past, real, mask = (
            np.zeros(shape, np.float32) for shape in ((1, t, 24), (1, 0, 16), (1, 0), (1, t))
        )
        with simulator():
            y, sums = cuda.attention(z, past, real, mask > 0, 2, True, 0, False)
            cuda.attention_gradient(y, z, past, real, mask > 0, sums, 2, True, 0, False)
        return sum(taken)

    monkeypatch.setattr(array, "Piece", Counted)
    monkeypatch.setattr(Kernel, "__call__", lambda *arguments: None)
    assert numbers(512) == 2 * numbers(256) > 0


CELLS = [
    case
    for case in cells([(5, 2, 132)])
    if case.name != "state_kernel_gradient"
    and case.label in ("5x2x132-scattered", "5x2x132-scattered-tanh", "5x2x132-scattered-plain-before")
]


@pytest.mark.parametrize("case", CELLS, ids=ids)
def test_blocks_that_share_the_units_meet_in_each_step(case):
    results = computed(case)
    assert_close(results, outputs(reference, case, np.float64), case.tolerance)
    for one, other in zip(results, computed(case, backwards=True), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", ["lstm", "lstm_gradient"])
def test_weights_are_read_anew_where_the_blocks_have_no_room_for_all(name, monkeypatch):
    case = next(case for case in cells([(5, 2, 130)]) if case.name == name)
    monkeypatch.setattr(recurrent, "multiprocessors", lambda: 1)
    assert recurrent.split(5, 130, 130, 4) == ((1, 2), 22), "6 tiles for two blocks"
    assert_close(computed(case), outputs(reference, case, np.float64), case.tolerance)


@pytest.mark.parametrize("name", ["rnn", "gru", "gru_gradient"])
def test_long_sums_are_made_in_pieces(name, monkeypatch):
    case = next(case for case in cells([(2, 2, 70)]) if case.name == name)
    monkeypatch.setattr(recurrent, "SLICES", 2)
    assert_close(computed(case), outputs(reference, case, np.float64), case.tolerance)


def test_blocks_of_a_recurrent_cell_are_never_more_than_are_resident(monkeypatch):
    assert recurrent.split(32, 256, 256, 4) == ((8, 16), 16), (
        "weights stay in registers, and all multiprocessors work"
    )
    for count in (1, 8, 132):
        monkeypatch.setattr(recurrent, "multiprocessors", lambda count=count: count)
        for n, units, gates in itertools.product(
            (1, 5, 32, 4096), (1, 5, 64, 65, 256, 1024, 5000), (1, 3, 4)
        ):
            for terms, of_unit in ((units, gates), (gates * units, 1)):
                (groups, blocks), lanes = recurrent.split(n, units, terms, of_unit)
                width = lanes * (4 if of_unit == 1 else 1)
                assert 1 <= groups * blocks <= 2 * count
                assert (blocks - 1) * width < units, "each has a tile"
                sequences = -(-n // groups)
                assert (groups - 1) * sequences < n, "and sequences"


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "silu", "gelu", "sigmoid", "tanh", "softmax"])
def test_nan_comes_through(name):
    """A diverged network must be seen."""
    x = normal(2, 9)
    x[1, 4] = np.nan
    with simulator():
        y = np.asarray(cuda.activation(x, name))
    with np.errstate(invalid="ignore"):
        assert (np.isnan(y) == np.isnan(reference.activation(x, name))).all() and np.isnan(y).any()


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "sigmoid", "tanh", "softmax"])
def test_infinities(name):
    z = np.float32([[np.inf], [-np.inf]]) if name != "softmax" else np.float32([[-np.inf, 1]])
    with simulator():
        np.testing.assert_array_equal(cuda.activation(z, name), reference.activation(z, name))


def test_nan_in_a_product_and_in_a_loss():
    x, kernel, logits = normal(5, 6), normal(6, 7), normal(4, 10)
    x[3, 2], logits[2, 9] = np.nan, np.nan
    with simulator():
        y = np.asarray(cuda.dense(x, kernel, None, "relu"))
        loss, gradient = cuda.cross_entropy(logits, np.zeros(4, np.int64), np.full(4, 0.25, np.float32))
        gradient = np.asarray(gradient)
    assert np.isnan(y[3]).all() and np.isfinite(y[:3]).all()
    assert np.isnan(loss) and np.isnan(gradient[2]).all() and np.isfinite(gradient[[0, 1, 3]]).all()
