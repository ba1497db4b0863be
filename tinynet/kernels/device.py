"""The one setting that chooses among the back ends, and the number of threads.

`reference` is NumPy and starts at once; `cpu` is Numba, many times faster once it is loaded; `cuda` is Numba on an NVIDIA GPU. `auto`
stays on the reference until the work done there would have paid for loading Numba: renting until the rent reaches the price costs at
most twice the best choice, whatever comes next (Karlin et al. 1988). Training always pays at once.

A GPU costs more to start, most of all where its kernels are not compiled yet. `auto` takes one for a training, or for samples in many
batches, where by these estimates it is done sooner, its start included:

    processor   operations ÷ (CPU_FLOPS × lanes of its vectors × threads)
    GPU         CUDA_START_SECONDS, unless this process runs kernels there already
                + steps × (CUDA_STEP_SECONDS + CUDA_SHARE × operations of a step ÷ peak of the GPU)

The driver is asked only where the processor alone would take longer than that start, so that nothing short ever loads CUDA. A network's
weights are in the host's memory again when such work is done. Other devices give other bits: whoever needs the same on
every machine chooses one.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ..errors import TinynetError
from . import caching, forking

DEVICES = ("auto", "reference", "cpu", "cuda")
CPU_START_SECONDS = 0.8
"""Loading Numba and a network's kernels from a warm cache; measured by `bench/cold_start.py`."""
REFERENCE_FLOPS = 3e9
"""Operations a second that the reference kernels do on small convolutional networks, on one slow core."""
CPU_FLOPS = 9.4e9
"""Operations a second that the cpu kernels do in training per lane and thread: measured with AVX-512."""
NARROWEST = 4
"""Lanes of float32 that every processor has."""
CUDA_START_SECONDS = 20.0
"""Loading the driver and compiling the kernels of a training: 15 take 6 s of a Xeon to become PTX, and as long again on the way to machine
code; a Jetson's cores are slower. Assumed, not measured on a GPU; so are the next two.
"""
CUDA_STEP_SECONDS = 1e-3
"""What the host needs for a step: about 30 launches."""
CUDA_SHARE = 4
"""How many times longer a step computes than at the peak of the GPU."""


@dataclass
class _Setting:
    device: str = "auto"
    threads: int | None = None
    reference_seconds: float = 0.0
    cpu: ModuleType | None = None
    """The cpu back end, once it is loaded and knows of the threads."""
    problem: str | None = None
    """Why the cpu back end could not be loaded."""
    cuda: ModuleType | None = None
    """The cuda back end, once it is loaded."""
    cuda_problem: str | None = None
    """Why the cuda back end could not be loaded, and what to do about it."""


_setting = _Setting()


class Choice(NamedTuple):
    """A back end, and why it is chosen."""

    device: str
    reason: str
    about_gpu: bool = False
    """Whether there is a GPU, and `auto` has weighed it: whoever waits for a training wants to know."""


def set_device(device: str) -> None:
    """Choose the back end for everything that follows: "auto", "reference" (NumPy), "cpu" (Numba) or "cuda" (an NVIDIA GPU).

    "auto" takes what is done soonest, which for a long training may be a GPU: see the module. "cpu" and "cuda" are loaded at once. Raises
    TinynetError for another name, and where Numba or a GPU cannot be used.
    """
    if device not in DEVICES:
        raise TinynetError(f"there is no device {device!r}; choose one of {', '.join(DEVICES)}")
    if device == "cpu" and load_cpu() is None:
        raise TinynetError(f"the cpu device cannot be used: {cpu_problem()}; choose auto or reference")
    if device == "cuda" and load_cuda() is None:
        raise TinynetError(f"the cuda device cannot be used: {_setting.cuda_problem}; or choose auto or cpu")
    _setting.device = device


def set_threads(threads: int | None) -> None:
    """Number of threads of the cpu back end; None is one a core that this process may use."""
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise TinynetError(f"the number of threads must be a whole number of at least 1, not {threads!r}")
    _setting.threads = threads
    if cpu_loaded():
        _apply_threads()


