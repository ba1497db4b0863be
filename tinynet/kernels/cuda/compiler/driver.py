"""The seam: the one file that imports CUDA for Python, so that another package is a change here and nowhere else.

`numba.cuda` is either the one that Numba still ships (deprecated) or, where it is installed, `numba-cuda`, which takes over that name; with
NUMBA_ENABLE_CUDASIM=1 it is the simulator, which runs kernels in Python, without a GPU. Whatever is imported from here means the
same in all of them; what differs is told apart here, or by SIMULATED.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
import warnings
from contextlib import suppress
from importlib import metadata
from typing import Any, NamedTuple

from numba import config

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that it is deprecated is no user's concern
    from numba import cuda
    from numba.cuda.extending import intrinsic

    try:  # numba-cuda has types of its own
        from numba.cuda import types

        types.UniTuple  # noqa: B018
    except (ImportError, AttributeError):
        from numba.core import types

__all__ = [
    "INLINED",
    "SIMULATED",
    "Graph",
    "code_settings",
    "compute_stream",
    "copy_stream",
    "cuda",
    "devices",
    "event",
    "gpu",
    "intrinsic",
    "mode",
    "multiprocessors",
    "problem",
    "toolkit",
    "types",
]

SIMULATED = bool(config.ENABLE_CUDASIM)
INLINED = (
    {"forceinline": True} if "forceinline" in inspect.signature(cuda.jit).parameters else {"inline": True}
)
"""How a function that kernels call is made a part of them."""
COMPILERS = (
    "numba",
    "llvmlite",
    "numba-cuda",
    "cuda-bindings",
    "cuda-core",
    "nvidia-nvvm",
    "nvidia-cuda-nvcc-cu12",
    "nvidia-nvjitlink",
    "nvidia-nvjitlink-cu12",
    "pynvjitlink-cu12",
)
"""Packages that have a part in making machine code, where they are installed."""
INSTALL = (
    "install tinynet with one of its extras cuda12 or cuda13, or cuda where the CUDA toolkit is installed"
)


CORES = {(6, 0): 64, (7, 0): 64, (7, 2): 64, (7, 5): 64, (8, 0): 64}
"""Cores in float32 of a multiprocessor, by compute capability; all other ones have OTHER_CORES."""
OTHER_CORES = 128
_PROCESS = os.getpid()
"""A child that is forked from it cannot use its driver."""


class Gpu(NamedTuple):
    """The GPU that is used, as its driver describes it."""

    name: str
    multiprocessors: int
    clock: float
    """Hertz."""
    flops: float
    """Operations in float32 per second, without tensor cores; a multiply-add is two."""


def gpu() -> Gpu | None:
    """Facts of the GPU that is used; None where there is none, its driver tells nothing, or this is a forked child."""
    if SIMULATED or os.getpid() != _PROCESS or not _count():
        return None
    first = cuda.gpus[0]  # asks for no context, which takes memory
    with suppress(Exception):
        count, clock = first.MULTIPROCESSOR_COUNT, 1e3 * first.CLOCK_RATE
        cores = CORES.get(tuple(first.compute_capability), OTHER_CORES)
        if flops := 2.0 * cores * count * clock:
            return Gpu(_name(first), count, clock, flops)
    return None


_streams: dict[str, Any] = {}
_making = threading.Lock()


def compute_stream() -> Any:
    """The stream of all kernels, and of all copies but those of `copy_stream`: they run one after the other.

    Not the default stream, for that and any other wait for each other.
    """
    return _streams.get("compute") or _stream("compute")


def copy_stream() -> Any:
    """The stream of copies that run beside kernels."""
    return _streams.get("copy") or _stream("copy")


def _stream(name: str) -> Any:
    with _making:
        if name not in _streams:
            _streams[name] = cuda.stream()
        return _streams[name]


def event() -> Any:
    """A mark in a stream, for another stream or the host to wait for; until it is recorded nobody waits."""
    return cuda.event() if SIMULATED else cuda.event(timing=False)


def problem() -> str | None:
    """What is missing for a GPU to be used, and what to do about it; None where nothing is."""
    if SIMULATED:
        return None
    if not _count():
        found = cuda.cuda_error() or "the driver finds no GPU"
        return f"the NVIDIA driver cannot be used ({_first_line(found)}): check it with nvidia-smi"
    if toolkit() is None:
        return f"the CUDA compiler (libNVVM) is missing: {INSTALL}"
    return None


def _count() -> int:
    """How many GPUs the driver has. `cuda.is_available` would ask for the compiler too."""
    try:
        return len(cuda.gpus)
    except Exception:  # the driver is missing or fails
        return 0


def toolkit() -> str | None:
    """Which CUDA compiler is there; None if none is."""
    if SIMULATED:
        return "the simulator of Numba"
    try:
        from numba.cuda.cudadrv import nvvm

        make = getattr(nvvm, "NVVM", None)
        found = mode() if make is None else make()
    except Exception:  # it has many ways to fail
        return None
    if isinstance(found, str):
        return found  # a package that compiles in another way
    version = getattr(found, "get_version", None) or getattr(found, "get_ir_version", lambda: ())
    return f"libNVVM {'.'.join(map(str, version()))}".strip()


def devices() -> list[str]:
    """The GPUs of this machine, each with its compute capability; empty where none can be used."""
    if SIMULATED:
        return ["the simulator of Numba, which is no GPU"]
    if problem() is not None:
        return []
    return [_described(gpu) for gpu in cuda.gpus]


def multiprocessors() -> int:
    """Of the GPU that is used; in the simulator as many as a large one has."""
    return 132 if SIMULATED else cuda.get_current_device().MULTIPROCESSOR_COUNT


class Graph:
    """Launches that are recorded once, and then repeated by one call: a CUDA graph, made by cuda.core, on which `numba-cuda` is built.

    Raises ImportError, or another error, where the package that launches kernels has no such thing.
    """

    def __init__(self) -> None:
        from cuda.core import Device  # pyright: ignore[reportMissingImports]

        gpu = Device()
        gpu.set_current()
        self._stream, self._recorder = gpu.create_stream(compute_stream()), gpu.create_graph_builder()
        self._recorder.begin_building()
        self._graph: Any = None

    def launch(self, compiled: Any, blocks: Any, threads: int, arguments: list[Any]) -> None:
        """Record a launch."""
        compiled[blocks, threads, self._recorder](*arguments)

    def complete(self) -> None:
        """End the recording."""
        self._graph = self._recorder.end_building().complete()

    def run(self) -> None:
        """Do all launches, in their order, after those before on the stream of all kernels; does not wait for them."""
        self._graph.launch(self._stream)


def _described(gpu: Any) -> str:
    major, minor = gpu.compute_capability
    return f"{_name(gpu)}, compute capability {major}.{minor}"


def _name(gpu: Any) -> str:
    return gpu.name.decode() if isinstance(gpu.name, bytes) else str(gpu.name)


def mode() -> str:
    """Which package runs the kernels."""
    if SIMULATED:
        return "the simulator of Numba"
    return f"{getattr(cuda, 'implementation', 'Built-in').strip()} {getattr(cuda, '__version__', '')}".strip()


def code_settings() -> tuple:
    """All of the environment that the machine code of a kernel depends on, but for the compute capability."""
    versions = []
    for package in COMPILERS:
        with suppress(metadata.PackageNotFoundError):
            versions.append((package, metadata.version(package)))
    own = sys.modules.get("numba.cuda.core.config", config)  # numba-cuda has settings of its own
    settings = [(name, repr(getattr(own, name))) for name in sorted(dir(own)) if "CUDA" in name]
    return mode(), toolkit(), _compiler(), _driver_version(), versions, settings


def _compiler() -> tuple:
    """Which file libNVVM is, and how large: one of the system has no other version."""
    from numba.cuda.cudadrv import libs

    path = str(libs.get_cudalib("nvvm"))
    return path, os.path.getsize(path) if os.path.exists(path) else None


def _driver_version() -> Any:
    """The driver links what was compiled; None where there is none."""
    try:
        from numba.cuda.cudadrv.driver import driver

        return driver.get_version()
    except Exception:  # it has many ways to fail
        return None


def _first_line(text: Any) -> str:
    return (str(text).strip().splitlines() or ["no reason given"])[0].rstrip(".:")
