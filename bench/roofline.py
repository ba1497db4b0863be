"""How fast should a GPU be? Expected times of each kernel of the digit CNN and of the character LSTM, on paper, for two GPUs.

    python -m bench.roofline            the tables that README quotes; with --all no kernel is left to «others»

Which kernels a training step calls, on which shapes, and what each launches, is not written here: the step runs once on the cuda back
end in Numba's simulator, but nothing is computed: each launch is only noted, with its blocks and the arrays that it is given.

The time of a launch is the largest of four, which names what bounds it:

    launch      what the host needs to start it
    memory      its arrays, each once, by the bandwidth of the memory (gpu.py)
    arithmetic  its operations by the peak in float32, as far as its blocks occupy all multiprocessors
    steps       of a recurrent cell: in each step one after the other the barrier between its blocks, the states that they read again,
                by the bandwidth of the second-level cache, and the arithmetic

Where a sum says «GPU alone», it leaves out the launches; where it says «as one graph», the host tells the GPU to run that, and launches
what is not in it, BESIDE kernels. Copies are counted, not timed.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from .gpu import H100, ORIN_NANO, Gpu
from .measure import table

GPUS = ORIN_NANO, H100
HEAVY = {"product", "lstm", "gru", "rnn", "attention"}
"""Modules of launches that do a kernel's multiply-adds; the others beside them only move numbers."""
CHANGED = {"adam": 3, "sgd": 2, "rmsprop": 2, "scale": 1, "blend": 1}
"""How many of a kernel's lists of arrays are changed in place: they are read and written."""
WEIGHTS = {"lstm": 1, "gru": 1, "rnn": 1, "lstm_gradient": 5, "gru_gradient": 4, "rnn_gradient": 2}
"""Which argument of a recurrent kernel is the matrix that states meet."""
BESIDE = 5
"""Kernels that a training step launches beside its graph: copies of the batch, the labels, their weights and the seed; the optimizer's."""
WARM = 3
"""Times that a job runs before; then its arrays lie where they lay, and nothing is made or copied that is kept."""


class Launch(NamedTuple):
    """A kernel of the GPU that was launched."""

    kernel: str
    blocks: int
    bytes: int
    """Of its arrays."""

    @property
    def multiplies(self) -> bool:
        """Whether it does the multiply-adds of its call."""
        module, name = self.kernel.split(".")
        return module in HEAVY and "combine" not in name


class Work(NamedTuple):
    """A call of a kernel of the back end."""

    name: str
    shapes: str
    launches: tuple[Launch, ...]
    operations: float
    """In float32; a multiply-add is two."""
    steps: int = 0
    """Of a recurrent cell whose blocks meet in each."""
    again: int = 0
    """Bytes that its blocks read again out of the second-level cache, in all steps."""
    calls: int = 1

    @property
    def bytes(self) -> int:
        """Of all launches."""
        return sum(launch.bytes for launch in self.launches)

    def parts(self, gpu: Gpu, graph: bool = False) -> list[tuple[float, str]]:
        """Of each launch the expected seconds and what bounds it; graph: without the host's part."""
        heavy = [launch for launch in self.launches if launch.multiplies] or self.launches[:1]
        return [
            self._expected(launch, gpu, len(heavy) if launch in heavy else 0, graph)
            for launch in self.launches
        ]

    def _expected(self, launch: Launch, gpu: Gpu, sharing: int, graph: bool) -> tuple[float, str]:
        busy = min(launch.blocks, gpu.multiprocessors)
        times = [
            (0.0 if graph else gpu.launch, "launch"),
            (launch.bytes / min(gpu.bandwidth, gpu.cache(busy)), "memory"),
        ]
        if sharing:
            operations = self.operations / self.calls / sharing
            arithmetic = operations / (gpu.flops * busy / gpu.multiprocessors)
            in_turn = self.steps * gpu.step + self.again / gpu.cache(busy)
            times.append((arithmetic, "arithmetic"))
            times.append((in_turn + arithmetic if in_turn else 0.0, "steps"))
        return max(times)

    def seconds(self, gpu: Gpu, graph: bool = False) -> float:
        """Expected of all its launches."""
        return sum(seconds for seconds, _ in self.parts(gpu, graph))

    def bound(self, gpu: Gpu) -> str:
        """What bounds the launch that takes longest."""
        return max(self.parts(gpu))[1] if self.launches else ""


