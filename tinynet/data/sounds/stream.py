"""Sound that comes bit by bit, cut into what is said between silences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .mel import HOP, Framer
from .prepare import Preparation, normalise, windows
from .resample import Resampler
from .speech import PART, QUIET, RISE, SMOOTH, is_steady

FIRST = 20
"""Frames that tell how loud the silence is with which a stream begins."""
ONSET = 4.0
"""Decibels above silence at which speech begins; it lasts until activity is RISE above it, or PART of the way to the loudest."""
FALLS, RISES = 0.3, 0.05
"""Smoothing of the estimate of silence's activity, per frame: quick where it falls, slow where it rises."""
PREROLL = SMOOTH + 2
"""Frames before speech was noticed that belong to it."""
PAUSE = 25
"""Frames of silence that end what was said."""
SHORTEST, LONGEST = 10, 300
"""Frames of an utterance since it was noticed: a shorter one is ignored as a click, a longer one is answered in pieces."""


class Step(NamedTuple):
    """One step of a network, (1, 2 · step, mels, 1); is_first where something new is said."""

    x: np.ndarray
    is_first: bool


class End(NamedTuple):
    """What was said is over; from when to when, in seconds since the stream began."""

    start: float
    end: float


@dataclass
class Utterance:
    """What is being said.

    first: its first frame in the stream; frames: all of it so far
    activity: of the frames since it was noticed; noticed: how many came before that
    spoken: frames up to the last one with speech
    told: frames that were handed on as steps; before: the last of them, which the next step sees too; level: of the loudest of them
    """

    first: int
    frames: list[np.ndarray]
    activity: list[float]
    spoken: int
    noticed: int
    before: np.ndarray
    told: int = 0
    level: float = -np.inf


class SpeechStream:
    """Raw bytes in, steps of a network and ends of utterances out. However the bytes are cut into pieces, these are the same.

    The bytes are samples of 16 bits, little-endian, one channel, `rate` per second.
    """

    def __init__(self, rate: int, preparation: Preparation) -> None:
        self.preparation = preparation
        self.resampler = Resampler(rate, preparation.rate)
        self.framer = Framer(preparation.rate, preparation.mels)
        self.nothing = np.zeros((preparation.step, preparation.mels), np.float32)
        self.odd = b""
        # the last frames before an utterance with their activity, and that of single frames, which is averaged
        self.recent: list[tuple[np.ndarray, float]] = []
        self.activities: list[float] = []
        self.silence: float | None = None  # its activity, known after FIRST frames
        self.utterance: Utterance | None = None
        self.count = 0

    def __call__(self, piece: bytes, last: bool = False) -> Iterator[Step | End]:
        """The steps and ends that are complete after this piece; after the last piece, all."""
        whole = self.odd + piece
        cut = len(whole) - len(whole) % 2
        self.odd = whole[cut:]
        samples = np.frombuffer(whole[:cut], "<i2").astype(np.float32) / 32768
        for frame in self.framer(self.resampler(samples, last)):
            yield from self._take(frame)
        if last and self.utterance is not None:
            yield from self._finish(self.utterance)

    def _take(self, frame: np.ndarray) -> Iterator[Step | End]:
        self.count += 1
        self.activities = [*self.activities[1 - SMOOTH :], float(np.maximum(frame, QUIET).mean())]
        active = sum(self.activities) / len(self.activities)
        if self.utterance is None:
            self._listen(frame, active)
        else:
            yield from self._go_on(self.utterance, frame, active)

    def _listen(self, frame: np.ndarray, active: float) -> None:
        """A frame while nothing is said: perhaps something begins with it."""
        self.recent = [*self.recent[1 - FIRST :], (frame, active)]
        heard = np.array([active for _, active in self.recent])
        if self.silence is None:
            if len(heard) < FIRST:
                return
            self.silence = float(np.median(heard) if is_steady(heard) else heard.min())
        else:
            heard[:-1] = -np.inf
        noticed = np.flatnonzero(heard > self.silence + ONSET)
        if len(noticed):
            begun = max(int(noticed[0]) + 1 - PREROLL, 0)
            frames = [frame for frame, _ in self.recent[begun:]]
            activity = [active for _, active in self.recent[noticed[0] :]]
            count, noticed_after = len(frames), len(frames) - len(activity)
            first = self.count - count
            self.utterance = Utterance(first, frames, activity, count, noticed_after, self.nothing)
            self.recent = []
        else:
            self.silence += (FALLS if active < self.silence else RISES) * (active - self.silence)

    def _go_on(self, utterance: Utterance, frame: np.ndarray, active: float) -> Iterator[Step | End]:
        """A frame while something is said: perhaps it is over with this one."""
        assert self.silence is not None
        utterance.frames.append(frame)
        utterance.activity.append(active)
        above = max(RISE, PART * (max(utterance.activity) - self.silence))
        if active > self.silence + above:
            utterance.spoken = len(utterance.frames)
            yield from self._tell(utterance)
        pause = len(utterance.frames) - utterance.spoken
        if pause >= PAUSE or len(utterance.frames) >= LONGEST:
            yield from self._finish(utterance)

    def _tell(self, utterance: Utterance, last: bool = False) -> Iterator[Step]:
        """The steps that are complete, at the end the rest."""
        step = self.preparation.step
        ready = utterance.spoken if last else utterance.spoken - utterance.spoken % step
        if ready <= utterance.told:
            return
        frames = np.stack(utterance.frames[utterance.told : ready])
        scaled, utterance.level = normalise(frames, utterance.level)
        known = np.concatenate([utterance.before, scaled])
        for x in windows(known[None], step)[0][1:]:
            yield Step(x[None], is_first=utterance.told == 0)
            utterance.told += step
        utterance.before = known[-step:]

    def _finish(self, utterance: Utterance) -> Iterator[Step | End]:
        self.utterance = None
        found = np.array(utterance.activity)
        if is_steady(found) and not self.preparation.steady:
            # a fan was turned on, say: that is what silence is now
            self.silence = float(np.median(found))
        elif utterance.spoken - utterance.noticed >= SHORTEST:
            yield from self._tell(utterance, last=True)
            end = utterance.first + utterance.spoken
            yield End(round(utterance.first * HOP, 2), round(end * HOP, 2))
