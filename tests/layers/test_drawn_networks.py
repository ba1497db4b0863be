"""Small networks that are drawn, on the cpu back end in memory that is known to be wrong, against the reference."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from helpers import close, randomise
from poison import POISONS, poisoned

import tinynet as tn
from tinynet.kernels import cpu, reference
from tinynet.kernels.replay import CALLS_BEFORE_CAPTURE
from tinynet.layers import LAYERS, Context
from tinynet.layers.containers import MERGES
from tinynet.network import leaves, named_leaves, rebuilt

COUNT = 1000
TOLERANCE = 1e-3
"""Of the largest value: batches of one or two are normalised, which magnifies rounding."""
UNITS = (1, 3, 8, 9, 17)


class Draw:
    """Layers whose kind and settings are drawn."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def one(self, *choices):
        return choices[self._rng.integers(len(choices))]

    def some(self, count, *choices):
        return tuple(self.one(*choices) for _ in range(count))

    def window(self, rank):
        """The settings of a layer with a window."""
        return {"strides": self.some(rank, 1, 1, 2, 3), "padding": self.one("valid", "same", "same")}

    def conv(self, rank):
        size, dilation = self.some(rank, 1, 2, 3, 4, 5), self.some(rank, 1, 1, 1, 2, 3, 8)
        activation = self.one(*reference.FUSED, "gelu", "softmax")
        settings = {"activation": activation, "use_bias": self.one(True, False), **self.window(rank)}
        return (tn.Conv1D, tn.Conv2D)[rank - 1](self.one(*UNITS), size, dilation_rate=dilation, **settings)

    def depthwise(self):
        conv = self.conv(2)
        settings = conv.settings() | {"depth_multiplier": self.one(1, 1, 2, 3)}
        if self.one(True, False):
            return tn.SeparableConv2D(**settings)
        del settings["filters"]
        return tn.DepthwiseConv2D(**settings)

    def pool(self, rank):
        kinds = ((tn.MaxPool1D, tn.AvgPool1D), (tn.MaxPool2D, tn.MaxPool2D, tn.AvgPool2D))[rank - 1]
        return self.one(*kinds)(self.some(rank, 1, 2, 2, 3, 4), **self.window(rank))

    def cell(self, **settings):
        kind = self.one(tn.RNN, tn.LSTM, tn.GRU)
        if kind is tn.GRU:
            settings["reset_after"] = self.one(True, False)
        settings |= {"use_bias": self.one(True, False), "dropout": self.one(0.0, 0.0, 0.4)}
        return kind(self.one(*UNITS), return_sequences=self.one(True, True, False), **settings)

    def dense(self):
        activation = self.one("linear", "relu", "silu", "tanh", "softmax")
        return tn.Dense(self.one(*UNITS), activation, self.one(True, False))

    def anywhere(self):
        activation = tn.Activation(self.one("relu", "elu", "gelu", "softmax"))
        return self.one([self.dense()], [activation], [tn.Dropout(0.3)], [tn.BatchNorm()], [tn.LayerNorm()])

    def behind_a_picture(self):
        conv, pool = self.one(self.conv(2), self.conv(2), self.depthwise()), self.pool(2)
        small = tn.Flatten(), tn.GlobalAveragePool2D(), tn.GlobalMaxPool2D(), tn.Reshape((-1, 1))
        return self.one([conv], [pool], [conv, pool], [self.one(*small, tn.TimeDistributed(self.conv(1)))])

    def behind_a_sequence(self):
        conv, pool, cell = self.conv(1), self.pool(1), self.cell(go_backwards=self.one(True, False))
        both = tn.Bidirectional(self.cell(), self.one("concat", "sum", "mul", "ave"))
        over_time = tn.GlobalAveragePool1D(), tn.GlobalMaxPool1D()
        settings = self.one(
            {},
            {"causal": True},
            {"causal": True, "window": self.one(1, 2, 4), "alibi": self.one(True, False)},
        )
        attention = tn.MultiHeadAttention(self.one(1, 2, 3), self.one(*UNITS), **settings)
        steps = self.one(tn.PositionEmbedding(1), tn.Cropping1D((1, 0)), tn.PositionEmbedding(9))
        across = attention, steps
        small = tn.Flatten(), both, tn.TimeDistributed(self.dense()), *over_time, *across
        return self.one([cell], [conv], [pool], [conv, pool], [self.one(*small)])

    def behind_a_vector(self):
        return [self.one(self.dense(), tn.RepeatVector(self.one(1, 3)), tn.Reshape((1, -1)))]

    def in_front(self, features):
        table = tn.Embedding(6, features, mask_zero=self.one(True, False, False))
        bag = tn.EmbeddingBag(6, features, dropout=self.one(0.0, 0.3))
        return self.one([tn.Masking()], [table], [table, self.cell()], [bag])

    def container(self, shape, depth):
        """A few layers in a container."""

        def chain():
            inner, _ = self.layers(shape, self.one(1, 2), depth - 1)
            return tn.Sequential(inner)

        kinds = (
            chain,
            lambda: tn.Residual(chain().layers),
            lambda: tn.Parallel([chain(), chain()], self.one(*MERGES)),
            lambda: mirrored(chain()) if len(shape) == 3 else chain(),
        )
        return [self.one(*kinds)()]

    def layers(self, given=None, count=None, depth=1):
        """(layers, input shape)."""
        shape = given = given or self.some(self.one(1, 2, 2, 3, 3), *range(1, 10))
        layers, count = [], count or self.one(1, 2, 3, 4, 5)
        if depth and len(shape) == 2 and self.one(True, False):
            layers = self.in_front(shape[1])
            given = shape[:1] if layers[0].takes_ids else shape
            shape = output_shape(layers, given)
        while len(layers) < count:
            kinds = self.behind_a_vector, self.behind_a_sequence, self.behind_a_picture
            draw = self.one(self.anywhere, *2 * [kinds[len(shape) - 1]])
            try:
                more = self.container(shape, depth) if depth and self.one(*4 * [False], True) else draw()
                shape = output_shape(more, shape)
            except tn.TinynetError:  # too small for a window, or shapes that do not fit each other
                continue
            layers += more
        return layers, given


