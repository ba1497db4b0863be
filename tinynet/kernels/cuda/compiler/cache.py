"""The kernels of this back end on disk: see caching.py. One file holds a kernel as CUDA for Python writes it itself, with the machine code
for one compute capability and what that was made of.

Whatever goes wrong with a file, up to a driver that does not take the code, the kernel is compiled.
"""

from __future__ import annotations

import functools
import pickle
from pathlib import Path

from ... import caching
from .driver import SIMULATED, code_settings, cuda


class KernelCache(caching.KernelCache):
    """Of one kernel."""

    def folder(self) -> Path | None:
        return folder()

    def variant(self, sig) -> str:
        return f"{sig}, {cuda.get_current_device().compute_capability}"

    def written(self, kernel) -> bytes:
        return pickle.dumps(kernel)

    def loaded(self, content: bytes, target_context):
        kernel = pickle.loads(content)
        kernel.bind()  # to the GPU, now rather than at its first launch: it may be refused
        return kernel


def folder() -> Path | None:
    """Where this version's kernels are kept; None where nothing can be written, and in the simulator, which compiles nothing."""
    return None if SIMULATED else caching.folder(key())


@functools.cache
def key() -> str:
    """A hash of everything that the machine code depends on; kernels take numbers from the reference too."""
    cuda_kernels = Path(__file__).parents[1]
    return caching.key_of([cuda_kernels, cuda_kernels.with_name("reference")], code_settings())
