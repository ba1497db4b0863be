"""Where in a sound something is said: in a clip, and in sound that comes bit by bit.

Activity is the mean over the bands, in decibels. That of steady noise, of whatever colour, hardly changes from frame to frame; that
of speech does, and a hiss counts in it as much as a vowel does.
"""

from __future__ import annotations

import numpy as np

from .mel import loudness

QUIET = -80.0
"""Decibels below which nothing is heard, of a band and of a whole clip."""
SPAN = 60.0
"""Decibels below the loudest band of a clip in which something counts."""
SMOOTH = 5
"""Frames over which activity is averaged."""
STEADY = 2.2
"""A sound whose loudest activity is less than so many decibels above its quiet tenth (10th percentile) is noise or silence."""
RISE, PART = 1.5, 0.15
"""Speech begins so many decibels above the quiet tenth, or at this part of the way to the loudest, whichever is more."""
MARGIN = 2
"""Frames that are kept before and after speech."""


def activity(frames: np.ndarray) -> np.ndarray:
    """Of each frame (t, mels) of a clip: its activity, averaged with that of the frames around it."""
    of_each = np.maximum(frames, frames.max() - SPAN).mean(axis=1)
    padded = np.pad(of_each, (SMOOTH // 2, SMOOTH // 2), mode="edge")
    return np.convolve(padded, np.full(SMOOTH, 1 / SMOOTH), "valid")


def is_steady(found: np.ndarray) -> bool:
    """Whether activity is that of noise or silence."""
    return len(found) < SMOOTH or found.max() - np.percentile(found, 10) < STEADY


def find_speech(frames: np.ndarray, steady: bool = False) -> slice | None:
    """The frames of a clip from the first to the last in which something is said; None: only noise or silence.

    steady: whether steady sound is something too.
    """
    if len(frames) < SMOOTH or loudness(frames).max() < QUIET:
        return None
    found = activity(frames)
    if is_steady(found):
        return slice(0, len(frames)) if steady else None
    quiet = np.percentile(found, 10)
    spoken = np.flatnonzero(found > quiet + max(RISE, PART * (found.max() - quiet)))
    return slice(max(int(spoken[0]) - MARGIN, 0), int(spoken[-1]) + 1 + MARGIN)
