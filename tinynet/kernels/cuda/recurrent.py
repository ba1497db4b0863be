"""What recurrent cells share: how they are blocked, and the gradient of the matrix that states meet.

A cell runs over a whole sequence in one launch. A block has SEQUENCES of them and goes from step to step with a barrier between; each of
its threads has some units, and for those the whole sum over the states of the step before. It reads U line by line, neighbours side
by side, once per step for all sequences of the block, out of the second-level cache, since it is too large for shared memory from about 50
units on: what bounds it is that cache, and one step after the other. The gradient reads U's transpose in the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray, gathered
from .arrays import nothing, take
from .compiler.kernel import device
from .compiler.primitives import f4
from .dense import dense_kernel_gradient

THREADS = 256
SEQUENCES = 2
"""Of a block: more read U less often, fewer occupy more multiprocessors."""


@as_defined
def state_kernel_gradient(h: Any, dr: Any) -> DeviceArray:
    h, dr = take(h), take(dr)
    n, states, units = h.shape
    rows = n * (states - 1)
    return dense_kernel_gradient(h[:, :-1].reshape(rows, units), dr.reshape(rows, dr.shape[2]))


def blocks_of(sequences: int) -> int:
    """Blocks for so many sequences."""
    return -(-sequences // SEQUENCES)


def states(steps: int, first: DeviceArray) -> DeviceArray:
    """Room for the state before the first step and after each, (n, steps + 1, units)."""
    n, units = first.shape
    return DeviceArray((n, steps + 1, units))


def real_steps(mask: Any) -> tuple[DeviceArray, int]:
    """A mask as kernels take it, and whether there is one."""
    return (nothing(bool), 0) if mask is None else (take(mask, np.dtype(bool)), 1)


def transposed(recurrent: DeviceArray) -> DeviceArray:
    """Uᵀ, in lines that neighbouring units read side by side."""
    units, columns = recurrent.shape
    return gathered(recurrent, (columns, units), (1, columns))


@device
def sums(acc, h, matrix, first, stride, unit, terms, columns, parts, apart, count):
    """acc[s, p] = Σ_k h[first + s · stride + k] · matrix[k · columns + p · apart + unit], for `count` of SEQUENCES sequences."""
    for i in range(SEQUENCES * parts):
        acc[i] = f4(0)
    for k in range(terms):
        for p in range(parts):
            weight = matrix[k * columns + p * apart + unit]
            for s in range(SEQUENCES):
                if s < count:
                    acc[s * parts + p] += h[first + s * stride + k] * weight
