"""Speech to classes: the spoken digits, said by people who are known and by people who are not, through other recorders and in noise.

The shipped model, and the linear model beside it, on the official test split: as it is, at 44.1 kHz in stereo, and with white noise
that is added to each clip. Then the parts of the network alone: a CNN whose steps are averaged, and a GRU that reads the bands
themselves. Then each speaker is left out of the recipe's training in turn: what a stranger may expect. Needs the data set, see
`tinynet train spoken-digits`.

    python -m bench.sounds [--epochs N] [--strangers N]      epochs of each training of the parts, and without one speaker; 0: none
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import numpy as np

import tinynet as tn
from tinynet.data.datasets import load
from tinynet.data.sounds.prepare import Preparation, prepare_all
from tinynet.data.sounds.resample import resample
from tinynet.data.sounds.spoken_digits import VALIDATION, SpokenDigits
from tinynet.data.sounds.wav import Sound
from tinynet.kernels import device
from tinynet.network import Network
from tinynet.recipes.base import Choices
from tinynet.recipes.cnn_rnn import UNITS
from tinynet.recipes.sounds import linear, plan

from .measure import THREADS, table

HEAD = ("clips", "number", "`spoken-digits`", "linear model")
PARTS = ("network", "parameters", "official test split", "training")
ALONE = ("speaker left out", "number", "CNN, then GRU", "linear model")
Change = Callable[[Sound], Sound]


def as_it_is(sound: Sound) -> Sound:
    """No change."""
    return sound


def in_stereo(sound: Sound) -> Sound:
    """At 44.1 kHz, through two channels of 16 bits that are averaged again."""
    samples = resample(sound.samples, sound.rate, 44_100)
    left, right = (np.round(32767 * gain * samples) / 32768 for gain in (1.0, 0.7))
    return Sound(((left + right) / 2).astype(np.float32), 44_100)


def in_noise(decibels: float) -> Change:
    """With white noise that many decibels below the mean power of the clip."""

    def change(sound: Sound) -> Sound:
        rng = np.random.default_rng(len(sound.samples))
        power = np.square(sound.samples).mean() * 10 ** (-decibels / 10)
        noise = rng.standard_normal(len(sound.samples)) * np.sqrt(power)
        return Sound((sound.samples + noise).astype(np.float32), sound.rate)

    return change


CHANGES: dict[str, Change] = {
    "official test split": as_it_is,
    "the same at 44.1 kHz, stereo": in_stereo,
    "the same in noise, 20 dB": in_noise(20),
    "the same in noise, 10 dB": in_noise(10),
}


def right(answers: np.ndarray, x: np.ndarray, y: np.ndarray) -> str:
    """The share of right answers; one to silence is wrong."""
    return f"{100 * ((answers == y) & x.any(axis=(1, 2, 3, 4))).mean():.2f} %"


def answers(model: Network, x: np.ndarray) -> np.ndarray:
    """The classes that a model finds."""
    return model.answer(x)[0].argmax(axis=1)


def official(data: SpokenDigits) -> Iterator[tuple[str, ...]]:
    """One line a change of the official test split."""
    model = tn.load("spoken-digits")
    preparation = Preparation.of(model)
    training, test = data.part(~data.is_test), data.part(data.is_test)
    known = training.prepared(preparation)
    for name, change in CHANGES.items():
        x = prepare_all(map(change, test.sounds()), preparation)
        beside = linear(known, training.y, x)
        yield name, str(len(x)), right(answers(model, x), x, test.y), right(beside, x, test.y)


def parts(data: SpokenDigits, epochs: int) -> Iterator[tuple[str, ...]]:
    """One line a network, all trained as the recipe trains its own."""
    preparation, held = Preparation(), np.isin(data.index, VALIDATION)
    x = data.prepared(preparation)
    sets = [(x[rows], data.y[rows]) for rows in (~data.is_test & ~held, ~data.is_test & held, data.is_test)]
    for name in ("CNN, then GRU", "CNN, then the mean over all steps", "GRU on the bands"):
        made = plan(
            "spoken-digits", Choices(arch="cnn-gru", epochs=epochs), *sets[:2],
            labels=data.labels, preparation=preparation, about="",
        )  # fmt: skip
        masking, reads, dropout, gru, *rest = made.model.layers
        if "mean" in name:
            layers = [masking, reads, dropout, tn.GlobalAveragePool1D(), *rest]
        elif name.startswith("GRU"):
            layers = [masking, tn.TimeDistributed(tn.Flatten()), tn.GRU(UNITS), *rest]
        else:
            layers = [masking, reads, dropout, gru, *rest]
        model = tn.Sequential(layers, made.model.input_shape)
        start = time.monotonic()
        model.fit(made.x, made.y, **made.settings, verbose=False)
        seconds = time.monotonic() - start
        yield (
            name,
            f"{model.parameter_count():,}",
            right(answers(model, sets[2][0]), *sets[2]),
            f"{seconds:.0f} s",
        )


def strangers(data: SpokenDigits, epochs: int) -> Iterator[tuple[str, ...]]:
    """One line a speaker who is left out of training, and their mean."""
    preparation, found = Preparation(), []
    x = data.prepared(preparation)
    for speaker in np.unique(data.speaker):
        alone, held = data.speaker == speaker, np.isin(data.index, VALIDATION)
        part = [(x[rows], data.y[rows]) for rows in (~alone & ~held, ~alone & held)]
        made = plan(
            "spoken-digits", Choices(arch="cnn-gru", epochs=epochs), *part,
            labels=data.labels, preparation=preparation, about="",
        )  # fmt: skip
        made.model.fit(made.x, made.y, **made.settings, verbose=False)
        own, y = x[alone], data.y[alone]
        found.append([right(answers(made.model, own), own, y), right(linear(*part[0], own), own, y)])
        yield str(speaker), str(len(own)), *found[-1]
    means = np.array([[float(cell.rstrip(" %")) for cell in row] for row in found]).mean(axis=0)
    yield "mean", str(len(x)), *(f"{mean:.2f} %" for mean in means)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--strangers", type=int, default=25)
    asked = parser.parse_args()
    device.set_threads(THREADS)
    spoken = load("spoken-digits")
    print(table(HEAD, list(official(spoken))))
    if asked.epochs:
        print(f"\n{table(PARTS, list(parts(spoken, asked.epochs)))}")
    if asked.strangers:
        print(f"\n{table(ALONE, list(strangers(spoken, asked.strangers)))}")
