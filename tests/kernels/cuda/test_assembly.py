"""Every kernel of the cuda back end, compiled and assembled for three generations of GPUs, on a machine that has none."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("numba")

from kernels.cuda.conftest import SIMULATED

if SIMULATED:
    pytest.skip("the simulator compiles nothing", allow_module_level=True)

from tinynet.kernels import cuda
from tinynet.kernels.cuda import attention_tile, recurrent
from tinynet.kernels.cuda.compiler import assembly
from tinynet.kernels.cuda.compiler.driver import toolkit
from tinynet.kernels.cuda.compiler.kernel import KERNELS

if assembly.tool("ptxas") is None:
    pytest.skip("there is no ptxas, the assembler of the CUDA toolkit", allow_module_level=True)
os.environ.setdefault("CUDA_HOME", "/usr/local/cuda")
if toolkit() is None:
    pytest.skip("there is no libNVVM, the compiler of the CUDA toolkit", allow_module_level=True)

REGISTERS = 65_536
"""Of a multiprocessor."""
MOST_BLOCKS = 16
"""That the smallest of these GPUs holds at a time."""
SHARED = 32 * 1024
"""Bytes of shared memory of two blocks at a time, which the smallest of these GPUs has."""


def least_threads(kernel):
    """That a multiprocessor must be able to hold at a time, in whole blocks: two where half of the registers are weights."""
    return 2 * recurrent.THREADS if kernel.registers == recurrent.REGISTERS else 512


@functools.cache
def compiled(kernel):
    """In PTX, for the first of the three, which the others take too."""
    return assembly.compiled(kernel, assembly.CAPABILITIES[0])


def test_the_back_end_is_there():
    assert cuda.__all__ and KERNELS


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_it_assembles_within_its_means(kernel):
    ptx = compiled(kernel)
    with ThreadPoolExecutor() as pool:  # of assemblers, which are processes
        made = [pool.submit(assembly.assemble, kernel, each, ptx) for each in assembly.CAPABILITIES]
    for found in (each.result() for each in made):
        assert found.spills == 0, "registers spill"
        assert found.stack == 0, "a local array is not kept in registers"
        blocks = REGISTERS // (-(-found.registers // 8) * 8 * kernel.threads)
        held = min(blocks, MOST_BLOCKS) * kernel.threads
        assert held >= least_threads(kernel), f"{found.registers} registers a thread"
        assert found.shared <= SHARED
        assert kernel.double or not found.computes_in_float64, "float64 in a kernel of float32"
        if ".shared" in found.ptx and ".v4." in found.ptx:
            assert ".shared .align 16" in found.ptx, "four numbers in one access need 16 bytes"


def test_as_many_blocks_of_a_recurrent_cell_are_resident_as_wait_for_one_another():
    assert recurrent.RESIDENT * recurrent.THREADS * recurrent.REGISTERS <= REGISTERS


def test_products_read_four_numbers_at_a_time():
    for kernel in KERNELS:
        if kernel.name.startswith("product.") and "combine" not in kernel.name:
            ptx = compiled(kernel)
            assert ptx.count(".v4.") >= 8, kernel.name
            assert ptx.count("fma.rn.f32") >= 64, kernel.name
        elif kernel.name.startswith("attention.") and kernel.threads == attention_tile.THREADS:
            ptx = compiled(kernel)
            assert ptx.count("ld.shared.v4") >= 2, kernel.name
            assert ptx.count("fma.rn.f32") >= 12, kernel.name
