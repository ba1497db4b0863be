"""Sounds: read from .wav files, prepared as a model takes them, changed at random while it learns, cut into words as they come.

A sound is a float32 array of samples (n,), ±1 at full scale, and a rate; what networks read are log-mel frames of it.
"""

from typing import TYPE_CHECKING

from ...lazy import door as _door

if TYPE_CHECKING:
    from . import augment, mel, prepare, resample, samples, speech, spoken_digits, stream, wav

__all__ = ["augment", "mel", "prepare", "resample", "samples", "speech", "spoken_digits", "stream", "wav"]
__getattr__, __dir__ = _door(__name__, __all__)
