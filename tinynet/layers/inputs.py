"""Checks of a network's inputs and outputs: arrays of finite numbers, of the right shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import show_shape
from ..errors import ShapeError, TinynetError
from .base import Shape


def each(function: Callable, x: Any, *settings: Any) -> Any:
    """Apply a function to an array, or to each array of a tuple."""
    return tuple(function(part, *settings) for part in x) if isinstance(x, tuple) else function(x, *settings)


def first_of(x: Any) -> np.ndarray:
    """An array, or the first of a tuple; all have the same number of samples."""
    return x[0] if isinstance(x, tuple) else x


def is_bytes(x: np.ndarray) -> bool:
    """Whether numbers are bytes, as those of pictures in a file."""
    return x.dtype == np.uint8


def fits(shape: tuple[int, ...], expected: Shape) -> bool:
    """Whether a batch of this shape has samples of the expected shape."""
    return len(shape) == len(expected) + 1 and all(
        want in (None, size) for want, size in zip(expected, shape[1:], strict=True)
    )


def as_samples(x: np.ndarray, expected: Shape, owner: str) -> np.ndarray:
    """x as a batch of samples of the expected shape.

    A last axis of 1 may be missing if x is unambiguous, and grey pictures may have this axis although the network reads rows.
    Raises ShapeError, which names the owner and suggests what x might be.
    """
    if x.ndim == 4 and x.shape[-1] == 1 and len(expected) == 2:
        x = x[..., 0]
    if fits(x.shape, expected):
        return x
    without_axis, single = (*x.shape, 1), (1, *x.shape)
    is_single = fits(single, expected) and single != without_axis
    if expected[-1:] == (1,) and fits(without_axis, expected) and not is_single:
        return x[..., None]
    readings = {
        "samples without their last axis are x[..., None]": without_axis,
        "one sample alone is x[None]": single,
        "one sample alone without its last axis is x[None, ..., None]": (*single, 1),
    }
    hints = [
        f"; {text}, {show_shape(shape)}"
        for text, shape in readings.items()
        if fits(shape, expected) and (shape[-1] == expected[-1] or shape is single)
    ]
    raise ShapeError(
        f"{owner} takes a batch of shape {show_shape((None, *expected))}, but is given {show_shape(x.shape)}"
        + "".join(hints)
    )


def check_finite_output(owner: str, outputs: np.ndarray) -> None:
    """Raise TinynetError if a network's output has NaN or infinity."""
    if not np.isfinite(outputs).all():
        raise TinynetError(
            f"{owner} gives numbers that are not finite for this input: its weights are damaged or much too large; "
            "train it again with a lower learning rate, or load another file"
        )
