"""Depthwise and separable convolutions against PyTorch, whose groups they are."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from test_parity import APPLY, ON, F, check, first, last, same_pads, torch

import tinynet as tn
from tinynet.layers.base import ACTIVATIONS


def peer_of(layer):
    """The layer in PyTorch, on the kernels of the layer."""

    def peer(x, depthwise_kernel, pointwise_kernel=None, bias=None):
        kh, kw, c, m = depthwise_kernel.shape
        x, groups = first(x), torch.movedim(depthwise_kernel.reshape(kh, kw, 1, c * m), (-1, -2), (0, 1))
        if layer.padding == "same":
            x = F.pad(x, same_pads(x.shape[2:], (kh, kw), layer.strides, layer.dilation_rate))
        own = bias if pointwise_kernel is None else None
        z = F.conv2d(x, groups, own, stride=layer.strides, dilation=layer.dilation_rate, groups=c)
        if pointwise_kernel is not None:
            z = F.conv2d(z, torch.movedim(pointwise_kernel, (-1, -2), (0, 1)), bias)
        return APPLY[layer.activation](last(z))

    return peer


SETTINGS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 5), "strides": (1, 2)},
    {"kernel_size": 3, "strides": 2, "depth_multiplier": 2},
    {"kernel_size": (3, 2), "strides": (2, 1), "dilation_rate": (1, 3), "use_bias": False},
]


@ON
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_depthwise_and_separable(settings, padding, device, dtype):
    for layer in (
        tn.DepthwiseConv2D(padding=padding, **settings),
        tn.SeparableConv2D(5, padding=padding, **settings),
    ):
        check(layer, (9, 8, 19), peer_of(layer), device, dtype)


@ON
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, device, dtype):
    for layer in (
        tn.DepthwiseConv2D(3, activation=activation),
        tn.SeparableConv2D(4, 3, activation=activation),
    ):
        check(layer, (6, 7, 5), peer_of(layer), device, dtype)