class Recorder:
    """The kernels of a back end; each call is noted, with what was launched for it."""

    def __init__(self, kernels: Any) -> None:
        self.kernels = kernels
        self.calls: list[Work] = []
        self.launched: list[Launch] = []

    def launch(self, kernel: Any, blocks: Any, *arguments: Any) -> None:
        """In the place of a launch."""
        count = math.prod(blocks) if isinstance(blocks, tuple) else blocks
        arrays = {id(a): a.nbytes for a in arguments if hasattr(a, "nbytes")}
        self.launched.append(Launch(kernel.name, count, sum(arrays.values())))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.kernels, name)
        if name == "capture":
            return lambda *arguments, **named: None  # so that all launches are seen
        return self._noted(name, found) if callable(found) else found

    def _noted(self, name: str, function: Callable) -> Callable:
        def called(*arguments: Any, **named: Any) -> Any:
            before = len(self.launched)
            result = function(*arguments, **named)
            launches = tuple(self.launched[before:])
            if launches:
                self.calls.append(self._work(name, [*arguments, *named.values()], result, launches))
            return result

        return called

    def _work(self, name: str, arguments: list, result: Any, launches: tuple[Launch, ...]) -> Work:
        results = [r for r in (result if isinstance(result, tuple) else (result,)) if hasattr(r, "nbytes")]
        arrays = [a for a in arguments if hasattr(a, "nbytes")]
        lists = [a for a in arguments if isinstance(a, list)]  # of one table, which says where they lie
        shapes = " → ".join("×".join(map(str, a.shape)) or "1" for a in (*arrays[:1], *results[:1]))
        moved = (len(lists) + CHANGED.get(name, 0)) * sum(a.nbytes for a in lists[0]) if lists else 0
        first, *others = launches
        launches = first._replace(bytes=first.bytes + moved), *others
        steps, again = _steps(name, arguments) if name in WEIGHTS else (0, 0)
        given = [*arguments, *(array for each in lists for array in each)]
        return Work(name, shapes, launches, operations(name, given, results), steps, again)


def _steps(name: str, arguments: list) -> tuple[int, int]:
    """In how many steps the blocks of a recurrent cell meet, and the bytes of states that they read in all of them."""
    from tinynet.kernels.cuda.recurrent import split

    (n, steps, _), gradient = arguments[0].shape, name.endswith("gradient")
    units, columns = arguments[WEIGHTS[name]].shape
    terms = columns if gradient else units
    (_, blocks), _ = split(n, units, terms, 1 if gradient else columns // units)
    steps -= gradient
    return (steps, steps * blocks * n * terms * 4) if blocks > 1 else (0, 0)


def operations(name: str, arguments: list, results: list) -> float:
    """Operations in float32 of a call: those of its products, or else one for each number that comes or goes."""
    shapes = [a.shape for a in (*arguments, *results) if hasattr(a, "nbytes")]
    first: Any = getattr(arguments[0], "shape", ())
    if name in ("dense", "dense_input_gradient"):
        return 2 * first[0] * math.prod(arguments[1].shape)
    if name == "dense_kernel_gradient":
        return 2 * first[0] * first[1] * arguments[1].shape[1]
    if name in ("conv2d", "conv2d_input_gradient", "conv2d_kernel_gradient"):
        kernel = arguments[2] if name == "conv2d_kernel_gradient" else arguments[1].shape
        pixels = results[0].shape if name == "conv2d" else arguments[name == "conv2d_kernel_gradient"].shape
        return 2 * math.prod(pixels) * math.prod(kernel[:3])
    if name.startswith("conv2d_max_pool2d"):
        return _convolution_and_pool(name, arguments)
    if name in WEIGHTS:
        n, steps = first[0], first[1] - name.endswith("gradient")
        return 2 * n * steps * math.prod(arguments[WEIGHTS[name]].shape)
    if name == "state_kernel_gradient":
        n, states, units = first
        return 2 * n * (states - 1) * units * arguments[1].shape[2]
    if name in ("attention", "attention_gradient"):
        gradient = name.endswith("gradient")
        (n, t, columns), past = arguments[gradient].shape, arguments[gradient + 1].shape[1]
        products = 9 if gradient else 2  # thrice the scores, their gradients, and a sum
        return 2 * products * n * t * (t + past) * columns / 3
    return float(sum(map(math.prod, shapes)))


def _convolution_and_pool(name: str, arguments: list) -> float:
    from tinynet.kernels.cuda.conv import output_shape

    gradient = name.endswith("gradient")
    x, kernel, geometry = arguments[3:6] if gradient else (arguments[0], arguments[1], arguments[3])
    pixels = math.prod(output_shape(x.shape, kernel.shape, *geometry))
    times = 1 + bool(arguments[8]) if gradient else 1
    return 2.0 * times * pixels * math.prod(kernel.shape[:3])


# ---- what is recorded ----


@contextmanager
def dry_run() -> Iterator[Recorder]:
    """The cuda back end, whose launches are noted instead of done. In a process of its own: its arrays are no GPU's."""
    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    from tinynet.kernels import cuda as back_end
    from tinynet.kernels.cuda import memory
    from tinynet.kernels.cuda.compiler.driver import SIMULATED, cuda
    from tinynet.kernels.cuda.compiler.kernel import Kernel

    if not SIMULATED:
        raise RuntimeError("Numba was imported before its simulator was asked for")
    recorder = Recorder(back_end)

    def launched(kernel: Kernel, blocks: Any, *arguments: Any) -> None:
        recorder.launch(kernel, blocks, *arguments)

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(Kernel, "__call__", launched))
        stack.enter_context(mock.patch.object(memory, "rounded", lambda size: max(size, 1)))
        zeros = mock.patch.object(
            cuda, "device_array", lambda size, dtype: FakeCUDAArray(np.zeros(size, dtype))
        )
        stack.enter_context(zeros)
        yield recorder


