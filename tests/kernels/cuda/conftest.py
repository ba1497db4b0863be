"""Simulated kernels are tested where Numba simulates CUDA, which it decides when it is imported: tests/kernels/test_cuda.py starts them."""

from __future__ import annotations

import os

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
collect_ignore_glob = [] if SIMULATED else ["test_simulated_*.py"]
