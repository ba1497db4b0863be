"""What is a transformer worth beside an LSTM with as many parameters, on one text: loss after the same time, speed of both?

    python -m bench.transformer [SECONDS [TEXT]]

First the speeds beside PyTorch, which trains its `nn.TransformerEncoder` with learnt positions, and writes in a loop that keeps keys
and values, as ours does. With SECONDS, both networks of the recipe are then trained for about so long each, whole epochs of a
whole cosine decay, and measured on the last tenth of the text, which neither has seen.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

import tinynet as tn
from tinynet.kernels import device
from tinynet.recipes import plan, text
from tinynet.recipes.base import Choices
from tinynet.tasks.characters import bits

from .measure import THREADS, Row, alternate, faster, milliseconds, print_rows, table
from .steps import step_function, torch_step

LENGTH = 1_000_000
"""Characters of the text that the measured networks are sized for."""
CHARACTERS = 65
BATCH, STEPS = text.STREAMS["transformer"], text.STEPS
WIDTH, BLOCKS = text.BLOCKS[float("inf")]


def network() -> tn.Sequential:
    """The recipe's transformer for a text of a million characters."""
    return text.network("transformer", "".join(map(chr, range(48, 48 + CHARACTERS))), LENGTH)


def torch_network() -> Any:
    """The same layers in PyTorch: ids → logits; `write` takes one id at a time."""
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(CHARACTERS, WIDTH)
            self.positions = nn.Embedding(text.WINDOW, WIDTH)
            layer = nn.TransformerEncoderLayer(
                WIDTH, text.HEADS, 4 * WIDTH, text.BLOCK_DROPOUT, "gelu", batch_first=True, norm_first=True
            )
            self.final = nn.LayerNorm(WIDTH)
            self.blocks = nn.TransformerEncoder(layer, BLOCKS, enable_nested_tensor=False)
            self.output = nn.Linear(WIDTH, CHARACTERS)

        def forward(self, ids: Any) -> Any:
            steps = ids.shape[1]
            x = self.embedding(ids) + self.positions(torch.arange(steps))
            mask = nn.Transformer.generate_square_subsequent_mask(steps)
            return self.output(self.final(self.blocks(x, mask=mask, is_causal=True)))

        def write(self, index: Any, position: int, cache: list[Any]) -> Any:
            x = self.embedding(index) + self.positions(torch.tensor([position % text.WINDOW]))
            blocks: Any = self.blocks.layers
            for number, block in enumerate(blocks):
                attention = block.self_attn
                z = nn.functional.linear(block.norm1(x), attention.in_proj_weight, attention.in_proj_bias)
                q, k, v = z.view(3, text.HEADS, 1, WIDTH // text.HEADS)
                if cache[number] is not None:
                    k, v = (
                        torch.cat(pair, 1)[:, -text.WINDOW :]
                        for pair in zip(cache[number], (k, v), strict=True)
                    )
                cache[number] = k, v
                a = nn.functional.scaled_dot_product_attention(q, k, v)
                x = x + attention.out_proj(a.view(1, WIDTH))
                x = x + block.linear2(nn.functional.gelu(block.linear1(block.norm2(x))))
            return self.output(self.final(x))

    return Model()


def training_step(rounds: int = 24) -> Row:
    """Median of one step: forward, cross-entropy, backward, update."""
    import torch

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, CHARACTERS, (2, BATCH, STEPS))
    peer = torch_step(torch_network(), torch.from_numpy(x), y, "AdamW")
    ours, theirs = alternate([step_function(network(), x, y, "AdamW"), peer], rounds, blocks=4)
    job = f"character transformer, {BLOCKS} blocks of {WIDTH}, training step, batch {BATCH} × {STEPS}, against PyTorch"
    return Row(job, milliseconds(ours), milliseconds(theirs), f"{faster(ours, theirs)} faster", "≥ 1×")


def writing(characters: int = 1000) -> Row:
    """Seconds for 1,000 characters, each drawn from what the last ones make probable."""
    import torch

    net, model = network(), torch_network().eval()

    def peer() -> None:
        cache: list[Any] = [None] * BLOCKS
        index = torch.zeros(1, dtype=torch.long)
        with torch.no_grad():
            for position in range(characters):
                logits = model.write(index, position, cache)
                index = torch.multinomial(torch.softmax(logits[-1] / 0.8, -1), 1)

    ours, theirs = alternate([lambda: net.generate("h", characters, random_seed=0), peer], 15, blocks=3)
    job = f"writing {characters:,} characters, the same transformer, against a loop in PyTorch"
    result = f"{faster(ours, theirs)} faster, {1e6 * ours / characters:.0f} µs per character"
    return Row(job, milliseconds(ours), milliseconds(theirs), result, "")


def rows() -> list[Row]:
    """All rows of this question."""
    device.set_device("cpu")
    device.set_threads(THREADS)
    return [training_step(), writing()]


def trained(arch: str, data: str, seconds: float) -> list[str]:
    """A line of the table: the network of an architecture, trained for about so long."""
    trial = plan(data, Choices(arch=arch, epochs=1))
    began = time.perf_counter()
    trial.model.fit(
        trial.x, trial.y, **{**trial.settings, "validation_data": None, "early_stopping": None}, verbose=False
    )
    epochs = max(round(seconds / (time.perf_counter() - began)), 1)
    made = plan(data, Choices(arch=arch, epochs=epochs))
    began = time.perf_counter()
    history = made.model.fit(made.x, made.y, **made.settings, verbose=False)
    took = time.perf_counter() - began
    loss = min(epoch["val_loss"] for epoch in history.epochs)
    (written,) = alternate([lambda: made.model.generate("", 1000, random_seed=0)], 9, blocks=3)
    results = (
        f"{loss:.4f}",
        f"{bits(loss):.4f}",
        f"{history.epochs[-1]['loss']:.4f}",
        f"{1000 * written:.0f} µs",
    )
    return [arch, f"{made.model.parameter_count():,}", str(epochs), f"{took:.0f} s", *results]


def losses(seconds: float, data: str) -> str:
    """Both architectures, trained for about as long."""
    head = (
        "network",
        "parameters",
        "epochs",
        "training",
        "nats per character",
        "bits",
        "nats in training",
        "writing, per character",
    )
    return table(head, [trained(arch, data, seconds) for arch in ("lstm", "transformer")])


if __name__ == "__main__":
    print_rows(rows())
    if len(sys.argv) > 1:
        print("\n" + losses(float(sys.argv[1]), (sys.argv[2:] or ["shakespeare"])[0]), flush=True)
