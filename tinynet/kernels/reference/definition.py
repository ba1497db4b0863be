"""Docstrings are written once: a kernel has that of its definition in the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .. import reference

Function = TypeVar("Function", bound=Callable)


def as_defined(function: Function) -> Function:
    """Give a kernel the docstring of its definition."""
    function.__doc__ = getattr(reference, function.__name__).__doc__
    return function
