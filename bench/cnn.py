"""How fast is the digit network: inference beside ONNX Runtime, a training step beside PyTorch?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import tinynet as tn
from tinynet.kernels import device
from tinynet.layers import Context
from tinynet.training.schedules import Position

from .measure import THREADS, Row, alternate, faster, milliseconds, print_rows
from .peers import digit_network, onnx_session, torch_network


def inference(batch: int, rounds: int, goal: str) -> Row:
    """Median of one call of predict and of ONNX Runtime on the same batch; their outputs must agree."""
    model = digit_network()
    session = onnx_session(model)
    x = np.random.default_rng(0).random((batch, 28, 28, 1), dtype=np.float32)
    channels_first = np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def peer() -> np.ndarray:
        return session.run(None, {"x": channels_first})[0]

    np.testing.assert_allclose(np.asarray(model.predict(x)), peer(), atol=1e-5)
    ours, theirs = alternate([lambda: model.predict(x), peer], rounds)
    job = f"digit CNN, inference, batch {batch}, against ONNX Runtime"
    return Row(job, milliseconds(ours), milliseconds(theirs), f"{faster(ours, theirs)} faster", goal)


def training_step(rounds: int) -> Row:
    """Median of one step with Adam: forward, cross-entropy, backward, update, on a batch of 64."""
    import torch

    model = digit_network()
    network = torch_network(model)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, 64)
    tx, ty = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), torch.from_numpy(y)

    def peer() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(tx), ty).backward()
        optimizer.step()

    ours, theirs = alternate([step_function(model, x, y), peer], rounds)
    job = "the same, training step with Adam, batch 64, against PyTorch"
    return Row(job, milliseconds(ours), milliseconds(theirs), f"{faster(ours, theirs)} faster", "≥ 3.5×")


def step_function(model: tn.Sequential, x: np.ndarray, y: np.ndarray) -> Callable[[], object]:
    """A closure that does one training step, as `fit` does it."""
    k = device.backend()
    optimizer, state = tn.Adam(1e-3), None
    parameters, chain = model.trained(), model.logits
    weights = np.full(len(x), 1 / len(x), np.float32)
    state = optimizer.start(parameters)
    context = Context(k, training=True, input_gradient=False)

    def step() -> None:
        logits, kept = chain.forward(x, context)
        _, gradient = k.cross_entropy(logits, y, weights)
        optimizer.update(k, parameters, chain.backward(gradient, kept, context)[1], state, Position(0))

    return step


def rows() -> list[Row]:
    """All rows of this question."""
    device.set_device("cpu")
    device.set_threads(THREADS)
    return [inference(256, 100, "≥ 1.15×"), inference(1, 1000, "≥ 1×"), training_step(100)]


if __name__ == "__main__":
    print_rows(rows())
