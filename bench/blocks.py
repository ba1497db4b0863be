"""How fast are VGG, residual, Inception and mobile networks: a training step beside PyTorch, inference beside ONNX Runtime?

The networks of recipes/blocks.py, for pictures of clothes (28×28×1) and of flowers (64×64×3). The peers have the same layers and weights,
and their outputs must agree. PyTorch trains on pictures in its faster memory format, channels
last. Takes a few minutes.

    python -m bench.blocks [--rounds N]
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinynet as tn
from tinynet.kernels import device
from tinynet.recipes.blocks import NETWORKS

from .measure import THREADS, alternate, faster, machine, milliseconds, table
from .steps import step_function, torch_step

HEAD = ("network", "parameters", "training step, batch 64", "PyTorch", "result", "inference, batch 64", "ONNX Runtime", "result",
        "inference, batch 1", "ONNX Runtime", "result")  # fmt: skip
CLASSES = 10
SHAPES = (28, 28, 1), (64, 64, 3)


def network(name: str, shape: tuple[int, int, int]) -> tn.Sequential:
    """One of the networks, its moving averages set, so that folding them is not trivial; the larger pictures with half the width."""
    width = {} if shape[0] < 64 else {"width": 16}
    net = tn.Sequential(NETWORKS[name](shape, CLASSES, stages=3, **width), shape)
    rng = np.random.default_rng(0)
    for _, layer in net.walk():
        if isinstance(layer, tn.BatchNorm):
            layer.statistics["moving_variance"][...] = rng.uniform(0.5, 2, layer.parameters["gamma"].shape)
    return net


def torch_of(layer: Any, in_shape: tuple[int, ...]) -> Any:
    """The layer as a PyTorch module, pictures channels first, with copies of its arrays; a softmax at the end is left to the loss."""
    from torch import nn

    if isinstance(layer, tn.Residual):
        projection = torch_of(layer.projection, in_shape) if layer.projection else nn.Identity()
        return _branches([_chain(layer.layers, in_shape), projection], torch_add)
    if isinstance(layer, tn.Parallel):
        return _branches([torch_of(branch, in_shape) for branch in layer.layers], torch_concatenate)
    if hasattr(layer, "layers"):
        return _chain(layer.layers, in_shape)
    if isinstance(layer, (tn.Conv2D, tn.DepthwiseConv2D)):
        return _convolution(layer, in_shape)
    if isinstance(layer, tn.BatchNorm):
        made = nn.BatchNorm2d(in_shape[-1], layer.epsilon, 1 - layer.momentum)
        names = (
            ("weight", "gamma"),
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        )
        _set(made, {theirs: {**layer.parameters, **layer.statistics}[ours] for theirs, ours in names})
        return made
    if isinstance(layer, tn.MaxPool2D):
        return _pooling(layer, in_shape)
    if isinstance(layer, tn.Dense):
        made = nn.Linear(in_shape[-1], layer.units)
        _set(made, {"weight": layer.parameters["kernel"].T, "bias": layer.parameters["bias"]})
        return made
    merges = {tn.GlobalAveragePool2D: torch_mean, tn.Flatten: torch_flatten}
    return _branches([nn.Identity()], merges[type(layer)]) if type(layer) in merges else nn.ReLU()


def _set(module: Any, arrays: dict[str, np.ndarray]) -> None:
    import torch

    found = {name: torch.tensor(np.ascontiguousarray(array)) for name, array in arrays.items()}
    module.load_state_dict(found, strict=False)


def torch_add(outputs: list[Any]) -> Any:
    """x + f(x)."""
    return outputs[0] + outputs[1]


def torch_concatenate(outputs: list[Any]) -> Any:
    """Branches side by side."""
    import torch

    return torch.cat(outputs, 1)


def torch_mean(outputs: list[Any]) -> Any:
    """Over the whole map."""
    return outputs[0].mean(dim=(2, 3))


def torch_flatten(outputs: list[Any]) -> Any:
    """As a vector in our order, channels last."""
    return outputs[0].permute(0, 2, 3, 1).flatten(1)


def _branches(modules: list[Any], merge: Callable[[list[Any]], Any]) -> Any:
    """Modules that read the same input, and what is made of their outputs."""
    from torch import nn

    class Branches(nn.Module):
        """See above."""

        def __init__(self) -> None:
            super().__init__()
            self.branches = nn.ModuleList(modules)

        def forward(self, x: Any) -> Any:
            """The output."""
            return merge([branch(x) for branch in self.branches])

    return Branches()


def _chain(layers: Sequence[Any], shape: tuple[int, ...]) -> Any:
    from torch import nn

    made = []
    for inner in layers:
        made.append(torch_of(inner, shape))
        shape = inner.compute_output_shape(shape)
    return nn.Sequential(*made)


def _pooling(layer: Any, in_shape: tuple[int, ...]) -> Any:
    """Max-pooling behind a ReLU, where zeros never win; "same" pads an even size more behind than ahead."""
    from torch import nn

    if layer.padding == "valid":
        return nn.MaxPool2d(layer.pool_size, layer.strides)
    if layer.strides == (1, 1) or in_shape[0] % 2:
        return nn.MaxPool2d(layer.pool_size, layer.strides, tuple(window // 2 for window in layer.pool_size))
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.MaxPool2d(layer.pool_size, layer.strides))


def _convolution(layer: Any, in_shape: tuple[int, ...]) -> Any:
    """A convolution; where "same" pads more behind than ahead, the padding is a module of its own."""
    from torch import nn

    channels = in_shape[-1]
    ((top, bottom), (left, right)), strides = layer.geometry(in_shape[:2])[1], layer.strides
    even = top == bottom and left == right
    groups = channels if isinstance(layer, tn.DepthwiseConv2D) else 1
    own = layer.parameters
    kernel = own["kernel"] if groups == 1 else own["depthwise_kernel"].swapaxes(2, 3)
    made = nn.Conv2d(
        channels, layer.output_channels(channels), layer.kernel_size, strides,
        (max(top, 0), max(left, 0)) if even else 0, groups=groups, bias=layer.use_bias,
    )  # fmt: skip
    _set(made, {"weight": kernel.transpose(3, 2, 0, 1)})
    return made if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), made)


def onnx_session(module: Any, shape: tuple[int, int, int]) -> Any:
    """An ONNX Runtime session of the module, exported by PyTorch, on the bench's threads."""
    import onnxruntime
    import torch

    module.eval()
    file: Any = io.BytesIO()
    x = torch.zeros((2, shape[2], *shape[:2]))
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": {"x": {0: "n"}, "y": {0: "n"}}}
    torch.onnx.export(module, (x,), file, dynamo=False, opset_version=17, **names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])


