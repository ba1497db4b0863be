"""Arrays of the GPU: how they are made, how they come and go, and how kernels take what they are given.

Whoever calls a kernel may give it arrays of NumPy too: they are copied to the GPU, and those that it changes in place are copied back.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..reference.definition import as_defined
from .array import DeviceArray, upload, upload_beside
from .compiler.driver import cuda
from .compiler.kernel import blocks_for, kernel


@as_defined
def asarray(x: Any, dtype: Any = None) -> DeviceArray:
    return take(x, dtype)


@as_defined
def asnumpy(x: Any) -> np.ndarray:
    return x.numpy() if isinstance(x, DeviceArray) else np.asarray(x)


@as_defined
def prefetch(x: Any) -> DeviceArray:
    return x if isinstance(x, DeviceArray) else upload_beside(x)


@as_defined
def zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> DeviceArray:
    y = DeviceArray(tuple(shape), dtype)
    if y.dtype != np.float32:
        y[...] = 0
    elif y.size:
        _fill(blocks_for(y.size), y, y.size, 0.0)
    return y


@kernel("f4[:], i4, f4", threads=256)
def _fill(y, size, value):
    i = cuda.grid(1)
    while i < size:
        y[i] = value
        i += cuda.gridsize(1)


def take(x: Any, dtype: Any = np.float32) -> DeviceArray:
    """An array on the GPU in a type (None: its own), copied there if it is not one."""
    if not isinstance(x, DeviceArray):
        return upload(x, dtype)
    if dtype is None or x.dtype == dtype:
        return x
    return upload(x.numpy(), dtype)


def empty(shape: tuple[int, ...]) -> DeviceArray:
    """A new array of float32 for a kernel to fill."""
    return DeviceArray(shape)


@functools.cache
def nothing(dtype: Any = np.float32) -> DeviceArray:
    """What a kernel is given in the place of an array that it does not read."""
    return DeviceArray((1,), dtype)


@contextmanager
def changed(*arrays: Any, dtype: Any = np.float32) -> Iterator[list[DeviceArray]]:
    """Arrays of one type that a kernel changes in place, on the GPU; those of NumPy are brought up to date afterwards."""
    for array in arrays:
        if array.dtype != dtype:
            raise TypeError(f"only arrays of {np.dtype(dtype)} can be changed in place, not of {array.dtype}")
    there = [take(array, dtype) for array in arrays]
    yield there
    for array, copy in zip(arrays, there, strict=True):
        if array is not copy:
            array[...] = copy.numpy()