def mirrored(chain):
    """The chain, which looks at mirror images too, unless one inside does."""
    twice = any(isinstance(layer, tn.Mirrored) for _, layer in chain.walk())
    return chain if twice else tn.Mirrored(chain.layers)


def output_shape(layers, shape):
    for layer in layers:
        shape = layer.compute_output_shape(shape)
    return shape


def network(seed, dtype=np.float32):
    """A network, inputs, and states to start from or None."""
    rng = np.random.default_rng(seed)
    net = tn.Sequential(*Draw(rng).layers())
    for _, layer in net.walk():
        if not layer.children():
            randomise(layer, rng, dtype)
    n = int(rng.integers(1, 10))
    x = (
        rng.integers(0, 6, (n, *net.input_shape))
        if net.takes_ids
        else normal(rng, dtype, n, *net.input_shape)
    )
    if isinstance(net.layers[0], tn.Masking):
        x *= rng.random((n, len(x[0]), 1)) < 0.6
    if rng.random() < 0.5:
        return net, x, None
    zeros = net.zero_state(n)
    return net, x, rebuilt(zeros, (normal(rng, dtype, *array.shape) for array in leaves(zeros))) or None


def normal(rng, dtype, *shape):
    return rng.standard_normal(shape, np.float32).astype(dtype)


def results(seed, kernels, dtype, copy=np.copy):
    """Output, states and all gradients, that at the input too; and the prediction of a call that is replayed, if there is one."""
    net, x, state = network(seed, dtype)
    context = Context(kernels, training=True, seed=3, state=state)
    y, kept = net.forward(copy(x), context)
    found = {"output": y}
    found |= {f"state {name}": array for name, array in named_leaves(kept.state).items()}
    dx, gradients = net.backward(normal(np.random.default_rng(0), dtype, *y.shape), kept, context)
    found |= gradients
    if not net.takes_ids:
        found["input"] = dx
    for _ in range(CALLS_BEFORE_CAPTURE + 2):
        found["prediction"], _ = net.compute(kernels, copy(x), state)
    return found


def check(seed: int) -> None:
    """Hold a network to the reference."""
    expected, found = results(seed, reference, np.float64), []
    for value in POISONS:
        with poisoned(value) as poison:
            found.append(results(seed, cpu, np.float32, poison.copy))
        assert found[-1].keys() == expected.keys()
        for name, array in found[-1].items():
            close(array, expected[name], TOLERANCE)
            assert array.tobytes() == found[0][name].tobytes(), (
                f"{name}: the bits depend on what lay in memory"
            )


def check_many(seeds: range) -> None:
    for seed in seeds:
        try:
            check(seed)
        except AssertionError as error:
            net, x, _ = network(seed)
            told = ", ".join(layer.description() for layer in net.layers)
            again = f'in tests: python -c "from layers.test_drawn_networks import check; check({seed})"'
            raise AssertionError(f"{told} of {x.shape}: {error}\nagain, {again}") from None


def test_drawn_networks():
    check_many(range(COUNT))


@pytest.mark.slow
def test_ten_times_as_many_networks():
    check_many(range(10**6, 10**6 + 10 * COUNT))


def test_every_layer_is_drawn():
    drawn = [layer for seed in range(300) for layer in Draw(np.random.default_rng(seed)).layers()[0]]
    missing = LAYERS.keys() - {layer.type_name() for layer in drawn}
    assert not missing, f"Draw, in this file, never draws {missing}"
