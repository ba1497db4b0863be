"""Text: `tinynet train FILE.txt`, then `tinynet generate` with the model that this makes.

What comes next in a text depends on what came before, near and far: a recurrent layer keeps that in its state, here from
window to window through the whole text (truncated back-propagation through time; Karpathy 2015). A transformer looks it up among the
last characters, whose keys and values are its state (Dai et al. 2019).
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from ..data.text.characters import encode, streams, vocabulary_of, windows
from ..errors import DataError, Setting, UsageError
from ..layers import Dense, Dropout, Embedding, LayerNorm, MultiHeadAttention, Residual
from ..layers.base import Layer
from ..sequential import Sequential
from ..tasks.base import CHARACTERS
from ..tasks.characters import HELD_OUT, alphabet_of, generate, held_out_of, show_loss, split, text_of
from ..terminal import note
from ..training import AdamW, Callback, CosineDecay, EarlyStopping, Training, WarmUp
from .architectures import ARCHITECTURES
from .base import RECURRENT, SHOWN, USUAL, Choices, Plan, Recipe
from .scores import CHARACTER_LOSS, Measure, Score, pair_loss
from .transfer import Base

STREAMS, STEPS = {"lstm": 50, "gru": 50, "rnn": 16, "transformer": 50}, 100
"""Parallel streams of the text, and characters of each that one training step takes.

A plain RNN learns less from a step, and a step costs less: it takes more of them, and needs no dropout.
"""
WINDOWS = 10
"""Least number of windows in a stream; short texts have fewer streams."""
UNITS = {20_000: 64, 100_000: 128, 500_000: 256, math.inf: 512}
"""Size of the recurrent layer, by the most characters of a text."""
DROPOUT = {100_000: 0.2, math.inf: 0.5}
EMBEDDING = 64
BLOCKS = {20_000: (48, 1), 100_000: (64, 2), 500_000: (96, 3), math.inf: (128, 6)}
"""Width and number of a transformer's blocks, by the most characters: about as many parameters as the LSTM has."""
HEADS = 4
WINDOW = 128
"""Characters that a transformer sees."""
BLOCK_DROPOUT = 0.1
TRAINING_STEPS = {"lstm": 3200, "gru": 3200, "rnn": 9600, "transformer": 3200}
"""Steps that are enough for a million characters; a short text is read more often."""
EPOCHS = (3, 60)
"""Fewest and most times that a text is read."""
PEAK_LEARNING_RATE = {"lstm": 3e-3, "gru": 3e-3, "rnn": 4e-3, "transformer": 5e-3}
WARM_UP = 0.05
"""Fraction of all training steps, at most WARM_UP_STEPS."""
WARM_UP_STEPS = 200
RESET_RATE = {"lstm": 0.0, "gru": 0.0, "rnn": 0.1, "transformer": 0.0}
"""A plain RNN can get stuck on one character when it starts from zeros it rarely saw in training; LSTM and GRU do not."""
CLIP_NORM = 1.0
SAMPLE, SECONDS_BETWEEN_SAMPLES = 200, 20.0
"""Length of the samples shown during training, and the least seconds between them."""


@dataclass
class TextPlan(Plan):
    """A training on text. The loss is in nats per character."""

    characters: int = 0
    """How many characters it trains on."""

    def record(self, best: dict[str, Any]) -> dict[str, Any]:
        return {"characters": self.characters, "validation loss": round(best["val_loss"], 5)}

    def notes(self) -> list[str]:
        return []

    def result_line(self, best: dict[str, Any]) -> str:
        return f"validation loss {show_loss(best['val_loss'])}"

    @property
    def measure(self) -> Measure:
        return CHARACTER_LOSS

    def score(self, best: dict[str, Any]) -> Score:
        """The loss on the last tenth of the text."""
        return Score(self.measure, best["val_loss"])

    @cached_property
    def baselines(self) -> dict[str, float]:
        """What is lost when a character is guessed from the one before alone."""
        ids = len(self.model.vocabulary or ())
        x, y, weights = self.settings["validation_data"]
        return {"the character before alone": pair_loss(self.x, self.y, x, y, weights, ids)}


