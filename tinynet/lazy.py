"""Packages that import their modules on first use: `tn.data.text` after `import tinynet as tn`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module


def door(package: str, modules: Sequence[str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that imports each of its modules when it is first asked for."""

    def find(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return import_module(f".{name}", package)

    return find, lambda: sorted({*modules, "__doc__", "__file__", "__name__", "__path__"})
