"""Starting values of parameters. Each is a function of a shape and a random generator.

The last axis of a kernel is its outputs; all the others together are its inputs ("fan in").
"""

from __future__ import annotations

import math

import numpy as np

Shape = tuple[int, ...]


def _fans(shape: Shape) -> tuple[int, int]:
    """Inputs and outputs that one weight connects, receptive field included."""
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


def glorot_uniform(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Uniform in ±√(6 / (fan in + fan out)) (Glorot & Bengio 2010)."""
    limit = math.sqrt(6 / sum(_fans(shape)))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def he_normal(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Normal with standard deviation √(2 / fan in), for ReLU networks (He et al. 2015)."""
    return (rng.standard_normal(shape) * math.sqrt(2 / _fans(shape)[0])).astype(np.float32)


def he_uniform(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Uniform in ±√(6 / fan in) (He et al. 2015)."""
    limit = math.sqrt(6 / _fans(shape)[0])
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def orthogonal(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Orthonormal rows or columns, whichever are fewer (Saxe et al. 2014)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return np.ascontiguousarray(q if rows >= columns else q.T, np.float32).reshape(shape)


def uniform(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Uniform in ±0.05, as Keras has it for embeddings."""
    return rng.uniform(-0.05, 0.05, shape).astype(np.float32)


def zeros(shape: Shape, rng: np.random.Generator | None = None) -> np.ndarray:
    """All zero."""
    return np.zeros(shape, np.float32)


def ones(shape: Shape, rng: np.random.Generator | None = None) -> np.ndarray:
    """All one."""
    return np.ones(shape, np.float32)


INITIALIZERS = {
    f.__name__: f for f in (glorot_uniform, he_normal, he_uniform, orthogonal, uniform, zeros, ones)
}


def initialise(name: str, shape: Shape, rng: np.random.Generator | None) -> np.ndarray:
    """A parameter's starting values, aligned to a cache line; zeros without a generator, for a file to fill."""
    array = aligned_zeros(shape)
    if rng is not None and name != "zeros":
        array[...] = INITIALIZERS[name](shape, rng)
    return array


def aligned_zeros(shape: Shape) -> np.ndarray:
    """Zeros that begin at a cache line of 64 bytes; otherwise each of the widest vectors would take two accesses.

    They take no memory before they are written to, however large an array a file claims to hold.
    """
    size = math.prod(shape)
    buffer = np.zeros(size + 16, np.float32)
    first = -buffer.__array_interface__["data"][0] % 64 // 4
    return buffer[first : first + size].reshape(shape)
