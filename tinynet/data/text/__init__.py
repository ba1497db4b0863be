"""Text: as characters, which a network writes, and as words and n-grams, by which it tells texts apart."""

from typing import TYPE_CHECKING

from ...lazy import door as _door

if TYPE_CHECKING:
    from . import characters, labelled, words

__all__ = ["characters", "labelled", "words"]
__getattr__, __dir__ = _door(__name__, __all__)
