"""Whether kernels alone make what a function of arrays returns: then they may be replayed without it.

What NumPy computes or copies between two kernels would stay as it was, and so would a number that follows from the contents of
an array. No output on trial shows that for certain: a mask that NumPy makes changes nothing where all is zero. So it is proven
where each array comes from, in two more passes through the function.

In the first, on the same inputs, an array is known if it lies where it lay before (weights, inputs, tables: all earlier arrays are
kept, so nothing else can lie there) or in what an earlier kernel made. Any other must be made by the kernel that takes it:
the kernel runs twice, on two contents of the array, and must leave the same in every element.

In the second the kernels do not run: what each would have made is filled with numbers of all sizes, and so are the inputs. The function
must call the same kernels, with the same numbers, on arrays that lie in the same places of those that were made, and must have
changed none of them nor what it reads besides.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite.binding.ffi import lib as llvm
from numba.core.compiler_lock import global_compiler_lock

from .. import forking
from .compiler import jit, launch

Arrays = tuple[np.ndarray, ...]
TURNS = 4
FINITE = (-1e6, 0.0, -0.02, 3e5, 0.4, 7.0, -3.0, 2e4)
SPECIAL = (math.nan, 0.4, math.inf, -3.0, -math.inf, 0.0, 1e-38, -1e38)
"""Numbers without sense for all turns but the last, and for that: a comparison may leave NaN out."""
Span = tuple[int, int]
"""The addresses where an array begins and ends."""


class Call(NamedTuple):
    """A call of a kernel."""

    kernel: jit.Kernel
    tasks: int
    work: int
    arguments: tuple

    @property
    def workers(self) -> int:
        """On how many threads it runs."""
        return launch.workers_for(self.tasks, self.work)

    def run(self) -> None:
        """Do it."""
        self.kernel(self.tasks, self.work, *self.arguments)

    def is_like(self, other: Call) -> bool:
        """Whether it is one of the same kernel with the same numbers."""
        numbers, others = ([self.tasks, *_numbers(self.arguments)], [other.tasks, *_numbers(other.arguments)])
        return (
            self.kernel is other.kernel and len(numbers) == len(others) and all(map(_same, numbers, others))
        )


class _NotReplayable(Exception):
    """What a pass is left with."""


_intercepting = forking.held(threading.RLock())
# Whoever captures calls may compile, and whoever compiles calls LLVM, which has a lock of its own.
forking.held(global_compiler_lock)
forking.held(llvm._lock)


def _intercepted(
    function: Callable[..., Any], inputs: Sequence[np.ndarray], handle: Callable[[Call], None]
) -> Any:
    """What a function returns when `handle` is given each call of a kernel on this thread, to run it or not."""
    owner, handling = threading.get_ident(), False

    def interceptor(*call: Any) -> bool:
        nonlocal handling
        if handling or threading.get_ident() != owner:
            return False
        handling = True
        try:
            handle(Call(*call))
        finally:
            handling = False
        return True

    with _intercepting:
        jit.interceptor = interceptor
        try:
            return function(*inputs)
        finally:
            jit.interceptor = None


def calls_of(function: Callable[..., Any], *inputs: np.ndarray) -> tuple[list[Call], Any]:
    """The kernels that a function calls, and what it returns."""
    calls: list[Call] = []

    def run(call: Call) -> None:
        calls.append(call)
        call.run()

    return calls, _intercepted(function, inputs, run)


def other_inputs(inputs: Sequence[np.ndarray]) -> Arrays:
    """Other numbers of the same kind: classes and ids stay among those that are there."""
    return tuple([np.roll(x, 1) + x.dtype.type(0.5) if x.dtype.kind == "f" else x.max() - x for x in inputs])


def arrays_of(call: Call) -> list[np.ndarray]:
    """The arrays that a kernel takes, but for empty ones."""
    return [a for a in _items(call.arguments) if isinstance(a, np.ndarray) and a.size]


def _items(arguments: tuple) -> Iterator[Any]:
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from _items(argument)
        else:
            yield argument


def _numbers(arguments: tuple) -> list[Any]:
    """What a record holds beside addresses: numbers, and the shapes of arrays."""
    return [(a.shape, a.strides, a.dtype) if isinstance(a, np.ndarray) else a for a in _items(arguments)]


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b or (a != a and b != b))


def _span(array: np.ndarray) -> Span:
    first = array.__array_interface__["data"][0]
    last = sum((size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True))
    return first, first + last + array.itemsize


class _Origins:
    """Where in a pass arrays lie: in those that lay there before, or in what kernels have made since."""

    def __init__(self, fixed: dict[Span, np.ndarray]) -> None:
        self.fixed = fixed
        self._made: dict[Span, int] = {}

    def of(self, array: np.ndarray) -> tuple[Any, int] | None:
        """What an array lies in, and how far from its begin; None where it is new."""
        span = begin, end = _span(array)
        if span in self.fixed:
            return span, 0
        if span in self._made:
            return self._made[span], 0
        for known in (self._made, self.fixed):
            for first, last in known:
                if first <= begin and end <= last:
                    return self._made.get((first, last), (first, last)), begin - first
        return None

    def note(self, arrays: Sequence[np.ndarray]) -> list[tuple[Any, int] | None]:
        """What the arrays of a call lie in; those that are new are made by it."""
        found = [self.of(array) for array in arrays]
        for array, known in zip(arrays, found, strict=True):
            if known is None:
                self._made.setdefault(_span(array), len(self._made))
        return found


def is_replayable(
    function: Callable[..., Arrays], inputs: Arrays, calls: Sequence[Call], outputs: Arrays
) -> bool:
    """Whether the calls that a function made of these inputs may be replayed in its stead; the inputs are changed."""
    try:
        fixed, found = _prove_origins(function, inputs, calls)
        origins = _Origins(fixed)
        before = [*[origins.note(arrays_of(call)) for call in calls], *map(origins.of, outputs)]
        return before == found and all(
            _prove_untouched(function, inputs, calls, fixed, found, turn) for turn in range(TURNS)
        )
    except Exception:  # NumPy and the function may say anything of numbers without sense
        return False


def _prove_origins(
    function: Callable[..., Arrays], inputs: Arrays, calls: Sequence[Call]
) -> tuple[dict[Span, np.ndarray], list]:
    """The arrays that lie where they lay before; and of each call what its arrays lie in, then of each output."""
    fixed = {_span(array): array for array in inputs}
    origins, seen, found = _Origins(fixed), [], []

    def handle(call: Call) -> None:
        arrays, before = arrays_of(call), arrays_of(_next(calls, seen, call))
        fixed.update({_span(a): a for a, b in zip(arrays, before, strict=True) if _span(a) == _span(b)})
        new = [array for array in arrays if origins.of(array) is None]
        if new:
            made = [a for a in arrays if origins.of(a) is not None and _span(a) not in fixed]
            _prove_written(call, new, made)
        else:
            call.run()
        found.append(origins.note(arrays))

    outputs = _intercepted(function, inputs, handle)
    return fixed, _complete(calls, seen, found, [origins.of(output) for output in outputs])


def _prove_written(call: Call, new: Sequence[np.ndarray], made: Sequence[np.ndarray]) -> None:
    """Run a kernel; raises _NotReplayable unless every element of the new arrays is what the kernel makes of others."""
    if not all(
        array.flags.writeable and (array.dtype.kind in "fb" or array.dtype == np.uint8) for array in new
    ):
        raise _NotReplayable  # of whole numbers some are origins, which must not lie anywhere
    contents, left = [array.copy() for array in (*made, *new)], []
    try:
        for turn in range(2):
            for array, content in zip(made, contents, strict=False):
                array[...] = content
            for array in new:
                array[...] = (
                    _senseless(array, turn)
                    if turn
                    else True
                    if array.dtype == bool
                    else math.nan
                    if array.dtype.kind == "f"
                    else 255
                )
            call.run()
            left.append([array.copy() for array in (*made, *new)])
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(*left, strict=True)):
            raise _NotReplayable
    except BaseException:
        # One may be kept, and new only because another thread has replaced it.
        for array, content in zip(new, contents[len(made) :], strict=True):
            array[...] = content
        raise


def _prove_untouched(
    function: Callable[..., Arrays],
    inputs: Arrays,
    calls: Sequence[Call],
    fixed: dict[Span, np.ndarray],
    expected: list,
    turn: int,
) -> bool:
    """Whether without the kernels, on numbers without sense, a function does the same and changes no array itself."""
    for array in inputs:
        array[...] = _senseless(array, turn)
    sums = [_check_sum(array) for array in fixed.values()]
    origins, seen, found, filled = _Origins(fixed), [], [], []

    def handle(call: Call) -> None:
        _next(calls, seen, call)
        arrays = arrays_of(call)
        found.append(origins.note(arrays))
        for array in [a for a, known in zip(arrays, found[-1], strict=True) if known is None]:
            array[...] = _senseless(array, turn)
            filled.append((array, array.copy()))

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = _intercepted(function, inputs, handle)
    return (
        _complete(calls, seen, found, [origins.of(output) for output in outputs]) == expected
        and all(np.array_equal(a, b, equal_nan=True) for a, b in filled)
        and sums == [_check_sum(array) for array in fixed.values()]
    )


def _next(calls: Sequence[Call], seen: list[Call], call: Call) -> Call:
    """The call that was made in this place the first time; `seen` keeps the arrays, or new ones would lie where old ones lay."""
    if len(seen) == len(calls) or not call.is_like(calls[len(seen)]):
        raise _NotReplayable
    seen.append(call)
    return calls[len(seen) - 1]


def _complete(calls: Sequence[Call], seen: list[Call], found: list, outputs: list) -> list:
    """All that a pass has found, once every call was made and every output is known."""
    if len(seen) != len(calls) or None in outputs:
        raise _NotReplayable
    return found + outputs


def _loudest(array: np.ndarray) -> Any:
    """A number that spoils what it meets: NaN, or all bits."""
    return math.nan if array.dtype.kind == "f" else 255


def _senseless(array: np.ndarray, turn: int) -> np.ndarray:
    """Numbers of all sizes, others at each turn; whole numbers from 0 to the largest that is there."""
    if array.dtype.kind == "f":
        values, turn = np.array(SPECIAL if turn == TURNS - 1 else FINITE, array.dtype), turn % (TURNS - 1)
    elif array.dtype.kind == "b" or array.dtype == np.uint8:
        values = np.array([0, 1, 1, 0, 1, 0, 0, 1], array.dtype)
    else:
        most = array.max()
        values = np.array([0, most, most // 2, 0, most, most // 3, 0, most], array.dtype)
    return np.resize(np.roll(values, -3 * turn), array.shape)


def _check_sum(array: np.ndarray) -> tuple[int, ...]:
    """What shows nearly every change of an array."""
    content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    words = content[: content.size // 8 * 8].view(np.uint64)
    return int(np.bitwise_xor.reduce(words)), int(words.sum()), *content[words.size * 8 :].tolist()
