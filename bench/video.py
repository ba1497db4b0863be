"""Clips to classes: what a CNN per frame and a GRU over time tell of moving digits, and what either cannot; and how fast they are.

The shipped model on clips of the MNIST test digits, beside networks that see less: a frame, or two, the mean of all frames, or raw
pixels that a GRU reads without a CNN. Each is trained on the same clips, on random copies of them. Then a training step and inference
beside PyTorch. Needs the data set, see `tinynet train digits`.

    python -m bench.video [--clips N] [--epochs N]      clips and epochs of each training; 0 epochs leave those out
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tinynet as tn
from tinynet.data.datasets import load
from tinynet.data.video.augment import MOVING
from tinynet.data.video.moving_digits import DIRECTIONS, LABELS
from tinynet.data.video.prepare import Preparation, frames_of, lengths_of, mean_frames
from tinynet.kernels import device
from tinynet.network import Network
from tinynet.recipes.cnn_rnn import FEATURES, UNITS
from tinynet.recipes.video import DROPOUT, FILTERS, frame_layers, linear, network

from .measure import THREADS, Row, alternate, faster, milliseconds, print_rows, table
from .steps import step_function, torch_step

HEAD = ("network", "sees", "parameters", "digit", "way", "both")
BATCH, FRAMES = 32, 12
STANDING = tn.Augment(MOVING.shift, MOVING.rotate, MOVING.scale, MOVING.shear)


def as_it_is(x: np.ndarray) -> np.ndarray:
    """The clips."""
    return x


def neighbours(x: np.ndarray) -> np.ndarray:
    """The frame in the middle of each clip, and the one before it."""
    return x[np.arange(len(x)), lengths_of(x) // 2]


def middle(x: np.ndarray) -> np.ndarray:
    """The frame in the middle of each clip."""
    return frames_of(neighbours(x))


def means(x: np.ndarray) -> np.ndarray:
    """The mean frame of each clip, in bytes."""
    return np.round(255 * mean_frames(x)).astype(np.uint8)


def of_frames(preparation: Preparation, count: int) -> tn.Sequential:
    """The CNN of the recipe for one frame or two, with a dense layer where the recurrent one was."""
    last = [
        tn.Dense(UNITS, activation="relu"),
        tn.Dropout(DROPOUT),
        tn.Dense(len(LABELS), activation="softmax"),
    ]
    return tn.Sequential([*frame_layers(preparation), *last], (*preparation.frame_shape[:2], count))


def of_raw_pixels(preparation: Preparation) -> tn.Sequential:
    """A GRU that reads all pixels of each frame."""
    layers = [tn.Masking(), tn.TimeDistributed(tn.Flatten()), tn.GRU(UNITS), tn.Dropout(DROPOUT)]
    return tn.Sequential([*layers, tn.Dense(len(LABELS), activation="softmax")], preparation.input_shape)


def shares(answers: np.ndarray, y: np.ndarray) -> tuple[str, str, str]:
    """How often the digit, the way, and both are right."""
    ways = len(DIRECTIONS)
    right = answers // ways == y // ways, answers % ways == y % ways, answers == y
    found = [f"{100 * share.mean():.2f} %" for share in right]
    return found[0], found[1], found[2]


def lesser(data: Any, preparation: Preparation, clips: int, epochs: int) -> Iterator[tuple[str, ...]]:
    """One line a network that sees less, and the recipe's own, trained alike."""
    part, test = data.training(), data.test()
    x, y, others = part.prepared(preparation)[:clips], part.y[:clips], test.prepared(preparation)
    kinds: dict[tuple[str, str], tuple[Callable, Callable, Any]] = {
        ("CNN", "the middle frame"): (lambda own: of_frames(own, 1), middle, STANDING),
        ("CNN", "two neighbouring frames"): (lambda own: of_frames(own, 2), neighbours, STANDING),
        ("CNN", "the mean frame"): (lambda own: of_frames(own, 1), means, STANDING),
        ("GRU", "raw pixels"): (of_raw_pixels, as_it_is, MOVING),
        ("CNN, then GRU", "clips"): (lambda own: network(own, LABELS), as_it_is, MOVING),
    }
    yield "linear model", "the mean frame", "–", *shares(linear(x, y, others), test.y)
    for (name, sees), (make, view, augment) in kinds.items():
        net = make(preparation)
        net.metadata["input"] = preparation.settings()
        optimizer = tn.AdamW(tn.OneCycle(3e-3), weight_decay=0.02, clip_norm=1.0)
        net.fit(
            view(x), y, epochs=epochs, batch_size=BATCH, optimizer=optimizer, augment=augment, verbose=False
        )
        yield name, sees, f"{net.parameter_count():,}", *shares(answers(net, view(others)), test.y)


