"""The model file: one `.npz`, readable without tinynet.

A 0-d string array `config` holds JSON: format version, layers with their settings, input shape, what the input is and
how it is prepared, labels or vocabulary, the training record. Every other entry is one parameter, `conv2d_1.kernel`,
as float32 or float16. Reading runs no code (`allow_pickle=False`) and is strict: an error names the entry that does not fit.
"""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from . import weights
from .archive import CHECKPOINT, LONGEST_TEXT, MODEL, Archive, Check, parse_json, write_arrays
from .errors import ModelFileError, TinynetError, did_you_mean
from .files import atomic_write, open_seekable, path_text, read_file
from .version import __version__

SUFFIX = ".npz"
FORMAT_VERSIONS = 1, 2
"""1: a flat list of layers; 2: nested or frozen layers."""
DTYPES = ("float32", "float16")
LARGEST_STREAM = 1 << 30
"""The most bytes of a model that is read from a stream that cannot seek, such as a download."""
CONFIG_KEYS = {"format", "version", "name", "input_shape", "layers", "labels", "vocabulary", "metadata"}


# ---- writing ----


def save(
    config: dict[str, Any],
    state: Mapping[str, np.ndarray],
    target: Any,
    dtype: str = "float32",
) -> None:
    """Write a config and arrays to a file, given by its path or open; a path is replaced only once the new file is complete.

    Raises TinynetError when it cannot be written.
    """
    if not hasattr(target, "write"):
        check_file_name(target)
    if dtype not in DTYPES:
        raise TinynetError(f"a model is stored as {' or '.join(DTYPES)}, not as {dtype!r}")
    with np.errstate(over="ignore"):
        arrays = {key: value.astype(dtype) for key, value in state.items()}
    for key, value in state.items():
        if np.isfinite(value).all() and not np.isfinite(arrays[key]).all():
            raise TinynetError(f"{key} has values beyond {dtype}; save it as float32")
    text = np.array(json.dumps(config, ensure_ascii=False, allow_nan=False))
    with _writing(target) if hasattr(target, "write") else atomic_write(target) as file:
        write_arrays(file, {"config": text, **arrays})


@contextmanager
def _writing(target: BinaryIO) -> Iterator[BinaryIO]:
    """A file in memory whose content then goes to `target`, since writing a ZIP needs to seek."""
    file = io.BytesIO()
    yield file
    rest = file.getbuffer()
    try:
        while len(rest):
            written = target.write(rest)
            rest = rest[len(rest) if written is None else written :]
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TinynetError(f"cannot write the model to {_name_of(target)}: {reason}") from error


def check_file_name(path: str | bytes | os.PathLike) -> None:
    """Raise TinynetError for a name that `load` would not accept as a model file."""
    text = path_text(path)
    if not text.endswith(SUFFIX):
        raise TinynetError(f"{text}: a model's file name must end in {SUFFIX}")


