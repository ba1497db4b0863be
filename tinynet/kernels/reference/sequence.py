"""What sequences (batch, time, features) need besides cells: masks of real steps, another order of time, two into one."""

from __future__ import annotations

import numpy as np

from .dropout import dropout


def step_mask(x: np.ndarray, value: float) -> np.ndarray:
    """Which steps of x (n, t) or (n, t, …) are real, (n, t) bool: those that hold anything but `value`."""
    return (x != value).any(axis=tuple(range(2, x.ndim)))


def intersect_masks(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which steps are real in both masks (n, t)."""
    return a & b


def prepend_steps(mask: np.ndarray, count: int) -> np.ndarray:
    """The mask (n, count + t) of sequences that begin with so many real steps more than those of a mask (n, t)."""
    return np.concatenate([np.ones((len(mask), count), bool), mask], axis=1)


def every_step(mask: np.ndarray, first: int, stride: int, count: int) -> np.ndarray:
    """Which of the steps first, first + stride, … of a mask (n, t) are real: (n, count)."""
    return mask[:, first::stride][:, :count].copy()


def keep_steps(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """x (n, t, …) with zeros at the steps that are not real. The gradient is the same call on dy."""
    return np.where(mask.reshape(*mask.shape, *(1,) * (x.ndim - 2)), x, x.dtype.type(0))


def reverse_steps(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The real steps of each sequence x (n, t, d) in the opposite order; any other step stays where it is.

    Done twice it is undone, and the gradient is the same call on dy.
    """
    if mask is None:
        return np.ascontiguousarray(x[:, ::-1])
    y = x.copy()
    for i, real in enumerate(mask):
        steps = np.flatnonzero(real)
        y[i, steps] = x[i, steps[::-1]]
    return y


def repeat_steps(x: np.ndarray, steps: int) -> np.ndarray:
    """x (n, d) at each of so many steps: (n, steps, d)."""
    return np.repeat(x[:, None], steps, axis=1)


def sum_steps(x: np.ndarray) -> np.ndarray:
    """Σ over time of x (n, t, d): (n, d)."""
    return x.sum(axis=1)


def crop_steps(x: np.ndarray, left: int, right: int) -> np.ndarray:
    """x (n, t, d) without its first `left` and its last `right` steps: (n, t - left - right, d)."""
    return x[:, left : x.shape[1] - right]


def crop_steps_gradient(dy: np.ndarray, left: int, right: int) -> np.ndarray:
    """The gradient at what `crop_steps` cropped: zeros at those steps."""
    return np.pad(dy, ((0, 0), (left, right), (0, 0)))


def sequence_dropout(x: np.ndarray, rate: float, seed: int) -> np.ndarray:
    """Dropout of whole features: what is dropped from a sequence x (n, t, d) is dropped at each of its steps.

    Feature j of sequence i is kept where `dropout` keeps element (i, j) of an (n, d) array. The gradient is the same call on dy.
    """
    return x * dropout(np.ones((len(x), x.shape[2]), x.dtype), rate, seed)[:, None]


def merge(a: np.ndarray, b: np.ndarray, mode: str) -> np.ndarray:
    """Two arrays of one shape in one: their "sum", "mul" (product), "ave" (mean), or "concat" along the last axis.

    In that axis those that are concatenated may differ.
    """
    if mode == "concat":
        return np.concatenate((a, b), axis=-1)
    if mode == "mul":
        return a * b
    if mode not in ("sum", "ave"):
        raise KeyError(mode)
    return a + b if mode == "sum" else (a + b) / 2


def merge_gradient(dy: np.ndarray, a: np.ndarray, b: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """(da, db), from the gradient at what `merge` made of a and b."""
    if mode == "concat":
        return dy[..., : a.shape[-1]], dy[..., a.shape[-1] :]
    if mode == "mul":
        return dy * b, dy * a
    if mode not in ("sum", "ave"):
        raise KeyError(mode)
    return (dy, dy) if mode == "sum" else (dy / 2, dy / 2)