def answers(net: Network, x: np.ndarray) -> np.ndarray:
    """The classes that a network finds."""
    return net.answer(x)[0].argmax(axis=1)


def shipped(data: Any) -> tuple[str, ...]:
    """The line of the shipped model."""
    net, test = tn.load("moving-digits"), data.test()
    found = answers(net, test.prepared(Preparation.of(net)))
    return "`moving-digits`", "clips", f"{net.parameter_count():,}", *shares(found, test.y)


# ---- speed ----


def torch_network() -> Any:
    """The recipe's network in PyTorch, frames folded into the batch; returns logits."""
    import torch
    from torch import nn

    torch.set_num_threads(THREADS)

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            reads: list[nn.Module] = []
            for before, filters in zip((2, *FILTERS), FILTERS, strict=False):
                conv = nn.Conv2d(before, filters, 3, padding="same")
                reads += [conv, nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(filters, momentum=0.1)]
            places = nn.Flatten(), nn.Dropout(DROPOUT), nn.Linear(FILTERS[-1] * 16, FEATURES), nn.ReLU()
            self.reads, self.places = nn.Sequential(*reads), nn.Sequential(*places)
            self.dropout = nn.Dropout(DROPOUT)
            self.cell = nn.GRU(FEATURES + FILTERS[-1], UNITS, batch_first=True)
            self.output = nn.Linear(UNITS, len(LABELS))

        def forward(self, x: Any) -> Any:
            maps = self.reads(x.flatten(0, 1))
            seen = torch.cat([self.places(maps), maps.amax((2, 3))], 1)
            h, _ = self.cell(self.dropout(seen.reshape(*x.shape[:2], -1)))
            return self.output(self.dropout(h[:, -1]))

    return Model()


def speed() -> list[Row]:
    """A training step with Adam and inference, on clips of 12 frames of 32×32."""
    import torch

    net, model = network(Preparation(frames=FRAMES), LABELS), torch_network()
    rng = np.random.default_rng(0)
    x = rng.random((BATCH, FRAMES, 32, 32, 2), dtype=np.float32)
    y = rng.integers(0, len(LABELS), BATCH)
    tx = torch.from_numpy(x.transpose(0, 1, 4, 2, 3).copy())

    def row(job: str, ours: float, theirs: float) -> Row:
        return Row(job, milliseconds(ours), milliseconds(theirs), f"{faster(ours, theirs)} faster", "")

    rows = [
        row(
            f"CNN per frame, then GRU, training step, batch {BATCH} × {FRAMES} frames, against PyTorch",
            *alternate([step_function(net, x, y), torch_step(model, tx, y)], 40),
        )
    ]
    model.eval()
    for count in (BATCH, 1):
        part, peer = x[:count], tx[:count]

        def infer(peer: Any = peer) -> None:
            with torch.inference_mode():
                model(peer)

        times = alternate([lambda part=part: net.predict(part), infer], 40 if count > 1 else 200)
        rows.append(row(f"the same, inference, batch {count}, against PyTorch", *times))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=16_000)
    parser.add_argument("--epochs", type=int, default=12)
    given = parser.parse_args()
    device.set_device("cpu")
    device.set_threads(THREADS)
    moving = load("moving-digits")
    lines = [shipped(moving)]
    if given.epochs:
        lines += lesser(moving, Preparation.of(tn.load("moving-digits")), given.clips, given.epochs)
    print(table(HEAD, lines), flush=True)
    print()
    print_rows(speed())
