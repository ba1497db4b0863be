"""Checks of what a user gives: each brings a value to its canonical form, or raises one sentence that names the setting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from .errors import TinynetError

Shape = tuple[Any, ...]
"""Sizes of a sample, whole numbers or None where one is open; of several inputs a shape for each."""

MOST_AXES = 30
"""Axes of a sample; NumPy's oldest arrays have 32."""
LARGEST_COUNT = 2**31 - 1
LARGEST_SEED = 2**128


def show_shape(shape: Shape) -> str:
    """A shape as people write it, `any` for an open size."""
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def check_shape(owner: str, shape: Any) -> Shape:
    """The shape of one sample: whole numbers above 0, None where a size is open."""
    if not isinstance(shape, (tuple, list)):
        raise TinynetError(
            f"{owner}: input_shape must be the shape of one sample, a tuple such as (28, 28, 1), not {shape!r}"
        )
    if len(shape) > MOST_AXES:
        raise TinynetError(f"{owner}: input_shape has {len(shape)} axes; a sample has at most {MOST_AXES}")
    return tuple(None if size is None else check_count(owner, "input_shape", size) for size in shape)


def check_count(owner: str, setting: str, value: Any, least: int = 1, most: float = LARGEST_COUNT) -> int:
    """A whole number from `least` to `most`, or an error that names the setting."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise TinynetError(f"{owner}: {setting} must be a whole number of at least {least}, not {value!r}")
    if value > most:
        raise TinynetError(f"{owner}: {setting} must be a whole number of at most {most:,}")
    return int(value)


def check_seed(owner: str, setting: str, value: Any) -> int:
    """What everything random follows from: a whole number of at least 0, or an error that names the setting."""
    return check_count(owner, setting, value, least=0, most=LARGEST_SEED)


def check_counts(owner: str, setting: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """`rank` whole numbers; one number stands for all."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank
    if len(values) != rank:
        raise TinynetError(f"{owner}: {setting} must be one number or {rank} numbers, not {value!r}")
    return tuple(check_count(owner, setting, item, least) for item in values)


def check_choice(owner: str, setting: str, value: Any, choices: tuple[str, ...] | Mapping[str, Any]) -> str:
    """One of the known names, or an error that lists them."""
    if not isinstance(value, str) or value not in choices:
        raise TinynetError(f"{owner}: {setting} {value!r} is unknown; choose one of {', '.join(choices)}")
    return value


def check_flag(owner: str, setting: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TinynetError(f"{owner}: {setting} must be True or False, not {value!r}")
    return bool(value)


def check_fraction(owner: str, setting: str, value: Any) -> float:
    """A number from 0 up to, not including, 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < 1:
        raise TinynetError(f"{owner}: {setting} must be at least 0 and below 1, not {value!r}")
    return float(value)


def check_positive(owner: str, setting: str, value: Any) -> float:
    """A finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
        raise TinynetError(f"{owner}: {setting} must be a number above 0, not {value!r}")
    return float(value)


def check_number(
    owner: str,
    setting: str,
    value: Any,
    *,
    above: float | None = None,
    least: float = 0.0,
    most: float = math.inf,
    below: float = math.inf,
) -> None:
    """Raise TinynetError unless `value` is a finite number in [least, most], or above `above` and below `below`."""
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    low = value > above if number and above is not None else number and value >= least
    if not (low and value <= most and value < below):
        limit = f"above {above:g}" if above is not None else f"of at least {least:g}"
        limit += f" and at most {most:g}" if most < math.inf else ""
        limit += f" and below {below:g}" if below < math.inf else ""
        raise TinynetError(f"{owner}: {setting} must be a number {limit}, not {value!r}")
