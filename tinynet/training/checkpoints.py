"""Checkpoints: all that a training needs to go on to the very bits it would have reached without a break.

One `.npz`, read with `allow_pickle=False`: a 0-d string array `config` (JSON) and the arrays, "model/dense_1.kernel".
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import TinynetError
from ..files import atomic_write

FORMAT = "tinynet checkpoint"
VERSION = 1
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    AttributeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy raises for the many ways in which a file can be broken."""


def save_checkpoint(
    path: str | os.PathLike, config: dict[str, Any], groups: dict[str, dict[str, np.ndarray]]
) -> None:
    """Write a checkpoint; the old file stays whole until the new one is. Raises TinynetError where it cannot."""
    arrays = {
        f"{group}/{name}": array for group, members in groups.items() for name, array in members.items()
    }
    text = json.dumps({"format": FORMAT, "version": VERSION, **config})
    with atomic_write(path) as file:
        np.savez(file, config=np.array(text), **arrays)


def load_checkpoint(path: str | os.PathLike) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """Config and groups of arrays of a checkpoint; raises TinynetError for a file that is none."""
    path = Path(path)
    if not path.exists():
        raise TinynetError(f"there is no checkpoint {path}: start without resuming")
    try:
        with np.load(path, allow_pickle=False) as file:
            entries = {name: file[name] for name in file.files}
        config = json.loads(str(entries.pop("config")))
        known = config["format"] == FORMAT
    except UNREADABLE:
        known = False
    if not known:
        raise TinynetError(f"{path} is not a checkpoint, or was cut off: start without resuming")
    if config["version"] != VERSION:
        raise TinynetError(f"{path} is a checkpoint of another version of tinynet: start without resuming")
    groups: dict[str, dict[str, np.ndarray]] = {}
    for key, array in entries.items():
        group, _, name = key.partition("/")
        groups.setdefault(group, {})[name] = array
    return config, groups


def check_writable(path: str | os.PathLike) -> None:
    """Raise TinynetError where a file could not be written to `path` later: no such folder, no permission."""
    path = Path(path)
    if path.is_dir():
        raise TinynetError(f"cannot write {path}: it is a folder; give a file name in it")
    if not path.parent.is_dir():
        raise TinynetError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise TinynetError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
