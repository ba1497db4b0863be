"""Which back end is used where the environment keeps Numba from compiling, or says for which processor it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

from tinynet.kernels.cpu.compiler import environment

ROOT = Path(__file__).parents[2]
TRAIN = """
import numpy as np, tinynet as tn
from tinynet.kernels import device
net = tn.Sequential([tn.Dense(3)], (4,))
net.fit(np.ones((8, 4)), np.ones((8, 3)), loss="mse", verbose=False)
print(*device.choose(), sep=": ")
try:
    tn.set_device("cpu")
except tn.TinynetError as error:
    print(error)
"""
DENSE = """
import numpy as np
from tinynet.kernels import cpu, reference
from tinynet.kernels.cpu.compiler import simd
x, w = np.random.default_rng(0).random((2, 30, 30), np.float32)
np.testing.assert_allclose(cpu.dense(x, w, None), reference.dense(x, w, None), rtol=1e-5)
print(simd.LANES)
"""


def run(code: str, **environment: str) -> str:
    """What a new process prints."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


BROKEN = """
import sys, types
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "numba":
            raise ImportError("Numba needs NumPy 2.3 or less")
import importlib.util
spec = importlib.util.find_spec
importlib.util.find_spec = lambda name: spec("numpy") if name == "numba" else spec(name)
sys.meta_path.insert(0, Broken())
"""


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("NUMBA_DISABLE_JIT", "1", "NUMBA_DISABLE_JIT is set"),
        ("TINYNET_LANES", "3", "TINYNET_LANES is '3'"),
        ("NUMBA_THREADING_LAYER", "nonsense", "nonsense"),
        ("NUMBA_NUM_THREADS", "0", "Number of threads"),
        ("NUMBA_CPU_FEATURES", "nonsense", "NUMBA_CPU_FEATURES is 'nonsense'"),
        ("broken", "", "Numba fails: Numba needs NumPy 2.3 or less"),
    ],
)
def test_without_a_compiler_networks_train_on_numpy_and_the_reason_is_told(setting, value, reason):
    code = BROKEN + TRAIN if setting == "broken" else TRAIN
    chosen, refused = run(code, **{setting: value}).splitlines()
    assert chosen.startswith("reference: ") and reason in chosen
    assert refused.startswith("the cpu device cannot be used: ") and reason in refused
    assert refused.endswith("; choose auto or reference")


@pytest.mark.parametrize("value", ["", "0", "no"])
def test_a_switch_that_is_off_changes_nothing(value):
    code = "from tinynet.kernels import device; print(device.choose()[0])"
    assert run(code, NUMBA_DISABLE_JIT=value) == "cpu"


@pytest.mark.skipif(environment.LANES < 8, reason="needs AVX2")
@pytest.mark.parametrize(
    ("setting", "lanes"),
    [
        ({"NUMBA_CPU_NAME": "generic"}, 4),
        ({"NUMBA_CPU_FEATURES": "-avx2,-avx512f"}, 4),
        ({"NUMBA_ENABLE_AVX": "0"}, None),
        ({"NUMBA_CPU_FEATURES": "-avx2"}, 4),
        ({"NUMBA_CPU_NAME": "nonsense"}, environment.LANES),
    ],
)
def test_vectors_are_as_wide_as_the_processor_that_is_compiled_for(setting, lanes, tmp_path):
    """LLVM ended the process where they were wider."""
    found = run(DENSE, **setting, XDG_CACHE_HOME=str(tmp_path))
    # Without AVX some processors keep a feature that implies it, so that LLVM itself goes on with 8 lanes.
    assert found == str(lanes) if lanes else found in ("4", "8")
