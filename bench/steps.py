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


def step_function(
    net: tn.Sequential, x: np.ndarray, y: np.ndarray, kind: str = "Adam", kernels: Any = None
) -> Callable[[], None]:
    """A closure that does one step on samples x and classes y, one for each row of the output, with the optimizer of this name.

    kernels: those of the chosen back end if None. On a GPU a step takes its samples from the host, as in `fit`, and brings back the loss.
    """
    k, x, y = kernels or device.backend(), net.check_input(x), y.reshape(-1)
    net.place(k)
    weights = np.full(y.size, 1 / y.size, np.float32)
    optimizer, parameters, chain = getattr(tn, kind)(RATE), net.trained(), net.logits
    state, context = optimizer.start(parameters), Context(k, training=True, input_gradient=False)
    for arrays in state.slots.values():
        arrays.update({name: k.asarray(array) for name, array in arrays.items()})

    def step() -> None:
        logits, kept = chain.forward(k.asarray(x), context)
        _, gradient = k.cross_entropy(logits.reshape(y.size, -1), y, weights)
        _, gradients = chain.backward(gradient.reshape(logits.shape), kept, context)
        optimizer.update(k, parameters, gradients, state, Position(0))

    return step


def torch_step(
    module: Any, x: Any, y: np.ndarray, kind: str = "Adam", device: str = "cpu"
) -> Callable[[], None]:
    """The same with a PyTorch module, which returns logits, on a tensor x of the host."""
    import torch

    module.to(device)
    optimizer, labels = getattr(torch.optim, kind)(module.parameters(), RATE), torch.from_numpy(y.reshape(-1))

    def step() -> None:
        optimizer.zero_grad()
        logits = module(x.to(device)).flatten(0, -2)
        loss = torch.nn.functional.cross_entropy(logits, labels.to(device))
        loss.backward()
        optimizer.step()
        loss.item()

    return step
