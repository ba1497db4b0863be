"""Every kernel of the cpu back end, held to the reference and to naive loops, on one list of cases."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import naive
import numpy as np
import pytest

from tinynet.kernels import reference

pytest.importorskip("numba")

from kernels.cases import ACTIVATIONS, Case, all_cases, assert_close, normal, outputs
from tinynet.kernels import cpu
from tinynet.kernels.cpu.compiler import launch, simd, tile

CASES = all_cases()
FUNCTIONS = [name for name in cpu.__all__ if callable(getattr(cpu, name))]
NAIVE_LIMIT = 40_000
"""Naive loops run where fewer numbers than this meet."""


@pytest.fixture
def always_parallel(monkeypatch):
    """Two threads, on small work too."""
    monkeypatch.setattr(launch, "SMALL_WORK", -1)
    before = launch.get_threads()
    launch.set_threads(2)
    yield
    launch.set_threads(before)


def ids(case: Case) -> str:
    return f"{case.name}-{case.label}"


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_reference(case):
    """The reference in float64 says what is right."""
    results = outputs(cpu, case)
    assert all(r.dtype in (np.float32, np.uint8, bool, np.int32, np.int64) for r in results if r.ndim)
    assert_close(results, outputs(reference, case, np.float64), case.tolerance)


SAME_BITS = {"step_mask", "keep_steps", "reverse_steps", "repeat_steps", "sum_steps", "crop_steps"}
SAME_BITS |= {"sequence_dropout", "merge", "merge_gradient", "embedding", "sample", "argmax", "zeros"}
SAME_BITS |= {"asarray", "asnumpy", "prefetch", "intersect_masks", "prepend_steps", "drop_ids", "every_step"}
SAME_BITS |= {"add_positions", "attention_cache", "crop_steps_gradient"}
SAME_BITS |= {"count_correct", "count_correct_binary", "sum_absolute_errors"}


@pytest.mark.parametrize("case", [c for c in CASES if c.name in SAME_BITS], ids=ids)
def test_what_is_moved_or_computed_once_has_the_bits_of_the_reference(case):
    for ours, theirs in zip(outputs(cpu, case), outputs(reference, case), strict=True):
        assert ours.shape == theirs.shape and ours.tobytes() == theirs.tobytes()


def test_only_known_ways_of_merging_are_taken():
    for module in (cpu, reference):
        with pytest.raises(KeyError, match="max"):
            module.merge(normal(1, 2), normal(1, 2), "max")
        with pytest.raises(KeyError, match="max"):
            module.merge_gradient(*[normal(1, 2)] * 3, "max")


def meetings_of(case: Case) -> int:
    arrays = [a.size for a in case.arguments if isinstance(a, np.ndarray)]
    return int(np.prod(arrays[:2])) if "conv" in case.name or "dense" in case.name else sum(arrays)


NAIVE_CASES = [
    c
    for c in CASES
    if hasattr(naive, c.name) and meetings_of(c) < NAIVE_LIMIT and 0 not in c.arguments[0].shape
]


@pytest.mark.parametrize("case", [c for c in NAIVE_CASES if "bent" not in c.label], ids=ids)
def test_naive_loops(case):
    assert_close(outputs(cpu, case), outputs(naive, case), max(case.tolerance, 1e-5))


def test_one_face():
    """The same names and parameters as the reference, and a case for each."""
    assert set(cpu.__all__) == set(reference.__all__)
    for name in FUNCTIONS:
        ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (cpu, reference))
        assert list(ours) == list(theirs), name
        assert [p.default for p in ours.values()] == [p.default for p in theirs.values()], name
    tested = {case.name for case in CASES} | {"capture", "seed_from"}  # which other tests try
    assert tested == set(FUNCTIONS), "in kernels/cases.py or in `__all__`, but not in both"


WITHOUT_LOOPS = {
    "activation_gradient",
    "adam",
    "asarray",
    "asnumpy",
    "blend",
    "capture",
    "dropout",
    "prefetch",
    "rmsprop",
    "scale",
}
WITHOUT_LOOPS |= {"drop_ids", "seed_from", "sequence_dropout", "sgd", "sum_of_squares", "zeros"}
"""Kernels of an element at a time, which other tests hold to their equation."""


def test_every_other_kernel_has_naive_loops():
    missing = {name for name in FUNCTIONS if not hasattr(naive, name)} - WITHOUT_LOOPS
    assert not missing, f"write them as plain loops in tests/naive/: {missing}"


def largest_cases() -> list[Case]:
    """For each kernel the case with the most numbers."""
    by_name = {}
    for case in sorted(CASES, key=meetings_of):
        by_name[case.name] = case
    return list(by_name.values())


@pytest.mark.parametrize("case", largest_cases(), ids=ids)
def test_same_bits_on_two_threads(case, always_parallel):
    parallel = outputs(cpu, case)
    launch.set_threads(1)
    for one, two in zip(outputs(cpu, case), parallel, strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    "kind", ["conv2d", "dense", "dense_row", "max_pool2d", "max_pool_alone", *ACTIVATIONS]
)
def test_nan_comes_through(kind):
    """A diverged network must be seen."""
    x = normal(2, 6, 6, 9)
    x[1, 2, 3, 4] = np.nan
    rows = x[1:, 2, 3]
    none = ((0, 0), (0, 0))
    y = {
        "conv2d": lambda: cpu.conv2d(x, normal(2, 2, 9, 5), None, (1, 1), none, (1, 1), "relu"),
        "dense": lambda: cpu.dense(np.repeat(rows, 9, axis=0), normal(9, 20), None, "leaky_relu"),
        "dense_row": lambda: cpu.dense(rows, normal(9, 20), None, "relu"),
        "max_pool2d": lambda: cpu.max_pool2d(x, (2, 2), (2, 2), none),
        "max_pool_alone": lambda: cpu.max_pool2d(x, (3, 3), (1, 1), ((1, 1), (1, 1))),
    }.get(kind, lambda: cpu.activation(rows, kind))()
    assert np.isnan(y).any()
    assert (np.isnan(y) == np.isnan(_same_in_reference(kind, x, rows, none))).all()


def _same_in_reference(kind, x, rows, none):
    calls = {
        "conv2d": lambda: reference.conv2d(x, normal(2, 2, 9, 5), None, (1, 1), none, (1, 1), "relu"),
        "dense": lambda: reference.dense(np.repeat(rows, 9, axis=0), normal(9, 20), None, "leaky_relu"),
        "dense_row": lambda: reference.dense(rows, normal(9, 20), None, "relu"),
        "max_pool2d": lambda: reference.max_pool2d(x, (2, 2), (2, 2), none),
        "max_pool_alone": lambda: reference.max_pool2d(x, (3, 3), (1, 1), ((1, 1), (1, 1))),
    }
    return calls.get(kind, lambda: reference.activation(rows, kind))()


def test_nan_in_a_loss():
    logits = normal(4, 10)
    logits[2, 9] = np.nan
    loss, gradient = cpu.cross_entropy(logits, np.zeros(4, np.int64), np.full(4, 0.25, np.float32))
    assert np.isnan(loss) and np.isnan(gradient[2]).all() and np.isfinite(gradient[[0, 1, 3]]).all()


@pytest.mark.parametrize("name", ["exp", "exp_of_negative", "elu", "silu", "sigmoid", "tanh", "gelu"])
def test_functions_are_accurate_over_their_whole_range(name):
    x = np.concatenate([np.linspace(-104, 90, 40_000), np.geomspace(1e-30, 1, 2_000), [0.0]]).astype(
        np.float32
    )
    if name == "exp":  # softmax of (x, 0) with the larger one first is made of e^-|x|
        y = cpu.activation(np.stack([-np.abs(x), np.zeros_like(x)], axis=1), "softmax")[:, 0]
        exact = 1 / (1 + np.exp(np.abs(x.astype(np.float64))))
    elif name == "exp_of_negative":  # attention to a score of x and one of 0: the weight of the first
        x = -np.abs(x)
        z, none = (
            np.stack([x, np.zeros_like(x)], axis=1)[..., None] * np.float32([[1, 1, 1]]),
            np.zeros((len(x), 0, 2)),
        )
        z[:, 0, 0], z[:, :, 2] = 1, [1, 0]
        y = cpu.attention(z, none.astype(np.float32), none[..., 0], None, 1, False, 0, False)[0][:, 0, 0]
        exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    else:
        y = cpu.activation(x, name)
        z = x.astype(np.float64)
        exact = {"sigmoid": lambda: 1 / (1 + np.exp(-z)), "tanh": lambda: np.tanh(z)}.get(
            name, lambda: naive.activation(z, name)
        )()
    smallest = 1e-36 if name == "silu" else 1e-37  # silu: of a sigmoid that is 0 from -89 on
    normal_range = np.abs(exact) > smallest
    relative = np.abs(y - exact)[normal_range] / np.abs(exact)[normal_range]
    assert relative.max() < (2e-5 if name == "gelu" else 1e-6)  # gelu: the exponent x²/2 reaches 85
    assert np.abs(y - exact)[~normal_range].max(initial=0) < smallest


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "sigmoid", "tanh", "softmax"])
def test_infinities(name):
    z = np.float32([[np.inf], [-np.inf]]) if name != "softmax" else np.float32([[-np.inf, 1]])
    np.testing.assert_array_equal(cpu.activation(z, name), reference.activation(z, name))


def test_dropout_has_the_bits_of_the_reference():
    x = np.ones(5_000, np.float32)
    assert cpu.dropout(x, 0.37, 99).tobytes() == reference.dropout(x, 0.37, 99).tobytes()


def test_any_layout_and_precision_is_taken():
    x, kernel = normal(7, 40).T, normal(14, 9)[::2].astype(np.float64)
    assert not x.flags.c_contiguous
    assert_close([cpu.dense(x, kernel, None)], [reference.dense(x, kernel, None)], 1e-5)
    x.flags.writeable = False
    assert_close([cpu.activation(x, "relu")], [np.maximum(x, 0)], 0)


def test_changed_in_place_or_refused():
    with pytest.raises(TypeError, match="contiguous float32"):
        cpu.scale([np.ones((4, 4), np.float32).T[::2]], 2.0)


def test_results_do_not_share_memory():
    """Recycled buffers are handed out only once nobody holds them."""
    x = normal(300, 300)
    kept = [cpu.activation(x, "relu") for _ in range(20)]
    view = cpu.activation(-x, "relu")[10:, ::2]
    for _ in range(20):
        cpu.activation(x, "tanh")
    assert all((k == np.maximum(x, 0)).all() for k in kept)
    assert (view == np.maximum(-x, 0)[10:, ::2]).all()


def test_two_threads_may_call_at_once(always_parallel):
    x, kernel = normal(4, 13, 13, 32), normal(3, 3, 32, 64)
    arguments = (x, kernel, None, (1, 1), ((0, 0), (0, 0)), (1, 1))
    expected = cpu.conv2d(*arguments)
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda _: cpu.conv2d(*arguments), range(150)))
    assert len(results) == 150 and all((result == expected).all() for result in results)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_too(always_parallel):
    x = normal(64, 400)
    expected = cpu.activation(x, "relu")
    child = os.fork()
    if not child:
        os._exit(0 if (cpu.activation(x, "relu") == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


LANES_KERNELS = ("conv2d", "conv2d_kernel_gradient", "conv2d_input_gradient", "dense", "max_pool2d")
LANES_KERNELS += ("max_pool2d_gradient", "cross_entropy", "adam", "dropout", "bias_gradient")
LANES_KERNELS += ("dense_input_gradient", "dense_kernel_gradient", "embedding", "embedding_gradient")
LANES_KERNELS += (
    "lstm",
    "lstm_gradient",
    "gru",
    "gru_gradient",
    "rnn",
    "rnn_gradient",
    "state_kernel_gradient",
)
LANES_KERNELS += ("conv2d_max_pool2d", "conv2d_max_pool2d_with_argmax", "conv2d_max_pool2d_gradient", "warp")


@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_each_width_of_vectors(lanes):
    if os.environ.get("TINYNET_LANES"):
        pytest.skip("this is the inner run")
    environment = {**os.environ, "TINYNET_LANES": str(lanes)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        __file__,
        "-k",
        "test_lanes",
    ]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.mark.skipif(not os.environ.get("TINYNET_LANES"), reason="run by test_each_width_of_vectors")
@pytest.mark.parametrize("name", LANES_KERNELS)
def test_lanes(name):
    assert int(os.environ["TINYNET_LANES"]) == simd.LANES == tile.WIDTH // 2
    for case in CASES:
        if case.name == name:
            assert_close(outputs(cpu, case), outputs(reference, case, np.float64), case.tolerance)


@pytest.mark.parametrize("size", [3, 40])
def test_what_an_optimizer_remembers_fades_to_zero_and_not_to_numbers_that_slow_every_step(size):
    nothing, tiny = np.zeros(size, np.float32), np.finfo(np.float32).tiny
    start = np.full(size, 1.05 * tiny, np.float32)
    for fading in (
        lambda a: cpu.sgd([nothing.copy()], [nothing], [a], 0.1, 0.9, False, 0.0),
        lambda a: cpu.rmsprop([nothing.copy()], [nothing], [a], 0.1, 0.9, 1e-7, 0.0),
        lambda a: cpu.adam([nothing.copy()], [nothing], [a], [nothing.copy()], 5, 0.1, 0.9, 0.999, 1e-7, 0.0),
        lambda a: cpu.adam([nothing.copy()], [nothing], [nothing.copy()], [a], 5, 0.1, 0.9, 0.9, 1e-7, 0.0),
    ):
        for sign in (1, -1):
            remembered = sign * start
            fading(remembered)
            assert not remembered.any()
            kept = sign * 2 * start
            fading(kept)
            np.testing.assert_allclose(kept, sign * 2 * start * 0.9, rtol=1e-6)


def test_the_largest_of_a_row_is_the_first_of_equals_or_a_nan():
    x = np.float32([[1, 3, 3], [np.nan, 5, 9], [2, np.nan, np.nan], [-np.inf, -np.inf, -np.inf]])
    for k in (cpu, reference):
        assert k.argmax(x).tolist() == [1, 0, 1, 0]


def test_arrays_come_and_go_without_a_copy():
    x = normal(3, 4)
    for k in (cpu, reference):
        assert k.asarray(x) is x and k.asnumpy(x) is x and k.prefetch(x) is x
        assert k.asarray(x.T).flags.c_contiguous and k.asarray([1, 2], np.float32).dtype == np.float32
        assert k.zeros((2, 3)).dtype == np.float32 and k.zeros((2,), np.float64).dtype == np.float64


def test_a_class_that_is_not_named_may_be_impossible():
    logits = np.float32([[1, -np.inf, 2]])
    for k in (cpu, reference):
        loss, gradient = k.soft_cross_entropy(
            logits, np.float32([[0.5, 0, 0.5]]), np.ones(1, np.float32), 0.0
        )
        assert np.isfinite(loss) and gradient[0, 1] == 0


def test_a_kernel_has_the_docstring_of_its_definition():
    for name in FUNCTIONS:
        assert getattr(cpu, name).__doc__ == getattr(reference, name).__doc__, name
