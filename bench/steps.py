"""A training step of a network as `fit` does it, and the same in PyTorch: forward, cross-entropy, backward, update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet as tn
from tinynet.kernels import device
from tinynet.layers import Context
from tinynet.training.schedules import Position

RATE = 1e-3


def step_function(net: tn.Sequential, x: np.ndarray, y: np.ndarray, kind: str = "Adam") -> Callable[[], None]:
    """A closure that does one step on samples x and classes y, one for each row of the output, with the optimizer of this name."""
    k, x, y = device.backend(), net.check_input(x), y.reshape(-1)
    weights = np.full(y.size, 1 / y.size, np.float32)
    optimizer, parameters, chain = getattr(tn, kind)(RATE), net.trained(), net.logits
    state, context = optimizer.start(parameters), Context(k, training=True, input_gradient=False)

    def step() -> None:
        logits, kept = chain.forward(x, context)
        _, gradient = k.cross_entropy(logits.reshape(y.size, -1), y, weights)
        _, gradients = chain.backward(gradient.reshape(logits.shape), kept, context)
        optimizer.update(k, parameters, gradients, state, Position(0))

    return step


def torch_step(module: Any, x: Any, y: np.ndarray, kind: str = "Adam") -> Callable[[], None]:
    """The same with a PyTorch module, which returns logits, on a tensor x."""
    import torch

    optimizer, labels = getattr(torch.optim, kind)(module.parameters(), RATE), torch.from_numpy(y.reshape(-1))

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x).flatten(0, -2), labels).backward()
        optimizer.step()

    return step
