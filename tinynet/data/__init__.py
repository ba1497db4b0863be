"""Data, in wings: pictures and text. Named data sets, downloads and folders of classes serve all of them."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import datasets, download, folders, pictures, text

__all__ = ["datasets", "download", "folders", "pictures", "text"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'tinynet.data' has no attribute {name!r}")
    return _import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
