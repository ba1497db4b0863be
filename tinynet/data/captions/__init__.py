"""Captions: pictures with a sentence each, made of other pictures or read from a folder, and sentences as ids of words."""

from typing import TYPE_CHECKING

from ...lazy import door as _door

if TYPE_CHECKING:
    from . import folder, scenes, words

BEAMS = 3
"""Sentences that are followed at once while one is written, unless asked otherwise; here, where the command line reads it quickly."""
__all__ = ["folder", "scenes", "words"]
__getattr__, __dir__ = _door(__name__, __all__)
