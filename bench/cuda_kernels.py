"""What the compiler makes of the kernels of the CUDA back end, on a machine without a GPU: `python -m bench.cuda_kernels [NAME…]`.

For each kernel whose name begins with one of those given, or for all, and for Turing, Jetson Orin and Hopper: registers of a thread,
shared memory of a block, accesses of 16 bytes in the machine code, and the share of multiply-adds in the loop that is made of them. It
needs `ptxas` and libNVVM, of a CUDA toolkit or its wheels, and for the last two columns the wheel nvidia-cuda-nvdisasm.
"""

from __future__ import annotations

import sys

from tinynet.kernels import cuda
from tinynet.kernels.cuda.compiler import assembly
from tinynet.kernels.cuda.compiler.kernel import KERNELS


def main(names: list[str]) -> None:
    """Print the table."""
    columns = ", ".join(f"sm_{major}{minor}" for major, minor in assembly.CAPABILITIES)
    print(
        f"{len(KERNELS)} kernels of {cuda.__name__}; registers on {columns}; the rest on the last of them\n"
    )
    print(
        "| kernel | threads | registers | shared memory | 16-byte loads, stores | multiply-adds in its loop |"
    )
    print("|---|---|---|---|---|---|")
    for kernel in KERNELS:
        if names and not kernel.name.startswith(tuple(names)):
            continue
        found = [assembly.assemble(kernel, capability) for capability in assembly.CAPABILITIES]
        last = found[-1]
        registers = ", ".join(str(each.registers) + " (spills)" * (each.spills > 0) for each in found)
        wide = f"{last.counts['loads_128']}, {last.counts['stores_128']}" if last.counts else "?"
        multiply_adds, instructions = last.loop
        share = f"{multiply_adds / instructions:.0%}" if multiply_adds else "–"
        print(
            f"| {kernel.name} | {kernel.threads} | {registers} | {last.shared:,} | {wide} | {share} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
