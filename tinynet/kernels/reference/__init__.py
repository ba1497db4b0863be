"""The reference back end: every kernel in NumPy, float32 and float64. It defines what the others compute."""

from .activation import FUSED, LEAKY_SLOPE, activation, activation_gradient
from .arrays import asarray, asnumpy, prefetch, zeros
from .attention import attention, attention_cache, attention_gradient
from .captured import capture
from .conv import conv2d, conv2d_input_gradient, conv2d_kernel_gradient
from .dense import bias_gradient, dense, dense_input_gradient, dense_kernel_gradient
from .depthwise import depthwise_conv2d, depthwise_conv2d_input_gradient, depthwise_conv2d_kernel_gradient
from .dropout import dropout, seed_from
from .embedding import drop_ids, embedding, embedding_bag, embedding_bag_gradient, embedding_gradient
from .fusion import conv2d_max_pool2d, conv2d_max_pool2d_gradient, conv2d_max_pool2d_with_argmax
from .loss import (
    binary_cross_entropy,
    cross_entropy,
    huber,
    mean_absolute_error,
    mean_squared_error,
    soft_cross_entropy,
)
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
from .recurrent import gru, gru_gradient, lstm, lstm_gradient, rnn, rnn_gradient, state_kernel_gradient
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
    sequence_dropout,
    step_mask,
    sum_steps,
)
from .time_pooling import max_steps, max_steps_gradient, mean_steps, mean_steps_gradient
from .warp import warp

__all__ = [
    "FUSED",
    "LEAKY_SLOPE",
    "activation",
    "activation_gradient",
    "adam",
    "add_positions",
    "add_positions_gradient",
    "argmax",
    "asarray",
    "asnumpy",
    "attention",
    "attention_cache",
    "attention_gradient",
    "avg_pool2d",
    "avg_pool2d_gradient",
    "batch_norm",
    "batch_norm_gradient",
    "batch_norm_statistics",
    "bias_gradient",
    "binary_cross_entropy",
    "blend",
    "capture",
    "conv2d",
    "conv2d_input_gradient",
    "conv2d_kernel_gradient",
    "conv2d_max_pool2d",
    "conv2d_max_pool2d_gradient",
    "conv2d_max_pool2d_with_argmax",
    "count_correct",
    "count_correct_binary",
    "crop_steps",
    "crop_steps_gradient",
    "cross_entropy",
    "dense",
    "dense_input_gradient",
    "dense_kernel_gradient",
    "depthwise_conv2d",
    "depthwise_conv2d_input_gradient",
    "depthwise_conv2d_kernel_gradient",
    "drop_ids",
    "dropout",
    "embedding",
    "embedding_bag",
    "embedding_bag_gradient",
    "embedding_gradient",
    "erase",
    "every_step",
    "fold_batch_norm",
    "gru",
    "gru_gradient",
    "huber",
    "intersect_masks",
    "keep_steps",
    "layer_norm",
    "layer_norm_gradient",
    "lstm",
    "lstm_gradient",
    "max_pool2d",
    "max_pool2d_gradient",
    "max_steps",
    "max_steps_gradient",
    "mean_absolute_error",
    "mean_squared_error",
    "mean_steps",
    "mean_steps_gradient",
    "merge",
    "merge_gradient",
    "prefetch",
    "prepend_steps",
    "recolour",
    "repeat_steps",
    "reverse_steps",
    "rmsprop",
    "rnn",
    "rnn_gradient",
    "sample",
    "scale",
    "seed_from",
    "sequence_dropout",
    "sgd",
    "soft_cross_entropy",
    "state_kernel_gradient",
    "step_mask",
    "sum_absolute_errors",
    "sum_of_squares",
    "sum_steps",
    "warp",
    "zeros",
]
