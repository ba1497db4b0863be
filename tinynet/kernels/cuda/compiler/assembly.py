"""What the compiler makes of the kernels, on a machine without a GPU or driver: compiled by libNVVM, assembled by `ptxas`.

`ptxas` says how many registers and how much shared memory a kernel takes, and whether registers spill; the machine code, which
`nvdisasm` shows where it is installed (the wheel nvidia-cuda-nvdisasm), how it reads memory and what share of it are multiply-adds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from .driver import cuda
from .kernel import Kernel

CAPABILITIES = (7, 5), (8, 7), (9, 0)
"""Turing, as T4; Jetson Orin; Hopper, as H100."""
PATTERNS = {
    "instructions": r".",
    "ffma": r"FFMA",
    "loads_128": r"(LDG|LDS|LD)\b.*\.128",
    "stores_128": r"(STG|STS|ST)\b.*\.128",
    "float64": r"D(FMA|MUL|ADD|SETP|MNMX)\b|F2F.*\.F64|[FI]2[FI].*F64|MUFU\.\w*64",
    "local": r"(LDL|STL)\b",
}
"""Kinds of instructions of the machine code."""


class Assembled(NamedTuple):
    """A kernel in machine code."""

    name: str
    capability: tuple[int, int]
    registers: int
    shared: int
    """Bytes of shared memory of a block."""
    stack: int
    spills: int
    """Bytes of registers that do not fit."""
    ptx: str
    counts: dict[str, int]
    """Instructions of each kind of PATTERNS; empty without a disassembler."""
    loop: tuple[int, int]
    """Multiply-adds of the innermost loop that has most of them, and all its instructions; (0, 0) without a disassembler."""

    @property
    def computes_in_float64(self) -> bool:
        """Whether the code has arithmetic in float64."""
        return bool(re.search(r"^\s+(add|sub|mul|fma|div|cvt|max|min|setp)\S*\.f64", self.ptx, re.MULTILINE))


def tool(name: str) -> str | None:
    """Where a program of the CUDA toolkit is: beside the wheels, in CUDA_HOME, or on the path."""
    wheels = glob(f"{sysconfig.get_paths()['purelib']}/nvidia/*/bin/{name}")
    home = os.path.join(os.environ.get("CUDA_HOME", "/usr/local/cuda"), "bin", name)
    return next((path for path in (*wheels, home, shutil.which(name)) if path and os.path.exists(path)), None)


def assemble(kernel: Kernel, capability: tuple[int, int], ptx: str | None = None) -> Assembled:
    """Compile a kernel for a compute capability and assemble it; raises RuntimeError where the assembler refuses.

    ptx: what it compiled to for an earlier one, which is assembled instead.
    """
    ptx = compiled(kernel, capability) if ptx is None else ptx
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        source.write_text(ptx)
        limit = f"-maxrregcount={kernel.registers}"
        command = [str(tool("ptxas")), f"-arch=sm_{capability[0]}{capability[1]}", "-v", "-O3", limit]
        done = subprocess.run([*command, str(source), "-o", str(target)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{kernel.name}: {done.stderr.strip()[:500]}")
        code = _code(target)
        counts = _counts(code)

    def said(pattern: str) -> int:
        return sum(map(int, re.findall(pattern, done.stderr)))

    spills = said(r"(\d+) bytes spill stores") + said(r"(\d+) bytes spill loads")
    numbers = (
        said(r"Used (\d+) registers"),
        said(r"(\d+) bytes smem"),
        said(r"(\d+) bytes stack frame"),
        spills,
    )
    return Assembled(kernel.name, capability, *numbers, ptx, counts, _busiest_loop(code))


def compiled(kernel: Kernel, capability: tuple[int, int]) -> str:
    """A kernel in PTX."""
    with _on_a_device_of(capability), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ptx, _ = cuda.compile(
            kernel.function, kernel.signature, cc=capability, device=False, abi="numba", output="ptx"
        )
    return ptx


@contextmanager
def _on_a_device_of(capability: tuple[int, int]) -> Iterator[None]:
    """Functions that kernels call ask the driver what to compile for."""
    from numba.cuda import compiler, dispatcher

    modules: list[Any] = [
        module for module in (compiler, dispatcher) if hasattr(module, "get_current_device")
    ]
    before = [module.get_current_device for module in modules]
    for module in modules:
        module.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    try:
        yield
    finally:
        for module, function in zip(modules, before, strict=True):
            module.get_current_device = function


def _code(cubin: Path) -> list[str]:
    """Labels and instructions of the machine code; empty without a disassembler."""
    disassembler = tool("nvdisasm")
    if disassembler is None:
        return []
    done = subprocess.run([disassembler, "-c", str(cubin)], capture_output=True, text=True)
    lines = re.findall(r"^(?:(\.L_x_\d+):|\s*/\*[0-9a-f]{4,}\*/\s+(.*?);)", done.stdout, re.MULTILINE)
    return [label or instruction for label, instruction in lines if instruction != "NOP"]


def _counts(code: list[str]) -> dict[str, int]:
    """How many instructions of each kind there are."""
    operations = [re.sub(r"^@!?U?P\w+\s+", "", line) for line in code if not line.startswith(".")]
    return (
        {kind: sum(bool(re.match(p, o)) for o in operations) for kind, p in PATTERNS.items()} if code else {}
    )


def _busiest_loop(code: list[str]) -> tuple[int, int]:
    """(multiply-adds, instructions) of the loop where most of its instructions are multiply-adds."""
    begins = {line: index for index, line in enumerate(code) if line.startswith(".")}
    loops = [(0, 0)]
    for index, line in enumerate(code):
        target = re.search(r"BRA.*`\((\.L_x_\d+)\)", line)
        if target and begins.get(target[1], index) < index:
            body = [each for each in code[begins[target[1]] : index + 1] if not each.startswith(".")]
            loops.append((sum("FFMA" in each for each in body), len(body)))
    return max(loops, key=lambda loop: loop[0] / (loop[1] or 1))
