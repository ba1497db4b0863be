"""The same digit network in ONNX Runtime and in PyTorch, with tinynet's weights, so that outputs can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinynet as tn

from .measure import THREADS


def digit_network(seed: int = 0) -> tn.Sequential:
    """The network of the table: two convolutions, two poolings, two dense layers, 225,034 parameters."""
    return tn.Sequential(
        [
            tn.Conv2D(32, 3, activation="relu"),
            tn.MaxPool2D(2),
            tn.Conv2D(64, 3, activation="relu"),
            tn.MaxPool2D(2),
            tn.Flatten(),
            tn.Dense(128, activation="relu"),
            tn.Dense(10, activation="softmax"),
        ],
        input_shape=(28, 28, 1),
        seed=seed,
    )


def channels_first(model: tn.Sequential) -> list[np.ndarray]:
    """Weights as the peers lay them out: kernels (out, in, kh, kw), dense (out, in) with rows of channels first."""
    w1, b1, w2, b2, w3, b3, w4, b4 = model.get_weights()
    w3 = w3.reshape(5, 5, 64, 128).transpose(2, 0, 1, 3).reshape(1600, 128)
    arrays = [w1.transpose(3, 2, 0, 1), b1, w2.transpose(3, 2, 0, 1), b2, w3.T, b3, w4.T, b4]
    return [np.ascontiguousarray(array) for array in arrays]


def onnx_bytes(model: tn.Sequential) -> bytes:
    """The network as an ONNX file."""
    from onnx import TensorProto, checker, helper, numpy_helper

    names = ["w1", "b1", "w2", "b2", "w3", "b3", "w4", "b4"]
    tensors = [numpy_helper.from_array(a, n) for a, n in zip(channels_first(model), names, strict=True)]
    node: Any = helper.make_node
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"]),
        node("Relu", ["c1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], **pool),
        node("Conv", ["p1", "w2", "b2"], ["c2"]),
        node("Relu", ["c2"], ["r2"]),
        node("MaxPool", ["r2"], ["p2"], **pool),
        node("Flatten", ["p2"], ["f"]),
        node("Gemm", ["f", "w3", "b3"], ["d1"], transB=1),
        node("Relu", ["d1"], ["r3"]),
        node("Gemm", ["r3", "w4", "b4"], ["d2"], transB=1),
        node("Softmax", ["d2"], ["y"], axis=1),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 28, 28])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])
    graph = helper.make_graph(nodes, "digits", [x], [y], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(proto)
    return proto.SerializeToString()


def onnx_session(model: tn.Sequential) -> Any:
    """An ONNX Runtime session on the bench's threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    return onnxruntime.InferenceSession(onnx_bytes(model), options, providers=["CPUExecutionProvider"])


def torch_network(model: tn.Sequential) -> Any:
    """The network as a PyTorch module that returns logits."""
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)
    network = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    with torch.no_grad():
        for parameter, array in zip(network.parameters(), channels_first(model), strict=True):
            parameter.copy_(torch.from_numpy(array))
    return network