def set_compile_listener(listener: Callable[[str], None] | None) -> None:
    """Have a function called with the name of each kernel just before it is compiled, never when it comes from the cache."""
    caching.on_compile = listener


def compile_seconds() -> float:
    """How long this process has compiled kernels."""
    return caching.compile_seconds


def compiled_folder() -> Path | None:
    """Where the kernels of the device in use are kept once compiled; None where nothing can be written."""
    if _setting.device == "cuda":
        from .cuda.compiler import cache
    else:
        from .cpu.compiler import cache
    return cache.folder()


def _cuda_runs() -> bool:
    """Whether this process has paid for starting a GPU already."""
    if _setting.cuda is None:
        return False
    from .cuda.compiler import kernel

    return kernel.launches > 0


def threads() -> int:
    """The number of threads that kernels may use."""
    return _setting.threads or available_cores()


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def numba_installed() -> bool:
    """Whether Numba is there."""
    return importlib.util.find_spec("numba") is not None


def cpu_problem() -> str | None:
    """Why the cpu back end cannot be used; None where nothing speaks against it, as far as is known before it is loaded."""
    if cpu_loaded():
        return None
    if not numba_installed():
        return "Numba is not installed"
    if os.environ.get("NUMBA_DISABLE_JIT", "").strip("0 ").isdigit():
        return "NUMBA_DISABLE_JIT is set"
    return _setting.problem


def load_cpu() -> ModuleType | None:
    """The kernels of the cpu back end; None where Numba cannot be used, and then `cpu_problem` says why."""
    if _setting.cpu is None:
        if cpu_problem() is not None:
            return None
        with forking.loading:
            try:
                from . import cpu
            except (
                Exception
            ) as error:  # Numba has many ways to fail: another NumPy, an unknown threading layer, …
                problem = str(error).strip() or type(error).__name__
                _setting.problem = (
                    problem if isinstance(error, TinynetError) else f"Numba fails: {problem.splitlines()[0]}"
                )
                return None
        _apply_threads()
        _setting.cpu = cpu
    return _setting.cpu


def cpu_loaded() -> bool:
    """Whether this process has paid for loading Numba already."""
    return f"{__package__}.cpu" in sys.modules


def load_cuda() -> ModuleType | None:
    """The kernels of the cuda back end; None where no GPU can be used, and then `cuda_problem` says why and what to do."""
    if _setting.cuda is None:
        if (problem := cuda_problem()) is not None:
            _setting.cuda_problem = problem
            return None
        with forking.loading:
            from . import cuda
        _setting.cuda = cuda
    return _setting.cuda


def cuda_loaded() -> bool:
    """Whether arrays may lie in a GPU's memory."""
    return f"{__package__}.cuda" in sys.modules


def on_gpu(array: Any) -> bool:
    """Whether an array lies in a GPU's memory."""
    if not cuda_loaded():
        return False
    from .cuda.array import DeviceArray

    return isinstance(array, DeviceArray)


def cuda_problem() -> str | None:
    """What is missing for the cuda back end, with what to install; None where nothing is. Loads Numba, but compiles nothing."""
    if not numba_installed():
        return "Numba is not installed: install it, and tinynet with one of its extras cuda12 or cuda13"
    try:
        from .cuda.compiler.driver import problem
    except Exception as error:  # as in load_cpu
        return f"Numba fails: {(str(error).strip() or type(error).__name__).splitlines()[0].rstrip('.')}"
    if (found := problem()) and not _nvidia_driver():
        return "there is no NVIDIA driver (libcuda) on this machine: install the driver of its GPU"
    return found


def borrowed() -> bool:
    """Whether a GPU that `auto` took may hold arrays, which go back to the host's memory when the work is done."""
    return _setting.device == "auto" and cuda_loaded()