class Text(Recipe):
    """A text file, or "shakespeare"; the size of the network follows from the length of the text."""

    task = CHARACTERS
    kind = "sequence"
    holds = "text"
    options = frozenset({"base"})
    output = "new for new characters"

    def matches(self, data: str, choices: Choices) -> bool:
        return data == "shakespeare" or (data.lower().endswith(".txt") and os.path.exists(data))

    def plan(self, data: str, choices: Choices) -> TextPlan:
        arch, text = choices.arch, text_of(data)
        vocabulary = _vocabulary(text, data, choices.begun)
        training, validation = split(encode(text, vocabulary))
        batch_size = choices.batch_size or min(max(len(training) // (STEPS * WINDOWS), 1), STREAMS[arch])
        _check_length(data, len(text), batch_size)
        x, y = streams(training, batch_size, STEPS)
        name = f"{Path(data).stem}-{arch}"
        identity = {"name": name, "seed": choices.seed}
        if choices.begun:
            model = continued(choices.begun, vocabulary, **identity)
        else:
            model = network(arch, vocabulary, len(training), choices, **identity)
        model.metadata["about"] = f"writes like {Path(data).stem}, character by character"
        reason = (
            f"{len(text):,} characters, {len(vocabulary)} different: training {ARCHITECTURES[arch].title} "
            f"with {model.parameter_count():,} parameters"
        )
        settings = _settings(arch, choices, len(x) // batch_size, batch_size)
        settings["validation_data"] = windows(validation)
        return TextPlan(name, reason, model, x, y, settings, callbacks=[Sample()], characters=len(training))


def _check_length(data: str, length: int, batch_size: int) -> None:
    """Raise DataError unless the training part fills a batch and one more character."""
    batch = batch_size * STEPS
    needed = next(n for n in itertools.count(int(batch / (1 - HELD_OUT))) if n - held_out_of(n) > batch)
    if length < needed:
        raise DataError(
            f"{data} is too short: it has {length:,} characters, but batches of {batch_size} × {STEPS} need {needed:,}, "
            f"of which a tenth is held out for validation; give a longer text{' or a smaller batch size' * (batch_size > 1)}"
        )


def network(arch: str, vocabulary: str, length: int, choices: Choices = USUAL, **identity: Any) -> Sequential:
    """A table of characters, what reads them, and softmax, sized for the length of the text or as the user chose."""
    if arch == "transformer":
        width, blocks = _by_length(BLOCKS, length)
        table = Embedding(len(vocabulary), choices.cell(width), embeddings_initializer="he_normal")
        reads = transformer(choices.cell(width), choices.depth or blocks)
    else:
        table = Embedding(len(vocabulary), EMBEDDING)
        cell = RECURRENT[arch](choices.cell(_by_length(UNITS, length)), return_sequences=True)
        reads = [cell, Dropout(_by_length(DROPOUT, length) if arch != "rnn" else 0.0)]
    layers = [table, *reads, Dense(len(vocabulary), activation="softmax")]
    return Sequential(layers, (None,), vocabulary=vocabulary, **identity)


def _vocabulary(text: str, data: str, base: Base | None) -> str:
    """The characters of a text, those of the base before the others; raises UsageError if its embedding is frozen and lacks some."""
    found = vocabulary_of(text, data)
    if base is None:
        return found
    known = alphabet_of(base.model)
    new = "".join(character for character in found if character not in known)
    if new and base.frozen:
        raise UsageError(
            Setting("freeze"),
            f" keeps the embedding of {base.name}, which lacks {len(new)} characters of {data} ({' '.join(new[:SHOWN])}); leave it out",
        )
    return known + new


def continued(base: Base, vocabulary: str, **identity: Any) -> Sequential:
    """The layers of the base, which already know what follows most characters: the output layer keeps what it says of those, too.

    A character that the base does not know begins as the mean of the others, and as the least probable one.
    """
    known = len(base.model.vocabulary or ())
    embedding = base.embedding(len(vocabulary), lambda rows: rows.mean(axis=0))
    output = Dense(len(vocabulary), activation="softmax")
    layers = [embedding, *list(base.layers.values())[1:], output]
    model = Sequential(layers, (None,), vocabulary=vocabulary, **identity)
    kernel, bias = base.model.get_weights()[-2:]
    output.parameters["kernel"][:] = kernel.mean(axis=1, keepdims=True)
    output.parameters["kernel"][:, :known], output.parameters["bias"][:known] = kernel, bias
    output.parameters["bias"][known:] = bias.min()
    return model


def transformer(width: int, blocks: int) -> list[Layer]:
    """Blocks that normalise first (Xiong et al. 2020): attention to the last characters, then a network for each alone.

    What lies further back counts less (`alibi`), which trains faster here than learnt positions, and lets the window slide.
    """
    layers: list[Layer] = [Dropout(BLOCK_DROPOUT)]
    for _ in range(blocks):
        attention = MultiHeadAttention(HEADS, -(-width // HEADS), causal=True, window=WINDOW, alibi=True)
        layers += [
            Residual([LayerNorm(), attention, Dropout(BLOCK_DROPOUT)]),
            Residual([LayerNorm(), Dense(4 * width, "gelu"), Dense(width), Dropout(BLOCK_DROPOUT)]),
        ]
    return [*layers, LayerNorm()]


class Sample(Callback):
    """Print a sample of what the network writes after an epoch, at most once in `seconds`."""

    def __init__(self, stream: TextIO | None = None, seconds: float = SECONDS_BETWEEN_SAMPLES) -> None:
        self.stream, self.seconds, self.shown = stream or sys.stderr, seconds, time.monotonic()

    def on_epoch_end(self, training: Training) -> None:
        if time.monotonic() - self.shown < self.seconds:
            return
        written = generate(training.model, length=SAMPLE, random_seed=training.epoch)
        note("    " + written.strip("\n").replace("\n", "\n    "), self.stream, keep="\n\t")
        self.shown = time.monotonic()


def _settings(arch: str, choices: Choices, steps_an_epoch: int, batch_size: int) -> dict[str, Any]:
    epochs = choices.epochs or min(max(TRAINING_STEPS[arch] // steps_an_epoch, EPOCHS[0]), EPOCHS[1])
    rate = CosineDecay(choices.rate(PEAK_LEARNING_RATE[arch]))
    warm_up = min(max(round(WARM_UP * steps_an_epoch * epochs), 1), WARM_UP_STEPS)
    return {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": AdamW(WarmUp(rate, warm_up), clip_norm=CLIP_NORM),
        "stateful": True,
        "reset_rate": RESET_RATE[arch],
        "early_stopping": EarlyStopping("val_loss", patience=None),
        "seed": choices.seed,
    }


def _by_length(table: dict[float, Any], length: int) -> Any:
    return next(value for longest, value in table.items() if length <= longest)