def check_config(config: dict[str, Any]) -> None:
    """Raise TinynetError for a config that reading would refuse, before a model is lost to it."""
    try:
        text = json.dumps(config, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TinynetError(f"the model's metadata cannot be written as JSON: {error}") from error
    if len(text) * np.dtype("U1").itemsize > LONGEST_TEXT:
        raise TinynetError(
            "the model's labels, vocabulary and metadata are too long for a model file; shorten them"
        )
    try:
        _check_types(parse_json(text))
    except TinynetError:
        raise
    except ValueError as error:
        raise TinynetError(f"the model's labels, vocabulary or metadata cannot be stored: {error}") from error


def _check_types(found: dict[str, Any]) -> None:
    """Raise TinynetError if an entry of the config has the wrong type."""
    for entry in ("layers", "input_shape"):
        if not isinstance(found[entry], list):
            raise TinynetError(f"`{entry}` must be a list")
    if not isinstance(found["name"], str):
        raise TinynetError("`name` must be a string")
    if not (found["labels"] is None or _is_list_of_strings(found["labels"])):
        raise TinynetError("`labels` must be a list of names")
    vocabulary = found["vocabulary"]
    if not (vocabulary is None or isinstance(vocabulary, str) or _is_list_of_strings(vocabulary)):
        raise TinynetError("`vocabulary` must be a string or a list of strings")
    if not (isinstance(found["metadata"], dict) and isinstance(found["metadata"].get("input", {}), dict)):
        raise TinynetError("`metadata` and its `input` must be dictionaries")


def _is_list_of_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


# ---- reading ----


def shipped_models() -> dict[str, Path]:
    """The models that come with tinynet: name → file."""
    return {name: Path(next(iter(weights.__path__)), f"{name}{SUFFIX}") for name in cast(Any, weights.NAMES)}


def shipped_file(name: str) -> bytes:
    """The content of a shipped model's file, even if tinynet is in a zip archive."""
    return weights.__loader__.get_data(str(shipped_models()[name]))


def find(name: str | bytes | os.PathLike) -> Path:
    """The file of a model: a name without `.npz` and without a slash is a shipped model, anything else is a path."""
    text = path_text(name, ModelFileError)
    if text.endswith(SUFFIX):
        return Path(text)
    shipped = shipped_models()
    if text in shipped:
        return shipped[text]
    if os.path.isfile(text):
        raise ModelFileError(f"{text} is not a model file: its name does not end in {SUFFIX}")
    if "/" in text or os.sep in text:
        return Path(text)
    if os.path.isfile(text + SUFFIX):
        raise ModelFileError(f"no model {text!r}; did you mean the file {text}{SUFFIX}?")
    close = did_you_mean(text, shipped)
    known = ", ".join(shipped) or "none"
    give = f"{close} Give" if close else "give"
    raise ModelFileError(f"no model {text!r}; {give} a shipped name ({known}) or a {SUFFIX} file")


class ModelFile:
    """An open model file: its config, and arrays that are read one at a time."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self._archive = Archive(file, name, "model file", ModelFileError)
        if "config" not in self._archive.names:
            raise ModelFileError(f"{name} has no entry `config`: it is not a tinynet model")
        self.config = _read_config(self._archive, name)
        self.allowance = self._archive.allowance
        """The most bytes that reading may take."""

    def fill(self, state: Mapping[str, np.ndarray]) -> None:
        """Read the arrays into these, by name; raises ModelFileError unless names and shapes match exactly."""
        _check_names(self._archive.names, state.keys(), self.name)
        needed = sum(value.nbytes for value in state.values())
        if needed > self.allowance:  # zeros until now, which take no memory yet
            raise ModelFileError(
                f"{self.name}: its layers need {needed:,} bytes, which a file of {self._archive.size:,} bytes cannot hold"
            )
        for key, value in state.items():
            value[...] = self._archive.array(key, _checked(key, value.shape, self.name))


@contextmanager
def reading(source: Any) -> Iterator[ModelFile]:
    """A model file, given by its path, a shipped model's name, or open; raises ModelFileError if it cannot be read."""
    if hasattr(source, "read"):
        name, file = _name_of(source), nullcontext(source)
    else:
        path = find(source)
        name, file = str(path), None
    try:
        with file or _open(path) as stream:
            yield ModelFile(_seekable(stream), name)
    except TinynetError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a file that was closed
        reason = getattr(error, "strerror", None) or error
        advice = "; check the name and the folder" if isinstance(error, FileNotFoundError) else ""
        raise ModelFileError(f"cannot read the model {name}: {reason}{advice}") from error


def _open(path: Path) -> BinaryIO:
    """A model's file; a shipped one may be inside a Python zip archive."""
    if path in shipped_models().values():
        return io.BytesIO(shipped_file(path.stem))
    return open_seekable(path)


def _name_of(file: BinaryIO) -> str:
    name = getattr(file, "name", None)
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else "the model"


def _seekable(file: BinaryIO) -> BinaryIO:
    """The file itself, or a copy of its content in memory if it cannot seek."""
    if isinstance(file.read(0), str):
        raise OSError(errno.EINVAL, "it is open as text; open it with mode 'rb'")
    if getattr(file, "seekable", lambda: hasattr(file, "seek"))():
        return file
    return io.BytesIO(read_file(file, LARGEST_STREAM))


def _check_names(names: list[str], expected: Set[str], file: str) -> None:
    """Raise ModelFileError unless the file has exactly the arrays of the network."""
    for key in names:
        if key != "config" and key not in expected:
            raise ModelFileError(f"{file} holds an array {key!r} that its layers do not have")
    if missing := expected - set(names):
        raise ModelFileError(f"{file} lacks the array {min(missing)!r}")


def _checked(key: str, expected: tuple[int, ...], file: str) -> Check:
    """Check an array's type and shape before its data is read."""

    def check(shape: tuple[int, ...], dtype: np.dtype) -> None:
        if dtype.hasobject:
            raise ModelFileError(f"{file}: the array {key!r} is pickled; tinynet reads numbers only")
        if dtype.name not in DTYPES:
            raise ModelFileError(f"{file}: the array {key!r} is {dtype}, not {' or '.join(DTYPES)}")
        if shape != expected:
            raise ModelFileError(
                f"{file}: the array {key!r} has the shape {shape}, but its layer needs {expected}"
            )

    return check


def _read_config(archive: Archive, name: str) -> dict[str, Any]:
    try:
        found = parse_json(archive.text("config"))
    except TinynetError:
        raise
    except ValueError as error:
        raise ModelFileError(f"{name}: `config` is not JSON: {error}") from error
    if isinstance(found, dict) and found.get("format") == CHECKPOINT:
        raise ModelFileError(
            f"{name} is a checkpoint, from which a training is resumed, not a model; give the model's file"
        )
    if not isinstance(found, dict) or found.get("format") != MODEL:
        raise ModelFileError(f"{name}: `config` does not describe a tinynet model")
    version = found.get("version")
    if version not in FORMAT_VERSIONS or isinstance(version, bool):
        later = isinstance(version, int) and version > max(FORMAT_VERSIONS)
        advice = "install a newer tinynet to read it" if later else "save it again with this tinynet"
        read = " and ".join(map(str, FORMAT_VERSIONS))
        raise ModelFileError(
            f"{name} has format version {version!r}, but tinynet {__version__} reads version {read}; {advice}"
        )
    if unknown := found.keys() - CONFIG_KEYS:
        raise ModelFileError(f"{name}: `config` has an unknown entry {sorted(unknown)[0]!r}")
    if missing := CONFIG_KEYS - found.keys():
        raise ModelFileError(f"{name}: `config` lacks the entry {sorted(missing)[0]!r}")
    try:
        _check_types(found)
    except TinynetError as error:
        raise ModelFileError(f"{name}: {error}") from error
    return found
