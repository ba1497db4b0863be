"""Data, in wings: pictures, sounds, text and video. Named data sets, downloads and folders of classes are shared by all."""

from typing import TYPE_CHECKING

from ..lazy import door as _door

if TYPE_CHECKING:
    from . import datasets, download, folders, pictures, sounds, text, video

__all__ = ["datasets", "download", "folders", "pictures", "sounds", "text", "video"]
__getattr__, __dir__ = _door(__name__, __all__)
