"""Arrays of a back end: how they are made, and how they come and go."""

from __future__ import annotations

from typing import Any

import numpy as np


def asarray(x: Any, dtype: Any = None) -> np.ndarray:
    """The numbers of x as a contiguous array of this back end, of a type or their own; not copied where they are one."""
    return np.ascontiguousarray(x, dtype)


def asnumpy(x: Any) -> np.ndarray:
    """An array of this back end as one of NumPy; not copied where it is one."""
    return np.asarray(x)


def prefetch(x: Any) -> np.ndarray:
    """As `asarray`, for what the next step takes: a back end may copy it there while kernels of this step still run."""
    return asarray(x)


def zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """A new array of zeros."""
    return np.zeros(shape, dtype)
