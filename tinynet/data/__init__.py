"""Data: reading pictures and folders, downloads with checksums, batches, augmentation."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import augment, datasets, download, folders, images, text

__all__ = ["augment", "datasets", "download", "folders", "images", "text"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'tinynet.data' has no attribute {name!r}")
    return _import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
