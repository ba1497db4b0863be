"""Checks of users' settings: each returns a value in its canonical form, or raises one sentence that names the setting.

All take (owner, setting, value, bounds) and return the value as the library keeps it, an int, a float, a bool, a str or a
tuple of them, even if it came as a type of NumPy's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, cast

import numpy as np

from .errors import DataError, ShapeError, TinynetError

Shape = tuple[Any, ...]
"""Sizes of a sample, whole numbers or None for an open one; for several inputs one shape each."""

MOST_AXES = 30
"""Most axes of a sample; NumPy 1 allows 32."""
LARGEST_COUNT = 2**31 - 1
LARGEST_SEED = 2**128


def show_shape(shape: Shape) -> str:
    """A shape as people write it, `any` for an open size."""
    sizes = ["any" if size is None else str(size) for size in shape]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def check_shape(owner: str, setting: str, value: Any) -> Shape:
    """The shape of one sample: whole numbers above 0, None where a size is open."""
    if not isinstance(value, (tuple, list)):
        raise TinynetError(
            f"{owner}: {setting} must be the shape of one sample, a tuple such as (28, 28, 1), not {value!r}"
        )
    if len(value) > MOST_AXES:
        raise TinynetError(f"{owner}: {setting} has {len(value)} axes; a sample has at most {MOST_AXES}")
    return tuple(None if size is None else check_count(owner, setting, size) for size in value)


def check_count(owner: str, setting: str, value: Any, least: int = 1, most: float = LARGEST_COUNT) -> int:
    """A whole number from `least` to `most`, or an error that names the setting."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise TinynetError(f"{owner}: {setting} must be a whole number of at least {least}, not {value!r}")
    if value > most:
        raise TinynetError(f"{owner}: {setting} must be a whole number of at most {most:,}")
    return int(value)


def check_seed(owner: str, setting: str, value: Any) -> int:
    """A random seed: a whole number of at least 0, or an error that names the setting."""
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


def check_number(
    owner: str,
    setting: str,
    value: Any,
    *,
    above: float | None = None,
    least: float = 0.0,
    most: float = math.inf,
    below: float = math.inf,
) -> float:
    """A finite number of at least `least`, or above `above` where that is given, at most `most` and below `below`."""
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    value = cast(Any, value)
    low = value > above if number and above is not None else number and value >= least
    if not (low and value <= most and value < below):
        limits = f" above {above:g}" if above is not None else f" of at least {least:g}"
        limits += f" and at most {most:g}" if most < math.inf else ""
        limits += f" and below {below:g}" if below < math.inf else ""
        kind = f"a number{limits}" if above is not None or least > -math.inf else "a finite number"
        raise TinynetError(f"{owner}: {setting} must be {kind}, not {value!r}")
    return float(value)


def as_array(values: Any, what: str) -> np.ndarray:
    """The values as an array; raises DataError where some values are masked, ShapeError where parts differ in shape."""
    if np.ma.is_masked(values):
        raise DataError(
            f"{what} has masked values, which are not numbers: fill them, or leave such samples out"
        )
    try:
        return np.asarray(values)
    except ValueError:
        raise ShapeError(f"{what} must be one array, but its parts differ in shape") from None
