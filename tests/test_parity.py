"""Outputs and gradients of every layer against PyTorch, on every back end; skipped where PyTorch is not installed."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import back_end, close, randomise

import tinynet as tn
from tinynet.layers import Context
from tinynet.layers.base import ACTIVATIONS

torch = pytest.importorskip("torch")
F = torch.nn.functional

TOLERANCES = {np.float32: 1e-5, np.float64: 1e-11}
ON = pytest.mark.parametrize(
    "device, dtype",
    [("reference", np.float64), ("reference", np.float32), ("cpu", np.float32)],
    ids=["reference-float64", "reference-float32", "cpu-float32"],
)
SAME_NAME = ("relu", "elu", "silu", "gelu", "sigmoid", "tanh")
APPLY = {
    **{name: getattr(torch if hasattr(torch, name) else F, name) for name in SAME_NAME},
    "linear": lambda z: z,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.2),
    "softmax": lambda z: torch.softmax(z, -1),
}


def check(layer, input_shape, peer, device, dtype, batch=3):
    """peer(x, **parameters) is the same function in PyTorch, channels last."""
    kernels, rng = back_end(device), np.random.default_rng(8)
    layer.build(input_shape, rng)
    randomise(layer, rng, dtype)
    x = rng.standard_normal((batch, *input_shape)).astype(dtype)
    context = Context(kernels, training=True)
    y, saved = layer.forward(x, context)
    dy = rng.standard_normal(y.shape).astype(dtype)
    dx, gradients = layer.backward(dy, saved, context)

    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in layer.parameters.items()}
    tx = torch.tensor(x, requires_grad=True)
    ty = peer(tx, **tensors)
    ty.backward(torch.tensor(dy))
    assert y.dtype == dx.dtype == dtype
    close(y, ty.detach().numpy(), TOLERANCES[dtype])
    close(dx, tx.grad.numpy(), TOLERANCES[dtype])
    assert gradients.keys() == tensors.keys()
    for name, gradient in gradients.items():
        assert gradient.dtype == dtype
        close(gradient, tensors[name].grad.numpy(), TOLERANCES[dtype])


def first(x):
    """Channels first, as PyTorch has it."""
    return torch.movedim(x, -1, 1)


def last(x):
    return torch.movedim(x, 1, -1)


def same_pads(sizes, windows, strides, dilation):
    """TensorFlow's padding as `F.pad` takes it: the last axis first."""
    pads = []
    for size, window, stride, d in zip(sizes, windows, strides, dilation, strict=True):
        total = max((-(-size // stride) - 1) * stride + d * (window - 1) + 1 - size, 0)
        pads = [total // 2, total - total // 2, *pads]
    return pads


@ON
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("input_shape", [(20,), (5, 7)])
def test_dense(input_shape, activation, device, dtype):
    def peer(x, kernel, bias):
        return APPLY[activation](x @ kernel + bias)

    check(tn.Dense(17, activation), input_shape, peer, device, dtype)


@ON
def test_dense_without_bias(device, dtype):
    check(tn.Dense(3, use_bias=False), (6,), lambda x, kernel: x @ kernel, device, dtype, batch=70)


@ON
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation(activation, device, dtype):
    check(tn.Activation(activation), (4, 19), APPLY[activation], device, dtype)


def convolution(layer):
    convolve = (F.conv1d, F.conv2d)[layer.rank - 1]

    def peer(x, kernel, bias=None):
        x, kernel = first(x), torch.movedim(kernel, (-1, -2), (0, 1))
        if layer.padding == "same":
            x = F.pad(x, same_pads(x.shape[2:], kernel.shape[2:], layer.strides, layer.dilation_rate))
        z = convolve(x, kernel, bias, stride=layer.strides, dilation=layer.dilation_rate)
        return APPLY[layer.activation](last(z))

    return peer


CONVOLUTIONS = [
    {"kernel_size": 1},
    {"kernel_size": 2},
    {"kernel_size": 3},
    {"kernel_size": (2, 5)},
    {"kernel_size": 3, "use_bias": False},
    {"kernel_size": (1, 3), "strides": 2},
    {"kernel_size": (4, 2), "strides": (1, 3)},
    {"kernel_size": 3, "dilation_rate": 2},
    {"kernel_size": (3, 2), "strides": (2, 1), "dilation_rate": (1, 3)},
]


@ON
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
def test_conv2d(settings, padding, device, dtype):
    layer = tn.Conv2D(5, padding=padding, **settings)
    check(layer, (9, 8, 3), convolution(layer), device, dtype)


@ON
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_conv2d_activation(activation, device, dtype):
    layer = tn.Conv2D(18, 3, activation=activation)
    check(layer, (6, 7, 2), convolution(layer), device, dtype)


@ON
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    "kernel_size, strides, dilation", [(1, 1, 1), (3, 1, 1), (4, 2, 1), (2, 3, 1), (3, 1, 3), (2, 2, 2)]
)
def test_conv1d(kernel_size, strides, dilation, padding, device, dtype):
    layer = tn.Conv1D(5, kernel_size, strides, padding, dilation, "tanh")
    check(layer, (12, 3), convolution(layer), device, dtype)


def pooling(layer):
    pools = {
        (1, True): F.max_pool1d,
        (2, True): F.max_pool2d,
        (1, False): F.avg_pool1d,
        (2, False): F.avg_pool2d,
    }
    pool = pools[layer.rank, layer.largest]

    def peer(x):
        x, pads = first(x), [0] * (2 * layer.rank)
        if layer.padding == "same":
            pads = same_pads(x.shape[2:], layer.pool_size, layer.strides, (1,) * layer.rank)
        padded = F.pad(x, pads, value=-torch.inf if layer.largest else 0.0)
        y = pool(padded, layer.pool_size, layer.strides)
        if not layer.largest:
            y = y / pool(F.pad(torch.ones_like(x), pads), layer.pool_size, layer.strides)
        return last(y)

    return peer


@ON
@pytest.mark.parametrize("largest", [True, False])
def test_pooling_over_time(largest, device, dtype):
    kind, pool = (
        (tn.GlobalMaxPool1D, F.adaptive_max_pool1d)
        if largest
        else (tn.GlobalAveragePool1D, F.adaptive_avg_pool1d)
    )
    check(kind(), (7, 19), lambda x: pool(first(x), 1)[..., 0], device, dtype)


@ON
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("window, strides", [(2, None), (3, 1), (2, 3), ((3, 2), (2, 1)), ((1, 4), None)])
@pytest.mark.parametrize("kind", [tn.MaxPool2D, tn.AvgPool2D])
def test_pooling_2d(kind, window, strides, padding, device, dtype):
    layer = kind(window, strides, padding)
    check(layer, (7, 8, 19), pooling(layer), device, dtype)


@ON
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("window, strides", [(2, None), (3, 1), (2, 3)])
@pytest.mark.parametrize("kind", [tn.MaxPool1D, tn.AvgPool1D])
def test_pooling_1d(kind, window, strides, padding, device, dtype):
    layer = kind(window, strides, padding)
    check(layer, (11, 5), pooling(layer), device, dtype)


@ON
@pytest.mark.parametrize(
    "layer, peer",
    [
        (tn.GlobalAveragePool2D(), lambda x: x.mean(dim=(1, 2))),
        (tn.GlobalMaxPool2D(), lambda x: x.amax(dim=(1, 2))),
        (tn.Flatten(), lambda x: x.flatten(1)),
        (tn.Reshape((-1, 10)), lambda x: x.reshape(len(x), -1, 10)),
    ],
)
def test_what_has_no_parameters(layer, peer, device, dtype):
    check(layer, (4, 5, 3) if "pool" in layer.kind else (4, 5, 2), peer, device, dtype)


@ON
@pytest.mark.parametrize("input_shape", [(19,), (4, 3), (3, 4, 5)])
def test_batch_norm(input_shape, device, dtype):
    def peer(x, gamma, beta):
        return last(F.batch_norm(first(x), None, None, gamma, beta, training=True, eps=1e-2))

    check(tn.BatchNorm(epsilon=1e-2), input_shape, peer, device, dtype, batch=6)


@ON
def test_batch_norm_moving_averages(device, dtype):
    kernels, rng = back_end(device), np.random.default_rng(0)
    layer = tn.BatchNorm(momentum=0.9, epsilon=1e-2)
    layer.build((4, 3, 5), rng)
    randomise(layer, rng, dtype)
    mean, variance = (torch.tensor(layer.statistics[f"moving_{name}"]) for name in ("mean", "variance"))
    rows = 6 * 4 * 3
    for _ in range(3):
        x = (rng.standard_normal((6, 4, 3, 5)) * 3 + 1).astype(dtype)
        layer.forward(x, Context(kernels, training=True))
        before = variance.clone()
        F.batch_norm(first(torch.tensor(x)), mean, variance, training=True, momentum=0.1)
        # PyTorch takes the unbiased variance here, Keras and tinynet the biased one.
        variance = 0.9 * before + (variance - 0.9 * before) * (rows - 1) / rows
    close(layer.statistics["moving_mean"], mean.numpy(), TOLERANCES[dtype])
    close(layer.statistics["moving_variance"], variance.numpy(), TOLERANCES[dtype])
    y, _ = layer.forward(x, Context(kernels))
    gamma, beta = (torch.tensor(layer.parameters[name]) for name in ("gamma", "beta"))
    expected = last(F.batch_norm(first(torch.tensor(x)), mean, variance, gamma, beta, eps=1e-2))
    close(y, expected.numpy(), TOLERANCES[dtype])


@ON
def test_a_whole_network_and_its_loss(device, dtype):
    kernels, rng = back_end(device), np.random.default_rng(3)
    net = tn.Sequential(
        [
            tn.Conv2D(4, 3, activation="relu"),
            tn.MaxPool2D(2),
            tn.Conv2D(6, 2, activation="relu"),
            tn.MaxPool2D(2),
            tn.Flatten(),
            tn.Dense(20, activation="relu"),
            tn.Dense(10, activation="softmax"),
        ],
        input_shape=(13, 13, 1),
    )
    for layer in net.layers:
        randomise(layer, rng, dtype)
    x, labels = rng.random((8, 13, 13, 1)).astype(dtype), rng.integers(0, 10, 8)
    context, chain = Context(kernels, training=True), net.logits
    logits, saved = chain.forward(x, context)
    loss, dlogits = kernels.cross_entropy(logits, labels, np.full(8, 1 / 8, dtype))
    _, gradients = chain.backward(dlogits, saved, context)

    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in net.parameters.items()}
    hidden = torch.tensor(x)
    for place, layer in net.children().items():
        own = {name: tensors[f"{place}.{name}"] for name in layer.parameters}
        if layer.kind.startswith("conv"):
            hidden = convolution(layer)(hidden, **own)
        elif layer.kind.startswith("max"):
            hidden = pooling(layer)(hidden)
        elif layer.kind.startswith("dense"):
            hidden = hidden @ own["kernel"] + own["bias"]
            hidden = torch.relu(hidden) if layer.activation == "relu" else hidden
        else:
            hidden = hidden.flatten(1)
    expected = F.cross_entropy(hidden, torch.tensor(labels))
    expected.backward()
    close(logits, hidden.detach().numpy(), TOLERANCES[dtype])
    close(loss, expected.item(), TOLERANCES[dtype])
    for name, gradient in gradients.items():
        close(gradient, tensors[name].grad.numpy(), TOLERANCES[dtype])


@ON
@pytest.mark.parametrize("count", [0, 1])
def test_no_sample_and_one_sample(count, device, dtype):
    kernels = back_end(device)
    layers = [
        tn.Conv2D(3, 2, activation="gelu"),
        tn.AvgPool2D(2),
        tn.BatchNorm(),
        tn.Flatten(),
        tn.Dropout(0.5),
        tn.Dense(4, "softmax"),
    ]
    net = tn.Sequential(layers, (5, 5, 2))
    for layer in net.layers:
        randomise(layer, np.random.default_rng(0), dtype)
    y, _ = net.forward(np.ones((count, 5, 5, 2), dtype), Context(kernels))
    assert y.shape == (count, 4) and y.dtype == dtype


# ---- sequences ----

RECURRENT = {"RNN": torch.nn.RNN, "LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}


def torch_recurrent(layers, dtype):
    """PyTorch's stack of the same recurrent layers, all of one kind, with their weights."""
    inner = [getattr(layer, "layer", layer) for layer in layers]
    kind, two_ways = type(inner[0]).__name__, isinstance(layers[0], tn.Bidirectional)
    inputs = next(iter(layers[0].parameters.values())).shape[0]
    more = {"nonlinearity": inner[0].activation} if kind == "RNN" else {}
    peer = RECURRENT[kind](
        inputs,
        inner[0].units,
        len(layers),
        bias=inner[0].use_bias,
        batch_first=True,
        bidirectional=two_ways,
        dtype=torch.tensor(np.zeros(0, dtype)).dtype,
        **more,
    )
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            value = own_array(layers, name)
            parameter.copy_(torch.tensor(value) if value is not None else torch.zeros_like(parameter))
    return peer


def own_array(layers, name, arrays=None):
    """What tinynet calls PyTorch's `weight_hh_l1_reverse`, in PyTorch's layout; None for a bias that only PyTorch has."""
    kind, which, place, *back = name.split("_")
    layer = layers[int(place[1:])]
    own = {
        ("weight", "ih"): "kernel",
        ("weight", "hh"): "recurrent_kernel",
        ("bias", "ih"): "bias",
        ("bias", "hh"): "recurrent_bias",
    }[kind, which]
    if isinstance(layer, tn.Bidirectional):
        own = f"{'backward' if back else 'forward'}_{own}"
    value = (layer.parameters if arrays is None else arrays[int(place[1:])]).get(own)
    return None if value is None else value.T


def torch_state(arrays, layers):
    """States layer by layer, and in each both directions, as PyTorch stacks them: (h,) or (h, c)."""
    ways = 2 if isinstance(layers[0], tn.Bidirectional) else 1
    kinds = len(arrays[0]) // ways
    return [
        np.stack([own[way * kinds + kind] for own in arrays for way in range(ways)]) for kind in range(kinds)
    ]


CELLS = [
    lambda **more: tn.RNN(5, "tanh", **more),
    lambda **more: tn.RNN(5, "relu", **more),
    lambda **more: tn.LSTM(5, **more),
    lambda **more: tn.GRU(5, **more),
]
each_cell = pytest.mark.parametrize("cell", CELLS, ids=["rnn", "rnn-relu", "lstm", "gru"])


@ON
@each_cell
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("two_ways", [False, True], ids=["forwards", "both"])
@pytest.mark.parametrize("lengths", [None, (7, 2, 5)], ids=["whole", "padded"])
def test_recurrent(cell, use_bias, depth, two_ways, lengths, device, dtype):
    kernels, rng = back_end(device), np.random.default_rng(4)
    layers = [cell(use_bias=use_bias, return_sequences=True) for _ in range(depth)]
    layers = [tn.Bidirectional(layer) if two_ways else layer for layer in layers]
    net = tn.Sequential(layers, (None, 3))
    for layer in net.layers:
        randomise(layer, rng, dtype)
    x = rng.standard_normal((3, 7, 3)).astype(dtype)
    first = [
        tuple(rng.standard_normal((3, 5)).astype(dtype) for _ in layer.zero_state(3)) for layer in layers
    ]
    mask = None if lengths is None else np.arange(7) < np.array(lengths)[:, None]
    state = dict(zip(net.children(), first, strict=True))
    context = Context(kernels, training=True, mask=mask, state=state)
    y, saved = net.forward(x, context)
    dy = rng.standard_normal(y.shape).astype(dtype)
    if mask is not None:
        dy[~mask] = 0
    _, gradients = net.backward(dy, saved, context)

    peer, tx = torch_recurrent(layers, dtype), torch.tensor(x)
    given = [torch.tensor(array, requires_grad=True) for array in torch_state(first, layers)]
    given = tuple(given) if len(given) == 2 else given[0]
    if lengths is None:
        ty, final = peer(tx, given)
    else:
        pack = torch.nn.utils.rnn.pack_padded_sequence(tx, lengths, batch_first=True, enforce_sorted=False)
        ty, final = peer(pack, given)
        ty, _ = torch.nn.utils.rnn.pad_packed_sequence(ty, batch_first=True)
        y = np.where(mask[..., None], y, 0)
    ty.backward(torch.tensor(dy))
    close(y, ty.detach().numpy(), TOLERANCES[dtype])
    ours = torch_state(list(net.final_state(saved).values()), layers)
    for found, expected in zip(ours, final if isinstance(final, tuple) else (final,), strict=True):
        close(found, expected.detach().numpy(), TOLERANCES[dtype])
    arrays = [
        {name: gradients[f"{place}.{name}"] for name in layer.parameters if f"{place}.{name}" in gradients}
        for place, layer in net.children().items()
    ]
    assert len(gradients) == len(net.parameters)
    pairs = [(own_array(layers, name, arrays), parameter.grad) for name, parameter in peer.named_parameters()]
    pairs = [(gradient, expected.numpy()) for gradient, expected in pairs if gradient is not None]
    assert len(pairs) == len(gradients)
    for gradient, expected in pairs:
        assert gradient.dtype == dtype
        close(gradient, expected, 2 * TOLERANCES[dtype])


@ON
@each_cell
@pytest.mark.parametrize("backwards", [False, True])
def test_recurrent_gradients_at_the_input(cell, backwards, device, dtype):
    layer = cell(go_backwards=backwards)

    def peer(x, **parameters):
        module = torch_recurrent([layer], dtype)
        names = {
            "weight_ih_l0": "kernel",
            "weight_hh_l0": "recurrent_kernel",
            "bias_ih_l0": "bias",
            "bias_hh_l0": "recurrent_bias",
        }
        own = {
            name: torch.movedim(parameters[ours], -1, 0)
            if ours in parameters
            else torch.zeros_like(getattr(module, name))
            for name, ours in names.items()
        }
        y, _ = torch.func.functional_call(module, own, (x.flip(1) if backwards else x,))
        return y[:, -1]

    check(layer, (9, 4), peer, device, dtype)


@ON
@pytest.mark.parametrize(
    "layer, peer, tolerance",
    [
        (tn.Embedding(11, 6), F.embedding, 0),
        (
            tn.EmbeddingBag(11, 6),
            lambda ids, table: F.embedding_bag(ids, table, mode="sum", padding_idx=0),
            1e-6,
        ),
    ],
    ids=["embedding", "bag"],
)
def test_embedding(layer, peer, tolerance, device, dtype):
    kernels, rng = back_end(device), np.random.default_rng(0)
    layer.build((None,), rng)
    randomise(layer, rng, dtype)
    ids = rng.integers(0, 11, (4, 9)).astype(np.int32)
    context = Context(kernels, training=True)
    y, saved = layer.forward(ids, context)
    dy = rng.standard_normal(y.shape).astype(dtype)
    table = torch.tensor(layer.parameters["embeddings"], requires_grad=True)
    ty = peer(torch.tensor(ids), table)
    ty.backward(torch.tensor(dy))
    close(y, ty.detach().numpy(), tolerance)
    close(layer.backward(dy, saved, context)[1]["embeddings"], table.grad.numpy(), TOLERANCES[dtype])


@ON
def test_a_character_model_and_its_loss(device, dtype):
    kernels, rng = back_end(device), np.random.default_rng(6)
    net = tn.Sequential(
        [tn.Embedding(13, 6), tn.LSTM(8, return_sequences=True), tn.Dense(13, "softmax")], (None,)
    )
    for layer in net.layers:
        randomise(layer, rng, dtype)
    ids, labels = rng.integers(0, 13, (2, 5, 20))
    context, chain = Context(kernels, training=True), net.logits
    logits, saved = chain.forward(ids, context)
    flat = logits.reshape(-1, 13), labels.reshape(-1)
    loss, dlogits = kernels.cross_entropy(*flat, np.full(100, 1 / 100, dtype))
    _, gradients = chain.backward(dlogits.reshape(logits.shape), saved, context)

    embedding, lstm, dense = net.layers
    table = torch.tensor(embedding.parameters["embeddings"], requires_grad=True)
    kernel, bias = (torch.tensor(value, requires_grad=True) for value in dense.parameters.values())
    peer = torch_recurrent([lstm], dtype)
    hidden, _ = peer(F.embedding(torch.tensor(ids), table))
    expected = F.cross_entropy((hidden @ kernel + bias).reshape(-1, 13), torch.tensor(labels).reshape(-1))
    expected.backward()
    close(loss, expected.item(), TOLERANCES[dtype])
    close(gradients["embedding_1.embeddings"], table.grad.numpy(), TOLERANCES[dtype])
    close(gradients["lstm_1.recurrent_kernel"], peer.weight_hh_l0.grad.numpy().T, TOLERANCES[dtype])
    close(gradients["dense_1.kernel"], kernel.grad.numpy(), TOLERANCES[dtype])
