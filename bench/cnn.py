"""How fast is the digit network: inference beside ONNX Runtime, a training step beside PyTorch?"""

from __future__ import annotations

import numpy as np

from tinynet.kernels import device

from .measure import THREADS, Row, alternate, faster, milliseconds, print_rows
from .peers import digit_network, onnx_session, torch_network
from .steps import step_function, torch_step


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
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, 64)
    tx = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())
    ours, theirs = alternate([step_function(model, x, y), torch_step(torch_network(model), tx, y)], rounds)
    job = "the same, training step with Adam, batch 64, against PyTorch"
    return Row(job, milliseconds(ours), milliseconds(theirs), f"{faster(ours, theirs)} faster", "≥ 3.5×")


def rows() -> list[Row]:
    """All rows of this question."""
    device.set_device("cpu")
    device.set_threads(THREADS)
    return [inference(256, 100, "≥ 1.15×"), inference(1, 1000, "≥ 1×"), training_step(100)]


if __name__ == "__main__":
    print_rows(rows())
