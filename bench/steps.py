"""A training step of a network as `fit` does it, and the same in PyTorch: forward, cross-entropy, backward, update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet as tn
from tinynet.kernels import device
from tinynet.kernels.replay import Replay
from tinynet.layers import Context
from tinynet.training.schedules import Position

RATE = 1e-3


class Gradients:
    """The loss on samples x and classes y, one for each row of the output, and the gradients of the network's parameters.

    kernels: those of the chosen back end if None. On a GPU the samples come from the host each time, and the passes are repeated as a
    graph where that is offered, if `replays`: as in `fit`.
    """

    def __init__(
        self, net: tn.Sequential, x: np.ndarray, y: np.ndarray, kernels: Any = None, replays: bool = True
    ) -> None:
        self.kernels, self.x, self.y = kernels or device.backend(), net.check_input(x), y.reshape(-1)
        net.place(self.kernels)
        self.names, self.chain = [*net.trained()], net.logits
        self.weights = self.kernels.asarray(np.full(y.size, 1 / y.size, np.float32))
        self.right = self.kernels.zeros((), np.float64)
        arrays, changes = [*net.state().values()], [*net.statistics.values(), self.right]
        self.replay = Replay(self._passes, lambda: arrays, lambda: changes) if replays else None

    def _passes(self, k: Any, x: Any, y: Any) -> tuple[Any, ...]:
        context = Context(k, training=True, input_gradient=False)
        logits, kept = self.chain.forward(x, context)
        rows = logits.reshape(y.size, -1)
        loss, gradient = k.cross_entropy(rows, y, self.weights)
        k.count_correct(self.right, rows, y)
        _, gradients = self.chain.backward(gradient.reshape(logits.shape), kept, context)
        return loss, *[gradients[name] for name in self.names]

    def __call__(self) -> tuple[float, dict[str, Any]]:
        k = self.kernels
        arrays = k.prefetch(self.x), k.prefetch(self.y)
        captured = self.replay and self.replay.captured(k, arrays)
        loss, *found = (captured and captured(*arrays)) or self._passes(k, *arrays)
        return float(loss), dict(zip(self.names, found, strict=True))


def step_function(
    net: tn.Sequential,
    x: np.ndarray,
    y: np.ndarray,
    kind: str = "Adam",
    kernels: Any = None,
    replays: bool = True,
) -> Callable[[], float]:
    """The same, and one step of the optimizer of this name; returns the loss before it."""
    compute = Gradients(net, x, y, kernels, replays)
    k, optimizer, parameters = compute.kernels, getattr(tn, kind)(RATE), net.trained()
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
