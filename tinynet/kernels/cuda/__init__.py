"""The CUDA back end: the kernels in `numba.cuda`, for NVIDIA GPUs from a Jetson on. Definitions: the reference.

Between two kernels everything stays in the GPU's memory, as `DeviceArray` (array.py); it comes from a pool (memory.py). Kernels take
arrays of NumPy too, which are copied there, and give back what they computed as a DeviceArray, or as a number where the definition has
a number. One decorator makes, compiles and launches them (compiler/kernel.py), one file imports CUDA (compiler/driver.py).

A kernel that is not written yet is in MISSING, and whoever asks for it is told so.
"""

# ruff: noqa: F401  (what is imported is offered under the names of the reference)

from typing import Any

from ...errors import TinynetError
from .. import reference
from .activation import FUSED, LEAKY_SLOPE, activation, activation_gradient
from .arrays import asarray, asnumpy, zeros
from .captured import capture
from .conv import conv2d, conv2d_input_gradient, conv2d_kernel_gradient
from .dense import bias_gradient, dense, dense_input_gradient, dense_kernel_gradient
from .dropout import drop_ids, dropout, sequence_dropout
from .fusion import conv2d_max_pool2d, conv2d_max_pool2d_gradient, conv2d_max_pool2d_with_argmax
from .loss import (
    binary_cross_entropy,
    cross_entropy,
    huber,
    mean_absolute_error,
    mean_squared_error,
    soft_cross_entropy,
)
from .optimizer import adam, blend, rmsprop, scale, sgd, sum_of_squares
from .pooling import avg_pool2d, avg_pool2d_gradient, max_pool2d, max_pool2d_gradient

__all__ = reference.__all__

MISSING = tuple(sorted(set(__all__) - set(globals())))
"""Kernels of the reference that this back end lacks."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        raise TinynetError(f"the cuda device has no kernel {name} yet, which this network needs: choose the device cpu")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
