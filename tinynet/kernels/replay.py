"""Placeholder until the kernels' own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

CALLS_BEFORE_CAPTURE = 3


class Replay:
    """A function of arrays."""

    def __init__(self, function: Callable, arrays: Callable[[], Sequence[np.ndarray]]) -> None:
        self.function, self.arrays = function, arrays

    def __call__(self, kernels: Any, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
        return self.function(kernels, *inputs)

    def iterate(self, *arguments: Any) -> None:
        """Nothing."""
        return None