class Recorded(NamedTuple):
    """The calls of a job, and how many arrays it copies between host and GPU."""

    calls: list[Work]
    copies: int

    def seconds(self, gpu: Gpu, graph: bool = False) -> float:
        """Expected, one launch after the other."""
        return sum(work.seconds(gpu, graph) for work in self.calls)

    @property
    def launches(self) -> int:
        """Of all calls."""
        return sum(len(work.launches) for work in self.calls)


def record(job: str, size: int) -> Recorded:
    """Run a job of JOBS dry, and note what it does once memory has settled. Only in a process that uses no GPU."""
    with dry_run() as recorder:
        from tinynet.kernels.cuda import array

        run = JOBS[job](recorder, size)
        for _ in range(WARM):
            run()
        recorder.calls.clear()
        before = array.uploads + array.downloads
        run()
        return Recorded(merged(recorder.calls), array.uploads + array.downloads - before)


def recorded(jobs: list[tuple[str, int]]) -> list[Recorded]:
    """The same for several jobs and sizes, in a process of its own."""
    with mock.patch.dict(os.environ, {"NUMBA_ENABLE_CUDASIM": "1"}), get_context("spawn").Pool(1) as pool:
        return pool.starmap(record, jobs)


def merged(calls: list[Work]) -> list[Work]:
    """Calls in the order of their first; those of one name that only move numbers are one entry."""
    found: dict[Any, Work] = {}
    for call in calls:
        heavy = any(launch.multiplies for launch in call.launches)
        key = (call.name, call.shapes) if heavy else call.name
        if key in found:
            one = found[key]
            found[key] = one._replace(
                shapes=one.shapes if one.shapes == call.shapes else "",
                launches=one.launches + call.launches,
                operations=one.operations + call.operations,
                steps=one.steps,
                again=one.again,
                calls=one.calls + 1,
            )
        else:
            found[key] = call
    return list(found.values())


def _digit_step(kernels: Any, batch: int) -> Callable[[], object]:
    from .peers import digit_network
    from .steps import step_function

    x, y = np.zeros((batch, 28, 28, 1), np.float32), np.zeros(batch, np.int64)
    return step_function(digit_network(), x, y, kernels=kernels)


