"""The networks of the literature are what their papers say, for pictures of any size."""

from __future__ import annotations

import numpy as np
import pytest

import tinynet as tn
from tinynet.recipes import blocks, folder

NETWORKS = {
    "vgg": blocks.vgg,
    "residual": blocks.residual,
    "inception": blocks.inception,
    "mobile": blocks.mobile,
}
each_network = pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS.keys())


@each_network
@pytest.mark.parametrize("input_shape", [(28, 28, 1), (65, 40, 3), (5, 9, 3)])
def test_a_network_takes_pictures_of_any_size_and_gives_probabilities(make, input_shape):
    net = tn.Sequential(make(input_shape, 3, width=8, blocks_per_stage=1), input_shape)
    y = net.predict(np.random.default_rng(0).random((2, *input_shape), np.float32))
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("side, stages", [(5, 1), (13, 1), (14, 2), (28, 3), (32, 3), (64, 4), (128, 5)])
def test_maps_are_halved_until_they_are_small(side, stages):
    assert blocks.count_stages((side, side + 7, 1)) == stages


def test_a_vgg_network_doubles_its_channels_from_stage_to_stage():
    net = tn.Sequential(blocks.vgg((28, 28, 1), 10), (28, 28, 1))
    shapes = [(layer.filters, layer.kernel_size) for layer in net.layers if layer.kind == "conv2d"]
    assert shapes == [(filters, (3, 3)) for filters in (24, 24, 48, 48, 96, 96)]
    assert net.parameter_count() == 208_642 and "dropout" not in {layer.kind for layer in net.layers}


def test_a_residual_network_has_the_layers_of_the_paper():
    net = tn.Sequential(blocks.residual((32, 32, 3), 10, blocks_per_stage=3), (32, 32, 3))
    kinds = [layer.kind for _, layer in net.walk()]
    # ResNet-20 on CIFAR-10: 19 convolutions and the classifier; projections are ours, where the paper pads
    assert kinds.count("conv2d") - 2 + kinds.count("dense") == 20
    assert 270_000 < net.parameter_count() < 275_000


def test_a_residual_network_for_large_pictures_pools_where_others_have_their_first_stage():
    shape = (96, 96, 3)
    pooled, usual = (
        tn.Sequential(blocks.residual(shape, 10, 8, 1, 4, strides=2, pooled=pooled), shape)
        for pooled in (True, False)
    )
    kinds = [layer.kind for layer in pooled.layers]
    assert kinds[:4] == ["conv2d", "batch_norm", "activation", "max_pool2d"] and kinds.count("residual") == 3
    assert pooled.shapes[-4] == usual.shapes[-4] == (6, 6, 64)
    assert pooled.shapes[kinds.index("max_pool2d") + 1] == (24, 24, 8)
    assert pooled.flops() < 0.8 * usual.flops()
    assert folder.network(shape, 5)[3].kind == "max_pool2d" != folder.network((64, 64, 3), 5)[3].kind


def test_an_inception_module_shares_its_channels_as_module_3a():
    module = blocks.inception_module(256)
    assert module.compute_output_shape((28, 28, 192)) == (28, 28, 256)
    filters = [
        [layer.filters for layer in branch.layers if layer.kind == "conv2d"] for branch in module.layers
    ]
    assert filters == [[64], [96, 128], [16, 32], [32]]


def test_an_inverted_residual_widens_between_its_ends_and_adds_what_keeps_its_shape():
    (kept,), halved = blocks.inverted_residual(8, 8, 1, 6), blocks.inverted_residual(8, 12, 2, 6)
    assert kept.kind == "residual" and kept.compute_output_shape((7, 7, 8)) == (7, 7, 8)
    net = tn.Sequential(halved, (7, 7, 8))
    assert [shape[-1] for shape in net.shapes] == [8, *6 * [48], 12, 12] and net.output_shape == (4, 4, 12)
    assert halved[-1].kind == "batch_norm", "the last convolution is linear"
