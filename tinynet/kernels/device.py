"""The one setting that chooses among the back ends, and the number of threads.

`reference` is NumPy and starts at once; `cpu` is Numba, many times faster once it is loaded; `cuda` is Numba on an NVIDIA GPU. `auto`
stays on the reference until the work done there would have paid for loading Numba: renting until the rent reaches the price costs at
most twice the best choice, whatever comes next (Karlin et al. 1988). Training always pays at once. A GPU is used where it is
asked for: from what work on it pays to start one is not measured yet, and `auto` leaves it alone.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..errors import TinynetError
from . import caching, forking

DEVICES = ("auto", "reference", "cpu", "cuda")
CPU_START_SECONDS = 0.8
"""Loading Numba and a network's kernels from a warm cache; measured by `bench/cold_start.py`."""
REFERENCE_FLOPS = 3e9
"""Operations a second that the reference kernels do on small convolutional networks, on one slow core."""


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


def set_device(device: str) -> None:
    """Choose the back end for everything that follows: "auto", "reference" (NumPy), "cpu" (Numba) or "cuda" (an NVIDIA GPU).

    The last two are loaded at once. Raises TinynetError for another name, and where Numba or a GPU cannot be used.
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


def cuda_problem() -> str | None:
    """What is missing for the cuda back end, with what to install; None where nothing is. Loads Numba, but compiles nothing."""
    if not numba_installed():
        return "Numba is not installed: install it, and tinynet with one of its extras cuda12 or cuda13"
    try:
        from .cuda.compiler.driver import problem
    except Exception as error:  # as in load_cpu
        return f"Numba fails: {(str(error).strip() or type(error).__name__).splitlines()[0].rstrip('.')}"
    return problem()


def choose(flops: float | None = None) -> tuple[str, str]:
    """The back end that would be used for so many floating-point operations (None: training), and why."""
    if _setting.device != "auto":
        return _setting.device, "it was asked for"
    if cpu_loaded():
        return "cpu", "Numba is loaded already"
    if problem := cpu_problem():
        return "reference", problem
    if flops is None:
        return "cpu", "long work is worth loading Numba"
    seconds = _setting.reference_seconds + flops / REFERENCE_FLOPS
    if seconds < CPU_START_SECONDS:
        return "reference", f"loading Numba takes longer than the {1e3 * seconds:.0f} ms of work"
    return "cpu", f"about {seconds:.1f} s of work on NumPy is worth loading Numba"


def backend(flops: float | None = None) -> ModuleType:
    """The module of kernels to use for so many floating-point operations; None means long work, as training is."""
    name, _ = choose(flops)
    if name == "cpu" and (cpu := load_cpu()):
        return cpu
    if name == "cuda" and (cuda := load_cuda()):
        return cuda
    from . import reference

    _setting.reference_seconds += (flops or 0) / REFERENCE_FLOPS
    return reference


def _apply_threads() -> None:
    from .cpu.compiler import launch

    launch.set_threads(threads())
