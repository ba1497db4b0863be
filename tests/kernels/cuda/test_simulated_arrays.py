"""Arrays of the GPU, the pool that they come from, and a simulator that lets no mistake pass."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from kernels.cuda.simulator import ORDERS, Event, simulator
from tinynet.kernels import caching
from tinynet.kernels import cuda as k
from tinynet.kernels.cuda import array, memory
from tinynet.kernels.cuda.array import DeviceArray
from tinynet.kernels.cuda.compiler import cache, driver
from tinynet.kernels.cuda.compiler import kernel as compiled
from tinynet.kernels.cuda.compiler.driver import cuda
from tinynet.kernels.cuda.compiler.kernel import KERNELS, kernel
from tinynet.kernels.cuda.compiler.primitives import f4, load4, syncblocks

X = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
PARTS = [
    np.s_[:, None],
    np.s_[:, -1],
    np.s_[..., 1:3],
    np.s_[1],
    np.s_[:, 1:],
    np.s_[:, :, 0],
    np.s_[::2],
    np.s_[:0],
    np.s_[[2, 0]],
    np.array([2, 0, -1, 2]),
    np.array([True, False, True]),
    np.array([], np.int64),
]


@pytest.fixture(autouse=True)
def simulated():
    with simulator():
        yield


@pytest.mark.parametrize("part", PARTS, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64, np.uint8, bool])
def test_a_part_of_an_array_is_what_numpy_takes(part, dtype):
    x = X.astype(dtype)
    taken = k.asarray(x)[part]
    assert isinstance(taken, DeviceArray) and taken.dtype == dtype
    np.testing.assert_array_equal(taken, x[part])


def test_another_shape_shares_the_memory_and_a_copy_does_not():
    x = k.asarray(X)
    same, copied = x.reshape(12, -1), x.copy()
    k.scale([x], 2.0)
    np.testing.assert_array_equal(same, 2 * X.reshape(12, 5))
    np.testing.assert_array_equal(copied, X)
    with pytest.raises(ValueError, match="shape"):
        x.reshape(7, 7)


def test_numpy_takes_it_as_an_array():
    x = k.asarray(X)
    assert np.sum(x) == X.sum() and np.isfinite(x).all() and len(x) == 3 and x.nbytes == X.nbytes
    assert isinstance(pickle.loads(pickle.dumps(x)), np.ndarray)
    np.testing.assert_array_equal(copy.deepcopy(x), X)
    x[...] = 7
    assert (np.asarray(x) == 7).all()
    with pytest.raises(TypeError):
        x + x


def test_arrays_of_numpy_are_changed_in_place_too_and_others_refused():
    x = X.copy()
    k.scale([x], 2.0)
    np.testing.assert_array_equal(x, 2 * X)
    with pytest.raises(TypeError, match="float32"):
        k.scale([X.astype(np.float64)], 2.0)


def test_many_arrays_are_changed_in_one_launch_and_their_table_is_copied_once():
    arrays = [k.asarray(X), k.asarray(X[:0]), k.asarray(np.ones(3000, np.float32))]
    k.scale(arrays, 2.0)
    launches, uploads = compiled.launches, array.uploads
    k.scale(arrays, 2.0)
    assert (compiled.launches, array.uploads) == (launches + 1, uploads)
    np.testing.assert_array_equal(arrays[0], 4 * X)
    assert (np.asarray(arrays[2]) == 4).all()
    assert k.sum_of_squares(arrays) == pytest.approx(16 * float((X**2).sum()) + 16 * 3000)
    assert k.sum_of_squares([]) == 0
    k.scale([], 2.0)


def test_memory_that_nobody_refers_to_is_used_again():
    with simulator(pool=True):
        memory.release()
        first = k.asarray(X)
        view, before = first.reshape(60), memory.allocations
        del first
        other = k.asarray(X + 1)
        assert memory.allocations == before + 1, "a view still held the first"
        np.testing.assert_array_equal(view, X.reshape(60))
        del view, other
        again = [k.asarray(X), k.asarray(X)]
        assert memory.allocations == before + 1 and len(again) == 2


def test_arrays_lie_where_those_of_the_step_before_lay_in_whatever_order_they_were_dropped():
    with simulator(pool=True):
        memory.release()
        arrays = [DeviceArray((100,)) for _ in range(4)]
        places = sorted(array.address for array in arrays)
        for order in ((2, 0, 3, 1), (1, 3, 2, 0)):
            for index in order:
                arrays[index] = None
            arrays = [DeviceArray((100,)) for _ in range(4)]
            assert [array.address for array in arrays] == places


def passed_through():
    """Arrays that come beside the kernels that read them, here copies of each; the host waits for nothing meanwhile."""
    x, copies = k.prefetch(X), []
    for turn in range(5):
        copies.append(x.copy())
        following = k.prefetch(X + turn + 1)
        x = following
    return [np.asarray(each) for each in copies]


@pytest.mark.parametrize("order", ORDERS)
def test_what_is_copied_beside_kernels_is_there_when_they_read_it_and_not_before(order):
    with simulator(pool=True, streams=order):
        memory.release()
        before = memory.allocations
        for turn, y in enumerate(passed_through()):
            np.testing.assert_array_equal(y, X + turn)
        assert memory.allocations - before <= 2 + 5, "two berths in turn, and what is kept"
        assert len(k.prefetch(X[:0])) == 0


@pytest.mark.parametrize(
    ("order", "method", "waiting"),
    [
        ("copies last", "wait", "compute"),
        ("copies first", "wait", "copy"),
        ("copies last", "synchronize", "host"),
    ],
)
def test_each_wait_between_the_streams_is_needed(order, method, waiting, monkeypatch):
    kept = getattr(Event, method)

    def dropped(event, *streams):
        if streams and streams[0] is not driver._streams[waiting]:
            kept(event, *streams)

    monkeypatch.setattr(Event, method, dropped)
    with simulator(pool=True, streams=order):
        right = [np.array_equal(y, X + turn) for turn, y in enumerate(passed_through())]
        assert not all(right)


def test_sizes_that_differ_a_little_share_memory():
    with simulator(pool=True):
        assert memory.rounded(1000) == memory.rounded(900) and memory.rounded(1) == memory.rounded(32)
        assert all(size <= memory.rounded(size) <= 1.25 * size for size in range(32, 5000))


def launch(function, types, *arguments, blocks=1):
    made = kernel(types, threads=4)(function)
    KERNELS.remove(made)
    made(blocks, *arguments)


@pytest.mark.parametrize("backwards", [False, True])
def test_blocks_meet(backwards):
    """Each writes a number, and what the next one in its group has written; again and again with the same counter."""

    def passed_on(x, arrived):
        group, block, blocks = cuda.blockIdx.x, cuda.blockIdx.y, cuda.gridDim.y
        for turn in range(4):
            syncblocks(arrived)
            if cuda.threadIdx.x == 0:
                before = (turn * 2 + group) * blocks
                x[before + 2 * blocks + block] = x[before + (block + 1) % blocks] + 1

    with simulator(backwards):
        x, arrived = k.asarray(np.float32([0, 10, 20, 30, 40, 50] + [np.nan] * 24)), k.zeros((2,), np.uint32)
        launch(passed_on, "f4[:], u4[:]", x, arrived, blocks=(2, 3))
        np.testing.assert_array_equal(np.asarray(x)[-6:], [14, 24, 4, 44, 54, 34])
        np.testing.assert_array_equal(np.asarray(arrived) % 2**31, 0)


def test_a_block_that_never_comes_is_an_error():
    def late(x, arrived):
        if cuda.blockIdx.y == 0:
            syncblocks(arrived)

    with pytest.raises(RuntimeError, match="all blocks wait"):
        launch(late, "f4[:], u4[:]", k.asarray(X), k.zeros((1,), np.uint32), blocks=(1, 2))


def test_the_simulator_sees_what_a_gpu_would_not_tell():
    def beside(x):
        x[cuda.threadIdx.x - 1] = 0

    def beyond(x):
        x[cuda.threadIdx.x + 57] = 0

    def alone(x):
        if cuda.threadIdx.x < 2:
            cuda.syncthreads()

    def apart(x):
        if cuda.threadIdx.x < 2:
            cuda.syncthreads()
        else:
            cuda.syncthreads()

    def crooked(x):
        quad = cuda.local.array(4, f4)
        load4(quad, 0, x, 2)

    def unwritten(x):
        room = cuda.shared.array(4, f4)
        x[cuda.threadIdx.x] = room[cuda.threadIdx.x]

    def racing(x):
        room = cuda.shared.array(4, f4)
        t = cuda.threadIdx.x
        room[t] = t
        x[t] = room[3 - t]

    x = k.asarray(X)
    for function, error in (
        (beside, "index -1"),
        (beyond, "index 60"),
        (alone, "ended"),
        (apart, "different"),
    ):
        with pytest.raises((IndexError, RuntimeError), match=error):
            launch(function, "f4[:]", x)
    with pytest.raises(IndexError, match="four numbers at 2"):
        launch(crooked, "f4[:]", x)
    launch(unwritten, "f4[:]", x)
    assert np.isnan(np.asarray(x).reshape(-1)[:4]).all()
    launch(racing, "f4[:]", x)
    forward = np.asarray(x).reshape(-1)[:4]
    with simulator(backwards=True):
        launch(racing, "f4[:]", x)
    assert not np.array_equal(forward, np.asarray(x).reshape(-1)[:4], equal_nan=True)


def test_the_simulator_compiles_nothing_and_keeps_nothing(monkeypatch):
    used = []
    monkeypatch.setattr(caching, "folder", used.append)
    monkeypatch.setattr(caching, "on_compile", used.append)

    @kernel("f4[:], i4", threads=4)
    def one(x, size):
        i = cuda.grid(1)
        if i < size:
            x[i] = f4(1)

    try:
        x = k.zeros((4,), np.float32)
        one(1, x, 4)
        assert k.asnumpy(x).tolist() == [1] * 4
        assert cache.folder() is None and not used
    finally:
        KERNELS.pop()
