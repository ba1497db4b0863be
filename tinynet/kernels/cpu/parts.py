"""Vectors of a row: whole ones without a question, and what is left of the row behind them.

`load_until` asks at every vector whether it is whole. A loop that reads five of them spends more time on that than on its numbers: so
such loops are made twice, by a function of (read, write), for whole vectors and for the rest.
"""

from __future__ import annotations

from .compiler.jit import helper
from .compiler.simd import LANES, load, load_until, store, store_until


@helper
def whole(c):
    """How many of c numbers lie in whole vectors."""
    return c // LANES * LANES


@helper
def read_whole(x, at, part):
    """A vector from `at` on."""
    return load(x, at)


@helper
def write_whole(x, at, part, value):
    """Write a vector from `at` on."""
    store(x, at, value)


@helper
def read_part(x, at, part):
    """The `part` numbers from `at` on, a vector at most, zero behind them."""
    return load_until(x, at, at + part)


@helper
def write_part(x, at, part, value):
    """Write the `part` numbers from `at` on, a vector at most."""
    store_until(x, at, at + part, value)
