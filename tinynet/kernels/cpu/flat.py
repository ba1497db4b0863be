"""Arrays as kernels take them: one axis, float32, in fixed chunks."""

from __future__ import annotations

import numpy as np

CHUNK = 16384
"""Elements in a task of an element-by-element kernel."""


def flat(x: np.ndarray) -> np.ndarray:
    """The elements in order on one axis, float32; not copied where that is what they are."""
    return np.ascontiguousarray(x, np.float32).reshape(-1)


def chunks(x: np.ndarray) -> int:
    """Tasks for an array, CHUNK elements each."""
    return -(-x.size // CHUNK)


def row_tasks(rows: int, columns: int) -> tuple[int, int]:
    """Tasks and rows in each, about CHUNK elements a task."""
    per_task = max(1, CHUNK // max(columns, 1))
    return -(-rows // per_task), per_task