def choose(
    flops: float | None = None,
    steps: int | None = None,
    *,
    training: bool = False,
    limit: float | None = None,
    begun: str | None = None,
) -> Choice:
    """The back end that would be used for so many floating-point operations, and why.

    flops: None is long work. steps: batches that it is done in; a GPU is thought of only where they are given. training: whether Numba
    is loaded in any case. limit: seconds after which it ends, done or not. begun: the device on which a training began that goes on.
    """
    if _setting.device != "auto":
        return Choice(_setting.device, "it was asked for")
    if begun == "reference" or (begun == "cuda" and cuda_problem() is None):
        return Choice(begun, "the training began there", begun == "cuda")
    if problem := cpu_problem():
        return Choice("reference", problem)
    if flops and steps and begun is None and (weighed := _weigh(flops, steps, limit or math.inf)):
        return weighed
    if cpu_loaded():
        return Choice("cpu", "Numba is loaded already")
    if training or flops is None:
        return Choice("cpu", "long work is worth loading Numba")
    seconds = _setting.reference_seconds + flops / REFERENCE_FLOPS
    if seconds < CPU_START_SECONDS:
        return Choice("reference", f"loading Numba takes longer than the {1e3 * seconds:.0f} ms of work")
    return Choice("cpu", f"about {seconds:.1f} s of work on NumPy is worth loading Numba")


def _weigh(flops: float, steps: int, limit: float) -> Choice | None:
    """Processor or GPU; None where there is no GPU, or the processor is done before one would have started."""
    start = 0.0 if _cuda_runs() else CUDA_START_SECONDS
    most = flops / (CPU_FLOPS * NARROWEST * threads())  # Numba, which knows the lanes, may not be loaded yet
    if min(most, limit) <= start or not _nvidia_driver() or load_cpu() is None:
        return None
    from .cpu.compiler.environment import LANES

    whole = most * NARROWEST / LANES
    cpu = min(whole, limit)
    if cpu <= start or (gpu := _gpu()) is None:
        return None
    there = start + cpu / whole * (steps * CUDA_STEP_SECONDS + CUDA_SHARE * flops / gpu.flops)
    times = f"it takes {_about(there)} on the GPU {gpu.name}, {_about(cpu)} on the processor"
    if there >= cpu:
        return Choice("cpu", times, about_gpu=True)
    if problem := cuda_problem():
        return Choice("cpu", f"the GPU {gpu.name} cannot be used: {problem}", about_gpu=True)
    return Choice("cuda", times, about_gpu=True)


def _gpu() -> Any:
    """The GPU, as the driver describes it; None where there is none that can be used."""
    try:
        from .cuda.compiler.driver import gpu

        return gpu()
    except Exception:  # as in load_cpu
        return None


@functools.cache
def _nvidia_driver() -> bool:
    """Whether the driver's library is there. Asks neither Numba nor the driver."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(os.environ.get("NUMBA_CUDA_DRIVER") or name)
    except OSError:
        return ctypes.util.find_library("cuda") is not None
    return True


def _about(seconds: float) -> str:
    unit, size = next(((u, s) for u, s in (("h", 3600), ("min", 60)) if seconds >= 2 * s), ("s", 1))
    return f"about {seconds / size:.0f} {unit}"


def backend(flops: float | None = None, steps: int | None = None) -> ModuleType:
    """The kernels that `choose` would use for such work, and a note for the next choice that it was done."""
    kernels = kernels_on(choose(flops, steps).device)
    if kernels.__name__ == f"{__package__}.reference":
        _setting.reference_seconds += (flops or 0) / REFERENCE_FLOPS
    return kernels


def kernels_on(device: str) -> ModuleType:
    """The kernels of a back end, or those of the next slower one where it turns out not to be usable."""
    if device == "cuda" and (cuda := load_cuda()):
        return cuda
    if device != "reference" and (cpu := load_cpu()):
        return cpu
    from . import reference

    return reference


def _apply_threads() -> None:
    from .cpu.compiler import launch

    launch.set_threads(threads())
