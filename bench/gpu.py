"""GPUs on paper: the peaks that a roofline needs, of two well-known ones and of the one in this machine; and what to tell of that one.

Jetson Orin Nano 8 GB: NVIDIA's data sheet of the module, 1,024 cores in 8 multiprocessors at 625 MHz, 68 GB/s (its later mode «Super»:
1,020 MHz, 102 GB/s). H100 SXM: NVIDIA's data sheet and white paper on Hopper, 132 multiprocessors, 66.9 TFLOP/s in float32 without
tensor cores, 3.35 TB/s. Of the second-level cache NVIDIA's white paper on the A100 gives 5,120 bytes per clock for 108 multiprocessors.

The cost of a launch is assumed, not published: 4 to 30 µs were seen for launches by Numba with few and with many arrays.
`python -m bench.cuda` measures it. Assumed too is what a step of a recurrent cell takes beside its sums: the barrier between blocks,
1 to 2 µs on large GPUs, and a few accesses of the second-level cache and of shared memory, one after the other.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from typing import NamedTuple

CACHE_BYTES = 5120 / 108
"""Bytes per clock that a multiprocessor gets from the second-level cache, at most."""
STEP_CLOCKS = 4000
"""Clocks of a step of a recurrent cell in which blocks meet, beside its sums: assumed."""


class Gpu(NamedTuple):
    """What bounds a kernel."""

    name: str
    multiprocessors: int
    clock: float
    """Hertz."""
    flops: float
    """Operations in float32 per second, without tensor cores; a multiply-add is two."""
    bandwidth: float
    """Bytes per second of its memory."""
    launch: float = 8e-6
    """Seconds that the host needs for a launch: assumed."""

    @property
    def step(self) -> float:
        """Seconds of a step of a recurrent cell in which blocks meet, beside its sums."""
        return STEP_CLOCKS / self.clock

    def cache(self, multiprocessors: int) -> float:
        """Bytes per second that so many multiprocessors get from the second-level cache."""
        return multiprocessors * CACHE_BYTES * self.clock


ORIN_NANO = Gpu("Jetson Orin Nano", 8, 625e6, 1.28e12, 68e9, launch=20e-6)
H100 = Gpu("H100", 132, 1.98e9, 66.9e12, 3.35e12)


def this_gpu() -> Gpu | None:
    """The peaks of the GPU in this machine, as its driver gives them; None where it does not, as in the simulator."""
    from tinynet.kernels.cuda.compiler.driver import cuda, gpu

    found = gpu()
    if found is None:
        return None
    for known in (ORIN_NANO, H100):
        if known.name in found.name and known.multiprocessors == found.multiprocessors:
            return known._replace(name=found.name)
    with suppress(Exception):
        device = cuda.gpus[0]
        bandwidth = (
            2e3 * device.MEMORY_CLOCK_RATE * device.GLOBAL_MEMORY_BUS_WIDTH / 8
        )  # two transfers per clock
        if bandwidth:
            return Gpu(*found, bandwidth)
    return None


def facts() -> list[tuple[str, str]]:
    """Card, driver, toolkit and versions: what anybody who reads a measurement or an error needs to know."""
    from tinynet.kernels.cuda.compiler import driver

    def memory() -> str:
        free, total = driver.cuda.current_context().get_memory_info()
        return f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} free"

    known: list[tuple[str, Callable[[], str]]] = [
        ("card", lambda: "; ".join(driver.devices())),
        ("memory", memory),
        ("driver", _driver),
        ("toolkit", lambda: str(driver.toolkit())),
        ("package", driver.mode),
        ("versions", _versions),
        ("system", lambda: f"{platform.platform()}, {os.cpu_count()} cores"),
    ]
    return [(name, _tried(find)) for name, find in known]


def _tried(find: Callable[[], str]) -> str:
    try:
        return find()
    except Exception as error:  # a fact that cannot be found is a fact too
        return f"not known ({type(error).__name__}: {str(error).strip()[:100]})"


def _driver() -> str:
    from numba.cuda.cudadrv.driver import driver

    parts = [f"CUDA {'.'.join(map(str, driver.get_version()))}"]
    for file in ("/proc/driver/nvidia/version", "/etc/nv_tegra_release"):
        with suppress(OSError), open(file) as lines:
            parts.append(lines.readline().strip())
    return ", ".join(parts)


def _versions() -> str:
    from tinynet.version import __version__

    found = [f"tinynet {__version__}", f"Python {sys.version.split()[0]}"]
    for package in ("numpy", "numba", "llvmlite", "numba-cuda", "torch"):
        with suppress(metadata.PackageNotFoundError):
            found.append(f"{package} {metadata.version(package)}")
    return ", ".join(found)
