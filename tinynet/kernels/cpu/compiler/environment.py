"""What the environment makes of compiling: for which processor, how wide vectors are, and whether it can be done at all."""

from __future__ import annotations

import os
import re

from llvmlite import binding
from numba import config
from numba.core.registry import cpu_target

from ....errors import TinynetError

WIDTHS = (4, 8, 16)
"""Lanes that the kernels are written for: NEON and SSE, AVX2, AVX-512."""
_SETTINGS = (
    "OPT",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "DISABLE_INTEL_SVML",
    "EXTEND_VARIABLE_LIFETIMES",
    "LLVM_REFPRUNE_PASS",
    "LLVM_REFPRUNE_FLAGS",
    "ENABLE_PROFILING",
    "JIT_COVERAGE",
    "DEBUG_NRT",
    "NRT_STATS",
)
"""Settings of Numba that change what it compiles, beside those that name the processor."""


def refuse_disabled() -> None:
    """Raise TinynetError where Numba is told to compile nothing."""
    if config.DISABLE_JIT:
        raise TinynetError("NUMBA_DISABLE_JIT is set")


def _target() -> tuple[str, str, str]:
    """The system, the processor and its features that Numba compiles for: this one, or what NUMBA_CPU_NAME and others say."""
    features = config.CPU_FEATURES or ""
    if not all(re.fullmatch("[+-][^+-].*", feature) for feature in filter(None, features.split(","))):
        # LLVM would end the process.
        raise TinynetError(f"NUMBA_CPU_FEATURES is {features!r}, not a list such as +avx2,-avx512f")
    return cpu_target.target_context.codegen().magic_tuple()


def _widest(triple: str, processor: str, features: str) -> int:
    """Lanes of the widest vectors in which a processor adds: seen in what LLVM makes of an addition of 16 integers."""
    numbers = "<16 x i32>"
    code = f"define {numbers} @add({numbers} %a, {numbers} %b) {{ %c = add {numbers} %a, %b\n ret {numbers} %c }}"
    target = binding.Target.from_triple(triple)
    machine = target.create_target_machine(cpu=processor, features=features, opt=2)
    assembly = machine.emit_assembly(binding.parse_assembly(code))
    return next(
        (
            lanes
            for lanes, register in ((16, "zmm"), (8, "ymm"))
            if re.search(f"paddd.*%{register}", assembly)
        ),
        4,
    )


def _lanes(widest: int) -> int:
    """As many as the processor has, or fewer where TINYNET_LANES says so (for tests)."""
    wish = os.environ.get("TINYNET_LANES") or widest
    choices = [width for width in WIDTHS if width <= widest]
    if str(wish) not in map(str, choices):
        raise TinynetError(f"TINYNET_LANES is {wish!r}; this processor can do {', '.join(map(str, choices))}")
    return int(wish)


refuse_disabled()
TARGET = _target()
LANES = _lanes(_widest(*TARGET))


def code_settings() -> tuple:
    """All of the environment that machine code depends on."""
    return TARGET, LANES, *((name, repr(getattr(config, name, None))) for name in _SETTINGS)
