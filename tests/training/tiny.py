"""A network and data so small that a training takes milliseconds."""

from __future__ import annotations

import numpy as np

import tinynet as tn
from tinynet.layers.base import Layer


def samples(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (count, 5, 5, 1) of two classes, brighter above or below."""
    rng = np.random.default_rng(seed)
    x = rng.random((count, 5, 5, 1)).astype(np.float32)
    return x, (x[:, :3].mean((1, 2, 3)) > x[:, 2:].mean((1, 2, 3))).astype(np.int64)


def network(
    units: int = 2, activation: str = "softmax", seed: int = 1, extra: tuple[Layer, ...] = ()
) -> tn.Sequential:
    """Convolution, batch normalisation, dropout and a dense layer: state and randomness of every kind."""
    return tn.Sequential(
        [
            tn.Conv2D(3, 3, activation="relu"),
            tn.BatchNorm(momentum=0.9),
            tn.Flatten(),
            tn.Dropout(0.1),
            *extra,
            tn.Dense(units, activation=activation),
        ],
        input_shape=(5, 5, 1),
        seed=seed,
    )


def line(slope: float = 0.0) -> tn.Sequential:
    """y = slope x, one parameter that a test can follow by hand."""
    net = tn.Sequential([tn.Dense(1, use_bias=False)], input_shape=(1,))
    net.set_weights([np.array([[slope]], np.float32)])
    return net


def equal(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Whether two states have the same bits."""
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