def training(net: tn.Sequential, module: Any, rounds: int) -> list[float]:
    """Medians of one step with Adam: forward, cross-entropy, backward, update, on a batch of 64."""
    import torch

    module.train().to(memory_format=torch.channels_last)
    rng = np.random.default_rng(0)
    x, y = rng.random((64, *net.input_shape), dtype=np.float32), rng.integers(0, CLASSES, 64)
    tx = torch.from_numpy(x).permute(0, 3, 1, 2)
    return alternate([step_function(net, x, y), torch_step(module, tx, y)], rounds)


def inference(net: tn.Sequential, session: Any, batch: int, rounds: int) -> list[float]:
    """Medians of one call on the same batch; the outputs must agree."""
    x = np.random.default_rng(0).random((batch, *net.input_shape), dtype=np.float32)
    channels_first = np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def peer() -> np.ndarray:
        return session.run(None, {"x": channels_first})[0]

    logits = peer()
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        np.asarray(net.predict(x)), expected / expected.sum(axis=1, keepdims=True), atol=1e-4
    )
    return alternate([lambda: net.predict(x), peer], rounds)


def row(name: str, shape: tuple[int, int, int], rounds: int) -> tuple[str, ...]:
    """One network, measured."""
    import torch

    torch.set_num_threads(THREADS)
    net = network(name, shape)
    module = torch_of(net, shape)
    session = onnx_session(module, shape)
    many, one = (
        inference(net, session, 64, rounds),
        inference(net, session, 1, 4 * rounds),
    )
    step = training(net, module, rounds)
    cells = (
        (milliseconds(ours), milliseconds(theirs), faster(ours, theirs)) for ours, theirs in (step, many, one)
    )
    title = f"{name}, {'×'.join(map(str, shape))}"
    return title, f"{net.parameter_count():,}", *(cell for group in cells for cell in group)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    given = parser.parse_args()
    device.set_device("cpu")
    device.set_threads(THREADS)
    print(machine())
    found = [row(name, shape, given.rounds) for shape in SHAPES for name in given.networks]
    print(f"\n{table(HEAD, found)}", flush=True)
