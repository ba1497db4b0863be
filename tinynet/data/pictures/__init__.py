"""Pictures: read from any file, prepared as a model takes them, changed at random while it learns.

A picture is a float32 array (height, width, channels) with values in 0…1: 1 channel is grey, 3 are red, green and
blue, 4 add opacity.
"""

from typing import TYPE_CHECKING

from ...lazy import door as _door

if TYPE_CHECKING:
    from . import augment, digit, formats, mnist, pixels, prepare, read, samples

__all__ = ["augment", "digit", "formats", "mnist", "pixels", "prepare", "read", "samples"]
__getattr__, __dir__ = _door(__name__, __all__)
