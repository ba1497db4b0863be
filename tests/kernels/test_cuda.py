"""The cuda back end without a GPU: what is missing, and the tests of its kernels in the simulator, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

import tinynet as tn
from tinynet.kernels import cuda, device, reference

ROOT = Path(__file__).parents[2]
SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
MISSING: set[str] = set()
"""Kernels that the cuda back end lacks: a list that only gets shorter."""


def test_what_is_missing_is_known_and_told():
    assert set(cuda.MISSING) == MISSING
    for name in MISSING:
        with pytest.raises(tn.TinynetError, match=f"no kernel {name} yet"):
            getattr(cuda, name)
    assert set(cuda.__all__) == set(reference.__all__)


@pytest.mark.skipif(SIMULATED, reason="the simulator needs no GPU")
def test_without_a_gpu_the_device_cuda_says_what_is_missing_and_what_to_do():
    if device.cuda_problem() is None:
        pytest.skip("a GPU can be used here")
    with pytest.raises(
        tn.TinynetError, match=r"^the cuda device cannot be used: .*: .*; or choose auto or cpu$"
    ):
        tn.set_device("cuda")
    assert device.choose()[0] != "cuda"


def test_kernels_in_the_simulator():
    """pytest tests/kernels/cuda with NUMBA_ENABLE_CUDASIM=1, which shows more when it fails."""
    pytest.importorskip("greenlet")
    if SIMULATED:
        pytest.skip("this is the inner run")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/kernels/cuda"]
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
