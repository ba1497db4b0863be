"""What is run by hand on a GPU runs in parts without one, in the simulator, so that it is whole when a GPU comes along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

ROOT = Path(__file__).parents[2]


def run(*command):
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": ""}
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )


def test_the_self_test_checks_a_kernel_and_a_network_and_says_what_to_send_back():
    pytest.importorskip("greenlet")
    done = run("-m", "bench.cuda_selftest", "--small", "--only", "argmax,adam,LSTM")
    assert done.returncode == 0, done.stdout + done.stderr
    _, _, end = done.stdout.partition("please send back")
    for fact in ("card", "driver", "toolkit", "2 kernels", "LSTM", "failures          none"):
        assert fact in end, done.stdout


BROKEN = """
import sys
import bench.cuda_selftest as selftest
from tinynet.kernels import cuda, reference
cuda.argmax = lambda x: reference.argmax(x) + 1
sys.exit(selftest.main(["--small", "--only", "argmax"]))
"""


def test_the_self_test_tells_a_wrong_kernel_with_its_shape():
    pytest.importorskip("greenlet")
    done = run("-c", BROKEN)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED argmax 1x1: AssertionError" in done.stdout
    assert "failures          none" not in done.stdout


def test_the_roofline_of_readme_is_what_the_bench_prints():
    done = run("-m", "bench.roofline")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in (ROOT / "README.md").read_text()


EXPECTED = """
from bench.gpu import H100, Gpu
from bench.roofline import Launch, Recorded, Work, record
(work,) = record("product", 4096).calls
assert work.name == "dense" and work.operations == 2 * 4096**3 and work.bytes == 2 * 4 * 4096**2, "x meets itself and is read once"
assert abs(work.seconds(H100) - 2 * 4096**3 / H100.flops) < 1e-9 and work.bound(H100) == "arithmetic"
two_of_four = Gpu("small", 4, 1e9, 1e12, 1e9, launch=1e-6)
half = Work("dense", "", (Launch("product.dense", 2, 4),), 1e9)
assert half.parts(two_of_four) == [(2e-3, "arithmetic")], "two of four multiprocessors have half of the peak"
assert Work("scale", "", (Launch("optimizer._scale", 9, 10**6),), 1).parts(two_of_four) == [(1e-3, "memory")]
assert Work("scale", "", (Launch("optimizer._scale", 9, 4),), 1).parts(two_of_four) == [(1e-6, "launch")]
cell = Work("lstm", "", (Launch("lstm._lstm", 4, 4),), 1e9, steps=5, again=10**6)
seconds = 5 * two_of_four.step + 10**6 / two_of_four.cache(4) + 1e-3
assert cell.parts(two_of_four) == [(seconds, "steps")], "one after the other"
assert Recorded([half, half], 0).seconds(two_of_four) == 4e-3
names = [work.name for work in record("digit CNN, inference", 4096).calls]
assert names == ["conv2d_max_pool2d", "conv2d_max_pool2d", "dense", "dense", "activation"], names
"""


def test_expected_times_are_those_of_the_largest_bound():
    done = run("-c", EXPECTED)
    assert done.returncode == 0, done.stderr


def test_the_bench_beside_pytorch_makes_a_row_of_each_job():
    """Without a GPU its rows cannot be timed; what is expected of them can be asked."""
    done = run(
        "-c",
        "from bench import cuda, roofline; assert {name for name, _, _ in cuda.ROWS} <= set(roofline.JOBS)",
    )
    assert done.returncode == 0, done.stderr
