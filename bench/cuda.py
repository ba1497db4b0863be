"""How fast is the cuda back end: beside PyTorch on the same GPU, beside the cpu back end, and beside what is expected on paper?

    python -m bench.cuda            five minutes at most, without a network; the columns of PyTorch need torch with CUDA

A training step takes its batch from the host and brings its loss back, here and there, which waits for the GPU once per step;
inference brings the answers back; products are on arrays that lie on the GPU, ten before it is waited for. PyTorch computes in
float32 (TF32 off), and with TF32 in a column of its own. «Expected» is the roofline's time (roofline.py), without copies.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tinynet.kernels import device

from . import peers, recurrent
from .gpu import Gpu, facts, this_gpu
from .measure import alternate, faster, milliseconds, print_as_they_come
from .roofline import Recorded, recorded
from .steps import step_function, torch_step

SECONDS = 240
"""After which no further row is begun."""
CALLS, BLOCKS = 15, 3
PRODUCTS = 10
WRITTEN = 300
"""Characters that are written."""
HEAD = ("job", "cuda", "expected", "PyTorch", "PyTorch, TF32", "cpu", "beside PyTorch")
Job = Callable[[], object]
Jobs = list[Job | None]


class Bench:
    """The back ends, PyTorch if it has this GPU, and what is expected."""

    def __init__(self) -> None:
        device.set_device("cuda")
        self.cuda: Any = device.load_cuda()
        self.cpu: Any = device.load_cpu()
        self.gpu = this_gpu()
        self.torch = _torch()
        jobs = [(name, size) for name, size, _ in ROWS]
        self.expected: dict[tuple[str, int], Recorded] = dict(zip(jobs, recorded(jobs), strict=True))

    def rows(self) -> Iterator[tuple[str, ...]]:
        """A line for each job, as long as there is time."""
        began = time.monotonic()
        lists = [[self.cuda.zeros((32,)) for _ in range(8)] for _ in range(4)]
        adam = partial(self.cuda.adam, *lists, 1, 1e-3, 0.9, 0.999, 1e-7, 0.0)
        x = lists[0][0]
        yield "a launch with two arrays", _launches(partial(self.cuda.activation, x, "relu")), *[""] * 5
        yield "a launch with six arrays", _launches(partial(self.cuda.batch_norm, *[x] * 5, 1e-3)), *[""] * 5
        yield "Adam's step of eight parameters", _launches(adam), *[""] * 5
        for name, size, make in ROWS:
            label = f"{name}, {UNITS.get(name, 'batch')} {size:,}"
            if time.monotonic() - began > SECONDS:
                yield label, "no time left", *[""] * 5
                continue
            expected = self._expected(self.expected[name, size], self.gpu, name)
            try:
                yield self._row(label, make(self, size), expected)
            except Exception as error:  # memory may be too small for a large batch: the next row may do
                yield (
                    label,
                    f"{type(error).__name__}: {' '.join(str(error).split())[:80]}",
                    expected,
                    *[""] * 4,
                )

    def _expected(self, found: Recorded, gpu: Gpu | None, name: str) -> str:
        if gpu is None:
            return "–"
        times = WRITTEN if "character" in name and "one" in name else 1
        return milliseconds(times * found.seconds(gpu))

    def _row(self, label: str, jobs: Jobs, expected: str) -> tuple[str, ...]:
        given = [job for job in jobs if job is not None]
        for job in given:
            job()  # compiles
        median = iter(alternate(given, CALLS, BLOCKS))
        ours, theirs, quick, cpu = (None if job is None else next(median) / _repeats(label) for job in jobs)
        if ours is None:
            return label, *["–"] * 6
        beside = "–" if theirs is None else f"{faster(ours, theirs)} faster"
        if "product" in label:
            beside = "–" if theirs is None else f"{100 * theirs / ours:.0f} % of cuBLAS"
            operations = 2 * float(label.split()[-1].replace(",", "")) ** 3
            beside += f", {operations / ours / 1e12:.2f} TFLOP/s"
        shown = ["–" if seconds is None else milliseconds(seconds) for seconds in (theirs, quick, cpu)]
        return label, milliseconds(ours), expected, *shown, beside

    def both(self, make: Callable[[], Job]) -> Jobs:
        """A job in PyTorch with TF32 off and on; None where it has no GPU."""
        return [None, None] if self.torch is None else [self._in_mode(make(), on) for on in (False, True)]

    def _in_mode(self, job: Job, tf32: bool) -> Job:
        torch = self.torch

        def run() -> None:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            job()

        return run


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def _repeats(label: str) -> int:
    return PRODUCTS if "product" in label else 1


def _launches(job: Job, count: int = 300) -> str:
    """The time of the host for a launch."""
    from tinynet.kernels.cuda.compiler.driver import cuda

    def run() -> None:
        for _ in range(count):
            job()

    run()
    cuda.synchronize()
    (seconds,) = alternate([run], CALLS, BLOCKS)
    return f"{1e6 * seconds / count:.1f} µs"


# ---- jobs ----


def _digit_step(bench: Bench, batch: int) -> Jobs:
    rng = np.random.default_rng(0)
    x, y = rng.random((batch, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, batch)

    def peer() -> Job:
        tx = bench.torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
        return torch_step(peers.torch_network(peers.digit_network()), tx, y, device="cuda")

    ours, cpu = (step_function(peers.digit_network(), x, y, kernels=k) for k in (bench.cuda, bench.cpu))
    return [ours, *bench.both(peer), cpu]


def _digit_inference(bench: Bench, batch: int) -> Jobs:
    x = np.random.default_rng(0).random((batch, 28, 28, 1), dtype=np.float32)

    def peer() -> Job:
        torch, module = bench.torch, peers.torch_network(peers.digit_network()).to("cuda")
        tx = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())

        def infer() -> None:
            with torch.no_grad():
                module(tx.to("cuda")).softmax(1).cpu()

        return infer

    ours, cpu = (partial(peers.digit_network().compute, k, x) for k in (bench.cuda, bench.cpu))
    return [ours, *bench.both(peer), cpu]


def _character_step(cell: str) -> Callable[[Bench, int], Jobs]:
    def jobs(bench: Bench, batch: int) -> Jobs:
        x, y = recurrent.samples(batch)

        def peer() -> Job:
            module = recurrent.torch_network(cell, 256)
            return torch_step(module, bench.torch.from_numpy(x), y, device="cuda")

        ours, cpu = (
            step_function(recurrent.network(cell, 256), x, y, kernels=k) for k in (bench.cuda, bench.cpu)
        )
        return [ours, *bench.both(peer), cpu]

    return jobs


def _writing(bench: Bench, batch: int) -> Jobs:
    def on(name: str) -> Job:
        net = recurrent.network("LSTM", 256)

        def write() -> None:
            device.set_device(name)
            net.generate("h", WRITTEN, random_seed=0)

        return write

    def peer() -> Job:
        return recurrent.torch_writing(recurrent.torch_network("LSTM", 256), WRITTEN, "cuda")

    return [on("cuda"), *bench.both(peer), on("cpu")]


def _product(bench: Bench, size: int) -> Jobs:
    from tinynet.kernels.cuda.compiler.driver import cuda

    matrices = np.random.default_rng(0).standard_normal((2, size, size), np.float32)
    x, w = map(bench.cuda.asarray, matrices)

    def ours() -> None:
        for _ in range(PRODUCTS):
            bench.cuda.dense(x, w, None)
        cuda.synchronize()

    def peer() -> Job:
        torch = bench.torch
        tx, tw = (torch.from_numpy(m).to("cuda") for m in matrices)
        kept = torch.empty_like(tx)

        def multiply() -> None:
            for _ in range(PRODUCTS):
                torch.mm(tx, tw, out=kept)
            torch.cuda.synchronize()

        return multiply

    return [ours, *bench.both(peer), None]


ROWS: list[tuple[str, int, Callable[[Bench, int], Jobs]]] = [
    ("product", 1024, _product),
    ("product", 4096, _product),
    ("digit CNN, training step", 64, _digit_step),
    ("digit CNN, training step", 256, _digit_step),
    ("digit CNN, inference", 64, _digit_inference),
    ("digit CNN, inference", 256, _digit_inference),
    ("character LSTM, training step", 32, _character_step("LSTM")),
    ("character GRU, training step", 32, _character_step("GRU")),
    ("character LSTM, one character", 1, _writing),
    ("digit CNN, training step", 4096, _digit_step),
    ("digit CNN, inference", 4096, _digit_inference),
]
"""Names of roofline's JOBS, batches, and what is timed; what takes longest comes last."""
UNITS = {"product": "all three sizes", "character LSTM, one character": f"{WRITTEN} of them, batch"}


def main() -> int:
    """Print the table; 1 where there is no GPU."""
    if problem := device.cuda_problem():
        print(f"the cuda device cannot be used: {problem}", file=sys.stderr)
        return 1
    bench = Bench()
    print("\n".join(f"{name}: {text}" for name, text in facts()), end="\n\n")
    print_as_they_come(HEAD, bench.rows())
    return 0


if __name__ == "__main__":
    sys.exit(main())
