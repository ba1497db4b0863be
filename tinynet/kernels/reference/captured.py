"""Replay: nothing that NumPy could do faster than by calling the kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, ...]


def capture(function: Callable[..., Arrays], *inputs: np.ndarray, changes: Sequence[np.ndarray] = ()) -> Any:
    """The kernels that a function of arrays calls for such inputs, to be run instead of it: see replay.py.

    Called with arrays of the same shapes the result returns what the function does, or None while another thread is at it; its
    `iterate(index, states, settings, points)` is that of `Replay`. changes: the arrays that the function changes in place, as a step
    of a training does; such a result returns arrays that its next call writes to. None where this would not pay or not be the same.
    """
    return None
