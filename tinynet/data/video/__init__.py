"""Clips: read from animations and folders of frames, prepared as a model takes them, changed at random while it learns.

A clip is a list of frames, each a picture as `data.pictures` has it, in the order in which they are shown.
"""

from typing import TYPE_CHECKING

from ...lazy import door as _door

if TYPE_CHECKING:
    from . import augment, moving_digits, prepare, read, samples

__all__ = ["augment", "moving_digits", "prepare", "read", "samples"]
__getattr__, __dir__ = _door(__name__, __all__)
