"""Attention and layer normalisation against PyTorch."""

from __future__ import annotations

import pytest
from test_parity import ON, F, check, torch

import tinynet as tn


@ON
@pytest.mark.parametrize("shape", [(20,), (5, 7), (3, 4, 33)])
def test_layer_norm(shape, device, dtype):
    def peer(x, gamma, beta):
        return F.layer_norm(x, gamma.shape, gamma, beta, 1e-3)

    check(tn.LayerNorm(), shape, peer, device, dtype)


@ON
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
@pytest.mark.parametrize(
    "settings", [{}, {"use_bias": False}, {"causal": True}, {"causal": True, "window": 6}], ids=str
)
def test_multi_head_attention(settings, steps, device, dtype):
    layer = tn.MultiHeadAttention(3, 4, **settings)

    def peer(x, kernel, output_kernel, bias=None, output_bias=None):
        at = torch.arange(steps)
        back = at[:, None] - at
        hidden = (back < 0) | (back >= (layer.window or steps)) if layer.causal else None
        x = x.swapaxes(0, 1)  # steps first, as this function has it
        y, _ = F.multi_head_attention_forward(
            x, x, x, 12, 3, kernel.T, bias, None, None, False, 0.0, output_kernel.T, output_bias,
            attn_mask=hidden, need_weights=False,
        )  # fmt: skip
        return y.swapaxes(0, 1)

    check(layer, (steps, 12), peer, device, dtype)