def _digit_inference(kernels: Any, batch: int) -> Callable[[], object]:
    from .peers import digit_network

    net, x = digit_network(), np.zeros((batch, 28, 28, 1), np.float32)
    return lambda: net.compute(kernels, x)


def _character_step(cell: str) -> Callable[[Any, int], Callable[[], object]]:
    def make(kernels: Any, batch: int) -> Callable[[], object]:
        from .recurrent import network, samples
        from .steps import step_function

        return step_function(network(cell, 256), *samples(batch), kernels=kernels)

    return make


def _character(kernels: Any, batch: int) -> Callable[[], object]:
    from .recurrent import network

    net, ids = network("LSTM", 256), np.zeros((batch, 1), np.int32)
    return lambda: net.compute(kernels, ids, net.zero_state(batch))


def _product(kernels: Any, size: int) -> Callable[[], object]:
    x = kernels.asarray(np.zeros((size, size), np.float32))
    return lambda: kernels.dense(x, x, None)


JOBS: dict[str, Callable[[Any, int], Callable[[], object]]] = {
    "digit CNN, training step": _digit_step,
    "digit CNN, inference": _digit_inference,
    "character LSTM, training step": _character_step("LSTM"),
    "character GRU, training step": _character_step("GRU"),
    "character LSTM, one character": _character,
    "product": _product,
}
"""Each makes, from kernels and a batch's size, what is run."""
SHOWN = 0.07
"""Of the time on a GPU, at least, for a row in README."""
HEAD = ("kernel", "shapes", "launches", "MB", "MFLOP", *(gpu.name for gpu in GPUS))


def lines(found: Recorded, least: float = 0.0) -> list[tuple[str, ...]]:
    """A row for each kernel, for those together that take less than a share of each GPU's time, and the sums."""
    totals = [least * found.seconds(gpu) for gpu in GPUS]

    def is_shown(work: Work) -> bool:
        return any(work.seconds(gpu) >= total for gpu, total in zip(GPUS, totals, strict=True))

    rows = []
    for work in filter(is_shown, found.calls):
        name = f"`{work.name}`" + (f" × {work.calls}" if work.calls > 1 else "")
        times = (f"{_micro(work.seconds(gpu))}, {work.bound(gpu)}" for gpu in GPUS)
        rows.append((name, work.shapes, *_sizes([work]), *times))
    if others := [work for work in found.calls if not is_shown(work)]:
        rest = found._replace(calls=others)
        names = f"{sum(work.calls for work in others)} others"
        rows.append((names, "", *_sizes(others), *(_micro(rest.seconds(gpu)) for gpu in GPUS)))
    together = _sizes(found.calls)
    rows.append(
        ("together", f"{found.copies} copies beside", *together, *(_micro(found.seconds(g)) for g in GPUS))
    )
    alone = [(gpu, found.seconds(gpu, graph=True)) for gpu in GPUS]
    graph = (_micro(seconds + (1 + BESIDE) * gpu.launch) for gpu, seconds in alone)
    rows.append(("as one graph", f"{BESIDE} launches beside", "", "", "", *graph))
    rows.append(("GPU alone", "", "", "", "", *(_micro(seconds) for _, seconds in alone)))
    return rows


def _sizes(works: list[Work]) -> tuple[str, str, str]:
    """Launches, megabytes and millions of operations."""
    megabytes, millions = (
        sum(numbers) / 1e6 for numbers in zip(*((w.bytes, w.operations) for w in works), strict=True)
    )
    return str(sum(len(work.launches) for work in works)), f"{megabytes:.1f}", f"{millions:.1f}"


def _micro(seconds: float) -> str:
    return f"{1e6 * seconds:,.0f} µs" if seconds >= 1e-5 else f"{1e6 * seconds:.1f} µs"


def text(least: float) -> str:
    """The tables, with the kernels that take at least a share of a GPU's time."""
    parts = []
    for job, batch, size in (
        ("digit CNN, training step", 64, "batch 64"),
        ("character LSTM, training step", 32, "batch 32 × 64, 256 units"),
    ):
        parts.append(f"{job}, {size}\n\n{table(HEAD, lines(record(job, batch), least))}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(text(0.0 if "--all" in sys.argv else SHOWN))
