"""A function of arrays, replayed: repeated without Python in between, where that pays (in the manner of tinygrad's TinyJit)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from operator import is_
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, ...]

CALLS_BEFORE_CAPTURE = 3
"""Calls with inputs of the same shapes after which the next is captured."""
MOST_CAPTURES = 16
"""Shapes of inputs that are remembered at a time."""


class _Entry:
    """What is known of calls with inputs of one shape: how many came and, once that was tried, what they were captured as."""

    __slots__ = ("arrays", "calls", "captured", "tried")

    def __init__(self, arrays: Sequence[np.ndarray]) -> None:
        self.arrays, self.calls = arrays, 0  # the arrays are held, or others might one day be taken for them
        self.captured: Any = None
        self.tried = False


class Replay:
    """A function of arrays that calls kernels, repeated without Python in between where that pays.

    function(kernels, *inputs) returns a tuple of arrays that kernels made, and keeps nothing from one call to the next; arrays()
    lists the arrays that it reads beside its inputs, which may change in place: weights. What else it depends on may be listed with
    them. After CALLS_BEFORE_CAPTURE calls with inputs of the same shapes and types and the same arrays, the back end's `capture` is
    asked for the kernels that it calls; from then on these run instead of it. Where the back end finds that this would not pay or
    not be the same, and while another thread is at it, the function itself is called. A copy begins without captures, which belong
    to these arrays and this process.

    changes: the arrays that the function changes in place.
    """

    def __init__(
        self,
        function: Callable[..., Arrays],
        arrays: Callable[[], Sequence[np.ndarray]],
        changes: Callable[[], Sequence[np.ndarray]] = tuple,
    ) -> None:
        self._function, self._arrays, self._changes = function, arrays, changes
        self._entries: dict[tuple, _Entry] = {}

    def __call__(self, kernels: Any, *inputs: np.ndarray) -> Arrays:
        """What the function returns."""
        captured = self.captured(kernels, inputs)
        return (captured and captured(*inputs)) or self._function(kernels, *inputs)

    def iterate(
        self,
        kernels: Any,
        index: int,
        states: Sequence[np.ndarray],
        settings: tuple[float, int, float],
        points: np.ndarray,
    ) -> tuple[np.ndarray, Arrays] | None:
        """Read a class, draw the next with the kernel `sample`, read that, and so on, one for each uniform number of `points`.

        For a function of ids (1, 1) and the states of one sequence that returns probabilities and the states after the step; settings:
        temperature, top_k and top_p. Returns the classes, int32, and the states before the last of them is read; None where nothing is
        captured, as at the first call.
        """
        ids = np.array([[index]], np.int32)
        captured = self.captured(kernels, (ids, *states), 1)
        return captured and captured.iterate(index, states, settings, points)

    @property
    def captures(self) -> list[Any]:
        """What is repeated without Python."""
        return [entry.captured for entry in self._entries.values() if entry.captured is not None]

    @property
    def failed(self) -> bool:
        """Whether something was to be captured, and nothing could be."""
        return not self.captures and any(entry.tried for entry in self._entries.values())

    def captured(self, kernels: Any, inputs: Sequence[np.ndarray], calls: int = CALLS_BEFORE_CAPTURE) -> Any:
        """The capture for such inputs; made now where so many calls have come before."""
        key = kernels, *[(x.shape, x.dtype) for x in inputs]
        arrays, entry = self._arrays(), self._entries.get(key)
        if entry is None or len(entry.arrays) != len(arrays) or not all(map(is_, entry.arrays, arrays)):
            if len(self._entries) >= MOST_CAPTURES:
                self._entries.clear()
            entry = self._entries[key] = _Entry(arrays)
        if not entry.tried:
            if entry.calls < calls:
                entry.calls += 1
            else:
                function = functools.partial(self._function, kernels)
                entry.captured = kernels.capture(function, *inputs, changes=self._changes())
                entry.tried = True
        return entry.captured

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_entries": {}}
