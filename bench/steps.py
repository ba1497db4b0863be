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


def gradients_function(
    net: tn.Sequential, x: np.ndarray, y: np.ndarray, kernels: Any = None
) -> Callable[[], tuple[float, dict[str, Any]]]:
    """A closure that computes the loss on samples x and classes y, one for each row of the output, and the gradients by name.

    kernels: those of the chosen back end if None. On a GPU the samples come from the host each time, as in `fit`.
    """
    k, x, y = kernels or device.backend(), net.check_input(x), y.reshape(-1)
    net.place(k)
    weights, chain = np.full(y.size, 1 / y.size, np.float32), net.logits
    context = Context(k, training=True, input_gradient=False)

    def compute() -> tuple[float, dict[str, Any]]:
        logits, kept = chain.forward(k.asarray(x), context)
        loss, gradient = k.cross_entropy(logits.reshape(y.size, -1), y, weights)
        _, gradients = chain.backward(gradient.reshape(logits.shape), kept, context)
        return loss, gradients

    return compute


def step_function(
    net: tn.Sequential, x: np.ndarray, y: np.ndarray, kind: str = "Adam", kernels: Any = None
) -> Callable[[], float]:
    """The same, and one step of the optimizer of this name; returns the loss before it."""
    k = kernels or device.backend()
    compute = gradients_function(net, x, y, k)
    optimizer, parameters = getattr(tn, kind)(RATE), net.trained()
    state = optimizer.start(parameters)
    for arrays in state.slots.values():
        arrays.update({name: k.asarray(array) for name, array in arrays.items()})

    def step() -> float:
        loss, gradients = compute()
        optimizer.update(k, parameters, gradients, state, Position(0))
        return loss

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
