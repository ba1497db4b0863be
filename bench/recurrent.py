"""How fast are recurrent networks: a training step of a character model, and writing, beside PyTorch; and what does size cost?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinynet as tn
from tinynet.kernels import device

from .measure import THREADS, Row, alternate, faster, milliseconds, print_rows
from .steps import step_function, torch_step

BATCH, STEPS, CHARACTERS, EMBEDDING = 32, 64, 65, 64
GOALS = {"LSTM": "≥ 1.3×", "GRU": "≥ 2.5×", "RNN": "≥ 2.2×"}


def network(cell: str, units: int) -> tn.Sequential:
    """Embedding, one recurrent layer, softmax over the characters."""
    recurrent = getattr(tn, cell)(units, return_sequences=True)
    layers = [tn.Embedding(CHARACTERS, EMBEDDING), recurrent, tn.Dense(CHARACTERS, activation="softmax")]
    return tn.Sequential(layers, (None,), vocabulary="".join(map(chr, range(48, 48 + CHARACTERS))))


def samples(batch: int = BATCH, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Random characters (batch, steps), and as many to be written."""
    rng = np.random.default_rng(0)
    return rng.integers(0, CHARACTERS, (batch, steps)), rng.integers(0, CHARACTERS, (batch, steps))


def torch_network(cell: str, units: int) -> Any:
    """The same layers as a PyTorch module, ids → logits; `advance` also takes and returns the state."""
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(CHARACTERS, EMBEDDING)
            self.cell = getattr(nn, cell)(EMBEDDING, units, batch_first=True)
            self.output = nn.Linear(units, CHARACTERS)

        def advance(self, ids: Any, state: Any = None) -> tuple[Any, Any]:
            h, state = self.cell(self.embedding(ids), state)
            return self.output(h), state

        def forward(self, ids: Any) -> Any:
            return self.advance(ids)[0]

    return Model()


def training_step(cell: str, units: int, rounds: int = 40) -> Row:
    """Median of one step: forward, cross-entropy, backward, update, on 32 sequences of 64 characters."""
    import torch

    x, y = samples()
    peer = torch_step(torch_network(cell, units), torch.from_numpy(x), y)
    ours, theirs = alternate([step_function(network(cell, units), x, y), peer], rounds)
    job = f"character {cell} of {units} units, training step, batch {BATCH} × {STEPS}, against PyTorch"
    goal = GOALS[cell] if units == 256 else ""
    return Row(job, milliseconds(ours), milliseconds(theirs), f"{faster(ours, theirs)} faster", goal)


def torch_writing(model: Any, characters: int, device: str = "cpu") -> Callable[[], None]:
    """A closure that writes so many characters in a loop in PyTorch."""
    import torch

    model.to(device)

    def write() -> None:
        index, state = torch.zeros(1, 1, dtype=torch.long, device=device), None
        with torch.no_grad():
            for _ in range(characters):
                logits, state = model.advance(index, state)
                index = torch.multinomial(torch.softmax(logits[:, -1] / 0.8, -1), 1)
        index.tolist()

    return write


def writing(characters: int = 1000, units: int = 256) -> Row:
    """Seconds for 1,000 characters, each drawn from what the ones before make probable."""
    net, peer = network("LSTM", units), torch_writing(torch_network("LSTM", units), characters)
    ours, theirs = alternate([lambda: net.generate("h", characters, random_seed=0), peer], 15, blocks=3)
    job = f"writing {characters:,} characters, LSTM of {units} units, against a loop in PyTorch"
    result = f"{faster(ours, theirs)} faster, {1e6 * ours / characters:.0f} µs per character"
    return Row(job, milliseconds(ours), milliseconds(theirs), result, "≥ 8×, < 50 µs")


def costs() -> list[Row]:
    """How the cost of an LSTM's training step grows with units, steps and batch."""
    cases = [
        (64, 32, 64),
        (128, 32, 64),
        (256, 32, 64),
        (512, 32, 64),
        (256, 32, 128),
        (256, 64, 64),
        (256, 8, 64),
    ]
    rows = []
    for units, batch, steps in cases:
        step = step_function(network("LSTM", units), *samples(batch, steps))
        (seconds,) = alternate([step], 24, blocks=3)
        operations = 6 * batch * steps * (4 * units * (units + EMBEDDING) + units * CHARACTERS)
        job = f"LSTM of {units} units, training step, batch {batch} × {steps} steps"
        rate = f"{operations / seconds / 1e9:.0f} GF/s, {1e6 * seconds / batch / steps:.1f} µs per character"
        rows.append(Row(job, milliseconds(seconds), "–", rate, ""))
    return rows


def rows() -> list[Row]:
    """All rows of this question."""
    device.set_device("cpu")
    device.set_threads(THREADS)
    return [*(training_step(cell, units) for units in (256, 128) for cell in GOALS), writing()]


if __name__ == "__main__":
    print_rows([*rows(), *costs()])
