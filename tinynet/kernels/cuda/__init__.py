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
from .arrays import asarray, asnumpy, prefetch, zeros
from .attention import attention, attention_cache, attention_gradient
from .captured import capture
from .conv import conv2d, conv2d_input_gradient, conv2d_kernel_gradient
from .dense import bias_gradient, dense, dense_input_gradient, dense_kernel_gradient
from .depthwise import depthwise_conv2d, depthwise_conv2d_input_gradient, depthwise_conv2d_kernel_gradient
from .dropout import drop_ids, dropout, seed_from, sequence_dropout
from .embedding import embedding, embedding_bag, embedding_bag_gradient, embedding_gradient
from .fusion import conv2d_max_pool2d, conv2d_max_pool2d_gradient, conv2d_max_pool2d_with_argmax
from .gru import gru, gru_gradient
from .loss import (
    binary_cross_entropy,
    cross_entropy,
    huber,
    mean_absolute_error,
    mean_squared_error,
    soft_cross_entropy,
)
from .lstm import lstm, lstm_gradient
from .metric import count_correct, count_correct_binary, sum_absolute_errors
from .norm import (
    batch_norm,
    batch_norm_gradient,
    batch_norm_statistics,
    fold_batch_norm,
    layer_norm,
    layer_norm_gradient,
)
from .optimizer import adam, blend, rmsprop, scale, sgd, sum_of_squares
from .pixels import erase, recolour
from .pooling import avg_pool2d, avg_pool2d_gradient, max_pool2d, max_pool2d_gradient
from .positions import add_positions, add_positions_gradient
from .recurrent import state_kernel_gradient
from .rnn import rnn, rnn_gradient
from .sampling import argmax, sample
from .sequence import (
    crop_steps,
    crop_steps_gradient,
    every_step,
    intersect_masks,
    keep_steps,
    merge,
    merge_gradient,
    prepend_steps,
    repeat_steps,
    reverse_steps,
    step_mask,
    sum_steps,
)
from .time_pooling import max_steps, max_steps_gradient, mean_steps, mean_steps_gradient
from .warp import warp

__all__ = reference.__all__

MISSING = tuple(sorted(set(__all__) - set(globals())))
"""Kernels of the reference that this back end lacks."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        raise TinynetError(
            f"the cuda device has no kernel {name} yet, which this network needs: choose the device cpu"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
