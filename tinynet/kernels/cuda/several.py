"""Kernels that take many arrays in one launch: all parameters of a network with their gradients, say.

A launch takes longer than most of them, and each array that it is given makes it longer. So a kernel is given one table, which lies on
the GPU. It has a row for each array and those that belong to it, as a parameter, its gradient and its moments do: where they lie, how
many numbers each has, and which blocks are theirs. A block has CHUNK numbers; it looks up whose. Tables are kept: a steady step has
its arrays where an earlier step had them, since the pool hands out the same memory in turn.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .array import DeviceArray, upload
from .arrays import changed, take
from .compiler.driver import cuda
from .compiler.kernel import Kernel, device, kernel
from .compiler.primitives import least

THREADS = 256
CHUNK = 1024
"""Numbers of a block."""
MOST = 4
"""Arrays that belong together, at most."""
COLUMNS = 2 + MOST
"""Of a table: the first block of a row, the size of its arrays, and where they lie."""
KEPT = 64
"""Tables that are kept: training uses a few in turn."""
TABLE = "i8[:], i4"
"""The types of what a kernel is given of a table: its numbers, and how many rows they are."""


class Table:
    """Lists of arrays as a kernel takes them: their sizes, and for each list where its arrays lie."""

    def __init__(self, sizes: tuple[int, ...], *addresses: tuple[int, ...]) -> None:
        blocks = -(-np.array(sizes, np.int64) // CHUNK)
        self.rows, self.blocks = len(sizes), int(blocks.sum())
        numbers = np.zeros((self.rows, COLUMNS), np.int64)
        for column, given in enumerate((np.cumsum(blocks) - blocks, sizes, *addresses)):
            numbers[:, column] = given
        self.numbers = upload(numbers)


_table = functools.lru_cache(KEPT)(Table)


def table_of(*lists: Sequence[DeviceArray]) -> Table:
    """The table of up to MOST lists of as many arrays; those in the same place belong together, and are of one size."""
    sizes = tuple([array.size for array in lists[0]])
    return _table(sizes, *(tuple([array.address for array in arrays]) for arrays in lists))


@device
def chunk_of(table, rows, block):
    """What a block has, where the MOST arrays lie that have it, and from which of their numbers to which: (addresses, first, end)."""
    low, high = 0, rows
    while high - low > 1:  # row `low` does not begin after the block, row `high` does
        middle = (low + high) >> 1
        if table[middle * COLUMNS] <= block:
            low = middle
        else:
            high = middle
    row = low * COLUMNS
    first = (block - table[row]) * CHUNK
    addresses = table[row + 2], table[row + 3], table[row + 4], table[row + 5]
    return addresses, first, least(first + CHUNK, table[row + 1])


def for_each_number(count: int) -> Callable[[Callable], Kernel]:
    """Make a kernel of several arrays from a function of one place in them, change(addresses, i, numbers), and `count` numbers."""

    def make(function: Callable) -> Kernel:
        change = device(function)

        def walk(table, rows, numbers):
            addresses, i, end = chunk_of(table, rows, cuda.blockIdx.x)
            i += cuda.threadIdx.x
            while i < end:
                change(addresses, i, numbers)
                i += THREADS

        walk.__module__ = function.__module__
        return kernel(f"{TABLE}, f4*{count}", THREADS, name=function.__name__)(walk)

    return make


def change_all(
    kernel: Kernel, numbers: tuple[float, ...], *lists: Sequence[Any], read: Sequence[Any] = ()
) -> None:
    """Launch such a kernel on lists of float32 arrays that it changes, and behind them one that it only reads, with its numbers."""
    with changed(*chain(*lists)) as there:
        given = [there[i * len(arrays) : (i + 1) * len(arrays)] for i, arrays in enumerate(lists)]
        if read:
            given.append([take(array) for array in read])
        table = table_of(*given)
        if table.blocks:
            kernel(table.blocks, table.numbers, table.rows, numbers)
