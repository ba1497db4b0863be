"""A GPU that is not there: kernels are compiled and assembled for it, and loading them only looks at what it is given.

`python -m kernels.cuda.absent KERNEL… [--cannot-compile] [--refuses]` compiles kernels or takes them from the disk, and prints as JSON
which were compiled, and of each its PTX and machine code, as hashes, and its types. --refuses: the GPU takes no code from the disk.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from numba.cuda import codegen
from numba.cuda.cudadrv import devices

from tinynet.kernels import caching, cuda
from tinynet.kernels.cuda.compiler import assembly, cache, driver
from tinynet.kernels.cuda.compiler.kernel import KERNELS

CAPABILITY = (7, 5)
assert cuda.__all__


class Linker:
    """In place of the driver's: `ptxas`."""

    lto = False
    info_log = ""

    def __init__(self, max_registers=None, cc=None, lto=None):
        self.registers = max_registers

    def add_ptx(self, ptx):
        self.ptx = ptx.decode()

    def complete(self):
        architecture = re.search(r"\.target (sm_\w+)", self.ptx)[1]
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
            source.write_text(self.ptx)
            options = [f"-arch={architecture}", f"-maxrregcount={self.registers}"]
            command = [str(assembly.tool("ptxas")), *options, str(source), "-o", str(target)]
            subprocess.run(command, check=True)
            return as_the_package_has_it(target.read_bytes())


def as_the_package_has_it(cubin):
    try:
        from cuda.core import ObjectCode
    except ImportError:
        return cubin
    return ObjectCode.from_cubin(cubin)


def code_of(cubin):
    return getattr(cubin, "code", cubin)


def main(names, cannot_compile, refuses):
    compiled, seen = [], []

    def load(cubin, *callbacks):
        if refuses and not compiled:
            raise RuntimeError("this code is for another GPU")
        assert code_of(cubin)[:4] == b"\x7fELF"
        seen.append(cubin)

        def function(name):
            assert name.encode() in code_of(cubin)
            return SimpleNamespace(module=SimpleNamespace(initialized=True))

        return SimpleNamespace(get_function=function)

    def refuse(*arguments, **options):
        raise AssertionError("a compiler was called")

    gpu = SimpleNamespace(compute_capability=CAPABILITY, id=0)
    context = SimpleNamespace(device=gpu, create_module_image=load)
    caching.on_compile = compiled.append
    patched = [
        mock.patch.object(devices, "get_context", lambda: context),
        mock.patch.object(driver.cuda, "get_current_device", lambda: gpu),
        mock.patch.object(codegen.driver, "_Linker", Linker, create=True),
        mock.patch.object(codegen.driver, "Linker", SimpleNamespace(new=Linker), create=True),
    ]
    if cannot_compile:
        patched += [
            mock.patch.object(codegen.nvvm, "compile_ir", refuse),
            mock.patch.object(Linker, "complete", refuse),
            mock.patch("numba.cuda.dispatcher.compile_cuda", refuse),
        ]
    found = {}
    for each in patched:
        each.start()
    with assembly._on_a_device_of(CAPABILITY):
        for kernel in KERNELS:
            if kernel.name in names:
                made = kernel._compile()
                (overload,) = made.overloads.values()
                assert made.specialized
                ptx = overload.inspect_asm(None)
                found[kernel.name] = [
                    hashlib.sha256(ptx.encode()).hexdigest(),
                    hashlib.sha256(code_of(seen[-1])).hexdigest(),
                    [str(kind) for kind in overload.argument_types],
                ]
    print(json.dumps({"compiled": compiled, "found": found, "folder": str(cache.folder())}))


if __name__ == "__main__":
    main(sys.argv[1:], "--cannot-compile" in sys.argv, "--refuses" in sys.argv)
