"""Checks of a network's inputs and outputs: arrays of numbers, of the right shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import show_shape
from ..errors import ShapeError, TinynetError
from .base import Shape


def each(function: Callable, x: Any, *settings: Any) -> Any:
    """Apply a function to an array, or to each of a tuple of arrays."""
    return tuple(function(part, *settings) for part in x) if isinstance(x, tuple) else function(x, *settings)


def first_of(x: Any) -> np.ndarray:
    """An array, or the first of a tuple of arrays, which all hold the same number of samples."""
    return x[0] if isinstance(x, tuple) else x


def fits(shape: tuple[int, ...], expected: Shape) -> bool:
    """Whether a batch of this shape holds samples of the expected one."""
    return len(shape) == len(expected) + 1 and all(
        want in (None, size) for want, size in zip(expected, shape[1:], strict=True)
    )


def as_samples(x: np.ndarray, expected: Shape, owner: str) -> np.ndarray:
    """x as a batch of samples of the expected shape.

    A last axis of 1 may be missing if x can mean nothing else, and grey pictures may have one more than the rows that a
    network reads. Raises ShapeError, naming the owner and what else x could be.
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
    """Raise TinynetError if a network's outputs are NaN or infinite."""
    if not np.isfinite(outputs).all():
        raise TinynetError(
            f"{owner} does not compute finite numbers from this input: its weights are damaged, or much too large; "
            "train it again with a lower learning rate, or load another file"
        )
