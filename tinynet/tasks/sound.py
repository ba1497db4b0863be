"""Classify sounds: a .wav file → the classes, the most probable first; a stream of sound → an answer after each word."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from ..data.names import DATASETS
from ..data.sounds.prepare import Preparation, check_sound, frames_of, prepare
from ..data.sounds.samples import SoundReader
from ..data.sounds.stream import End, SpeechStream
from ..data.sounds.wav import RATES, is_sound, read_wav
from ..errors import Setting, SoundError, UsageError
from ..files import open_file, path_text
from ..network import Network
from .base import SOUND, check_task
from .classes import LabelledSamples, NamesClasses, Ranking, ranking_as_json, read_folder

PIECE = 4096
"""Most bytes of a stream that are read at once."""


class Answer(NamedTuple):
    """The classes of a sound; empty if nothing is said in it.

    views: what each network was given; note: what the user should know, if anything. In a stream: from when to when, in seconds.
    """

    ranking: Ranking
    views: Sequence[np.ndarray] = ()
    note: str | None = None
    start: float | None = None
    end: float | None = None


class Sounds(NamesClasses):
    """Networks that name a sound, each from the sound as its own file prepares it."""

    name = SOUND
    sample = "sound"
    nothing = "silence"
    options = frozenset({"stream", "rate", "show"})

    def __init__(self, *models: Network) -> None:
        super().__init__(*models)
        self.preparations = [Preparation.of(model) for model in models]

    def answer(self, given: Any, **options: Any) -> list[Answer]:
        """What is said in a clip, from the mean of the models' probabilities.

        given: what `data.sounds.wav.read_wav` takes, or an array of samples (n,) at the rate that the first model hears. Raises
        SoundError for anything but a sound.
        """
        is_array = isinstance(given, np.ndarray)
        sound = check_sound(given, self.preparations[0].rate) if is_array else read_wav(given)
        views, votes = [], []
        for model, preparation in zip(self.models, self.preparations, strict=True):
            steps = prepare(sound, preparation)
            if steps is None:
                return [Answer([])]
            views.append(steps)
            votes.append(model.answer(steps[None])[0][0])
        return [Answer(self.model.rank(np.mean(votes, axis=0)), views)]

    def answers(
        self, given: Any, stream: bool = False, rate: int | None = None, **options: Any
    ) -> Iterator[list[Answer]]:
        """The answer to a clip, or those to a stream of raw samples as they arrive, one after each word."""
        if stream:
            yield from self._follow(given, cast(int, rate))
        else:
            yield self.answer(given)

    def check_options(self, given: dict[str, Any]) -> dict[str, Any]:
        """The settings that are on; raises UsageError where a stream has no rate, or a rate no stream."""
        chosen = super().check_options(given)
        if ("stream" in chosen) != ("rate" in chosen):
            missing, other = ("rate", "stream") if "stream" in chosen else ("stream", "rate")
            raise UsageError(
                Setting(other), " needs ", Setting(missing), " too: a stream does not say its own rate"
            )
        if "stream" in chosen and not RATES[0] <= chosen["rate"] <= RATES[1]:
            raise UsageError(Setting("rate"), f" is {RATES[0]:,} to {RATES[1]:,} samples per second")
        if "stream" in chosen and len(set(self.preparations)) > 1:
            raise UsageError(Setting("stream"), " needs models that prepare sounds alike, which these do not")
        for model in self.models if "stream" in chosen else ():
            model.check_streamable()
        return chosen

    def _follow(self, given: Any, rate: int) -> Iterator[list[Answer]]:
        """Answers while sound arrives: the state of the networks passes from step to step, and starts from zeros with each word."""
        stream = SpeechStream(rate, self.preparations[0])
        outputs: list[np.ndarray] = []
        states: list[Any] = []
        seen: list[np.ndarray] = []
        answered = False
        for piece, last in _pieces(given):
            for event in stream(piece, last):
                if isinstance(event, End):
                    answered = True
                    ranking = self.model.rank(np.mean(outputs, axis=0)[0])
                    yield [Answer(ranking, [np.concatenate(seen)], None, *event)]
                    continue
                if event.is_first:
                    states, seen = [None] * len(self.models), []
                steps = [m.advance(event.x, state) for m, state in zip(self.models, states, strict=True)]
                outputs, states = [y for y, _ in steps], [state for _, state in steps]
                seen.append(event.x)
        if not answered:
            yield [Answer([])]

    def as_json(self, answers: Sequence[Answer], top: int = 1, **options: Any) -> Iterator[dict[str, Any]]:
        """Answers as JSON objects; in a stream with their start and end in seconds."""
        for answer in answers:
            times = {} if answer.start is None else {"start": answer.start, "end": answer.end}
            yield {**ranking_as_json(answer.ranking, top), **times}

    def views(self, answer: Answer) -> Iterator[str]:
        """What each network was given, high bands above low ones, in shades of the terminal's colour."""
        from ..drawing import shades

        for steps in answer.views:
            yield shades(frames_of(steps[None])[0].T[::-1])

    def is_sample(self, path: Path) -> bool:
        """Whether a file should be a sound."""
        return is_sound(path)

    def read(self, data: str) -> LabelledSamples:
        """The test set of the spoken digits, or a folder with a folder of sounds per class, numbered as the models number them."""
        if data in DATASETS:
            return self._test_set(data)
        for model in self.models:
            check_task(model, SOUND)
        return read_folder(self.models, data, lambda m: SoundReader(Preparation.of(m)))

    def _test_set(self, data: str) -> LabelledSamples:
        from ..data.datasets import load
        from ..data.folders import check_classes

        found = load(data)
        labels = self.model.labels or found.labels
        check_classes(found.labels, labels, data)
        y = np.array([labels.index(label) for label in found.labels])[found.y]
        test = found.part(found.is_test)
        xs = [test.prepared(preparation) for preparation in self.preparations]
        silent = ~xs[0].any(axis=(1, 2, 3, 4))
        y = y[found.is_test]
        return LabelledSamples([x[~silent] for x in xs], y[~silent], y[silent])


TASK = Sounds


def _pieces(given: str | BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The bytes of a stream as they come, and whether they are the last; raises SoundError where it cannot be read."""
    name = given if isinstance(given, str) else str(getattr(given, "name", "the stream"))
    try:
        if name == "-" and sys.stdin is None:
            raise OSError(0, "standard input is closed")
        source = sys.stdin.buffer if given == "-" else given
        with open_file(path_text(source)) if isinstance(source, str) else nullcontext(source) as file:
            read = getattr(file, "read1", file.read)
            piece = read(PIECE)
            if piece.startswith(b"RIFF"):
                raise SoundError(
                    f"{name} is a .wav file, not raw samples; classify it without ", Setting("stream")
                )
            while piece:
                yield piece, False
                piece = read(PIECE)
    except OSError as error:
        raise SoundError(
            f"cannot read {name}: {error.strerror or error}; give a file, or - for standard input"
        ) from None
    yield b"", True
