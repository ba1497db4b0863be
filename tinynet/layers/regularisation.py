"""Dropout, which keeps a network from relying on single units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import check_number
from .base import Context, Gradients, Layer


@dataclass(eq=False)
class Dropout(Layer):
    """In training y = x m / (1 − rate), m = 0 with probability `rate`, else 1; otherwise y = x (Srivastava et al. 2014).

    Shapes: any → the same. The mask follows from the context's seed. Raises TinynetError unless 0 ≤ rate < 1.
    """

    rate: float

    streamable = True

    def check(self) -> None:
        self.rate = check_number(self.kind, "rate", self.rate, below=1)

    def forward(self, x: np.ndarray, context: Context) -> tuple[np.ndarray, Any]:
        return self._drop(x, context), None

    def backward(self, dy: np.ndarray, saved: Any, context: Context) -> tuple[np.ndarray, Gradients]:
        return self._drop(dy, context), {}

    def _drop(self, x: np.ndarray, context: Context) -> np.ndarray:
        return context.kernels.dropout(x, self.rate, context.seed) if context.training and self.rate else x
