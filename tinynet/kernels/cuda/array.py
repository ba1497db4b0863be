"""`DeviceArray`, the array that goes from kernel to kernel: a shape over a flat piece of the GPU's memory.

It is always contiguous and begins where its piece begins, so that a kernel takes it as one pointer. What layers do with arrays beside
calling kernels is to give them another shape, which shares the memory, and to take a part, `h[:, -1]`, which is copied by a kernel
unless it is the whole under another shape, or rows by their numbers, `h[rows]`. It computes nothing: `x + y` is a TypeError, for that
is a kernel's business. NumPy's functions take it, by `__array__`, as a copy that has come from the GPU; `downloads` counts those,
`uploads` what went the other way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .compiler.driver import compute_stream, cuda
from .compiler.kernel import blocks_for, check_not_recorded, kernel
from .compiler.primitives import divide
from .memory import Landing, Piece, Pool

STORED = {np.dtype(bool): np.dtype(np.uint8)}
"""Types that are held as others in the GPU's memory."""
MOST_AXES = 5
uploads = downloads = 0
"""How many arrays have gone to the GPU and come back."""


class DeviceArray:
    """An array in the GPU's memory: see the module."""

    __slots__ = ("__weakref__", "_piece", "dtype", "shape", "size")

    def __init__(
        self, shape: tuple[int, ...], dtype: Any = np.float32, piece: Piece | Landing | None = None
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.size = math.prod(shape)
        self._piece = Piece(self.size, STORED.get(self.dtype, self.dtype)) if piece is None else piece

    @property
    def memory(self) -> Any:
        """What a kernel takes: flat memory, at least as long as the array."""
        return self._piece.memory

    def is_of(self, pool: Pool) -> bool:
        """Whether its memory comes from that pool."""
        return self._piece.is_of(pool)

    @property
    def address(self) -> int:
        """Where that lies."""
        return self._piece.address

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[DeviceArray]:
        return (self[i] for i in range(len(self)))

    def reshape(self, *shape: Any) -> DeviceArray:
        """The same memory under another shape, of which one size may be -1."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        if -1 in sizes:
            known = math.prod(size for size in sizes if size != -1)
            sizes = [self.size // known if size == -1 else size for size in sizes]
        if math.prod(sizes) != self.size:
            raise ValueError(f"cannot give an array of shape {self.shape} the shape {tuple(sizes)}")
        return DeviceArray(tuple(sizes), self.dtype, self._piece)

    def copy(self) -> DeviceArray:
        """A new array of the same numbers."""
        array = DeviceArray(self.shape, self.dtype)
        assign(array, self)
        return array

    def astype(self, dtype: Any) -> np.ndarray:
        """The numbers in another type, as an array of NumPy."""
        return self.numpy().astype(dtype)

    def numpy(self) -> np.ndarray:
        """The numbers as an array of NumPy, once all kernels before have run."""
        global downloads
        check_not_recorded()
        downloads += 1
        stored = STORED.get(self.dtype, self.dtype)
        host = np.empty(self.size, stored)
        if self.size:
            self.memory[: self.size].copy_to_host(host, stream=compute_stream())
            compute_stream().synchronize()
        return host.view(self.dtype).reshape(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found = self.numpy()
        return found if dtype is None else found.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> DeviceArray:
        if isinstance(key, np.ndarray) and key.ndim == 1 and self.dtype == np.float32:
            return rows_of(self, np.arange(len(self))[key])
        # Only the places are asked of NumPy: no number is read.
        steps = np.cumprod([1, *self.shape[:0:-1]])[::-1] if self.shape else ()
        places = as_strided(np.zeros(1, np.int8), self.shape, steps)
        part = places[key]
        if not isinstance(part, np.ndarray) or (part.base is None and part.size):
            return upload(self.numpy()[key])  # an order that is an array itself
        first = part.__array_interface__["data"][0] - places.__array_interface__["data"][0]
        if part.size == self.size and (not part.size or part.flags.c_contiguous):
            return DeviceArray(part.shape, self.dtype, self._piece)
        return gathered(self, part.shape, part.strides, first)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Replace all numbers, `x[...] = value`, or some, by way of NumPy."""
        whole = key is Ellipsis or (isinstance(key, slice) and key == slice(None))
        host = np.empty(self.shape, self.dtype) if whole else self.numpy()
        host[key] = value
        write(self, host)

    def __float__(self) -> float:
        return float(self.numpy())

    def __reduce__(self) -> tuple:
        return np.array, (self.numpy(),)

    def __deepcopy__(self, memo: Any) -> DeviceArray:
        return self.copy()

    def __repr__(self) -> str:
        return f"DeviceArray({self.shape}, {self.dtype})"


def upload(x: Any, dtype: Any = None) -> DeviceArray:
    """An array of NumPy, or what it can make one of, on the GPU."""
    host = np.ascontiguousarray(x, dtype)
    array = DeviceArray(np.shape(x), host.dtype)
    write(array, host)
    return array


def write(array: DeviceArray, host: np.ndarray) -> None:
    """Replace an array's numbers by those of one of NumPy."""
    global uploads
    check_not_recorded()
    uploads += 1
    if array.size:
        stored = STORED.get(array.dtype, array.dtype)
        flat = np.ascontiguousarray(host, array.dtype).reshape(-1).view(stored)
        array.memory[: array.size].copy_to_device(flat, stream=compute_stream())
        compute_stream().synchronize()  # until then the numbers must stay as they are


def upload_beside(x: Any) -> DeviceArray:
    """As `upload`, but neither the host nor kernels that are launched already wait for it, nor it for them: see `memory.Landing`."""
    global uploads
    check_not_recorded()
    uploads += 1
    host = np.ascontiguousarray(x)
    stored = STORED.get(host.dtype, host.dtype)
    landing = Landing(host.size, stored)
    if host.size:
        landing.fill(host.reshape(-1).view(stored))
    return DeviceArray(np.shape(x), host.dtype, landing)


def assign(array: DeviceArray, source: DeviceArray) -> None:
    """Replace an array's numbers by those of another, of the same shape and type, on the GPU; a kernel is launched sooner than a copy."""
    if array.size:
        _gather_to(array, source, 0, (array.size,), (1,))


def gathered(x: DeviceArray, shape: tuple[int, ...], strides: tuple[int, ...], first: int = 0) -> DeviceArray:
    """The numbers of x at first + Σ index · stride, for all indices of a shape."""
    y = DeviceArray(shape, x.dtype)
    if y.size:
        _gather_to(y, x, first, shape, strides)
    return y


def _gather_to(
    y: DeviceArray, x: DeviceArray, first: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    missing = MOST_AXES - len(shape)
    sizes, strides = (1,) * missing + tuple(shape), (0,) * missing + tuple(strides)
    GATHER[STORED.get(x.dtype, x.dtype)](blocks_for(y.size), x, y, y.size, first, sizes, strides)


def rows_of(x: DeviceArray, rows: np.ndarray) -> DeviceArray:
    """Rows of x by their numbers."""
    y = DeviceArray((len(rows), *x.shape[1:]))
    if y.size:
        take_rows(blocks_for(y.size), x, upload_beside(rows.astype(np.int32)), y, y.size, y.size // len(rows))
    return y


@kernel("f4[:], i4[:], f4[:], i4, i4", threads=256)
def take_rows(x, rows, y, size, width):
    """Rows of x by their numbers; an embedding is no more than that."""
    i = cuda.grid(1)
    while i < size:
        row = divide(i, width)
        y[i] = x[rows[row] * width + i - row * width]
        i += cuda.gridsize(1)


def _gather(x, y, size, first, sizes, strides):
    i = cuda.grid(1)
    while i < size:
        rest, place = i, first
        for axis in (4, 3, 2, 1):
            above = divide(rest, sizes[axis])
            place += (rest - above * sizes[axis]) * strides[axis]
            rest = above
        y[i] = x[place + rest * strides[0]]
        i += cuda.gridsize(1)


GATHER = {
    np.dtype(kind): kernel(f"{kind}[:], {kind}[:], i4, i4, i4*5, i4*5", threads=256, name=f"gather_{kind}")(
        _gather
    )
    for kind in ("f4", "f8", "i4", "i8", "u1")
}
