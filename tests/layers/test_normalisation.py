from __future__ import annotations

import numpy as np
import pytest
from helpers import BACK_ENDS, back_end, check_layer, close

import tinynet as tn
from tinynet.errors import ShapeError, TinynetError
from tinynet.kernels import reference
from tinynet.layers import BatchNorm, Context, LayerNorm


@pytest.mark.parametrize("shape", [(3,), (4, 2), (3, 2, 2)])
def test_batch_norm_normalises_each_channel_by_the_batch(shape):
    def expected(x, gamma, beta):
        axes = tuple(range(x.ndim - 1))
        return gamma * (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-3) + beta

    check_layer(BatchNorm(), shape, batch=4, expected=expected, output_shape=shape)


def test_batch_norm_of_one_value_a_channel_is_beta():
    check_layer(BatchNorm(), (3,), batch=1, expected=lambda x, gamma, beta: beta + 0 * x)


MASKS = {
    "padded": np.arange(4) < np.array([[4], [1], [3]]),
    "scattered": np.array([[0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool),
    "nothing": np.zeros((3, 4), bool),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("shape", [(4, 2), (4, 3, 2)])
def test_batch_norm_counts_real_steps_alone(shape, mask):
    def expected(x, gamma, beta):
        real = x[mask].reshape(-1, 2) if mask.any() else np.zeros((1, 2))
        return gamma * (x - real.mean(0)) / np.sqrt(real.var(0) + 1e-3) + beta

    check_layer(BatchNorm(), shape, batch=3, expected=expected, output_shape=shape, mask=mask)


@pytest.mark.parametrize("device", BACK_ENDS)
def test_padding_changes_no_statistics(device):
    """A padded batch leaves the averages, and at real steps the output, that the real steps alone would."""
    x = np.random.default_rng(0).uniform(0.5, 2, (3, 4, 2)).astype(np.float32) * MASKS["padded"][..., None]
    padded, alone = (tn.Sequential([tn.Masking(), BatchNorm()], (None, 2)) for _ in range(2))
    context = Context(back_end(device), training=True)
    together, _ = padded.forward(x, context)
    apart, _ = alone.forward(x[MASKS["padded"]][None], context)
    close(together[MASKS["padded"]], apart[0], 1e-6)
    for found, exact in zip(padded.get_weights(), alone.get_weights(), strict=True):
        close(found, exact, 1e-6)


def test_moving_averages_follow_the_batches_and_are_used_outside_training():
    layer = BatchNorm(momentum=0.9, epsilon=1e-2)
    layer.build((3,), np.random.default_rng(0))
    assert layer.statistics["moving_mean"].tolist() == [0] * 3
    assert layer.statistics["moving_variance"].tolist() == [1] * 3
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32) * 2 + 5
    layer.forward(x, Context(reference, training=True))
    mean, variance = 0.1 * x.mean(0), 0.9 + 0.1 * x.var(0)
    close(layer.statistics["moving_mean"], mean, 1e-6)
    close(layer.statistics["moving_variance"], variance, 1e-6)
    y, _ = layer.forward(x, Context(reference))
    close(y, (x - mean) / np.sqrt(variance + 1e-2), 1e-6)
    close(layer.statistics["moving_mean"], mean, 1e-6)


def test_a_layer_that_a_file_will_fill_starts_at_zero():
    layer = BatchNorm()
    layer.build((3,), None)
    assert not any(value.any() for value in (*layer.parameters.values(), *layer.statistics.values()))


@pytest.mark.parametrize(
    "settings",
    [
        {"epsilon": 0},
        {"epsilon": -1},
        {"epsilon": np.nan},
        {"epsilon": np.inf},
        {"epsilon": True},
        {"epsilon": "1"},
        {"momentum": 1},
        {"momentum": None},
    ],
)
def test_a_bad_setting_of_batch_norm_is_refused(settings):
    with pytest.raises(TinynetError, match=r"^batch_norm: "):
        BatchNorm(**settings)


def test_batch_norm_needs_a_known_number_of_channels():
    with pytest.raises(ShapeError, match=r"^batch_norm takes .*channels.*, but is given \(4, any\)"):
        BatchNorm().compute_output_shape((4, None))


@pytest.mark.parametrize("shape", [(3,), (4, 2), (2, 3, 5), (1,)])
def test_layer_norm_makes_each_vector_one_of_mean_0_and_variance_1(shape):
    def expected(x, gamma, beta):
        return gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) + beta

    check_layer(LayerNorm(), shape, batch=3, expected=expected, output_shape=shape)


@pytest.mark.parametrize("device", BACK_ENDS)
def test_layer_norm_is_stable_far_from_zero(device):
    x = (1000 + np.random.default_rng(0).standard_normal((5, 33))).astype(np.float32)
    layer = LayerNorm(1e-6)
    layer.build((33,), np.random.default_rng(0))
    y, _ = layer.forward(x, Context(back_end(device)))
    exact = x - x.mean(-1, keepdims=True, dtype=np.float64)
    close(y, exact / exact.std(-1, keepdims=True), 1e-3)


def test_layer_norm_names_what_it_cannot_take():
    with pytest.raises(TinynetError, match=r"^layer_norm: epsilon"):
        LayerNorm(0)
    with pytest.raises(ShapeError, match=r"^layer_norm takes .*features.*, but is given \(4, any\)"):
        LayerNorm().compute_output_shape((4, None))
    assert tn.LayerNormalization is tn.LayerNorm
